"""Between the server and the application: a whole request is taken in before one of the few threads is spent on it.

A client that sends slowly, or never ends, holds its connection for PATIENCE_S and nobody up. What can't be begun soon,
for the threads are busy and many wait already, is turned away at once: 503 with Retry-After, and without effect.
"""

import asyncio
import logging
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any, Protocol

import orjson

from contracts.problems import kind_of
from integration.bootstrap import WsgiApplication

log = logging.getLogger(__name__)

PATIENCE_S = 10.0
# Beyond it nothing is read: the application refuses by the length alone.
MOST_BYTES = 4_000_000
# So many calls may wait for each thread.
WAITING_PER_THREAD = 64
_RETRY_AFTER_S = "1"

Answered = tuple[int, list[tuple[str, str]], bytes]


class Headers(Protocol):
    """What granian gives of a request's headers; names are in lower case."""

    def items(self) -> list[tuple[str, str]]: ...


class Scope(Protocol):
    """A request but for its body, as granian tells it. `proto` is http or ws."""

    proto: str
    http_version: str
    server: str
    client: str
    scheme: str
    method: str
    path: str
    query_string: str

    @property
    def headers(self) -> Headers: ...


class Exchange(Protocol):
    """Where the body comes from, and the answer goes."""

    def __aiter__(self) -> Any: ...

    def response_empty(self, status: int, headers: list[tuple[str, str]]) -> None: ...

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None: ...


class Door:
    """A WSGI application as one that granian serves by RSGI."""

    def __init__(self, wsgi: WsgiApplication, threads: int) -> None:
        self._wsgi = wsgi
        self._pool = ThreadPoolExecutor(threads, "call")
        self._most = threads * (1 + WAITING_PER_THREAD)
        self._inside = 0

    async def __rsgi__(self, scope: Scope, exchange: Exchange) -> None:
        """Answer one request."""
        environ = environ_of(scope)
        try:
            body = await _body(environ, exchange)
        except TimeoutError:
            log.info("%s %s was not complete within %g s", scope.method, scope.path[:100], PATIENCE_S)
            exchange.response_empty(408, [("connection", "close")])
            return
        if self._inside >= self._most:
            exchange.response_bytes(*_turned_away())
            return
        environ["wsgi.input"] = BytesIO(body)
        self._inside += 1
        try:
            status, headers, answer = await asyncio.get_running_loop().run_in_executor(self._pool, self._call, environ)
        finally:
            self._inside -= 1
        if answer:
            exchange.response_bytes(status, headers, answer)
        else:
            exchange.response_empty(status, headers)

    def __rsgi_del__(self, _loop: asyncio.AbstractEventLoop) -> None:
        """The server ends: what is at hand is brought to its end."""
        self._pool.shutdown()

    def _call(self, environ: dict[str, Any]) -> Answered:
        told: list[tuple[int, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], _error: object = None) -> None:
            told.append((int(status[:3]), headers))

        parts: Iterable[bytes] = self._wsgi(environ, start_response)
        try:
            answer = b"".join(parts)
        finally:
            close = getattr(parts, "close", None)
            if close is not None:
                close()
        status, headers = told[-1]
        return status, headers, answer


def environ_of(scope: Scope) -> dict[str, Any]:
    """The environ of PEP 3333, without its body."""
    server, _, port = scope.server.rpartition(":")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": scope.path.encode().decode("latin-1"),
        "QUERY_STRING": scope.query_string,
        "SERVER_NAME": server,
        "SERVER_PORT": port,
        "SERVER_PROTOCOL": f"HTTP/{scope.http_version}",
        "REMOTE_ADDR": scope.client.rpartition(":")[0],
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.scheme,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, value in scope.headers.items():
        key = name.upper().replace("-", "_")
        if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            key = f"HTTP_{key}"
        environ[key] = f"{environ[key]},{value}" if key in environ else value
    return environ


async def _body(environ: dict[str, Any], exchange: Exchange) -> bytes:
    """The whole body; TimeoutError when it does not come. One that is too long is not waited for."""
    told = int(environ.get("CONTENT_LENGTH") or 0)
    if told > MOST_BYTES or (told == 0 and "HTTP_TRANSFER_ENCODING" not in environ):
        return b""
    parts: list[bytes] = []
    length = 0
    async with asyncio.timeout(PATIENCE_S):
        async for part in exchange:
            parts.append(part)
            length += len(part)
            if length > MOST_BYTES:
                break
    # Taken in whole it has a length, however it was sent; by this the application judges whether it is too long.
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    environ["CONTENT_LENGTH"] = str(length)
    return b"".join(parts)


def _turned_away() -> tuple[int, list[tuple[str, str]], bytes]:
    kind = kind_of("overloaded")
    told = {"type": kind.type, "title": kind.title, "status": kind.status, "detail": "too many calls wait already"}
    headers = [("content-type", "application/problem+json"), ("retry-after", _RETRY_AFTER_S)]
    return kind.status, headers, orjson.dumps(told)
