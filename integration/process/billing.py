"""What the ERP is told after the booking: changes of an order, shipments, and that they are to be invoiced."""

from collections.abc import Mapping
from typing import Any
from zlib import crc32

import orjson
from sqlalchemy import bindparam, select, update

from contracts.wire import iso
from integration.domain.events import ShipmentInvoiced
from integration.messaging.message import Message, Stamp
from integration.messaging.outcomes import Defer, Done, Outcome
from integration.process.desk import ORDER, ORDER_LINES, Desk, OrderHandler, take_order
from integration.process.fulfillment import WAIT_FOR_OTHER_US
from integration.process.partners import Erp
from integration.storage import Transaction, audit, touch_order
from integration.storage.tables import orders, shipments

_SHIPMENT = (
    select(shipments, orders.c.customer_id, orders.c.order_reference, orders.c.erp_order_id)
    .join(orders, orders.c.order_id == shipments.c.order_id)
    .where(shipments.c.shipment_id == bindparam("shipment_id"))
)
_CONFIRMED = (
    update(shipments)
    .where(shipments.c.shipment_id == bindparam("of_shipment_id"), shipments.c.confirmed_at_us.is_(None))
    .values(confirmed_at_us=bindparam("now_us"))
)
_INVOICED = (
    update(shipments)
    .where(shipments.c.shipment_id == bindparam("of_shipment_id"), shipments.c.invoice_id.is_(None))
    .values(invoice_id=bindparam("new_invoice_id"))
)
# An ERP whose numbers still differ after this many tellings is left to the people who reconcile.
_MOST_TELLINGS = 3


class ChangeOrder(OrderHandler):
    """Tells the ERP cumulative numbers as they are when it is told, so that a late message does no harm."""

    def __init__(self, desk: Desk, erp: Erp) -> None:
        super().__init__(desk)
        self._erp = erp

    def send(self, message: Message) -> Outcome:
        """Post what the lines stand at. The key covers the numbers: other numbers are another change."""
        params = {"order_id": message.payload["order_id"]}
        with self.desk.database.read() as tx:
            order = tx.one(ORDER, params)
            lines = [line for line in tx.rows(ORDER_LINES, params) if line.line_no in message.payload["line_nos"]]
        if order.booked_at_us is None:
            return Defer("the order is not booked yet", WAIT_FOR_OTHER_US)
        numbers = [
            {"line_no": line.line_no, "backordered": line.backordered, "cancelled": line.cancelled + line.short}
            for line in lines
        ]
        mark = f"{crc32(orjson.dumps(numbers)):08x}"
        body = {
            "change_id": f"{self.desk.keys.reference(message, message.business_key)}.{mark}",
            "customer_id": order.customer_id,
            "order_reference": order.order_reference,
            "reason": message.payload["reason"],
            "lines": numbers,
        }
        stamp = self.desk.stamp(message)
        marked = Stamp(f"{stamp.key}.{mark}", stamp.correlation_id, stamp.attempt)
        return self._erp.change_order(order.erp_order_id, body, marked)

    def done(self, tx: Transaction, message: Message, answer: Mapping[str, Any]) -> None:
        """Tell again where an older change was the last that the ERP heard, or the numbers moved meanwhile."""
        telling = int(message.payload.get("telling", 1))
        heard = {line.get("line_no"): line.get("cancelled") for line in answer["lines"]}
        differ = any(
            heard.get(line.line_no) != line.cancelled + line.short
            for line in tx.rows(ORDER_LINES, {"order_id": message.payload["order_id"]})
            if line.line_no in message.payload["line_nos"]
        )
        if differ and telling < _MOST_TELLINGS:
            payload = {**message.payload, "telling": telling + 1}
            key = self.desk.ids.new("change")
            self.desk.put(tx, "erp", "change_order", key, payload, message.correlation_id)


def put_confirmation(tx: Transaction, desk: Desk, order_id: str, shipment_id: str, correlation_id: str) -> None:
    """Have the ERP told of a shipment, and then asked to invoice it."""
    payload = {"order_id": order_id, "shipment_id": shipment_id}
    desk.put(tx, "erp", "confirm_shipment", shipment_id, payload, correlation_id)


class ConfirmShipment(OrderHandler):
    """Tells the ERP what left the house."""

    def __init__(self, desk: Desk, erp: Erp) -> None:
        super().__init__(desk)
        self._erp = erp

    def send(self, message: Message) -> Outcome:
        """Post the shipment as the node told it."""
        with self.desk.database.read() as tx:
            shipment = tx.one(_SHIPMENT, {"shipment_id": message.payload["shipment_id"]})
        if shipment.confirmed_at_us is not None:
            return Done()
        if shipment.erp_order_id is None:
            return Defer("the order is not booked yet", WAIT_FOR_OTHER_US)
        body = {
            **_shipment_of(shipment, self.desk.keys.reference(message, shipment.shipment_id)),
            "node": shipment.node,
            "shipped_at": iso(shipment.shipped_at_us),
            "tracking_numbers": orjson.loads(shipment.tracking_numbers),
            "lines": orjson.loads(shipment.lines),
        }
        return self._erp.confirm_shipment(body, self.desk.stamp(message))

    def done(self, tx: Transaction, message: Message, answer: Mapping[str, Any]) -> None:
        """Go on to the invoice."""
        shipment_id = message.payload["shipment_id"]
        confirmed = {"of_shipment_id": shipment_id, "now_us": self.desk.clock.now_us()}
        if answer and tx.execute(_CONFIRMED, confirmed) == 1:
            self.desk.put(tx, "erp", "invoice", shipment_id, dict(message.payload), message.correlation_id)


class InvoiceShipment(OrderHandler):
    """Has the ERP invoice a shipment that it knows."""

    def __init__(self, desk: Desk, erp: Erp) -> None:
        super().__init__(desk)
        self._erp = erp

    def send(self, message: Message) -> Outcome:
        """Ask for the invoice."""
        with self.desk.database.read() as tx:
            shipment = tx.one(_SHIPMENT, {"shipment_id": message.payload["shipment_id"]})
        if shipment.invoice_id is not None:
            return Done()
        body = _shipment_of(shipment, self.desk.keys.reference(message, shipment.shipment_id))
        return self._erp.invoice(body, self.desk.stamp(message))

    def done(self, tx: Transaction, message: Message, answer: Mapping[str, Any]) -> None:
        """Note the invoice on the shipment."""
        shipment_id, order_id = message.payload["shipment_id"], message.payload["order_id"]
        if not answer:
            return
        now_us = self.desk.clock.now_us()
        take_order(tx, order_id)
        if tx.execute(_INVOICED, {"of_shipment_id": shipment_id, "new_invoice_id": answer["invoice_id"]}) == 1:
            audit(tx, now_us, "invoiced", order_id=order_id, correlation_id=message.correlation_id, entity="shipment",
                  entity_id=shipment_id, detail=f"invoice {answer['invoice_id']}")  # fmt: skip
            tx.tell(ShipmentInvoiced(order_id, shipment_id, str(answer["invoice_id"])))
            touch_order(tx, order_id, now_us)


def _shipment_of(shipment: Any, reference: str) -> dict[str, Any]:
    return {
        "shipment_id": reference,
        "erp_order_id": shipment.erp_order_id,
        "customer_id": shipment.customer_id,
        "order_reference": shipment.order_reference,
    }
