"""Partners to certify: simulators of the test house over real HTTP, as they are or behind a layer that breaks them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from peakproof.certification.data import Credentials, Limits, Role, TestData
from peakproof.certification.http import HttpTransport
from peakproof.certification.listener import Listener
from peakproof.certification.run import Certified, More, Plan, certify
from peakproof.certification.transport import Reply, Request
from peakproof.live.loopback import served
from peakproof.live.sandbox import HostGone, Sandbox
from peakproof.live.sandbox import Request as Call

HOUR_US = 3_600_000_000
HOSTS: dict[Role, str] = {"erp": "erp", "wms": "wms-east", "threepl": "threepl", "carrier": "carrier"}
SKUS = ("85123A", "22423", "23084")
Wrap = Callable[[WSGIApplication], WSGIApplication]


def as_it_is(app: WSGIApplication) -> WSGIApplication:
    return app


@dataclass
class BoxClock:
    """Waits by letting time pass in the sandbox."""

    box: Sandbox
    meanwhile: Callable[[], None] = lambda: None
    """What goes on at the partner while certification waits."""

    def now_us(self) -> int:
        return self.box.now_us()

    def wait(self, duration_us: int) -> None:
        self.meanwhile()
        self.box.advance(duration_us)


class BoxTransport(HttpTransport):
    """Real HTTP, but what is sent together arrives in the sandbox at one moment of its own time."""

    def __init__(self, box: Sandbox, host: str, url: str) -> None:
        super().__init__(url, box.now_us, timeout_s=30)
        self._box, self._host = box, host

    def together(self, requests: Sequence[Request]) -> list[Reply]:
        if len(requests) == 1:
            return super().together(requests)
        began_us = self._box.now_us()
        calls = [Call(each.method, each.path, each.headers, each.body) for each in requests]
        replies = []
        for answer in self._box.together(self._host, calls):
            assert not isinstance(answer, HostGone)
            headers = {name.lower(): value for name, value in answer.headers.items()}
            replies.append(Reply(answer.status, headers, answer.body, self._box.now_us() - began_us))
        return replies


def test_data(box: Sandbox, role: Role, **changes: Any) -> TestData:
    secret = box.stage.keys.integration_at[HOSTS[role]]
    credentials = (
        Credentials(client_id="integration", client_secret=secret) if role == "erp" else Credentials(token=secret)
    )
    return TestData(**{"credentials": credentials, "customer_id": "C-1001", "skus": SKUS, **changes})


@dataclass
class Way:
    """How a partner is certified in a test; `wrap` breaks its API, `on_the_way` what it sends to the listener."""

    wrap: Wrap = as_it_is
    on_the_way: Wrap = as_it_is
    limits: Limits = field(default_factory=lambda: Limits(700, 40, True, 3 * HOUR_US))
    only: frozenset[str] = frozenset()
    listening: bool = True
    by_threads: bool = False
    meanwhile: Callable[[], None] = lambda: None
    more: Mapping[str, More] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)


def certified(box: Sandbox, role: Role, directory: Path, way: Way, number: int = 1) -> Certified:
    """Certify a role of the sandbox. `number` keeps apart several certifications of one sandbox."""
    host = HOSTS[role]
    with served(way.wrap(box.wsgi(host))) as url:
        direct = way.wrap is as_it_is and not way.by_threads
        transport = BoxTransport(box, host, url) if direct else HttpTransport(url, box.now_us, 30)
        ears = f"certifier-{number}"
        plan = Plan(
            role,
            url,
            test_data(box, role, **way.data),
            way.limits,
            listen_url=f"http://{ears}" if way.listening else "",
            seed=number,
            only=way.only,
        )

        def attach(listener: Listener) -> None:
            box.attach(ears, way.on_the_way(listener))

        try:
            return certify(plan, transport, BoxClock(box, way.meanwhile), directory, attach, way.more)
        finally:
            transport.close()


def outcomes(done: Certified, outcome: str) -> list[str]:
    return [finding.probe for finding in done.verdict.findings if finding.outcome == outcome]


@dataclass
class Answered:
    """What an application answered."""

    status: int
    headers: dict[str, str]
    body: bytes


def answer_of(app: WSGIApplication, environ: WSGIEnvironment) -> Answered:
    """Run an application to its end."""
    told: list[Any] = []

    def start_response(status: str, headers: list[tuple[str, str]], _error: object = None) -> Callable[[bytes], object]:
        told[:] = [int(status.split(maxsplit=1)[0]), dict(headers)]
        return lambda _written: None

    body = b"".join(app(environ, start_response))
    return Answered(told[0], told[1], body)


def reply(answered: Answered, start_response: StartResponse) -> Iterable[bytes]:
    headers = {name: value for name, value in answered.headers.items() if name.lower() != "content-length"}
    headers["Content-Length"] = str(len(answered.body))
    start_response(f"{answered.status} Answered", list(headers.items()))
    return [answered.body]
