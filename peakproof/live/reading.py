"""Reads orders and availability back through the target's own API, as any client would, over real sockets."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any

import orjson
import urllib3

from contracts.wire import traceparent
from loadtests.adapters import Adapter
from scenarios.crowd import Letter
from scenarios.monitor import MISSHAPEN, READ_ATTEMPTS, Placed, Unreadable, has_ended, order_row
from simulators.kernel import EvidenceWriter
from simulators.kernel.tampering import Answer

READERS = 8
TIMEOUT_S = 15.0
PAUSE_S = 0.5
PATIENCE_S = 120.0
"""One who is asked to come again later does, for so long."""


@dataclass
class Reader:
    """Reads of one run. `now_us` is business time; `token` lets the monitor in."""

    url: str
    adapter: Adapter
    token: str
    now_us: Callable[[], int]
    _pool: urllib3.PoolManager = field(default_factory=lambda: urllib3.PoolManager(maxsize=READERS, retries=False))
    _ended: set[Placed] = field(default_factory=set)

    def open_orders(self, placed: Sequence[Placed]) -> int:
        """How many orders have not ended, by reading those that had not before."""
        unknown = [order for order in placed if order not in self._ended]
        for order, (_, ended) in self._each(unknown):
            if ended:
                self._ended.add(order)
        return len(placed) - len(self._ended)

    def read_back(self, placed: Sequence[Placed], evidence: EvidenceWriter) -> int:
        """Write one final row per order and per published availability; returns how many."""
        reads = 0
        if "read" in self.adapter.provides:
            for _, (row, _) in self._each(placed):
                evidence.row("final", **row)
                reads += 1
        if "availability" in self.adapter.provides:
            with suppress(Unreadable, *MISSHAPEN):
                for row in self._availability():
                    evidence.row("final", **row)
                    reads += 1
        return reads

    def close(self) -> None:
        """Let go of the connections."""
        self._pool.clear()

    def _each(self, orders: Sequence[Placed]) -> Iterator[tuple[Placed, tuple[dict[str, Any], bool]]]:
        with ThreadPoolExecutor(READERS) as readers:
            yield from zip(orders, readers.map(self._look, orders), strict=True)

    def _look(self, order: Placed) -> tuple[dict[str, Any], bool]:
        """An order as the API tells it. One that it can't tell has not ended."""
        try:
            found = self._find(order)
            return order_row(order, self.now_us(), found), found is None or has_ended(found)
        except Unreadable as error:
            return {**order_row(order, self.now_us(), None), "status": error.status}, False
        except MISSHAPEN:
            return {**order_row(order, self.now_us(), None), "status": None}, False

    def _find(self, order: Placed) -> dict[str, Any] | None:
        if order.order_id is not None:
            return self._get(f"/orders/{order.order_id}")
        if "find" not in self.adapter.provides:
            return None
        found = self._get(f"/orders?customer_id={order.customer_id}&order_reference={order.order_reference}")
        items = found["items"] if found else []
        return self._get(f"/orders/{items[0]['order_id']}") if items else None

    def _availability(self) -> Iterator[dict[str, Any]]:
        page: int | None = 1
        while page is not None:
            answer = self._get(f"/availability?page={page}&page_size=200")
            if answer is None:
                return
            for item in answer["items"]:
                for node in item["nodes"]:
                    place = {"sku": item["sku"], "node": node["node"], "available": node["available"]}
                    yield {"read": "availability", "at_us": self.now_us(), "status": 200, **place}
            page = answer["next_page"]

    def _get(self, path: str) -> dict[str, Any] | None:
        """A read that is tried again while the target is busy. None: there is none. Raises Unreadable."""
        status: int | None = None
        failures, ends_at = 0, time.monotonic() + PATIENCE_S
        while failures < READ_ATTEMPTS and time.monotonic() < ends_at:
            wait_s = PAUSE_S
            try:
                answer = self.send(path)
            except (urllib3.exceptions.HTTPError, OSError):
                failures += 1
            else:
                status = answer.status
                if status == 404:
                    return None
                if status == 200:
                    found: dict[str, Any] = orjson.loads(answer.body)
                    return found
                asked = answer.headers.get("retry-after", "")
                failures += not asked.isdecimal()
                wait_s = min(float(asked), PATIENCE_S) if asked.isdecimal() else PAUSE_S
            time.sleep(wait_s)
        raise Unreadable(path, status)

    def send(self, path: str) -> Answer:
        """One GET of our order API, in the target's own words."""
        headers = {
            "Authorization": f"Bearer {self.token}",
            "traceparent": traceparent(token_hex(16), token_hex(8)),
        }
        letter = Letter("monitor", "monitor", "GET", f"http://integration{path}", headers, b"")
        asked = self.adapter.request(letter) or ("GET", path, headers, b"")
        method, its_path, its_headers, body = asked
        got = self._pool.request(
            method, self.url.rstrip("/") + its_path, headers=dict(its_headers), body=body or None, timeout=TIMEOUT_S
        )
        answer = Answer(got.status, {name.lower(): value for name, value in got.headers.items()}, got.data)
        return self.adapter.answer(letter, answer)
