"""Requests per second of a simulator on a real port, beside the same server answering a constant.

python -m tests.benchmarks.serving

Both are asked by the same client: a few connections that stay open, each asking again as soon as it is answered. The
warehouse's service time is put near nothing, since waiting is not work, and so is its quota.
"""

import json
import selectors
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from peakproof.live.child import Simulators
from peakproof.live.order import Order
from peakproof.live.recipe import Recipe

CONNECTIONS = 16
SECONDS = 3.0
ROUNDS = 3
SPARED = (
    ("cast.wms-east.settings.reads", '{"median": "1us", "sigma": 0.0, "at_most": "1us"}'),
    ("cast.wms-east.settings.writes", '{"median": "1us", "sigma": 0.0, "at_most": "1us"}'),
)


def rate(port: int, request: bytes, seconds: float = SECONDS) -> float:
    """Answers per second; every answer must be a 2xx."""
    selector = selectors.DefaultSelector()
    connections = [socket.create_connection(("127.0.0.1", port)) for _ in range(CONNECTIONS)]
    for connection in connections:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(connection, selectors.EVENT_READ)
        connection.sendall(request)
    began, answers = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        for key, _ in selector.select(1.0):
            assert isinstance(key.fileobj, socket.socket)
            read_answer(key.fileobj)
            answers += 1
            key.fileobj.sendall(request)
    elapsed = time.perf_counter() - began
    for connection in connections:
        connection.close()
    return answers / elapsed


def read_answer(connection: socket.socket) -> bytes:
    """One whole answer."""
    data = connection.recv(65_536)
    while b"\r\n\r\n" not in data:
        data += connection.recv(65_536)
    head, _, body = data.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 2"), data[:300]
    length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(65_536)
    return body


def request_of(path: str, token: str) -> bytes:
    """A read of the warehouse."""
    return f"GET {path} HTTP/1.1\r\nHost: wms-east\r\nAuthorization: Bearer {token}\r\n\r\n".encode()


@contextmanager
def constant_server() -> Iterator[int]:
    """The port of the server that answers a constant, in a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.constant_server", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.terminate()


def main() -> None:
    """Measure both in turns, and print one line of JSON with the medians and their ratio."""
    with tempfile.TemporaryDirectory(prefix="peakproof-bench-") as scratch:
        order = Order(Recipe(None, SPARED, None, 1.0), "127.0.0.1", {"wms-east": 0}, str(Path(scratch) / "run"))
        with Simulators(order) as simulators, constant_server() as floor_port:
            host = simulators.ready["hosts"]["wms-east"]
            port = urlsplit(host["url"]).port or 0
            request = request_of("/stock?page_size=1", host["token"])
            pairs = [(rate(port, request), rate(floor_port, request)) for _ in range(ROUNDS)]
    pairs.sort(key=lambda pair: pair[0] / pair[1])
    simulator, floor = pairs[len(pairs) // 2]
    figures = {
        "simulator_per_second": round(simulator),
        "constant_per_second": round(floor),
        "simulator_over_constant": round(simulator / floor, 3),
    }
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
