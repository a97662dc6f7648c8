"""The monitor: samples gauges while a run goes on, and reads orders and availability back at its end.

It reads through the integration's public API as any client would, and looks at the partners from inside: those are
ours.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import orjson

from contracts.wire import traceparent
from scenarios.stage import MONITOR, THREEPL, WAREHOUSES, Stage
from simulators.kernel import SECOND, Answer

READ_TIMEOUT_US = 30 * SECOND
READ_ATTEMPTS = 5
READERS = 8
MISSHAPEN = (KeyError, IndexError, TypeError, AttributeError, ValueError)
"""What reading an answer raises that does not fit the contract: an application of one's own may give such."""
ENDED_STATUSES = frozenset({"invoiced", "cancelled", "closed"})


@dataclass(frozen=True, slots=True)
class Placed:
    """An order that a client tried to place; `order_id` where it was told one."""

    customer_id: str
    order_reference: str
    order_id: str | None


@dataclass(frozen=True, slots=True)
class Read:
    """What the API told of an order as a row of evidence, and whether the order has ended. Without the rest: there are
    many."""

    row: dict[str, Any]
    has_ended: bool


class Unreadable(Exception):
    """The API gave no answer that can be read; `status` is its last one, None without any."""

    def __init__(self, path: str, status: int | None) -> None:
        super().__init__(f"GET {path} gave no answer that can be read in {READ_ATTEMPTS} attempts")
        self.status = status


