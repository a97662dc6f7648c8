"""What warehouses and the carrier tell by webhook. Events come in any order; the inbox has seen to repetitions.

A status follows the event with the highest sequence; quantities are applied from every event, whenever it comes.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import bindparam, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from contracts.wire import parse_iso
from integration.process.desk import FULFILLMENT, Desk, note, set_status, take_order_of
from integration.process.labels import put_label
from integration.process.progress import Progress, Shipment
from integration.storage import Transaction, audit, touch_order
from integration.storage.tables import fulfillments, parcels

Data = Mapping[str, Any]

# Both SQLite and PostgreSQL compile this form.
_PARCEL = insert(parcels).on_conflict_do_nothing()
_TRACKED = (
    update(parcels)
    .where(parcels.c.parcel_id == bindparam("of_parcel_id"), parcels.c.tracking_number.is_(None))
    .values(tracking_number=bindparam("new_tracking_number"))
)
_SCAN = (
    update(parcels)
    .where(
        parcels.c.parcel_id == bindparam("of_parcel_id"),
        parcels.c.tracking_sequence < bindparam("new_sequence"),
        or_(parcels.c.tracking_number.is_(None), parcels.c.tracking_number == bindparam("of_tracking_number")),
    )
    .values(tracking_status=bindparam("new_status"), tracking_sequence=bindparam("new_sequence"))
)
_PARCEL_OF_TRACKING = (
    select(parcels.c.parcel_id, parcels.c.tracking_sequence, fulfillments.c.order_id)
    .join(fulfillments, fulfillments.c.fulfillment_id == parcels.c.fulfillment_id)
    .where(parcels.c.tracking_number == bindparam("tracking_number"))
    .order_by(parcels.c.parcel_id.desc())
)

# What each state of a release is in our words; a state that is missing changes nothing.
_STATUS_FOUND = {
    "picked": "picked",
    "short": "short",
    "packed": "packed",
    "labelled": "labelled",
    "shipped": "shipped",
    "cancelled": "cancelled",
}


class Shipping:
    """Takes in events about releases and parcels."""

    def __init__(self, desk: Desk, progress: Progress) -> None:
        self._desk = desk
        self._progress = progress
        self._releases: dict[str, Callable[[Transaction, Any, Data], None]] = {
            "release.picked": self._picked,
            "release.packed": self._packed,
            "release.shipped": self._shipped,
            "release.cancelled": self._cancelled,
        }

    def handle(self, tx: Transaction, source: str, event_type: str, data: Data) -> None:
        """Apply one new event of `source` (the partner's name). An event that nobody asked for is noted and dropped."""
        if event_type == "tracking.updated":
            self._tracking(tx, data)
        elif event_type in self._releases:
            self._release(tx, source, event_type, data)
        else:
            audit(tx, self._desk.clock.now_us(), "unknown_event", entity="webhook", entity_id=source, detail=event_type)

    def _release(self, tx: Transaction, source: str, event_type: str, data: Data) -> None:
        if data.get("stock"):
            self._desk.inventory.expect_deltas(tx, source)
        take_order_of(tx, data["release_id"])
        fulfillment = tx.one(FULFILLMENT, {"fulfillment_id": data["release_id"]})
        if fulfillment is None or fulfillment.node != source:
            self._stock(tx, source, data)
            audit(tx, self._desk.clock.now_us(), "unknown_release", entity="webhook", entity_id=source,
                  detail=f"{event_type} about release {data['release_id']!r}")  # fmt: skip
            return
        self._releases[event_type](tx, fulfillment, data)

    def catch_up(self, tx: Transaction, source: str, data: Data) -> bool:
        """Apply what a node answers when it is asked for a release; whether there was news.

        All quantities are in all, so what events told already changes nothing. An answer that is older than the latest
        event is left alone, and so is one that does not say how old it is.
        """
        take_order_of(tx, data["release_id"])
        fulfillment = tx.one(FULFILLMENT, {"fulfillment_id": data["release_id"]})
        if fulfillment is None or fulfillment.node != source or data.get("sequence", -1) < fulfillment.event_sequence:
            return False
        before = self._progress.lines_of(tx, fulfillment.fulfillment_id)
        parcels = [self._found_parcel(tx, fulfillment, parcel) for parcel in data["parcels"]]
        self._found_quantities(tx, fulfillment, data)
        status = _STATUS_FOUND.get(data["status"], fulfillment.status)
        if any(parcels) or self._progress.lines_of(tx, fulfillment.fulfillment_id) != before:
            now_us = self._desk.clock.now_us()
            self._advance(tx, fulfillment, data, status, "read at the node")
            note(tx, fulfillment, "caught_up", now_us, f"{source} says {data['status']}")
            touch_order(tx, fulfillment.order_id, now_us)
            return True
        return False

    def _found_parcel(self, tx: Transaction, fulfillment: Any, parcel: Data) -> bool:
        number = parcel["tracking_number"]
        if not self._insert_parcel(tx, fulfillment, parcel, parcel["weight_g"], number):
            return (
                bool(number)
                and tx.execute(_TRACKED, {"of_parcel_id": parcel["parcel_id"], "new_tracking_number": number}) == 1
            )
        if not number:
            put_label(tx, self._desk, fulfillment, parcel["parcel_id"])
        return True

    def _found_quantities(self, tx: Transaction, fulfillment: Any, data: Data) -> None:
        lines = data["lines"]
        numbers = {parcel["parcel_id"]: parcel["tracking_number"] for parcel in data["parcels"]}
        for left in data.get("shipments", ()):
            tracking = [number for parcel_id in left["parcels"] if (number := numbers.get(parcel_id))]
            at_us = parse_iso(left["shipped_at"])
            self._progress.ship(tx, fulfillment, Shipment(left["shipment_id"], at_us, left["lines"], tracking))
        short = {line["line_no"]: line["short"] for line in lines if line["short"]}
        if short or any(line["picked"] for line in lines):
            self._progress.pick(tx, fulfillment, {line["line_no"]: line["picked"] for line in lines}, short)
        cancelled = {line["line_no"]: line["cancelled"] for line in lines if line["cancelled"]}
        if cancelled:
            self._progress.cancel(tx, fulfillment, cancelled)

    def _picked(self, tx: Transaction, fulfillment: Any, data: Data) -> None:
        self._stock(tx, fulfillment.node, data)
        lines = data["lines"]
        picked = {line["line_no"]: line["picked"] for line in lines}
        short = {line["line_no"]: line["short"] for line in lines if line["short"]}
        self._advance(tx, fulfillment, data, "picked" if any(picked.values()) else "short")
        self._progress.pick(tx, fulfillment, picked, short)
        if short:
            touch_order(tx, fulfillment.order_id, self._desk.clock.now_us())

    def _packed(self, tx: Transaction, fulfillment: Any, data: Data) -> None:
        for parcel in data["parcels"]:
            new = self._insert_parcel(tx, fulfillment, parcel, parcel["weight_g"], None)
            if new and fulfillment.status != "shipped":
                put_label(tx, self._desk, fulfillment, parcel["parcel_id"])
        self._advance(tx, fulfillment, data, "packed")

    def _shipped(self, tx: Transaction, fulfillment: Any, data: Data) -> None:
        numbers = [parcel["tracking_number"] for parcel in data["parcels"] if parcel["tracking_number"]]
        at_us = parse_iso(data["shipped_at"])
        if not self._progress.ship(tx, fulfillment, Shipment(data["shipment_id"], at_us, data["lines"], numbers)):
            note(tx, fulfillment, "shipment_repeated", self._desk.clock.now_us(), data["shipment_id"])
            return
        self._stock(tx, fulfillment.node, data)
        for parcel in data["parcels"]:
            number = parcel["tracking_number"]
            if not self._insert_parcel(tx, fulfillment, parcel, 0, number) and number:
                tx.execute(_TRACKED, {"of_parcel_id": parcel["parcel_id"], "new_tracking_number": number})
        self._advance(tx, fulfillment, data, "shipped", f"shipment {data['shipment_id']}")
        touch_order(tx, fulfillment.order_id, self._desk.clock.now_us())

    def _cancelled(self, tx: Transaction, fulfillment: Any, data: Data) -> None:
        """The same word comes as the answer to our own asking: quantities are in all, so it counts once."""
        news = self._progress.cancel(tx, fulfillment, {line["line_no"]: line["cancelled"] for line in data["lines"]})
        void = self._progress.is_void(tx, fulfillment.fulfillment_id)
        after = "cancelled" if void else "released" if fulfillment.status == "cancel_requested" else fulfillment.status
        self._advance(tx, fulfillment, data, after)
        if news:
            note(tx, fulfillment, "cancel_confirmed", self._desk.clock.now_us(), quantities(news))
            touch_order(tx, fulfillment.order_id, self._desk.clock.now_us())

    def _advance(self, tx: Transaction, fulfillment: Any, data: Data, status: str, detail: str = "") -> None:
        if data["sequence"] > fulfillment.event_sequence:
            set_status(tx, fulfillment, status, self._desk.clock.now_us(), detail, data["sequence"])

    def _insert_parcel(
        self, tx: Transaction, fulfillment: Any, parcel: Data, weight_g: int, tracking_number: str | None
    ) -> bool:
        row = {
            "parcel_id": parcel["parcel_id"],
            "fulfillment_id": fulfillment.fulfillment_id,
            "weight_g": weight_g,
            "lines": orjson.dumps(parcel["lines"]).decode(),
            "tracking_number": tracking_number,
            "tracking_sequence": 0,
        }
        return tx.execute(_PARCEL, row) == 1

    def _stock(self, tx: Transaction, node: str, data: Data) -> None:
        stock = data.get("stock")
        if stock:
            self._desk.inventory.apply(tx, node, stock["sequence"], _deltas(stock["deltas"]))

    def _tracking(self, tx: Transaction, data: Data) -> None:
        scan = {
            "of_parcel_id": data["label_reference"],
            "of_tracking_number": data["tracking_number"],
            "new_status": data["status"],
            "new_sequence": data["sequence"],
        }
        if tx.execute(_SCAN, scan) == 1:
            return
        parcel = tx.one(_PARCEL_OF_TRACKING, {"tracking_number": data["tracking_number"]})
        if parcel is None:
            audit(tx, self._desk.clock.now_us(), "unknown_tracking", entity="webhook", entity_id="carrier",
                  detail=f"{data['status']} of {data['tracking_number']!r}")  # fmt: skip
        elif parcel.parcel_id != data["label_reference"]:
            tx.execute(_SCAN, {**scan, "of_parcel_id": parcel.parcel_id})


def _deltas(deltas: Sequence[Data]) -> Sequence[Data]:
    """One delta per sku: a booking may touch several bins."""
    sums: dict[str, dict[str, Any]] = {}
    for delta in deltas:
        entry = sums.setdefault(delta["sku"], {"sku": delta["sku"], "on_hand_delta": 0, "held_delta": 0})
        entry["on_hand_delta"] += delta["on_hand_delta"]
        entry["held_delta"] += delta["held_delta"]
    return list(sums.values())


def quantities(by_line: Mapping[int, int]) -> str:
    """Quantities by line number, for the audit trail."""
    return ", ".join(f"{quantity} of line {line_no}" for line_no, quantity in by_line.items())
