"""Clients that cost as little as can be: requests made beforehand, sent over open connections of a few threads."""

import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

_CREATED = b"HTTP/1.1 201"


@dataclass
class Figures:
    """How many were answered 201, how many otherwise, and in how many seconds."""

    answers: int
    created: int
    seconds: float

    @property
    def per_second(self) -> float:
        return self.created / self.seconds

    @property
    def others(self) -> int:
        return self.answers - self.created


def calls_per_second(port: int, requests: Sequence[bytes], connections: int, seconds: float) -> Figures:
    """Send the requests, each once, for at most so many seconds. Raises OSError when nobody listens."""
    answers, created = [0] * connections, [0] * connections
    failures: list[OSError] = []
    ends_at = time.perf_counter() + seconds

    def call(number: int) -> None:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
                for request in requests[number::connections]:
                    if time.perf_counter() > ends_at:
                        return
                    connection.sendall(request)
                    answers[number] += 1
                    created[number] += _answer(connection).startswith(_CREATED)
        except OSError as error:
            failures.append(error)

    threads = [threading.Thread(target=call, args=(number,)) for number in range(connections)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return Figures(sum(answers), sum(created), time.perf_counter() - began)


def _answer(connection: socket.socket) -> bytes:
    """One whole answer, by its Content-Length."""
    received = connection.recv(65_536)
    while b"\r\n\r\n" not in received:
        received += _more(connection)
    head, _, body = received.partition(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")
    )
    while len(body) < length:
        body += _more(connection)
    return head


def _more(connection: socket.socket) -> bytes:
    received = connection.recv(65_536)
    if not received:
        raise ConnectionResetError("the server closed the connection in the middle of an answer")
    return received