@dataclass
class Monitor:
    """Reads of one run. `gauges_every_us` 0 leaves the samples out."""

    stage: Stage
    watched_skus: Sequence[str]
    gauges_every_us: int
    _reads: int = 0
    _ended: dict[tuple[str, str], bool] = field(default_factory=dict)
    _availability: list[dict[str, Any]] = field(default_factory=list)
    _latest: dict[Placed, Read] = field(default_factory=dict)

    def start(self) -> None:
        """Begin sampling gauges, for as long as the world runs."""
        if self.gauges_every_us:
            self.stage.world.spawn("monitor gauges", self._sample_for_ever)

    def open_orders(self, placed: Sequence[Placed]) -> int:
        """How many orders have not ended, by reading them. Those that ended once are not read again. Runs the world."""
        unknown = [order for order in placed if _key(order) not in self._ended]
        self._latest = dict(self._each(unknown))
        for order, read in self._latest.items():
            if read.has_ended:
                self._ended[_key(order)] = True
        return sum(_key(order) not in self._ended for order in placed)

    def read_back(self, placed: Sequence[Placed]) -> int:
        """Write one final row per order and per published availability; returns how many. Runs the world.

        What the last look for open orders has read just now is not asked for again.
        """
        evidence = self.stage.world.evidence
        latest = self._latest
        reads = {**latest, **dict(self._each([order for order in placed if order not in latest]))}
        for order in placed:
            evidence.row("final", **reads[order].row)
        self._run("monitor availability", self._read_availability)
        for row in self._availability:
            evidence.row("final", **row)
        return len(placed) + len(self._availability)

    def _each(self, orders: Sequence[Placed]) -> Iterator[tuple[Placed, Read]]:
        """Read orders with a few readers at a time, and give them in their own order."""
        answers: dict[int, Read] = {}
        places = iter(range(len(orders)))

        def work() -> None:
            for place in places:
                answers[place] = self._look(orders[place])

        if orders:
            self._run("monitor orders", work, READERS)
        return ((order, answers[place]) for place, order in enumerate(orders))

    def _run(self, name: str, work: Any, tasks: int = 1) -> None:
        """Run the world until these tasks have ended; the world's own work goes on meanwhile."""
        world, left = self.stage.world, [tasks]

        def tracked() -> None:
            work()
            left[0] -= 1

        for number in range(tasks):
            world.spawn(f"{name} {number}", tracked)
        while left[0]:
            world.run(world.now_us() + SECOND)

    def _look(self, order: Placed) -> Read:
        """An order as the API tells it. One that it can't tell has not ended, so that the run never comes to rest."""
        now_us = self.stage.world.now_us
        try:
            found = self._find(order)
            row = order_row(order, now_us(), found)
            return Read(row, found is None or has_ended(found))
        except Unreadable as error:
            return Read({**order_row(order, now_us(), None), "status": error.status}, False)
        except MISSHAPEN:
            return Read({**order_row(order, now_us(), None), "status": None}, False)

    def _find(self, order: Placed) -> dict[str, Any] | None:
        """The order as the API tells it; by reference where the client never learned its id. None: there is none."""
        if order.order_id is not None:
            return self._get(f"/orders/{order.order_id}")
        found = self._get(f"/orders?customer_id={order.customer_id}&order_reference={order.order_reference}")
        items = found["items"] if found else []
        return self._get(f"/orders/{items[0]['order_id']}") if items else None

    def _read_availability(self) -> None:
        """All published availability; none where the API has no such read, or none that can be understood."""
        with suppress(Unreadable, *MISSHAPEN):
            self._read_pages()

    def _read_pages(self) -> None:
        page: int | None = 1
        now = self.stage.world.now_us
        while page is not None:
            answer = self._get(f"/availability?page={page}&page_size=200")
            if answer is None:
                return
            self._availability.extend(
                {
                    "read": "availability",
                    "at_us": now(),
                    "status": 200,
                    "sku": item["sku"],
                    "node": node["node"],
                    "available": node["available"],
                }
                for item in answer["items"]
                for node in item["nodes"]
            )
            page = answer["next_page"]

    def _get(self, path: str) -> dict[str, Any] | None:
        """A read that is tried again while the integration is busy. None: 404. Raises Unreadable."""
        status: int | None = None
        for _ in range(READ_ATTEMPTS):
            try:
                answer = self._send(path)
            except (TimeoutError, ConnectionError):
                self.stage.world.sleep(SECOND)
                continue
            status = answer.status
            if status == 404:
                return None
            if status == 200:
                found: dict[str, Any] = orjson.loads(answer.body)
                return found
            self.stage.world.sleep(SECOND)
        raise Unreadable(path, status)

    def _send(self, path: str) -> Answer:
        stage = self.stage
        self._reads += 1
        chance = stage.world.chance
        headers = {
            "Authorization": f"Bearer {stage.keys.channels[MONITOR]}",
            "traceparent": traceparent(chance.hex(32, "monitor", self._reads), chance.hex(16, "monitor", self._reads)),
        }
        return stage.world.network.send(MONITOR, "GET", f"http://integration{path}", headers, b"", READ_TIMEOUT_US)

    def _sample_for_ever(self) -> None:
        world = self.stage.world
        while True:
            self._sample()
            world.sleep(self.gauges_every_us)

    def _sample(self) -> None:
        stage, evidence = self.stage, self.stage.world.evidence
        now = stage.world.now_us()
        for partner in stage.partners:
            for name, sku, location, value in partner.gauges():
                evidence.row(
                    "gauges", at_us=now, source=partner.name, name=name, sku=sku, location=location, value=value
                )
        for sku in self.watched_skus:
            for node in (*WAREHOUSES, THREEPL):
                value = float(stage.stock_of(node, sku))
                evidence.row("gauges", at_us=now, source=node, name="stock", sku=sku, location=node, value=value)
        self._sample_queues()

    def _sample_queues(self) -> None:
        """The integration's own word on its lanes; a sample is left out when it gives none."""
        try:
            answer = self._send("/operations/queues")
        except (TimeoutError, ConnectionError):
            return
        if answer.status != 200:
            return
        with suppress(*MISSHAPEN):
            for lane in orjson.loads(answer.body)["lanes"]:
                self._sample_lane(lane)

    def _sample_lane(self, lane: Mapping[str, Any]) -> None:
        samples = {
            "queue_depth": lane["ready"],
            "oldest_message_s": (lane["oldest_age_ms"] or 0) / 1_000,
            "dead_letters": lane["dead"],
            "breaker_open": float(lane["breaker"] != "closed"),
        }
        at = {"at_us": self.stage.world.now_us(), "source": "integration", "location": lane["lane"]}
        for name, value in samples.items():
            self.stage.world.evidence.row("gauges", name=name, value=float(value), **at)


def _key(order: Placed) -> tuple[str, str]:
    return order.customer_id, order.order_reference


def order_row(order: Placed, at_us: int, found: Mapping[str, Any] | None) -> dict[str, Any]:
    """What was read of an order as a row of evidence."""
    row: dict[str, Any] = {
        "read": "order",
        "at_us": at_us,
        "customer_id": order.customer_id,
        "order_reference": order.order_reference,
        "status": 200 if found else 404,
    }
    if found:
        row |= {
            "order_id": found["order_id"],
            "order_status": found["status"],
            "order_version": found["version"],
            "lines": found["lines"],
            "parcels": found["parcels"],
        }
    return row


def has_ended(order: Mapping[str, Any]) -> bool:
    """Nothing promised is open any more, and what was shipped is invoiced."""
    promised = any(line["confirmed"] or line["backordered"] for line in order["lines"])
    return not promised and order["status"] in ENDED_STATUSES
