"""What leaves a live door: gevent's server with our handler, on a real socket."""

import socket
from collections.abc import Iterable, Iterator
from wsgiref.types import StartResponse, WSGIEnvironment

import gevent
import pytest
from gevent import socket as green
from gevent.pywsgi import WSGIServer

from simulators.kernel.doors import Handler

WITHIN_S = 5.0


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """What the path says: an answer of known length, one in pieces, or one without a body."""
    if environ["PATH_INFO"] == "/none":
        start_response("204 No Content", [("Date", "its own")])
        return []
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"whole"] if environ["PATH_INFO"] == "/whole" else iter([b"in ", b"pieces"])


@pytest.fixture
def port() -> Iterator[int]:
    server = WSGIServer(("127.0.0.1", 0), application, log=None, handler_class=Handler)
    server.start()
    yield server.server_port
    server.stop(timeout=0)


def answer_to(port: int, path: str) -> list[bytes]:
    """The lines of the answer, without the date that the server gives it."""
    with gevent.Timeout(WITHIN_S), green.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode())
        received = b""
        while piece := connection.recv(65_536):
            received += piece
    lines = received.split(b"\r\n")
    assert any(line.startswith(b"Date: ") for line in lines)
    return [line for line in lines if not (line.startswith(b"Date: ") and line.endswith(b" GMT"))]


def test_an_answer_is_sent_with_its_length_or_in_chunks(port: int) -> None:
    head = [b"HTTP/1.1 200 OK", b"Content-Type: text/plain"]
    assert answer_to(port, "/whole") == [*head, b"Content-Length: 5", b"", b"whole"]
    chunks = [b"3", b"in ", b"6", b"pieces", b"0", b"", b""]
    assert answer_to(port, "/pieces") == [*head, b"Transfer-Encoding: chunked", b"", *chunks]
    assert answer_to(port, "/none") == [b"HTTP/1.1 204 No Content", b"Date: its own", b"", b""]


def test_the_second_request_of_a_connection_is_answered_like_the_first(port: int) -> None:
    with gevent.Timeout(WITHIN_S), green.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        answers = []
        for _ in range(2):
            connection.sendall(b"GET /whole HTTP/1.1\r\nHost: h\r\n\r\n")
            answers.append(connection.recv(65_536))
    assert [answer.partition(b"\r\n\r\n")[2] for answer in answers] == [b"whole"] * 2, "head and body come as one"


def test_a_connection_on_which_nothing_comes_is_let_go(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulators.kernel.doors.IDLE_S", 0.05)
    with gevent.Timeout(WITHIN_S), green.create_connection(("127.0.0.1", port)) as connection:
        assert connection.recv(1) == b"", "its end, and no answer to a request that was never made"
