"""The 3PL tells nothing by itself: its changes are polled, in the order in which it made them."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import orjson
from sqlalchemy import bindparam, func, select
from sqlalchemy.dialects.postgresql import insert

from contracts.wire import parse_iso
from integration.messaging.outcomes import Done, Retry, Uncertain
from integration.process.desk import FULFILLMENT, Desk, note, set_status, take_order_of
from integration.process.partners import ThreePl
from integration.process.progress import Progress, Shipment
from integration.process.shipping import quantities
from integration.runtime import Clock, Duty, ReadFailed
from integration.storage import DatabaseFailed, Transaction, audit, touch_order
from integration.storage.tables import fulfillments, parcels

_LAST_CHANGE = select(func.coalesce(func.max(fulfillments.c.event_sequence), 0).label("change")).where(
    fulfillments.c.node == bindparam("node")
)
# Both SQLite and PostgreSQL compile this form.
_PARCEL = insert(parcels).on_conflict_do_nothing()
_PAGE = 200
_MOST_PAGES = 100
# What each state of the 3PL is in our words; a state that is missing changes nothing.
_STATUS = {
    "submitted": "released",
    "accepted": "released",
    "processing": "picked",
    "shipped": "shipped",
    "cancelled": "cancelled",
    "rejected": "rejected",
}


class ThreePlPoll:
    """Follows the fulfillment orders at one 3PL. The change counter of a fulfillment is its event sequence."""

    def __init__(
        self,
        desk: Desk,
        progress: Progress,
        node: str,
        threepl: ThreePl,
        read_stock: Callable[[], None],
        every_us: int,
        retry_us: int,
    ) -> None:
        self._desk = desk
        self._progress = progress
        self._node = node
        self._threepl = threepl
        self._read_stock = read_stock
        self._every_us = every_us
        self._retry_us = retry_us
        self._seen_change: int | None = None
        self._asked_us = 0

    def run(self, clock: Clock, on_duty: Duty) -> None:
        """Poll for ever, by this clock; a task."""
        while True:
            on_duty()
            clock.sleep(self.once())

    def once(self) -> int:
        """Poll; the answer is how long to wait before the next time, which is sooner after a failure, but never sooner
        than the 3PL asks for.
        """
        self._asked_us = 0
        try:
            was_read = self.poll_once()
        except DatabaseFailed:
            was_read = False
        return max(self._every_us if was_read else min(self._every_us, self._retry_us), self._asked_us)

    def poll_once(self) -> bool:
        """Take in everything that changed since the last time; False when the 3PL could not be read to the end."""
        for _ in range(_MOST_PAGES):
            outcome = self._threepl.changes(self._since(), _PAGE)
            if not isinstance(outcome, Done):
                self._asked_us = outcome.after_us if isinstance(outcome, Retry | Uncertain) else 0
                return False
            items = outcome.answer["items"]
            if items and not self._take_in(items):
                return False
            if len(items) < _PAGE:
                return True
        return False

    def _since(self) -> int:
        if self._seen_change is None:
            with self._desk.database.read() as tx:
                self._seen_change = int(tx.one(_LAST_CHANGE, {"node": self._node}).change)
        return self._seen_change

    def _take_in(self, items: list[Mapping[str, Any]]) -> bool:
        """Stock first, so that a short frees its reservation only after the missing units show as held.

        Then the changes in the order in which they were made, whatever order they came in: what is taken in up to some
        change is never asked for again.
        """
        if any(item["shipments"] or any(line["short"] for line in item["lines"]) for item in items):
            try:
                self._read_stock()
            except ReadFailed as failure:
                self._asked_us = failure.after_us
                return False
        for item in sorted(items, key=lambda item: int(item["change"])):
            self._desk.database.transact(partial(self._apply, item=item))
            self._seen_change = int(item["change"])
        return True

    def _apply(self, tx: Transaction, item: Mapping[str, Any]) -> None:
        now_us = self._desk.clock.now_us()
        if item["shipments"]:
            self._desk.inventory.expect_deltas(tx, self._node)
        take_order_of(tx, item["reference"])
        fulfillment = tx.one(FULFILLMENT, {"fulfillment_id": item["reference"]})
        if fulfillment is None or fulfillment.node != self._node:
            audit(tx, now_us, "unknown_release", entity="poll", entity_id=self._node,
                  detail=f"fulfillment order {item['reference']!r} is none of ours")  # fmt: skip
            return
        if item["change"] <= fulfillment.event_sequence:
            return
        if item["status"] == "rejected" and fulfillment.status != "rejected":
            self._progress.reject(tx, fulfillment, str(item.get("reason") or "no reason given"))
        else:
            self._apply_quantities(tx, fulfillment, item)
        status, reason = _status_of(fulfillment, item), str(item.get("reason") or "")
        set_status(tx, fulfillment, status, now_us, reason, item["change"])
        touch_order(tx, fulfillment.order_id, now_us)

    def _apply_quantities(self, tx: Transaction, fulfillment: Any, item: Mapping[str, Any]) -> None:
        for shipment in item["shipments"]:
            self._apply_shipment(tx, fulfillment, shipment)
        shipped = {line["line_no"]: line["shipped"] for line in item["lines"]}
        short = {line["line_no"]: line["short"] for line in item["lines"] if line["short"]}
        if any(shipped.values()) or short:
            self._progress.pick(tx, fulfillment, shipped, short)
        cancelled = {line["line_no"]: line["cancelled"] for line in item["lines"] if line["cancelled"]}
        if cancelled:
            news = self._progress.cancel(tx, fulfillment, cancelled)
            if news:
                note(tx, fulfillment, "cancel_confirmed", self._desk.clock.now_us(), quantities(news))

    def _apply_shipment(self, tx: Transaction, fulfillment: Any, shipment: Mapping[str, Any]) -> None:
        number = shipment["tracking_number"]
        numbers = [number] if number else []
        left = Shipment(shipment["shipment_id"], parse_iso(shipment["shipped_at"]), shipment["lines"], numbers)
        if not self._progress.ship(tx, fulfillment, left):
            return
        sums: dict[str, int] = {}
        for line in shipment["lines"]:
            sums[line["sku"]] = sums.get(line["sku"], 0) + line["quantity"]
        deltas = [{"sku": sku, "on_hand_delta": -quantity, "held_delta": 0} for sku, quantity in sums.items()]
        self._desk.inventory.apply(tx, self._node, shipment["stock_sequence"], deltas)
        row = {"parcel_id": shipment["shipment_id"], "fulfillment_id": fulfillment.fulfillment_id, "weight_g": 0,
               "lines": orjson.dumps(shipment["lines"]).decode(), "tracking_number": number,
               "tracking_sequence": 0}  # fmt: skip
        tx.execute(_PARCEL, row)


def _status_of(fulfillment: Any, item: Mapping[str, Any]) -> str:
    status = _STATUS.get(item["status"], fulfillment.status)
    if status == "shipped" and not item["shipments"]:
        return "short"
    if status == "released" and fulfillment.status == "cancel_requested":
        return "cancel_requested"
    return str(status)
