"""What a provider state is, and the scene that it is set up in.

A state is a function that brings a fresh test house into that state by public doors, the provider's own API first. It
may give values that the provider made up (an order number, a tracking number): pacts put them into their requests.

    StateError              base of what goes wrong before the interaction is tried
    ├── UnknownState        no such state is registered for the provider
    ├── UnsuitableState     a state that furnishes the house came after another one
    └── StateFailed         the house could not be brought into the state
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from hashlib import blake2b
from typing import Any, TypeVar

import orjson

from integration.bootstrap import Parts
from peakproof.live.sandbox import HostGone, Request, Sandbox
from simulators.kernel.tampering import Answer

Values = Mapping[str, str]
Handler = Callable[..., Values | None]
HandlerT = TypeVar("HandlerT", bound=Handler)

MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US
_LISTENER = "listener"


class StateError(Exception):
    """The message says what to do."""


class UnknownState(StateError):
    """Also says which states there are."""


class UnsuitableState(StateError):
    """Two states that cannot be had together in this order."""


class StateFailed(StateError):
    """What was asked of the house was refused."""


@dataclass(frozen=True)
class State:
    """One registered state. `house` are overrides (`--set`) of the test house that it stands in, `parts` replace
    collaborators of the integration there.
    """

    name: str
    handler: Handler
    house: Mapping[str, str]
    parts: Parts | None

    @property
    def furnishes(self) -> bool:
        """Whether the house has to be opened for it."""
        return bool(self.house) or self.parts is not None


class Registry:
    """The states of one provider. `host` is where it lives in the test house, `client` whose token is shown there."""

    def __init__(self, provider: str, host: str, client: str = "") -> None:
        self.provider = provider
        self.host = host
        self.client = client
        self.states: dict[str, State] = {}

    def state(
        self, name: str, house: Mapping[str, str] | None = None, parts: Parts | None = None
    ) -> Callable[[HandlerT], HandlerT]:
        """Register a function `(scene, **parameters)` under the name that pacts call the state by."""

        def registered(handler: HandlerT) -> HandlerT:
            assert name not in self.states, f"state {name!r} of {self.provider} is registered twice"
            self.states[name] = State(name, handler, dict(house or {}), parts)
            return handler

        return registered

    def find(self, name: str) -> State:
        """The state of that name; UnknownState says which there are, the nearest first."""
        if name in self.states:
            return self.states[name]
        nearest = get_close_matches(name, self.states, n=1, cutoff=0.5)
        hint = f"did you mean {nearest[0]!r}?" if nearest else f"there are: {'; '.join(sorted(self.states))}"
        raise UnknownState(f"{self.provider} has no provider state {name!r}: {hint}")


class Scene:
    """The test house while one interaction is tried, as a state sees it."""

    def __init__(self, box: Sandbox, registry: Registry) -> None:
        self.box = box
        self.host = registry.host
        self._client = registry.client
        self.heard: list[dict[str, Any]] = []
        """Webhooks that the listener got, in order."""

    def get(self, path: str) -> Any:
        """What a read answers; StateFailed unless it is 2xx."""
        return self._read(Request("GET", path, self._headers()))

    def post(self, path: str, body: object, key: str = "", client: str = "") -> Any:
        """What a write answers; StateFailed unless it is 2xx. `client` is another one than usual, such as the clerk."""
        return self._read(self.request(path, body, key, client))

    def request(self, path: str, body: object, key: str = "", client: str = "") -> Request:
        """A write as a client sends it; without a key of its own it gets one from what it says."""
        sent = orjson.dumps(body)
        named = {"Idempotency-Key": key or f"state:{blake2b(path.encode() + sent, digest_size=16).hexdigest()}"}
        return Request("POST", path, {**self._headers(client), **named, "Content-Type": "application/json"}, sent)

    def begin(self, request: Request, after_us: int = 0) -> None:
        """Send a request that nobody waits for, and let `after_us` pass: its work may then still be going on."""
        world, host, caller = self.box.stage.world, self.host, f"another client of {self.host}"

        def send() -> None:
            url = f"http://{host}{request.path}"
            world.network.send(caller, request.method, url, request.headers, request.body, HOUR_US)

        self.box.do(lambda: world.spawn(caller, send))
        if after_us:
            self.box.advance(after_us)

    def call(self, request: Request) -> Answer:
        """The provider's answer, whatever it is; StateFailed when none comes."""
        try:
            return self.box.call(self.host, request)
        except HostGone as error:
            raise StateFailed(f"{self.host} did not answer {request.method} {request.path}: {error}") from error

    def until(self, what: str, reached: Callable[[], bool], within_us: int = 48 * HOUR_US) -> None:
        """Let time pass, minute by minute, until `reached`; StateFailed after `within_us`."""
        end_us = self.box.now_us() + within_us
        while not reached():
            if self.box.now_us() >= end_us:
                raise StateFailed(f"{self.host}: {what} did not come within {within_us // HOUR_US} h")
            self.box.advance(MINUTE_US)

    def _read(self, request: Request) -> Any:
        answer = self.call(request)
        if not 200 <= answer.status < 300:
            told = answer.body[:300].decode(errors="replace")
            raise StateFailed(f"{self.host} answered {request.method} {request.path} with {answer.status}: {told}")
        return orjson.loads(answer.body) if answer.body else None

    def _headers(self, client: str = "") -> dict[str, str]:
        return self.box.headers(self.host, client or self._client)

    def listen(self, *types: str) -> None:
        """Subscribe a listener to the provider's webhooks; `heard` has what comes."""

        def listener(environ: dict[str, Any], start: Callable[..., object]) -> list[bytes]:
            length = int(environ.get("CONTENT_LENGTH") or 0)
            self.heard.append(orjson.loads(environ["wsgi.input"].read(length)))
            start("204 No Content", [])
            return []

        self.box.attach(_LISTENER, listener)
        asked = {"url": f"http://{_LISTENER}/", "types": list(types)}
        # A partner is told what to sign with; the integration tells.
        self.post("/subscriptions", asked if self.host == "integration" else {**asked, "secret": "secret-listener"})

    def message(self, event_type: str) -> dict[str, Any]:
        """The webhook of that type that came last; StateFailed when none came."""
        found = [event for event in self.heard if event["type"] == event_type]
        if not found:
            came = ", ".join(event["type"] for event in self.heard) or "nothing"
            raise StateFailed(f"{self.host} told nobody of {event_type}; the listener heard {came}")
        return found[-1]
