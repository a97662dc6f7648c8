"""The test house in virtual time, behind doors that can be knocked on from outside.

Each host of the house is a WSGI application, or a real HTTP server on loopback. A call is carried into the world, which
runs until the call is answered and then stands still again: nothing happens between calls unless `advance` lets time
pass. All of a world lives in one thread; callers of any thread wait for their turn.

    HostGone    a call got no answer: refused, reset or lost by a fault, as a `ConnectionError`
"""

import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from io import BytesIO
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast
from urllib.parse import quote
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import orjson

from integration.bootstrap import Parts
from peakproof.live.house import demand_of_house, scenario_of_house
from peakproof.live.loopback import served
from scenarios.spec import HOSTS, Scenario
from scenarios.stage import CLERK, Stage, check_cast, set_stage
from simulators.kernel import EvidenceWriter, World
from simulators.kernel.tampering import Answer

PATIENCE_US = 120_000_000
"""How long a call waits for its answer, in virtual time."""
SETTLE_US = 60_000_000
"""How long the house runs before its first caller: the integration reads reference data and stock."""
STEP_US = 10_000_000

ResultT = TypeVar("ResultT")
P = ParamSpec("P")


class HostGone(ConnectionError):
    """No answer came: the host was down, or a fault lost the exchange."""


