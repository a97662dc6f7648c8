"""The doors of a live world: real calls in, and calls out to real servers.

In: a WSGI application per host, for gevent's server. What faults do to a call is done to its connection: one that is
refused or cut is reset, one whose answer is lost stays open until its caller goes. Nothing here blocks the world.

Out: `Egress` carries what the world sends to addresses that are not on its network, such as webhooks to whoever
subscribed.
"""

import errno
import socket
import struct
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import lru_cache
from http import HTTPStatus
from time import monotonic, time
from typing import Any, NamedTuple
from wsgiref.types import StartResponse, WSGIEnvironment

import gevent
import urllib3
from gevent.hub import Waiter
from gevent.pywsgi import WSGIHandler, format_date_time
from urllib3.exceptions import HTTPError, NewConnectionError
from urllib3.exceptions import TimeoutError as HttpTimeout

from simulators.kernel.live import LiveWorld
from simulators.kernel.network import Errand, Visit
from simulators.kernel.tampering import Answer
from simulators.kernel.world import void

MOST_BODY_BYTES = 1_000_000
LOOK_EVERY_S = 0.25
"""How often it is looked for calls that have taken so long: their callers are watched, for they may go away."""
MOST_SILENCE_S = 600.0
"""A connection whose answer was lost is cut after so long."""
BODY_WITHIN_S = 30.0
IDLE_S = 120.0
_SOCKET = "peakproof.socket"
_ABORT = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends a reset
_TOO_LONG = b'{"type":"urn:peakproof:problem:body-too-large","title":"Body too large","status":413,"detail":"%s"}'
_HOP_BY_HOP = frozenset({"HTTP_CONNECTION", "HTTP_TRANSFER_ENCODING", "HTTP_EXPECT", "HTTP_KEEP_ALIVE"})


class Handler(WSGIHandler):  # type: ignore[misc]
    """gevent's handler, which shows an application its connection, lets idle ones go, sends an answer in one piece and
    keeps no log of its own: evidence and journal tell of every call.
    """

    provided_date: Any

    def handle(self) -> None:
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._patience = gevent.get_hub().loop.timer(IDLE_S, IDLE_S)  # set again: cheaper than a time-out for each read
        try:
            super().handle()
        finally:
            self._patience.close()

    def get_environ(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environ()
        environ[_SOCKET] = self.socket
        return environ

    def log_request(self) -> None:
        """gevent would make up the line of a log even where none is written."""

    def finalize_headers(self) -> None:
        """With the date, which is the same for a whole second."""
        if self.provided_date is None:
            self.provided_date = _date(int(time()))
            self.response_headers.append((b"Date", self.provided_date))
        super().finalize_headers()

    def _write_with_headers(self, data: bytes) -> None:
        """As gevent's, but head and body are sent as one segment."""
        self.headers_sent = True
        self.finalize_headers()
        head = [b"HTTP/1.1 ", self.status, b"\r\n"]
        for name, value in self.response_headers:
            head += name, b": ", value, b"\r\n"
        head.append(b"\r\n")
        if self.response_use_chunked:
            self._sendall(b"".join(head))
            self._write(data)
        else:
            self._sendall(b"".join((*head, data)))

    def read_requestline(self) -> Any:
        """The next request's first line; the empty one, which ends the connection, when none comes."""
        self._patience.again(self._let_go, update=False)
        try:
            return super().read_requestline()
        finally:
            self._patience.stop()

    def _let_go(self) -> None:
        """Whoever reads this connection finds its end."""
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)


class Call(NamedTuple):
    """A call that came in, as its caller sent it, and its answer's status: 0 for one that got none."""

    at_us: int
    source: str
    host: str
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    status: int


