"""The door before the application: whole requests only, no more than can be begun soon; slow clients hold nobody up."""

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest

from integration.live import door
from integration.live.door import Door
from tests.integration.live.house import TOKEN, House, an_order, environment, free_port, house, wait_until
from tests.integration.live.partners import Partners, serving

NEVER_ENDS = (
    b"POST /orders HTTP/1.1\r\nHost: shop\r\nAuthorization: Bearer %s\r\nIdempotency-Key: slow\r\n"
    b"Content-Type: application/json\r\n%s\r\n\r\n"
)
TOLD = NEVER_ENDS % (TOKEN.encode(), b"Content-Length: 900") + b"{"
CHUNKED = NEVER_ENDS % (TOKEN.encode(), b"Transfer-Encoding: chunked") + b"1\r\n{\r\n"
HEADERS = b"GET /availability HTTP/1.1\r\nHost: shop\r\nX-Slow: "


@dataclass
class Headers:
    given: list[tuple[str, str]]

    def items(self) -> list[tuple[str, str]]:
        return self.given


@dataclass
class Scope:
    headers: Headers
    method: str = "POST"
    path: str = "/café"
    query_string: str = "a=1"
    proto: str = "http"
    http_version: str = "1.1"
    server: str = "127.0.0.1:80"
    client: str = "127.0.0.1:5000"
    scheme: str = "http"


@dataclass
class Exchange:
    """Parts of a body, the last of which may never come."""

    parts: tuple[bytes, ...] = ()
    ends: bool = True
    answers: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self.parts:
            yield part
        if not self.ends:
            await asyncio.Event().wait()

    def response_empty(self, status: int, headers: list[tuple[str, str]]) -> None:
        self.answers.append((status, dict(headers), b""))

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.answers.append((status, dict(headers), body))


def asked(
    app: Any, exchange: Exchange, *headers: tuple[str, str], threads: int = 1
) -> tuple[int, dict[str, str], bytes]:
    asyncio.run(Door(app, threads).__rsgi__(Scope(Headers(list(headers))), exchange))
    (answer,) = exchange.answers
    return answer


def echo(environ: Any, start_response: Any) -> list[bytes]:
    start_response("201 Created", [("content-type", "text/plain")])
    names = ("PATH_INFO", "QUERY_STRING", "CONTENT_LENGTH", "HTTP_X_MANY")
    return [json.dumps([environ.get(name) for name in names]).encode(), environ["wsgi.input"].read()]


def test_a_request_comes_to_the_application_whole() -> None:
    many = (("x-many", "1"), ("x-many", "2"), ("transfer-encoding", "chunked"))
    status, headers, body = asked(echo, Exchange((b"ab", b"cd")), *many)
    assert (status, headers) == (201, {"content-type": "text/plain"})
    path = "/café".encode().decode("latin-1")
    assert (json.loads(body[:-4]), body[-4:]) == ([path, "a=1", "4", "1,2"], b"abcd")


def test_what_does_not_come_is_not_waited_for_and_what_is_too_long_is_left_to_the_application(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(door, "PATIENCE_S", 0.05)
    monkeypatch.setattr(door, "MOST_BYTES", 4)
    assert asked(echo, Exchange((b"ab",), ends=False), ("content-length", "4"))[0] == 408
    status, _, body = asked(echo, Exchange((b"abc", b"def"), ends=False), ("transfer-encoding", "chunked"))
    assert (status, body[-6:]) == (201, b"abcdef"), "one part beyond the limit is enough"
    status, _, body = asked(echo, Exchange(ends=False), ("content-length", "5"))
    assert (status, json.loads(body)[2]) == (201, "5")


def test_what_cannot_be_begun_soon_is_turned_away_without_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "WAITING_PER_THREAD", 1)
    begun, go = threading.Event(), threading.Event()
    calls: list[str] = []

    def slow(environ: Any, start_response: Any) -> list[bytes]:
        calls.append(environ["REQUEST_METHOD"])
        begun.set()
        assert go.wait(10)
        start_response("204 No Content", [])
        return []

    async def three() -> list[Exchange]:
        made = Door(slow, 1)
        exchanges = [Exchange() for _ in range(3)]
        scope = Scope(Headers([]))
        first = [asyncio.create_task(made.__rsgi__(scope, exchange)) for exchange in exchanges[:2]]
        await asyncio.to_thread(begun.wait, 10)
        await made.__rsgi__(scope, exchanges[2])
        go.set()
        await asyncio.gather(*first)
        return exchanges

    first, second, third = (exchange.answers[0] for exchange in asyncio.run(three()))
    assert (first[0], second[0], len(calls)) == (204, 204, 2)
    assert (third[0], third[1]["retry-after"]) == (503, "1")
    assert json.loads(third[2])["type"] == "urn:peakproof:problem:overloaded"


@pytest.fixture
def open_house(tmp_path: Path) -> Iterator[House]:
    port = free_port()
    partners = Partners(integration=f"http://127.0.0.1:{port}")
    with serving(partners) as partners_url:
        told = environment(f"sqlite:///{tmp_path}/shop.db", partners_url, partners.integration)
        with house(told, port, tmp_path / "log", "api", "dispatch 1") as made:
            order = an_order("PO-0", Random(0))
            wait_until(made.answers, 30, "the API answers")
            wait_until(lambda: _placed(made, order) == 201, 30, "an order is taken")
            yield made


def _placed(made: House, order: dict[str, Any]) -> int:
    return made.call("POST", "/orders", order, idempotency_key=order["order_reference"], timeout=3.0)[0]


def _connected(made: House, stack: ExitStack, said: bytes) -> socket.socket:
    client = stack.enter_context(socket.create_connection(("127.0.0.1", made.port), timeout=5))
    client.sendall(said)
    return client


def test_a_thousand_idle_connections_and_clients_that_never_end_hold_nobody_up(open_house: House) -> None:
    with ExitStack() as stack:
        for _ in range(1_000):
            _connected(open_house, stack, b"")
        for said in (TOLD, CHUNKED, HEADERS):
            for _ in range(20):
                _connected(open_house, stack, said)
        statuses = [_placed(open_house, an_order(f"PO-{number}", Random(number))) for number in range(1, 11)]
    assert statuses == [201] * 10


@pytest.mark.long
def test_who_does_not_end_is_let_go(open_house: House) -> None:
    with ExitStack() as stack:
        slow = [_connected(open_house, stack, said) for said in (TOLD, CHUNKED, HEADERS, b"")]
        for client in slow:
            client.settimeout(door.PATIENCE_S + 5)
            assert client.recv(4096)[:12] in (b"HTTP/1.1 408", b"")
    assert _placed(open_house, an_order("PO-1", Random(1))) == 201


def test_a_body_that_grows_beyond_the_limit_is_refused_while_it_comes(open_house: House) -> None:
    part = b"%x\r\n%s\r\n" % (500_000, b" " * 500_000)
    with ExitStack() as stack:
        client = _connected(open_house, stack, NEVER_ENDS % (TOKEN.encode(), b"Transfer-Encoding: chunked"))
        for _ in range(10):
            client.sendall(part)
        answer = client.recv(65_536)
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"body-too-large" in answer
