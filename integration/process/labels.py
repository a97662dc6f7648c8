"""Labels: bought per parcel, attached per release, and given back when one was bought twice."""

from collections.abc import Mapping
from typing import Any

import orjson
from sqlalchemy import bindparam, func, select, update

from integration.messaging.message import Message, Stamp
from integration.messaging.outcomes import Done, Outcome, Refused
from integration.process.desk import FULFILLMENT, Desk, OrderHandler, set_status, take_order
from integration.process.partners import Carrier, Warehouse
from integration.storage import Transaction
from integration.storage.tables import fulfillments, orders, parcels

_PARCEL = (
    select(
        parcels,
        fulfillments.c.order_id,
        fulfillments.c.customer_id,
        fulfillments.c.order_reference,
        fulfillments.c.status,
        fulfillments.c.node,
        fulfillments.c.correlation_id,
        orders.c.ship_to,
        orders.c.service,
    )
    .join(fulfillments, fulfillments.c.fulfillment_id == parcels.c.fulfillment_id)
    .join(orders, orders.c.order_id == fulfillments.c.order_id)
    .where(parcels.c.parcel_id == bindparam("parcel_id"))
)
_LABEL = (
    update(parcels)
    .where(parcels.c.parcel_id == bindparam("of_parcel_id"), parcels.c.tracking_number.is_(None))
    .values(label_id=bindparam("new_label_id"), tracking_number=bindparam("new_tracking_number"))
)
_UNLABELLED = select(func.count().label("parcels")).where(
    parcels.c.fulfillment_id == bindparam("fulfillment_id"), parcels.c.tracking_number.is_(None)
)
_PARCELS = (
    select(parcels.c.parcel_id, parcels.c.tracking_number)
    .where(parcels.c.fulfillment_id == bindparam("fulfillment_id"))
    .order_by(parcels.c.parcel_id)
)
# A label whose request was held up on its way may turn up late.
CHECK_LABELS_AFTER_US = 15 * 60_000_000