class _Waiting:
    """A call in work, and the greenlet that waits until it has ended. `visit` is it, once it has arrived.

    A time-out and a watch on the connection for each call would cost more than most calls: the watchman sets one up
    for those that take long.
    """

    __slots__ = ("_has_ended", "_waiter", "connection", "looked_at", "silent_from_s", "visit", "watcher")

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.visit: Visit | None = None
        self.looked_at = False
        self.silent_from_s = 0.0
        self.watcher: Any = None
        self._has_ended = False
        self._waiter = Waiter()

    def end(self, visit: Visit | None) -> None:
        """The visit has ended; None: its caller went before. The first end counts."""
        if not self._has_ended:
            self._has_ended = True
            self._waiter.hub.loop.run_callback(self._waiter.switch, visit)

    def ended(self) -> Visit | None:
        """Wait for the end: what it was told with."""
        visit: Visit | None = self._waiter.get()
        return visit

    def leave(self) -> None:
        """The caller has gone. To be called in the world, after the arrival."""
        if self.visit is not None:
            self.visit.give_up()

    def watch(self) -> None:
        """Look whether the caller is still there, from now on."""
        self.silent_from_s = monotonic()
        if self.connection is not None:
            self.watcher = gevent.get_hub().loop.io(self.connection.fileno(), 1)
            self.watcher.start(self._look)

    def stop(self) -> None:
        if self.watcher is not None:
            self.watcher.stop()
            self.watcher.close()
            self.watcher = None

    def _look(self) -> None:
        """Something can be read: the end of the connection, or the caller's next request, which waits."""
        if _has_gone(self.connection):
            self.end(None)
        self.stop()


class Watchman:
    """Finds calls that take long, and gives up those whose caller has gone or was never to be answered."""

    def __init__(self) -> None:
        self._calls: dict[int, _Waiting] = {}
        self._greenlet = gevent.spawn(self._look_for_ever)

    def wait(self, waiting: _Waiting) -> Visit | None:
        """The visit once it has ended; None when its caller went before, or was kept waiting beyond all measure."""
        self._calls[id(waiting)] = waiting
        try:
            return waiting.ended()
        finally:
            del self._calls[id(waiting)]
            if waiting.watcher is not None:
                waiting.stop()

    def close(self) -> None:
        """Look no more."""
        self._greenlet.kill()

    def _look_for_ever(self) -> None:
        while True:
            gevent.sleep(LOOK_EVERY_S)
            now_s = monotonic()
            for waiting in list(self._calls.values()):
                if not waiting.looked_at:
                    waiting.looked_at = True
                elif not waiting.silent_from_s:
                    waiting.watch()
                elif now_s - waiting.silent_from_s > MOST_SILENCE_S:
                    waiting.end(None)


class Ingress:
    """One host of a live world as a WSGI application. `client_of` names a caller by its headers and body; `note` is
    told of each call once it has ended."""

    def __init__(
        self,
        world: LiveWorld,
        host: str,
        client_of: Callable[[WSGIEnvironment, bytes], str],
        watchman: Watchman,
        note: Callable[[Call], object] = void,
    ) -> None:
        self._world = world
        self._host = host
        self._client_of = client_of
        self._watchman = watchman
        self._note = note

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        body = read_body(environ)
        if body is None:
            detail = b"the body is above the limit of %d bytes" % MOST_BODY_BYTES
            headers = [("content-type", "application/problem+json"), ("connection", "close")]
            start_response("413 Content Too Large", headers)
            return [_TOO_LONG % detail]
        answer = self._carried_in(environ, body)
        start_response(_status_line(answer.status), list(answer.headers.items()))
        return [answer.body]

    def _carried_in(self, environ: WSGIEnvironment, body: bytes) -> Answer:
        """The world's answer; ConnectionResetError when there is none, for the server to close the connection."""
        query = environ.get("QUERY_STRING", "")
        path = environ["PATH_INFO"].replace("?", "%3F") + (f"?{query}" if query else "")
        source = self._client_of(environ, body)
        network, host, headers = self._world.network, self._host, _headers_of(environ)
        method, at_us = environ["REQUEST_METHOD"], self._world.protocol.now_us()
        connection = environ.get(_SOCKET)
        waiting = _Waiting(connection)

        def arrive() -> None:
            waiting.visit = network.visit(source, host, method, path, headers, body, waiting.end)

        if self._world.ended.is_set():
            raise ConnectionResetError(errno.ECONNRESET, "this world stands still")
        self._world.soon(arrive)
        visit = self._watchman.wait(waiting)
        status = visit.answer.status if visit is not None and visit.answer is not None else 0
        self._note(Call(at_us, source, host, method, path, headers, body, status))
        if visit is None:
            self._world.soon(waiting.leave)
            raise ConnectionResetError(errno.ECONNRESET, "the caller has gone, or was never to be answered")
        if visit.outcome != "answered":
            if connection is not None:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
            raise ConnectionResetError(errno.ECONNRESET, f"the connection was {visit.outcome}")
        assert visit.answer is not None
        return visit.answer