@dataclass(frozen=True)
class Request:
    """One call from outside. `path` holds the query, too; `headers` hold whatever authorization the caller shows."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class Sandbox:
    """The house, open. Make one with `Sandbox.open`."""

    hosts = HOSTS

    def __init__(self, stage: Stage, thread: ThreadPoolExecutor) -> None:
        self.stage = stage
        self._world: World = stage.world
        self._thread = thread
        self._waiting: deque[tuple[str, str, Request, Future[Answer]]] = deque()

    @classmethod
    @contextmanager
    def open(
        cls,
        directory: Path | None = None,
        seed: int = 1,
        overrides: Mapping[str, str] | None = None,
        parts: Parts | None = None,
    ) -> Iterator["Sandbox"]:
        """Open the house: its evidence goes to `directory`, or nowhere. `overrides` are those of `--set`.

        ScenarioError when an override can't be used.
        """
        scenario = scenario_of_house(dict(overrides or {}))
        check_cast(scenario)
        scratch = Path(tempfile.mkdtemp(prefix="peakproof-"))
        thread = ThreadPoolExecutor(1, "peakproof-house")
        try:
            with EvidenceWriter(directory or scratch / "evidence") as evidence:
                database = scratch / "integration.db"
                stage = thread.submit(_built, scenario, seed, evidence, database, parts or Parts()).result()
                try:
                    yield cls(stage, thread)
                finally:
                    thread.submit(stage.world.network.close).result()
            thread.submit(stage.world.end).result()
        finally:
            thread.shutdown()
            shutil.rmtree(scratch, ignore_errors=True)

    def now_us(self) -> int:
        """The time in the house, in microseconds since the Unix epoch."""
        return self._world.now_us()

    def do(self, function: Callable[P, ResultT], *arguments: P.args, **named: P.kwargs) -> ResultT:
        """Call a function in the house's own thread, where partners may be touched."""
        return self._thread.submit(function, *arguments, **named).result()

    def advance(self, duration_us: int) -> None:
        """Let time pass in the house."""
        self.do(lambda: self._world.run(self._world.now_us() + duration_us))

    def attach(self, host: str, app: WSGIApplication) -> None:
        """Put an application of the caller's on the network, as a listener for webhooks for instance."""
        self.do(self._world.network.attach, host, lambda: app)

    def call(self, host: str, request: Request, caller: str = "") -> Answer:
        """One call to a host. HostGone when no answer comes.

        Whatever the host's own code raises comes out as the kernel's TaskFailed.
        """
        promise: Future[Answer] = Future()
        self._waiting.append((host, caller or _usual_caller(host), request, promise))
        self._thread.submit(self._carry).result()
        return promise.result()

    def together(self, host: str, requests: Sequence[Request], caller: str = "") -> list[Answer | HostGone]:
        """Calls that arrive at the same moment, answered in the order given."""
        who = caller or _usual_caller(host)
        promises: list[Future[Answer]] = [Future() for _ in requests]
        self.do(self._carry_all, [(host, who, *pair) for pair in zip(requests, promises, strict=True)])
        return [_outcome(promise) for promise in promises]

    def wsgi(self, host: str) -> WSGIApplication:
        """The host as a WSGI application; HostGone is raised where no answer comes."""
        return partial(self._answer, host)

    @contextmanager
    def serve(self, host: str) -> Iterator[str]:
        """The host on a free port of loopback; gives its base URL. A lost answer is a connection that ends."""
        with served(self.wsgi(host)) as url:
            yield url

    def headers(self, host: str, client: str = "") -> dict[str, str]:
        """The authorization that a host takes: the integration's, the `clerk`'s, or at the integration a channel's."""
        keys = self.stage.keys
        if host == "integration":
            token = keys.channels[client or "portal"]
        elif host == "erp":
            token = self._erp_token()
        elif client == CLERK:
            token = keys.clerk_at[host]
        else:
            token = keys.integration_at[host]
        return {"Authorization": f"Bearer {token}"}

    def _erp_token(self) -> str:
        secret = self.stage.keys.integration_at["erp"]
        form = {"grant_type": "client_credentials", "client_id": "integration", "client_secret": secret}
        request = Request("POST", "/oauth/token", {"Content-Type": "application/json"}, orjson.dumps(form))
        return str(orjson.loads(self.call("erp", request).body)["access_token"])

    def _carry(self) -> None:
        """Carry all calls that wait: those that came while another was on its way go together."""
        calls = []
        while self._waiting:
            calls.append(self._waiting.popleft())
        self._carry_all(calls)

    def _carry_all(self, calls: Sequence[tuple[str, str, Request, "Future[Answer]"]]) -> None:
        world = self._world
        for host, caller, request, promise in calls:
            world.spawn(f"{caller} calls {host}", self._exchange, host, caller, request, promise)
        try:
            while not all(promise.done() for *_, promise in calls):
                world.run(world.now_us() + STEP_US)
        except Exception as error:
            for *_, promise in calls:
                if not promise.done():
                    promise.set_exception(error)

    def _exchange(self, host: str, caller: str, request: Request, promise: "Future[Answer]") -> None:
        url = f"http://{host}{request.path}"
        try:
            answer = self._world.network.send(caller, request.method, url, request.headers, request.body, PATIENCE_US)
        except (TimeoutError, ConnectionError) as error:
            promise.set_exception(HostGone(str(error)))
        else:
            promise.set_result(answer)
        self._world.stop()

    def _answer(self, host: str, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        answer = self.call(host, _request_of(environ))
        start_response(f"{answer.status} {_phrase(answer.status)}", list(answer.headers.items()))
        return [answer.body]


def _built(scenario: Scenario, seed: int, evidence: EvidenceWriter, database: Path, parts: Parts) -> Stage:
    stage = set_stage(scenario, demand_of_house(scenario), seed, evidence, database, parts)
    stage.world.run(stage.world.now_us() + SETTLE_US)
    return stage


def _usual_caller(host: str) -> str:
    return "portal" if host == "integration" else "integration"


def _outcome(promise: "Future[Answer]") -> Answer | HostGone:
    error = promise.exception()
    if error is None:
        return promise.result()
    if isinstance(error, HostGone):
        return error
    raise error


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in list(HTTPStatus) else "Unknown"


def _request_of(environ: WSGIEnvironment) -> Request:
    headers = {
        name.removeprefix("HTTP_").replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_") or name == "CONTENT_TYPE"
    }
    headers.pop("host", None)
    query = environ.get("QUERY_STRING", "")
    path = quote(environ.get("PATH_INFO", "/"), "/", "latin-1") + (f"?{query}" if query else "")
    length = int(environ.get("CONTENT_LENGTH") or 0)
    body = cast("Any", environ.get("wsgi.input", BytesIO())).read(length) if length else b""
    return Request(environ["REQUEST_METHOD"], path, headers, body)