def active_labels(answer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The labels of an answer that are not voided and name what we need, in the carrier's order."""
    return [
        label
        for label in answer["items"]
        if label.get("status") != "voided"
        and isinstance(label.get("label_id"), str)
        and isinstance(label.get("tracking_number"), str)
    ]


def put_label(tx: Transaction, desk: Desk, fulfillment: Any, parcel_id: str) -> None:
    """Have a label bought for a parcel."""
    payload = {"order_id": fulfillment.order_id, "parcel_id": parcel_id}
    desk.put(tx, "carrier", "create_label", parcel_id, payload, fulfillment.correlation_id)


class CreateLabel(OrderHandler):
    """Buys one label per parcel, and asks before it buys again: not every carrier recognizes a repetition."""

    def __init__(self, desk: Desk, carrier: Carrier, check_after_us: int = CHECK_LABELS_AFTER_US) -> None:
        super().__init__(desk)
        self._carrier = carrier
        self._check_after_us = check_after_us

    def send(self, message: Message) -> Outcome:
        """Buy the label, unless the parcel has one or an earlier attempt turns out to have bought it."""
        with self.desk.database.read() as tx:
            parcel = tx.one(_PARCEL, {"parcel_id": message.payload["parcel_id"]})
        if parcel.tracking_number is not None or parcel.status == "shipped":
            return Done()
        reference = self.desk.keys.reference(message, parcel.parcel_id)
        if message.maybe_sent:
            found = self._carrier.labels(reference, message.correlation_id)
            if not isinstance(found, Done):
                return found
            active = active_labels(found.answer)
            if active:
                return Done(active[0])
        body = {
            "label_reference": reference,
            "shipment_reference": parcel.fulfillment_id,
            "customer_id": parcel.customer_id,
            "order_reference": parcel.order_reference,
            "service": parcel.service,
            "ship_to": orjson.loads(parcel.ship_to),
            "weight_g": parcel.weight_g,
            "lines": orjson.loads(parcel.lines),
        }
        return self._carrier.create_label(body, self.desk.stamp(message))

    def done(self, tx: Transaction, message: Message, answer: Mapping[str, Any]) -> None:
        """Put the label on the parcel; the last one of a release sends all to the node."""
        parcel_id = message.payload["parcel_id"]
        if message.maybe_sent:
            self._check_later(tx, message)
        if not answer:
            return
        take_order(tx, message.payload["order_id"])  # of two parcels labelled at once one must see the other's label
        label = {"new_label_id": answer["label_id"], "new_tracking_number": answer["tracking_number"]}
        labelled = tx.execute(_LABEL, {"of_parcel_id": parcel_id, **label}) == 1
        parcel = tx.one(_PARCEL, {"parcel_id": parcel_id})
        if not labelled:
            if parcel.label_id != answer["label_id"]:
                self._check_later(tx, message)
            return
        if tx.one(_UNLABELLED, {"fulfillment_id": parcel.fulfillment_id}).parcels == 0:
            payload = {"order_id": parcel.order_id, "fulfillment_id": parcel.fulfillment_id}
            self.desk.put(tx, parcel.node, "attach_labels", parcel.fulfillment_id, payload, parcel.correlation_id)

    def _check_later(self, tx: Transaction, message: Message) -> None:
        self.desk.outbox.put(
            tx,
            "carrier",
            "check_labels",
            f"check_labels:{message.payload['parcel_id']}:{message.attempts}",
            dict(message.payload),
            message.correlation_id,
            self._check_after_us,
        )


class CheckLabels(OrderHandler):
    """After an uncertain purchase: gives back every active label of a parcel except the one that is on it."""

    def __init__(self, desk: Desk, carrier: Carrier) -> None:
        super().__init__(desk)
        self._carrier = carrier

    def send(self, message: Message) -> Outcome:
        """List the parcel's labels and void the spare ones."""
        with self.desk.database.read() as tx:
            parcel = tx.one(_PARCEL, {"parcel_id": message.payload["parcel_id"]})
        found = self._carrier.labels(parcel.parcel_id, message.correlation_id)
        if not isinstance(found, Done):
            return found
        stamp = self.desk.stamp(message)
        body = {"customer_id": parcel.customer_id, "order_reference": parcel.order_reference}
        for label in active_labels(found.answer):
            if label["tracking_number"] == parcel.tracking_number or parcel.tracking_number is None:
                continue
            key = f"void:{label['label_id']}"
            voided = self._carrier.void(label["label_id"], body, Stamp(key, stamp.correlation_id, stamp.attempt))
            if not isinstance(voided, Done):
                return voided
        return Done()


class AttachLabels(OrderHandler):
    """Tells the node which tracking number goes on which parcel; it ships after that."""

    def __init__(self, desk: Desk, warehouses: Mapping[str, Warehouse]) -> None:
        super().__init__(desk)
        self._warehouses = warehouses

    def send(self, message: Message) -> Outcome:
        """Post all tracking numbers of the release at once."""
        params = {"fulfillment_id": message.payload["fulfillment_id"]}
        with self.desk.database.read() as tx:
            fulfillment = tx.one(FULFILLMENT, params)
            rows = tx.rows(_PARCELS, params)
        if fulfillment.status == "shipped":
            return Done()
        body = {
            "customer_id": fulfillment.customer_id,
            "order_reference": fulfillment.order_reference,
            "parcels": [{"parcel_id": row.parcel_id, "tracking_number": row.tracking_number} for row in rows],
        }
        stamp = self.desk.stamp(message)
        outcome = self._warehouses[fulfillment.node].attach_labels(fulfillment.fulfillment_id, body, stamp)
        if isinstance(outcome, Refused) and outcome.problem == "conflicting-state" and message.maybe_sent:
            return Done()  # an earlier attempt got through, and the release has left since
        return outcome

    def done(self, tx: Transaction, message: Message, answer: Mapping[str, Any]) -> None:
        """Note that the release is ready to leave, unless it has left."""
        take_order(tx, message.payload["order_id"])
        fulfillment = tx.one(FULFILLMENT, {"fulfillment_id": message.payload["fulfillment_id"]})
        if answer and fulfillment.status in {"released", "picked", "packed"}:
            set_status(tx, fulfillment, "labelled", self.desk.clock.now_us())
