"""What the integration expects of a carrier: the client's calls, each with the answers that it tells apart."""

from collections.abc import Callable
from typing import Any

from pact.interaction import HttpInteraction

from integration.messaging.message import Stamp
from integration.messaging.outcomes import Done, ErrorClass, Outcome, Refused, Retry, Uncertain
from integration.system.carrier import CarrierClient
from tests.contracts.pacts.expectations import Contract
from tests.contracts.pacts.http import RealHttp
from tests.contracts.pacts.inbox import Inbox
from tests.contracts.pacts.words import (
    ADDRESS,
    address,
    answers,
    asks,
    given_path,
    identifier,
    one_of,
    pattern,
    posts,
    reference,
    refuses,
    seconds,
    sku,
    some,
    text,
    timestamp,
    whole,
)

SECOND_US = 1_000_000
TRACE = "ab" * 16
CARRIER = Contract(
    "integration", "carrier", lambda url: CarrierClient(RealHttp(), url, "good-token", 5 * SECOND_US), inbox=Inbox
)
ORDER = {"customer_id": "C-1001", "order_reference": "PO-4711"}
OPEN = "the carrier is open"
SCANNED = ("picked_up", "in_transit", "on_hold", "out_for_delivery", "delivered", "delivery_delayed",
           "delivery_failed", "return_to_sender")  # fmt: skip
Use = Callable[[CarrierClient], None]


def stamp(key: str) -> Stamp:
    return Stamp(key, TRACE, 1)


def order_named() -> dict[str, Any]:
    return {"customer_id": identifier("C-1001"), "order_reference": reference("PO-4711")}


def label_asked(parcel_id: str) -> dict[str, Any]:
    return {
        "label_reference": identifier(parcel_id),
        "shipment_reference": identifier("ful-1"),
        **order_named(),
        "service": one_of("standard", ("standard", "express")),
        "ship_to": address(),
        "weight_g": whole(1500),
        "lines": some({"line_no": whole(1), "sku": sku("85123A"), "quantity": whole(6)}),
    }


def buy(carrier: CarrierClient, parcel_id: str) -> Outcome:
    lines = [{"line_no": 1, "sku": "85123A", "quantity": 6}]
    body = {"label_reference": parcel_id, "shipment_reference": "ful-1", **ORDER, "service": "standard",
            "ship_to": ADDRESS, "weight_g": 1500, "lines": lines}  # fmt: skip
    return carrier.create_label(body, stamp(f"label:{parcel_id}"))


def label_told() -> dict[str, Any]:
    return {"label_id": identifier("LBL-1"), "tracking_number": identifier("TRK1")}


BOUGHT = Done({"label_id": "LBL-1", "tracking_number": "TRK1"})


def is_refused(outcome: Outcome, problem: str) -> None:
    assert isinstance(outcome, Refused)
    assert outcome.problem == problem


@CARRIER.expects("a label for a parcel", given=OPEN)
def label(upon: HttpInteraction) -> Use:
    posts(upon, "/labels", label_asked("par-new"), "label:par-new")
    answers(upon, 201, label_told())

    def use(carrier: CarrierClient) -> None:
        assert buy(carrier, "par-new") == BOUGHT

    return use


@CARRIER.expects("a label for a parcel a second time", given="a label was bought", label_reference="par-again")
def label_again(upon: HttpInteraction) -> Use:
    posts(upon, "/labels", label_asked("par-again"), "label:par-again")
    answers(upon, 200, label_told())

    def use(carrier: CarrierClient) -> None:
        assert buy(carrier, "par-again") == BOUGHT

    return use


@CARRIER.expects(
    "a label for a parcel a second time, which is refused",
    given="a label was bought from a carrier that refuses a second one",
    along=("the labels of a parcel that has one",),
    label_reference="par-twice",
)
def label_refused(upon: HttpInteraction) -> Use:
    posts(upon, "/labels", label_asked("par-twice"), "label:par-twice")
    refuses(upon, "duplicate-reference")

    def use(carrier: CarrierClient) -> None:
        outcome = buy(carrier, "par-twice")
        assert isinstance(outcome, Done)
        assert outcome.answer["label_id"] == "LBL-1"

    return use


@CARRIER.expects(
    "a label whose first attempt is in work",
    given="a label is being bought under the same key",
    label_reference="par-hasty",
)
def label_in_flight(upon: HttpInteraction) -> Use:
    posts(upon, "/labels", label_asked("par-hasty"), "label:par-hasty")
    refuses(upon, "request-in-flight")

    def use(carrier: CarrierClient) -> None:
        assert isinstance(buy(carrier, "par-hasty"), Retry)

    return use


@CARRIER.expects("a label with a token that was withdrawn", given="the client's token was withdrawn")
def label_without_access(upon: HttpInteraction) -> Use:
    posts(upon, "/labels", label_asked("par-stranger"), "label:par-stranger")
    refuses(upon, "bad-token")

    def use(carrier: CarrierClient) -> None:
        outcome = buy(carrier, "par-stranger")
        assert isinstance(outcome, Retry)
        assert outcome.error_class is ErrorClass.PLATFORM

    return use


@CARRIER.expects("a label beyond the quota", given="the client's quota is used up")
def label_limited(upon: HttpInteraction) -> Use:
    posts(upon, "/labels", label_asked("par-much"), "label:par-much")
    refuses(upon, "rate-limited", {"Retry-After": seconds("30")})

    def use(carrier: CarrierClient) -> None:
        outcome = buy(carrier, "par-much")
        assert isinstance(outcome, Retry)
        assert outcome.after_us == 30 * SECOND_US

    return use


