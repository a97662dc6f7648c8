"""What the business tells those who subscribed: contracts/events, made of what happened in a transaction, in it.

`Announcer.announce` is called at the end of a transaction in which something was told, so that an event has the order's
version and status as others will see them. Availability is compared now and then with what was last told of it: a run
on an article is then a few events, not one per order.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import and_, bindparam, case, or_, select
from sqlalchemy.dialects.postgresql import insert

from contracts.wire import iso
from integration.domain.events import (
    BackorderChanged,
    CancelAsked,
    OrderAccepted,
    OrderEvent,
    ShipmentInvoiced,
    ShipmentLeft,
    UnitsGivenUp,
)
from integration.domain.pricing import line_tax_minor
from integration.messaging.event_log import Event, EventLog
from integration.process.desk import ORDER, ORDER_LINES
from integration.process.inventory import Inventory
from integration.runtime import Clock, Ids
from integration.storage import Database, Transaction
from integration.storage.tables import availability_told, parcels, shipments, stock

SOURCE = "integration"
TYPES = ("order.accepted", "order.backordered", "order.cancelled", "order.shipped", "order.invoiced",
         "availability.changed")  # fmt: skip

_SHIPMENT = select(shipments).where(shipments.c.shipment_id == bindparam("shipment_id"))
_PARCELS = (
    select(parcels.c.parcel_id, parcels.c.tracking_number)
    .where(
        parcels.c.fulfillment_id == bindparam("fulfillment_id"),
        parcels.c.tracking_number.in_(bindparam("numbers", expanding=True)),
    )
    .order_by(parcels.c.parcel_id)
)
_FREE = stock.c.on_hand - stock.c.held - stock.c.safety - stock.c.reserved
_SAME = and_(availability_told.c.sku == stock.c.sku, availability_told.c.node == stock.c.node)
_CHANGED = (
    select(stock.c.sku)
    .distinct()
    .select_from(stock.outerjoin(availability_told, _SAME))
    .where(
        or_(availability_told.c.available.is_(None), availability_told.c.available != case((_FREE < 0, 0), else_=_FREE))
    )
    .order_by(stock.c.sku)
)
_CHANGED_OF = _CHANGED.where(stock.c.sku.in_(bindparam("skus", expanding=True)))
_tell = insert(availability_told)
_TELL = _tell.on_conflict_do_update(index_elements=["sku", "node"], set_={"available": _tell.excluded["available"]})
# Articles per transaction, so that nobody waits long for the write lock.
_BATCH = 200

Body = dict[str, Any]


class Announcer:
    """Makes events and logs them."""

    def __init__(self, clock: Clock, ids: Ids, log: EventLog) -> None:
        self._clock = clock
        self._ids = ids
        self._log = log

    def announce(self, tx: Transaction, told: Sequence[OrderEvent]) -> None:
        """Log what was told in this transaction, order by order."""
        by_order: dict[str, list[OrderEvent]] = {}
        for event in told:
            by_order.setdefault(event.order_id, []).append(event)
        made = [event for order_id, of_order in by_order.items() for event in self._of_order(tx, order_id, of_order)]
        if made:
            self._log.append(tx, made)

    def event(self, type_: str, subject: str, data: Body, correlation_id: str) -> Event:
        """An event that happened now."""
        event_id, at_us = self._ids.new("evt"), self._clock.now_us()
        body = {
            "specversion": "1.0",
            "id": event_id,
            "source": SOURCE,
            "type": type_,
            "time": iso(at_us),
            "subject": subject,
            "datacontenttype": "application/json",
            "data": data,
        }
        return Event(event_id, type_, subject, at_us, correlation_id, orjson.dumps(body).decode())

    def _of_order(self, tx: Transaction, order_id: str, told: Sequence[OrderEvent]) -> list[Event]:
        made: list[Event] = []
        for accepted in [event for event in told if isinstance(event, OrderAccepted)]:
            made.append(self.event("order.accepted", order_id, _accepted(accepted.order), accepted.correlation_id))
        later = [event for event in told if not isinstance(event, OrderAccepted | CancelAsked)]
        if later:
            order, lines = tx.one(ORDER, {"order_id": order_id}), tx.rows(ORDER_LINES, {"order_id": order_id})
            reasons = [event.reason for event in told if isinstance(event, CancelAsked)]
            for type_, more in self._later(tx, order, lines, later, reasons[-1] if reasons else None):
                made.append(self.event(type_, order_id, {**_head(order), **more}, order.correlation_id))
        return made

    def _later(
        self, tx: Transaction, order: Any, lines: Sequence[Any], told: Sequence[OrderEvent], reason: str | None
    ) -> Iterable[tuple[str, Body]]:
        by_number = {line.line_no: line for line in lines}
        waiting = {no for event in told if isinstance(event, BackorderChanged) for no in event.line_nos}
        if waiting:
            yield "order.backordered", {"lines": [_waiting(by_number[no]) for no in sorted(waiting)]}
        given_up = {no for event in told if isinstance(event, UnitsGivenUp) for no in event.line_nos}
        entries = [_given_up(by_number[no]) for no in sorted(given_up) if by_number[no].cancelled + by_number[no].short]
        if entries:
            yield "order.cancelled", {"reason": reason and reason[:200], "lines": entries}
        for event in told:
            if isinstance(event, ShipmentLeft):
                yield "order.shipped", _shipped(tx, event.shipment_id)
            elif isinstance(event, ShipmentInvoiced):
                more = _invoiced(tx, event, by_number)
                yield "order.invoiced", {**more, "currency": order.currency, "invoiced_at": iso(self._clock.now_us())}


def _head(order: Any) -> Body:
    names = ("order_id", "customer_id", "order_reference", "version", "status")
    return {name: getattr(order, name) for name in names}


def _accepted(order: Mapping[str, Any]) -> Body:
    names = ("line_no", "sku", "ordered", "confirmed", "backordered", "unit_price_minor", "tax_rate_bp")
    return {**order, "lines": [{name: line[name] for name in names} for line in order["lines"]]}


def _waiting(line: Any) -> Body:
    return {"line_no": line.line_no, "sku": line.sku, "confirmed": line.confirmed, "backordered": line.backordered}


def _given_up(line: Any) -> Body:
    return {"line_no": line.line_no, "sku": line.sku, "cancelled": line.cancelled + line.short}


def _shipped(tx: Transaction, shipment_id: str) -> Body:
    shipment = tx.one(_SHIPMENT, {"shipment_id": shipment_id})
    numbers = orjson.loads(shipment.tracking_numbers)
    found = tx.rows_for(_PARCELS, "numbers", numbers, {"fulfillment_id": shipment.fulfillment_id})
    return {
        "shipment_id": shipment_id,
        "node": shipment.node,
        "shipped_at": iso(shipment.shipped_at_us),
        "parcels": [parcel._asdict() for parcel in found],
        "lines": [
            {"line_no": line["line_no"], "sku": line["sku"], "quantity": line["quantity"]}
            for line in orjson.loads(shipment.lines)
        ],
    }


def _invoiced(tx: Transaction, event: ShipmentInvoiced, lines: Mapping[int, Any]) -> Body:
    """The money of a shipment at the order's prices, tax rounded half up per line."""
    shipment = tx.one(_SHIPMENT, {"shipment_id": event.shipment_id})
    quantities: dict[int, int] = {}
    for entry in orjson.loads(shipment.lines):
        quantities[entry["line_no"]] = quantities.get(entry["line_no"], 0) + entry["quantity"]
    billed = []
    for line_no, quantity in sorted(quantities.items()):
        line = lines[line_no]
        net_minor = quantity * line.unit_price_minor
        tax_minor = line_tax_minor(net_minor, line.tax_rate_bp)
        billed.append({"line_no": line_no, "sku": line.sku, "quantity": quantity, "net_minor": net_minor,
                       "tax_minor": tax_minor})  # fmt: skip
    net_minor, tax_minor = sum(line["net_minor"] for line in billed), sum(line["tax_minor"] for line in billed)
    return {
        "invoice_id": event.invoice_id,
        "shipment_id": event.shipment_id,
        "net_minor": net_minor,
        "tax_minor": tax_minor,
        "total_minor": net_minor + tax_minor,
        "lines": billed,
    }


