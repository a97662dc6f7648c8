"""From an accepted order to work at the nodes: book it in the ERP, then release each fulfillment to its node."""

from collections.abc import Callable, Mapping
from typing import Any

import orjson
from sqlalchemy import bindparam, select, update

from contracts.wire import iso
from integration.messaging.message import Message
from integration.messaging.outcomes import Defer, Done, Outcome, Refused
from integration.process.desk import (
    FULFILLMENT,
    FULFILLMENT_LINES,
    LOCKED_ORDER,
    ORDER,
    ORDER_LINES,
    Desk,
    OrderHandler,
    set_status,
    take_order,
)
from integration.process.partners import Body, Erp, ThreePl, Warehouse
from integration.storage import Transaction, audit, sum_of, touch_order
from integration.storage.tables import fulfillment_lines, fulfillments, orders

_PROMISED_AT_ACCEPTANCE = (
    select(fulfillment_lines.c.line_no, sum_of(fulfillment_lines.c.quantity).label("confirmed"))
    .join(fulfillments, fulfillments.c.fulfillment_id == fulfillment_lines.c.fulfillment_id)
    .where(fulfillments.c.order_id == bindparam("order_id"))
    .group_by(fulfillment_lines.c.line_no)
)
_BOOK = (
    update(orders)
    .where(orders.c.order_id == bindparam("of_order_id"), orders.c.booked_at_us.is_(None))
    .values(booked_at_us=bindparam("now_us"), erp_order_id=bindparam("new_erp_order_id"))
)
_PLANNED = (
    select(fulfillments.c.fulfillment_id, fulfillments.c.node)
    .where(fulfillments.c.order_id == bindparam("order_id"), fulfillments.c.status == "planned")
    .order_by(fulfillments.c.fulfillment_id)
)
_FORGET_UNHEARD = (
    update(fulfillment_lines)
    .where(fulfillment_lines.c.fulfillment_id == bindparam("of_fulfillment_id"), fulfillment_lines.c.cancelled > 0)
    .values(quantity=fulfillment_lines.c.quantity - fulfillment_lines.c.cancelled, cancelled=0)
)
# How long a message waits for another of the same order that must come first.
WAIT_FOR_OTHER_US = 10_000_000


def put_release(
    tx: Transaction, desk: Desk, order_id: str, fulfillment_id: str, node: str, correlation_id: str
) -> None:
    """Have a planned fulfillment released to its node.

    What was cancelled before the node heard of it is no part of its share: the node counts its own cancels from
    nothing.
    """
    tx.execute(_FORGET_UNHEARD, {"of_fulfillment_id": fulfillment_id})
    payload = {"order_id": order_id, "fulfillment_id": fulfillment_id}
    desk.put(tx, node, "release", fulfillment_id, payload, correlation_id)


class BookOrder(OrderHandler):
    """Books the order in the ERP; its fulfillments are released after that, never before.

    `when_booked(tx, order)` is told in the transaction of the booking.
    """

    def __init__(self, desk: Desk, erp: Erp, when_booked: Callable[[Transaction, Any], None] = lambda _tx, _row: None):
        super().__init__(desk)
        self._erp = erp
        self._when_booked = when_booked

    def send(self, message: Message) -> Outcome:
        """Post the sales order as it was accepted: the body is the same for every attempt."""
        params = {"order_id": message.payload["order_id"]}
        with self.desk.database.read() as tx:
            order = tx.one(ORDER, params)
            lines = tx.rows(ORDER_LINES, params)
            confirmed = {row.line_no: row.confirmed for row in tx.rows(_PROMISED_AT_ACCEPTANCE, params)}
        if order.booked_at_us is not None:
            return Done()
        if message.maybe_sent:
            found = self._erp.find_order(order.customer_id, order.order_reference, message.correlation_id)
            if not isinstance(found, Done) or found.answer:
                return found
        return self._erp.book_order(_sales_order(order, lines, confirmed), self.desk.stamp(message))

    def done(self, tx: Transaction, message: Message, answer: Mapping[str, Any]) -> None:
        """Note the booking and release what is planned."""
        if not answer:
            return
        now_us = self.desk.clock.now_us()
        order = tx.one(LOCKED_ORDER, {"order_id": message.payload["order_id"]})
        booked = {"of_order_id": order.order_id, "now_us": now_us, "new_erp_order_id": answer["erp_order_id"]}
        if tx.execute(_BOOK, booked) == 0:
            return
        audit(tx, now_us, "booked", order_id=order.order_id, correlation_id=order.correlation_id,
              detail=f"ERP order {answer['erp_order_id']}")  # fmt: skip
        for planned in tx.rows(_PLANNED, {"order_id": order.order_id}):
            put_release(tx, self.desk, order.order_id, planned.fulfillment_id, planned.node, order.correlation_id)
        self._when_booked(tx, order)
        touch_order(tx, order.order_id, now_us)