@CARRIER.expects("a label that waits too long", given="every clerk of the carrier is busy")
def label_overloaded(upon: HttpInteraction) -> Use:
    posts(upon, "/labels", label_asked("par-busy"), "label:par-busy")
    refuses(upon, "overloaded", {"Retry-After": seconds("5")})

    def use(carrier: CarrierClient) -> None:
        outcome = buy(carrier, "par-busy")
        assert isinstance(outcome, Uncertain)
        assert outcome.after_us == 5 * SECOND_US

    return use


@CARRIER.expects("the labels of a parcel that has one", given="a label was bought", label_reference="par-twice")
def labels(upon: HttpInteraction) -> Use:
    asks(upon, "/labels", {"label_reference": "par-twice"})
    answers(upon, 200, {"items": some({**label_told(), "status": one_of("active", ("active", "voided"))})})

    def use(carrier: CarrierClient) -> None:
        outcome = carrier.labels("par-twice", TRACE)
        assert isinstance(outcome, Done)
        assert [one["tracking_number"] for one in outcome.answer["items"]] == ["TRK1"]

    return use


@CARRIER.expects("the labels of a parcel that has none", given=OPEN)
def labels_none(upon: HttpInteraction) -> Use:
    asks(upon, "/labels", {"label_reference": "par-none"})
    answers(upon, 200, {"items": []})

    def use(carrier: CarrierClient) -> None:
        assert carrier.labels("par-none", TRACE) == Done({"items": []})

    return use


VOID = given_path("/labels/{label_id}/void", label_id="LBL-1")


def void(carrier: CarrierClient, label_id: str) -> Outcome:
    return carrier.void(label_id, ORDER, stamp(f"void:{label_id}"))


@CARRIER.expects("a label given back", given="a label was bought", label_reference="par-off")
def void_unused(upon: HttpInteraction) -> Use:
    posts(upon, VOID, order_named(), "void:LBL-1")
    answers(upon, 200, {"label_id": identifier("LBL-1"), "status": "voided"})

    def use(carrier: CarrierClient) -> None:
        assert isinstance(void(carrier, "LBL-1"), Done)

    return use


@CARRIER.expects(
    "the label of a collected parcel given back", given="a parcel was collected", label_reference="par-gone"
)
def void_used(upon: HttpInteraction) -> Use:
    posts(upon, VOID, order_named(), "void:LBL-1")
    refuses(upon, "conflicting-state")
    return lambda carrier: is_refused(void(carrier, "LBL-1"), "conflicting-state")


@CARRIER.expects("a label given back that nobody bought", given=OPEN)
def void_unknown(upon: HttpInteraction) -> Use:
    posts(upon, "/labels/LBL-NONE/void", order_named(), "void:LBL-NONE")
    refuses(upon, "not-found")
    return lambda carrier: is_refused(void(carrier, "LBL-NONE"), "not-found")


@CARRIER.expects("where a scanned parcel is", given="a parcel was scanned", label_reference="par-seen")
def tracking(upon: HttpInteraction) -> Use:
    asks(upon, given_path("/trackings/{tracking_number}", tracking_number="TRK1"))
    scan = {"sequence": whole(1), "status": one_of("picked_up", SCANNED),
            "occurred_at": timestamp("2026-11-27T18:00:00.000000Z")}  # fmt: skip
    told = {"tracking_number": identifier("TRK1"), "status": one_of("picked_up", SCANNED)}
    answers(upon, 200, {**told, "scans": some(scan)})

    def use(carrier: CarrierClient) -> None:
        outcome = carrier.tracking("TRK1", TRACE)
        assert isinstance(outcome, Done)
        assert outcome.answer["scans"][0]["status"] == "picked_up"

    return use


@CARRIER.expects("where a parcel is that was not scanned yet", given="a label was bought", label_reference="par-still")
def tracking_pending(upon: HttpInteraction) -> Use:
    asks(upon, given_path("/trackings/{tracking_number}", tracking_number="TRK1"))
    answers(upon, 200, {"tracking_number": identifier("TRK1"), "status": "pending", "scans": []})

    def use(carrier: CarrierClient) -> None:
        assert carrier.tracking("TRK1", TRACE) == Done({"tracking_number": "TRK1", "status": "pending", "scans": []})

    return use


@CARRIER.expects("where a parcel is that the carrier does not know", given=OPEN)
def tracking_unknown(upon: HttpInteraction) -> Use:
    refuses(asks(upon, "/trackings/TRK-NONE"), "not-found")
    return lambda carrier: is_refused(carrier.tracking("TRK-NONE", TRACE), "not-found")


@CARRIER.expects("a subscription to its events", given=OPEN)
def subscribe(upon: HttpInteraction) -> Use:
    url, types = "http://integration/webhooks/carrier", ["tracking.updated"]
    body = {"url": pattern(url, "^https?://.+$"), "secret": text("secret-of-carrier"), "types": some(types[0])}
    posts(upon, "/subscriptions", body)
    answers(upon, 201, {"subscription_id": identifier("sub-1")})

    def use(carrier: CarrierClient) -> None:
        assert carrier.subscribe(url, "secret-of-carrier", types) == Done({"subscription_id": "sub-1"})

    return use