def read_body(environ: WSGIEnvironment) -> bytes | None:
    """The body of a request; None when it is too long. ConnectionResetError when it does not come."""
    if not environ.get("CONTENT_LENGTH") and environ.get("HTTP_TRANSFER_ENCODING", "").lower() != "chunked":
        return b""
    if int(environ.get("CONTENT_LENGTH") or 0) > MOST_BODY_BYTES:
        return None
    try:
        with gevent.Timeout(BODY_WITHIN_S, TimeoutError):
            body: bytes = environ["wsgi.input"].read(MOST_BODY_BYTES + 1)
    except TimeoutError:
        raise ConnectionResetError(errno.ECONNRESET, "the body never came to its end") from None
    return None if len(body) > MOST_BODY_BYTES else body


def _headers_of(environ: WSGIEnvironment) -> dict[str, str]:
    headers = {name: value for name, value in environ.items() if name[:5] == "HTTP_" and name not in _HOP_BY_HOP}
    content_type = environ.get("CONTENT_TYPE")
    if content_type:
        headers["CONTENT_TYPE"] = content_type
    return headers


def _has_gone(connection: Any) -> bool:
    try:
        return not socket.socket.recv(connection, 1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True


@lru_cache(maxsize=2)
def _date(at_s: int) -> bytes:
    date: bytes = format_date_time(at_s)
    return date


@lru_cache(maxsize=128)
def _status_line(status: int) -> str:
    known = status in list(HTTPStatus)
    return f"{status} {HTTPStatus(status).phrase if known else 'Unknown'}"


class Egress:
    """Carries exchanges of a live world to real servers. Never retries and never follows: the world's clients do.

    `names` are hosts that stand for a base URL, such as integration for http://127.0.0.1:18080; None for one that is
    not there, to which every connection is refused.
    """

    def __init__(self, world: LiveWorld, names: Mapping[str, str | None]) -> None:
        self.names = dict(names)
        self._world = world
        self._pool = urllib3.PoolManager(num_pools=20, maxsize=50, retries=False)

    def carry(self, errand: Errand) -> None:
        """Start an errand; its end is told in the hub."""
        gevent.spawn(self._run, errand)

    def close(self) -> None:
        """Let go of all connections."""
        self._pool.clear()

    def _run(self, errand: Errand) -> None:
        answer, outcome = self._outcome(errand)
        self._world.soon(lambda: errand.done(answer, outcome))

    def _outcome(self, errand: Errand) -> tuple[Answer | None, str]:
        """The answer, or None and how it failed; nothing for one that did not come in time."""
        seconds = errand.timeout_us / 1_000_000
        url = self._address(errand.url)
        if url is None:
            return None, "refused"
        try:
            with gevent.Timeout(seconds, HttpTimeout):
                return self._answer(errand, url, seconds), "answered"
        except HttpTimeout as error:
            return None, "refused" if isinstance(error, NewConnectionError) else ""
        except NewConnectionError:
            return None, "refused"
        except (HTTPError, OSError, ValueError):
            return None, "reset"

    def _address(self, url: str) -> str | None:
        scheme, _, rest = url.partition("://")
        name, slash, path = rest.partition("/")
        if name not in self.names:
            return f"{scheme}://{rest}"
        base = self.names[name]
        return None if base is None else base.rstrip("/") + slash + path

    def _answer(self, errand: Errand, url: str, seconds: float) -> Answer:
        response = self._pool.request(
            errand.method,
            url,
            body=errand.body,
            headers=dict(errand.headers),
            redirect=False,
            timeout=urllib3.Timeout(total=seconds),
            preload_content=False,
        )
        try:
            body = response.read(MOST_BODY_BYTES)
            return Answer(response.status, _lower(response.headers), body)
        finally:
            response.release_conn()


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