class AvailabilityTeller:
    """Tells what can be promised of an article where that is no longer what was last told."""

    def __init__(self, clock: Clock, database: Database, inventory: Inventory, announcer: Announcer, log: EventLog):
        self._clock = clock
        self._database = database
        self._inventory = inventory
        self._announcer = announcer
        self._log = log

    def tell(self) -> None:
        """Look at every article, and tell of those that changed. Raises DatabaseFailed."""
        with self._database.read() as tx:
            changed = [row.sku for row in tx.rows(_CHANGED)]
        for start in range(0, len(changed), _BATCH):
            batch = changed[start : start + _BATCH]
            self._database.transact(lambda tx, skus=batch: self._tell(tx, skus))  # type: ignore[misc]

    def _tell(self, tx: Transaction, skus: Sequence[str]) -> None:
        tx.lock_name("availability told")  # one that lost its duty meanwhile may still be at it
        changed = [row.sku for row in tx.rows_for(_CHANGED_OF, "skus", skus)]
        as_of = iso(self._clock.now_us())
        made = []
        for sku, by_node in self._inventory.availability(tx, changed).items():
            nodes = [{"node": node, "available": quantity} for node, quantity in by_node.items()]
            tx.send(_TELL, [{"sku": sku, **entry} for entry in nodes])
            data = {"sku": sku, "available": sum(by_node.values()), "nodes": nodes, "as_of": as_of}
            made.append(self._announcer.event("availability.changed", sku, data, ""))
        if made:
            self._log.append(tx, made)