def _sales_order(order: Any, lines: list[Any], confirmed: Mapping[int, int]) -> Body:
    """What was promised at acceptance: backorders find stock only after the booking, so fulfillments tell it."""
    return {
        "order_id": order.order_id,
        "customer_id": order.customer_id,
        "order_reference": order.order_reference,
        "currency": order.currency,
        "ordered_at": iso(order.accepted_at_us),
        "lines": [
            {
                "line_no": line.line_no,
                "sku": line.sku,
                "quantity": line.ordered,
                "unit_price_minor": line.unit_price_minor,
                "tax_rate_bp": line.tax_rate_bp,
                "confirmed": confirmed.get(line.line_no, 0),
                "backordered": line.ordered - confirmed.get(line.line_no, 0),
            }
            for line in lines
        ],
        "total_minor": order.total_minor,
        "tax_minor": order.tax_minor,
    }


class ReleaseFulfillment(OrderHandler):
    """Hands a fulfillment to its node, whatever kind of node it is."""

    def __init__(self, desk: Desk, warehouses: Mapping[str, Warehouse], threepls: Mapping[str, ThreePl]) -> None:
        super().__init__(desk)
        self._warehouses = warehouses
        self._threepls = threepls

    def send(self, message: Message) -> Outcome:
        """Post the release; ask first where an earlier attempt may have got through."""
        params = {"fulfillment_id": message.payload["fulfillment_id"]}
        with self.desk.database.read() as tx:
            fulfillment = tx.one(FULFILLMENT, params)
            lines = [line for line in tx.rows(FULFILLMENT_LINES, params) if line.quantity > line.cancelled]
        if fulfillment.status not in {"planned", "cancel_requested"} or not lines:
            return Done()
        if fulfillment.booked_at_us is None:
            return Defer("the order is not booked yet", WAIT_FOR_OTHER_US)
        reference = self.desk.keys.reference(message, fulfillment.fulfillment_id)
        node = fulfillment.node
        if message.maybe_sent:
            reader = self._threepls[node].read if node in self._threepls else self._warehouses[node].read_release
            found = reader(reference, message.correlation_id)
            if not (isinstance(found, Refused) and found.problem == "not-found"):
                return found
        body = _release(fulfillment, lines)
        if node in self._threepls:
            return self._threepls[node].fulfill({"reference": reference, **body}, self.desk.stamp(message))
        body |= {"release_id": reference, "service": fulfillment.service}
        return self._warehouses[node].release(body, self.desk.stamp(message))

    def done(self, tx: Transaction, message: Message, answer: Mapping[str, Any]) -> None:
        """Note that the node has it, unless an event has told more already."""
        if not answer:
            return
        now_us = self.desk.clock.now_us()
        take_order(tx, message.payload["order_id"])
        fulfillment = tx.one(FULFILLMENT, {"fulfillment_id": message.payload["fulfillment_id"]})
        if fulfillment.status == "planned":
            set_status(tx, fulfillment, "released", now_us, f"released to {fulfillment.node}")
        touch_order(tx, fulfillment.order_id, now_us)


def _release(fulfillment: Any, lines: list[Any]) -> dict[str, Any]:
    return {
        "customer_id": fulfillment.customer_id,
        "order_reference": fulfillment.order_reference,
        "ship_to": orjson.loads(fulfillment.ship_to),
        "lines": [
            {"line_no": line.line_no, "sku": line.sku, "quantity": line.quantity - line.cancelled} for line in lines
        ],
    }
