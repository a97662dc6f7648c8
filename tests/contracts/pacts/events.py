"""What the integration expects of the webhooks that warehouses and carriers send."""

from collections.abc import Callable
from typing import Any

from pact.interaction import AsyncMessageInteraction

from tests.contracts.pacts.carrier import CARRIER, SCANNED
from tests.contracts.pacts.inbox import PARCEL_ID, RELEASE_ID, Inbox
from tests.contracts.pacts.wms import WMS
from tests.contracts.pacts.words import (
    CLOUD_EVENT,
    identifier,
    one_of,
    pattern,
    reference,
    sku,
    some,
    text,
    timestamp,
    whole,
)

AT = "2026-11-27T15:00:00.000000Z"
NODE = "^(wms-east|wms-west)$"
Take = Callable[[Inbox], None]


def event(upon: AsyncMessageInteraction, type_: str, source: Any, subject: Any, data: dict[str, Any]) -> None:
    envelope = {
        "specversion": "1.0",
        "id": text("evt-1"),
        "source": source,
        "type": type_,
        "time": timestamp(AT),
        "subject": subject,
        "datacontenttype": "application/json",
        "data": data,
    }
    upon.with_body(envelope, CLOUD_EVENT)


def of_release(upon: AsyncMessageInteraction, type_: str, **data: Any) -> None:
    head = {
        "release_id": identifier(RELEASE_ID),
        "customer_id": identifier("C1"),
        "order_reference": reference("PO-1"),
        "sequence": whole(1),
    }
    event(upon, type_, pattern("wms-east", NODE), identifier(RELEASE_ID), head | data)


def stock(on_hand_delta: int, held_delta: int = 0) -> dict[str, Any]:
    delta = {"sku": sku("A"), "on_hand_delta": whole(on_hand_delta), "held_delta": whole(held_delta)}
    return {"sequence": whole(2), "deltas": some(delta)}


def content() -> Any:
    return some({"line_no": whole(1), "sku": sku("A"), "quantity": whole(6)})


@WMS.expects("release.picked of a whole pick", given="a release was picked whole", kind="Async", release_id=RELEASE_ID)
def picked(upon: AsyncMessageInteraction) -> Take:
    line = {"line_no": whole(1), "sku": sku("A"), "picked": whole(6), "short": 0, "reason": None}
    of_release(upon, "release.picked", lines=some(line))

    def take(inbox: Inbox) -> None:
        inbox.take()
        assert (inbox.release()["status"], inbox.release()["lines"][0]["picked"]) == ("picked", 6)

    return take


@WMS.expects(
    "release.picked of a pick that found less", given="a release was picked short", kind="Async", release_id=RELEASE_ID
)
def picked_short(upon: AsyncMessageInteraction) -> Take:
    line = {"line_no": whole(1), "sku": sku("A"), "picked": whole(4), "short": whole(2),
            "reason": text("could_not_locate")}  # fmt: skip
    of_release(upon, "release.picked", lines=some(line), stock=stock(0, 2))

    def take(inbox: Inbox) -> None:
        inbox.take()
        (line,) = inbox.release()["lines"]
        assert (line["picked"], line["short"]) == (4, 2)
        assert "picked_short" in inbox.heard()

    return take


@WMS.expects("release.packed of one parcel", given="a release was packed", kind="Async", release_id=RELEASE_ID)
def packed(upon: AsyncMessageInteraction) -> Take:
    parcel = {"parcel_id": identifier(PARCEL_ID), "weight_g": whole(600), "lines": content()}
    of_release(upon, "release.packed", parcels=some(parcel))

    def take(inbox: Inbox) -> None:
        inbox.take()
        assert [parcel["parcel_id"] for parcel in inbox.order()["parcels"]] == [PARCEL_ID]

    return take


@WMS.expects(
    "release.shipped with one parcel", given="a release was labelled and left", kind="Async", release_id=RELEASE_ID
)
def shipped(upon: AsyncMessageInteraction) -> Take:
    parcel = {"parcel_id": identifier(PARCEL_ID), "tracking_number": identifier("TRK1"), "lines": content()}
    of_release(
        upon,
        "release.shipped",
        shipment_id=identifier("shp-1"),
        shipped_at=timestamp(AT),
        parcels=some(parcel),
        lines=content(),
        stock=stock(-6),
    )

    def take(inbox: Inbox) -> None:
        inbox.take()
        assert (inbox.line()["shipped"], inbox.available()) == (6, 8)
        assert [parcel["tracking_number"] for parcel in inbox.order()["parcels"]] == ["TRK1"]

    return take


@WMS.expects("release.cancelled of a whole line", given="a release was cancelled", kind="Async", release_id=RELEASE_ID)
def cancelled(upon: AsyncMessageInteraction) -> Take:
    of_release(upon, "release.cancelled", lines=some({"line_no": whole(1), "sku": sku("A"), "cancelled": whole(6)}))

    def take(inbox: Inbox) -> None:
        inbox.take()
        assert (inbox.line()["cancelled"], inbox.available()) == (6, 14)

    return take


def stock_changed(upon: AsyncMessageInteraction, cause: str, name: str, on_hand_delta: int) -> None:
    data = {"cause": cause, "reference": identifier(name), "stock": stock(on_hand_delta)}
    event(upon, "inventory.changed", pattern("wms-east", NODE), sku("A"), data)


@WMS.expects("inventory.changed by a receipt", given="goods were received", kind="Async", receipt_id="rcp-1")
def receipt(upon: AsyncMessageInteraction) -> Take:
    stock_changed(upon, "receipt", "rcp-1", 500)

    def take(inbox: Inbox) -> None:
        inbox.take()
        assert inbox.available() == 508

    return take


@WMS.expects("inventory.changed by a count", given="a count was corrected", kind="Async", adjustment_id="adj-1")
def adjustment(upon: AsyncMessageInteraction) -> Take:
    stock_changed(upon, "adjustment", "adj-1", -3)

    def take(inbox: Inbox) -> None:
        inbox.take()
        assert inbox.available() == 5

    return take


@CARRIER.expects("tracking.updated by a scan", given="a parcel was scanned", kind="Async", label_reference=PARCEL_ID)
def scanned(upon: AsyncMessageInteraction) -> Take:
    data = {
        "tracking_number": identifier("TRK1"),
        "label_reference": identifier(PARCEL_ID),
        "customer_id": identifier("C1"),
        "order_reference": reference("PO-1"),
        "status": one_of("picked_up", SCANNED),
        "sequence": whole(1),
        "occurred_at": timestamp(AT),
        "reason": None,
    }
    event(upon, "tracking.updated", "carrier", identifier("TRK1"), data)

    def take(inbox: Inbox) -> None:
        inbox.packed()
        inbox.take()
        (parcel,) = inbox.order()["parcels"]
        assert (parcel["parcel_id"], parcel["tracking_status"]) == (PARCEL_ID, "picked_up")

    return take
