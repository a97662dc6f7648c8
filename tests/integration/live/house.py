"""The integration as it runs: API and dispatcher processes that can be killed and begun again, and people who order."""

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path
from random import Random
from typing import Any

from tests.integration.live.partners import CUSTOMERS, SECRET, SKUS

ROOT = Path(__file__).parents[3]
TOKEN = "portal-token"
EVENT_KEY = "event-key-of-the-test-house-0123456789"
ADDRESS = {"name": "Gift Shop", "street": "1 High St", "city": "Leeds", "postcode": "LS1 1AA", "country": "GB"}
# Everything that a dead process leaves behind is to come up again within seconds.
QUICK = {
    "lease": "4s",
    "lease_margin": "1500ms",
    "request_timeout": "1s",
    "carrier_timeout": "1s",
    "retry_first": "100ms",
    "retry_longest": "1s",
    "breaker_first": "100ms",
    "breaker_open": "500ms",
    "lane_poll_every": "100ms",
    "lane_rate_per_second": dict.fromkeys(("erp", "wms-east", "wms-west", "threepl", "carrier"), 0.0),
    "reconcile_retry": "500ms",
    "label_check_after": "2s",
    "database_connections": 8,
    "subscriber_networks": ["127.0.0.0/8"],
}


def free_port() -> int:
    """A port of the loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(database_url: str, partners_url: str, public_url: str, **settings: Any) -> dict[str, str]:
    """What processes of the integration are told."""
    told = {
        **os.environ,
        "PEAKPROOF_DATABASE_URL": database_url,
        "PEAKPROOF_PUBLIC_URL": public_url,
        "PEAKPROOF_CHANNEL_PORTAL_TOKEN": TOKEN,
        "PEAKPROOF_CHANNEL_OPERATIONS_TOKEN": "operations-token",
        "PEAKPROOF_EVENT_KEY": EVENT_KEY,
        "PEAKPROOF_INTEGRATION": json.dumps({**QUICK, **settings}),
    }
    for partner in ("erp", "wms-east", "wms-west", "threepl", "carrier"):
        prefix = f"PEAKPROOF_{partner.upper().replace('-', '_')}"
        told |= {f"{prefix}_URL": f"{partners_url}/{partner}", f"{prefix}_CREDENTIAL": "c"}
        told[f"{prefix}_WEBHOOK_SECRET"] = SECRET
    return told


def wait_until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait for a condition, or fail when it has not come about in time."""
    ends_at = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends_at, f"not within {seconds} s: {what}"
        time.sleep(0.05)


def _die_with_the_test() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


@dataclass
class House:
    """Processes by name: `api` and `dispatch 1`, `dispatch 2`, ..."""

    told: Mapping[str, str]
    port: int
    log: Path
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    options: dict[str, list[str]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, name: str) -> None:
        """Start a process in a session of its own."""
        module = f"integration.live.{name.split(maxsplit=1)[0]}"
        options = (["--port", str(self.port)] if name == "api" else []) + self.options.get(name, [])
        with self.log.open("ab") as log:
            self.running[name] = subprocess.Popen(
                [sys.executable, "-m", module, *options],
                cwd=ROOT, env=dict(self.told), stdout=log, stderr=log, start_new_session=True,
                preexec_fn=_die_with_the_test,  # noqa: PLW1509 - no thread of ours holds a lock that it needs
            )  # fmt: skip

    def kill(self, name: str) -> None:
        """kill -9 of a process and its workers."""
        process = self.running.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def kill_alone(self, name: str) -> None:
        """kill -9 of a process, and of none of its workers."""
        process = self.running.pop(name)
        process.kill()
        process.wait()

    def terminate(self, name: str, seconds: float = 20.0) -> int:
        """Ask a process to stop; its exit code."""
        process = self.running.pop(name)
        process.terminate()
        return process.wait(seconds)

    def answers(self) -> bool:
        """Whether the API answers at all."""
        try:
            self.call("GET", "/availability")
        except OSError:
            return False
        return True

    def call(
        self, method: str, path: str, body: object = None, token: str = TOKEN, timeout: float = 5.0, **headers: str
    ) -> tuple[int, Any, Message]:
        """One exchange with the API: status, parsed body, headers. Raises OSError when there is no answer."""
        sent = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, sent, method=method)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return answer.status, json.loads(answer.read() or b"null"), answer.headers
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"null"), error.headers


@contextmanager
def house(told: Mapping[str, str], port: int, log: Path, *names: str) -> Iterator[House]:
    """Start these processes; whatever runs at the end is killed."""
    made = House(told, port, log)
    try:
        for name in names:
            made.start(name)
        yield made
    finally:
        for name in list(made.running):
            made.kill(name)


def an_order(reference: str, chance: Random, lines: int = 2) -> dict[str, Any]:
    """The body of an order."""
    return {
        "customer_id": chance.choice(CUSTOMERS), "order_reference": reference, "currency": "GBP",
        "fill_policy": "fill_available", "service": "standard", "ship_to": ADDRESS,
        "lines": [
            {"line_no": number, "sku": sku, "quantity": chance.randint(1, 5), "unit": "EA"}
            for number, sku in enumerate(chance.sample(SKUS, lines), 1)
        ],
    }  # fmt: skip


@dataclass
class Crowd:
    """Posts orders, each under its own key, and repeats it until it has a definite answer."""

    house: House
    orders: list[dict[str, Any]]
    threads: int = 4
    pause_s: float = 0.0
    answered: dict[str, tuple[int, str]] = field(default_factory=dict)
    attempts: int = 0
    _next: Iterator[dict[str, Any]] = field(default_factory=lambda: iter(()))
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _at_work: list[threading.Thread] = field(default_factory=list)

    def begin(self) -> None:
        self._next = iter(self.orders)
        self._at_work = [threading.Thread(target=self._work, daemon=True) for _ in range(self.threads)]
        for thread in self._at_work:
            thread.start()

    def join(self, seconds: float) -> None:
        ends_at = time.monotonic() + seconds
        for thread in self._at_work:
            thread.join(max(0.0, ends_at - time.monotonic()))
            assert not thread.is_alive(), f"{len(self.answered)} of {len(self.orders)} were answered in {seconds} s"

    def _work(self) -> None:
        while True:
            with self._lock:
                order = next(self._next, None)
            if order is None:
                return
            self._insist(order)
            time.sleep(self.pause_s)

    def _insist(self, order: dict[str, Any]) -> None:
        reference = order["order_reference"]
        while True:
            self.attempts += 1
            try:
                status, body, _ = self.house.call("POST", "/orders", order, idempotency_key=f"key-{reference}")
            except (OSError, ValueError):
                status, body = 0, None
            if status in {0, 409, 429, 500, 503} and not (body and "existing_order_id" in body):
                time.sleep(0.1)
                continue
            self.answered[reference] = status, (body or {}).get("order_id", repr(body))
            return
