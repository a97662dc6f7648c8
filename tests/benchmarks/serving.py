"""What a call of a simulator on a real port costs, beside the same server answering a constant.

python -m tests.benchmarks.serving

Two calls of a warehouse are asked: a read of one sku's stock, and an adjustment of it, a write with its key, its ledger
entry and its event. Beside each stands gevent's server in a process of its own, which reads the same requests and
answers a constant as long as the warehouse's answer, with as many headers: once with gevent's own handler, once with
the simulators'. None writes a log. One client asks them all over connections that stay open, each asking again as soon
as it is answered.

They take turns of a tenth of a second or so, so that whatever else the machine does falls on all. Told are
requests per second of CPU time of the serving process (user and system), which a busy machine changes little, and of
wall time. The warehouse's service time is put near nothing, since waiting is not work, and its quota is out of the way.
"""

import json
import selectors
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson

from peakproof.live.child import Simulators
from peakproof.live.order import Order
from peakproof.live.recipe import Recipe

CONNECTIONS = 16
ROUNDS = 30
PER_ROUND = 500
WARM_UP = 1_000
HANDLERS = ("gevent", "ours")
HOST = "wms-east"
SPARED = tuple(
    (f"cast.{HOST}.settings.{kind}", '{"median": "1us", "sigma": 0.0, "at_most": "1us"}')
    for kind in ("reads", "writes")
)


@dataclass
class Spent:
    """What some requests took: wall and CPU seconds of the server."""

    requests: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0

    def told(self) -> dict[str, Any]:
        return {
            "per_second": round(self.requests / self.wall_s),
            "per_cpu_second": round(self.requests / self.cpu_s),
            "cpu_us": round(1_000_000 * self.cpu_s / self.requests, 1),
        }


class Client:
    """Open connections to one server. `pid` is the server's process."""

    def __init__(self, port: int, pid: int) -> None:
        self._pid = pid
        self._selector = selectors.DefaultSelector()
        self._connections = [socket.create_connection(("127.0.0.1", port)) for _ in range(CONNECTIONS)]
        for connection in self._connections:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._selector.register(connection, selectors.EVENT_READ)

    def ask(self, requests: Sequence[bytes], spent: Spent) -> None:
        """Send each request once and read its answer, which must be a 2xx; what it took is added to `spent`."""
        left = iter(requests)
        cpu_s, began = cpu_seconds(self._pid), time.perf_counter()
        waiting = 0
        for connection, request in zip(self._connections, left, strict=False):
            connection.sendall(request)
            waiting += 1
        while waiting:
            for key, _ in self._selector.select(10.0):
                assert isinstance(key.fileobj, socket.socket)
                read_answer(key.fileobj)
                request = next(left, b"")
                if request:
                    key.fileobj.sendall(request)
                else:
                    waiting -= 1
        spent.requests += len(requests)
        spent.wall_s += time.perf_counter() - began
        spent.cpu_s += cpu_seconds(self._pid) - cpu_s

    def close(self) -> None:
        for connection in self._connections:
            connection.close()


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far, by its own clock, whose number clock_getcpuclockid(3) makes so."""
    return time.clock_gettime(~pid << 3 | 2)


def read_answer(connection: socket.socket) -> bytes:
    """The body of one whole answer."""
    data = connection.recv(65_536)
    while b"\r\n\r\n" not in data:
        data += connection.recv(65_536)
    head, _, body = data.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 2"), data[:300]
    length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(65_536)
    return body


def answer_to(port: int, request: bytes) -> bytes:
    """The body of the answer to one request over a connection of its own."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(request)
        return read_answer(connection)


@contextmanager
def constant_server(body: bytes, handler: str) -> Iterator[tuple[int, int]]:
    """Port and pid of a server that answers every request with this body, by gevent's handler or ours."""
    command = [sys.executable, "-m", "tests.benchmarks.constant_server", body.decode(), handler]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline()), process.pid
        finally:
            process.terminate()


def reads(token: str, sku: str, count: int) -> Iterator[bytes]:
    """Reads of one sku's stock."""
    asked = f"GET /stock?sku={sku} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
    return (asked for _ in range(count))


def adjustments(token: str, sku: str, count: int) -> Iterator[bytes]:
    """Adjustments by a unit that was found, each with its own key."""
    head = f"POST /adjustments HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {token}\r\n"
    for number in range(count):
        key = f"adj-{number:08}"
        asked = {"adjustment_id": key, "sku": sku, "quantity_delta": 1, "reason": "counted"}
        body = orjson.dumps(asked)
        fields = f"Idempotency-Key: {key}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        yield (head + fields).encode() + body


def compared(port: int, pid: int, asked: Iterator[bytes]) -> dict[str, Any]:
    """Figures of the warehouse and of both constants for the same requests; how much of each constant's rate the
    warehouse reaches."""
    with ExitStack() as opened:
        body = answer_to(port, next(asked))
        floors = {f"constant_{handler}": opened.enter_context(constant_server(body, handler)) for handler in HANDLERS}
        clients = {name: Client(*where) for name, where in {"simulator": (port, pid), **floors}.items()}
        for client in clients.values():
            opened.callback(client.close)
        warm_up = [next(asked) for _ in range(WARM_UP)]
        for client in clients.values():
            client.ask(warm_up, Spent())
        spent = {name: Spent() for name in clients}
        for _ in range(ROUNDS):
            requests = [next(asked) for _ in range(PER_ROUND)]
            for name, client in clients.items():
                client.ask(requests, spent[name])
    simulator = spent["simulator"]
    ratios: dict[str, Any] = {}
    for name in floors:
        ratios[f"over_{name}_cpu"] = round(spent[name].cpu_s / simulator.cpu_s, 3)
        ratios[f"over_{name}_wall"] = round(spent[name].wall_s / simulator.wall_s, 3)
    return {name: one.told() for name, one in spent.items()} | ratios


def main() -> None:
    """Measure a read and a write, each beside its constant, and print one line of JSON."""
    count = 1 + WARM_UP + ROUNDS * PER_ROUND
    with tempfile.TemporaryDirectory(prefix="peakproof-bench-") as scratch:
        order = Order(Recipe(None, SPARED, None, 1.0), "127.0.0.1", {HOST: 0}, str(Path(scratch) / "run"))
        with Simulators(order) as simulators:
            host, pid = simulators.ready["hosts"][HOST], simulators.ready["pid"]
            port, token = urlsplit(host["url"]).port or 0, host["token"]
            page = f"GET /stock?page_size=1 HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {token}\r\n\r\n"
            sku = orjson.loads(answer_to(port, page.encode()))["items"][0]["sku"]
            figures = {
                name: compared(port, pid, requests(token, sku, count))
                for name, requests in (("read", reads), ("write", adjustments))
            }
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
