"""A provider of the test house behind a real HTTP server, with the two extra doors that Pact's verifier knocks on.

    /__pact/states      puts a fresh house into the state that an interaction needs, and takes it down after it
    /__pact/messages    gives the webhook that a message pact describes, as the provider really told it

Every interaction gets a house of its own, so none sees what another one left.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import orjson
from werkzeug.wrappers import Request, Response

from integration.bootstrap import Parts
from peakproof.live.loopback import served
from peakproof.live.sandbox import Sandbox
from peakproof.live.states.registry import Registry, Scene, StateError, UnsuitableState

STATES = "/__pact/states"
MESSAGES = "/__pact/messages"

# What a test that breaks the provider puts around its application, and around the events that it tells.
Wrap = Callable[[WSGIApplication], WSGIApplication]
Retell = Callable[[dict[str, Any]], dict[str, Any]]


def unbroken(app: WSGIApplication) -> WSGIApplication:
    """The provider as it is."""
    return app


def as_told(event: dict[str, Any]) -> dict[str, Any]:
    """The event as it is."""
    return event


@dataclass(frozen=True)
class Trouble:
    """What went wrong before an interaction could be tried: its state, or its message, and why in words."""

    what: str
    reason: str

    def concerns(self, description: str, states: Sequence[str]) -> bool:
        return self.what == description or self.what in states


class Provider:
    """One provider. A WSGI application; `troubles` are the states that failed."""

    def __init__(self, registry: Registry, wrap: Wrap = unbroken, retell: Retell = as_told) -> None:
        self.registry = registry
        self.troubles: list[Trouble] = []
        self._wrap, self._retell = wrap, retell
        self._house = ExitStack()
        self._scene: Scene | None = None
        self._state_name = ""

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path in (STATES, MESSAGES):
            return self._aside(path, Request(environ))(environ, start_response)
        app = self._wrap(self._open().box.wsgi(self.registry.host))
        try:
            return list(app(environ, start_response))
        except Exception as error:  # a provider that fails wholly is a finding, too
            self.troubles.append(Trouble(self._state_name, f"{self.registry.host} failed: {error}"))
            return _json({"error": str(error)}, 500)(environ, start_response)

    def close(self) -> None:
        """Take the house down."""
        self._scene = None
        self._house.close()

    def _aside(self, path: str, request: Request) -> Response:
        """Answer the verifier. Whatever goes wrong is told with the interaction, and never as 5xx: that it repeats for
        minutes.
        """
        asked = orjson.loads(request.get_data())
        what = str(asked["state"] if path == STATES else asked["description"])
        try:
            return self._state(what, asked) if path == STATES else self._message(what)
        except Exception as error:  # a state may run into anything, and the verifier needs an answer
            reason = str(error) if isinstance(error, StateError) else f"{type(error).__name__}: {error}"
            self.troubles.append(Trouble(what, reason))
            return _json({"error": reason}, 422)

    def _state(self, name: str, asked: Mapping[str, Any]) -> Response:
        if asked["action"] == "teardown":
            self.close()
            return _json({})
        return _json(self.set_up(name, asked.get("params") or {}))

    def set_up(self, name: str, parameters: Mapping[str, Any]) -> dict[str, str]:
        """Set one state up; the values that pacts may use, the token that the provider takes among them."""
        state = self.registry.find(name)
        self._state_name = name
        if state.furnishes and self._scene is not None:
            raise UnsuitableState(f"state {name!r} furnishes the house: name it before every other state")
        scene = self._open(state.house, state.parts)
        values = state.handler(scene, **parameters) or {}
        token = scene.box.headers(self.registry.host, self.registry.client)["Authorization"].removeprefix("Bearer ")
        return {"token": token, **values}

    def _message(self, description: str) -> Response:
        """A message's description begins with the type of its event: `release.picked with a short line`."""
        event = self._open().message(description.split(" ", maxsplit=1)[0])
        return Response(orjson.dumps(self._retell(event)), content_type="application/cloudevents+json")

    def _open(self, house: Mapping[str, str] = MappingProxyType({}), parts: Parts | None = None) -> Scene:
        if self._scene is None:
            box = self._house.enter_context(Sandbox.open(overrides=house, parts=parts))
            self._scene = Scene(box, self.registry)
        return self._scene


@contextmanager
def serve(provider: Provider) -> Iterator[str]:
    """The provider on a free port of loopback; gives its base URL."""
    try:
        with served(provider) as url:
            yield url
    finally:
        provider.close()


def _json(value: object, status: int = 200) -> Response:
    return Response(orjson.dumps(value), status, content_type="application/json")
