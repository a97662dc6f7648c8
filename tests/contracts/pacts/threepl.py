"""What the integration expects of a 3PL: the client's calls, each with the answers that it tells apart."""

from collections.abc import Callable
from typing import Any

import pytest
from pact.interaction import HttpInteraction

from integration.messaging.message import Stamp
from integration.messaging.outcomes import Done, ErrorClass, Outcome, Refused, Retry, Uncertain
from integration.runtime import ReadFailed
from integration.system.node import STOCK_PAGE_ROWS
from integration.system.threepl import ThreePlClient
from tests.contracts.pacts.expectations import Contract
from tests.contracts.pacts.http import RealHttp
from tests.contracts.pacts.words import (
    ADDRESS,
    Matcher,
    address,
    answers,
    asks,
    identifier,
    one_of,
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
THREEPL = Contract("integration", "threepl", lambda url: ThreePlClient(RealHttp(), url, "good-token", 5 * SECOND_US))
ORDER = {"customer_id": "C-1001", "order_reference": "PO-4711"}
STATUSES = ("submitted", "accepted", "rejected", "processing", "shipped", "cancelled")
STOCKED = "the 3PL stocks 85123A"
Use = Callable[[ThreePlClient], None]


def stamp(key: str) -> Stamp:
    return Stamp(key, TRACE, 1)


def order_named() -> dict[str, Any]:
    return {"customer_id": identifier("C-1001"), "order_reference": reference("PO-4711")}


def asked(name: str, article: str = "85123A") -> dict[str, Any]:
    line = {"line_no": whole(1), "sku": sku(article), "quantity": whole(6)}
    return {"reference": identifier(name), **order_named(), "ship_to": address(), "lines": some(line)}


def sent(name: str, article: str = "85123A") -> dict[str, Any]:
    lines = [{"line_no": 1, "sku": article, "quantity": 6}]
    return {"reference": name, **ORDER, "ship_to": ADDRESS, "lines": lines}


def fulfill(threepl: ThreePlClient, name: str, article: str = "85123A") -> Outcome:
    return threepl.fulfill(sent(name, article), stamp(f"release:{name}"))


def told(name: str, status: str | Matcher) -> dict[str, Any]:
    """A fulfillment order as far as every reader needs it."""
    return {"reference": name, "status": status}


def any_status(example: str) -> Matcher:
    return one_of(example, STATUSES)


def is_order(outcome: Outcome, name: str, status: str) -> None:
    assert isinstance(outcome, Done)
    assert (outcome.answer["reference"], outcome.answer["status"]) == (name, status)


def is_refused(outcome: Outcome, problem: str) -> None:
    assert isinstance(outcome, Refused)
    assert outcome.problem == problem


@THREEPL.expects("a fulfillment order that is new", given=STOCKED)
def submit(upon: HttpInteraction) -> Use:
    posts(upon, "/fulfillment-orders", asked("ful-new"), "release:ful-new")
    answers(upon, 202, told("ful-new", any_status("submitted")))
    return lambda threepl: is_order(fulfill(threepl, "ful-new"), "ful-new", "submitted")


@THREEPL.expects("a fulfillment order a second time", given="a fulfillment order was submitted", reference="ful-again")
def submit_again(upon: HttpInteraction) -> Use:
    posts(upon, "/fulfillment-orders", asked("ful-again"), "release:ful-again")
    answers(upon, 200, told("ful-again", any_status("submitted")))
    return lambda threepl: is_order(fulfill(threepl, "ful-again"), "ful-again", "submitted")


@THREEPL.expects(
    "a fulfillment order a second time, which is refused",
    given="a fulfillment order was submitted to a 3PL that refuses a second one",
    along=("a read of the fulfillment order that stands",),
    reference="ful-twice",
)
def submit_refused(upon: HttpInteraction) -> Use:
    posts(upon, "/fulfillment-orders", asked("ful-twice"), "release:ful-twice")
    refuses(upon, "duplicate-reference")
    return lambda threepl: is_order(fulfill(threepl, "ful-twice"), "ful-twice", "submitted")


@THREEPL.expects(
    "a read of the fulfillment order that stands", given="a fulfillment order was submitted", reference="ful-twice"
)
def read_standing(upon: HttpInteraction) -> Use:
    asks(upon, "/fulfillment-orders/ful-twice")
    answers(upon, 200, told("ful-twice", any_status("submitted")))
    return lambda threepl: is_order(threepl.read("ful-twice", TRACE), "ful-twice", "submitted")


@THREEPL.expects(
    "a fulfillment order whose first attempt is in work",
    given="a fulfillment order is being taken in under the same key",
    reference="ful-hasty",
)
def submit_in_flight(upon: HttpInteraction) -> Use:
    posts(upon, "/fulfillment-orders", asked("ful-hasty"), "release:ful-hasty")
    refuses(upon, "request-in-flight")

    def use(threepl: ThreePlClient) -> None:
        assert isinstance(fulfill(threepl, "ful-hasty"), Retry)

    return use


@THREEPL.expects("a fulfillment order for an article that is not stocked", given=STOCKED)
def submit_unknown_sku(upon: HttpInteraction) -> Use:
    posts(upon, "/fulfillment-orders", asked("ful-odd", "NO-SUCH-SKU"), "release:ful-odd")
    refuses(upon, "unknown-sku")
    return lambda threepl: is_refused(fulfill(threepl, "ful-odd", "NO-SUCH-SKU"), "unknown-sku")


@THREEPL.expects("a fulfillment order with a token that was withdrawn", given="the client's token was withdrawn")
def submit_without_access(upon: HttpInteraction) -> Use:
    posts(upon, "/fulfillment-orders", asked("ful-stranger"), "release:ful-stranger")
    refuses(upon, "bad-token")

    def use(threepl: ThreePlClient) -> None:
        outcome = fulfill(threepl, "ful-stranger")
        assert isinstance(outcome, Retry)
        assert outcome.error_class is ErrorClass.PLATFORM

    return use


@THREEPL.expects("a fulfillment order beyond the quota", given="the client's quota is used up")
def submit_limited(upon: HttpInteraction) -> Use:
    posts(upon, "/fulfillment-orders", asked("ful-much"), "release:ful-much")
    refuses(upon, "rate-limited", {"Retry-After": seconds("30")})

    def use(threepl: ThreePlClient) -> None:
        outcome = fulfill(threepl, "ful-much")
        assert isinstance(outcome, Retry)
        assert outcome.after_us == 30 * SECOND_US

    return use


@THREEPL.expects("a fulfillment order that is turned away", given="the 3PL is overloaded")
def submit_overloaded(upon: HttpInteraction) -> Use:
    posts(upon, "/fulfillment-orders", asked("ful-busy"), "release:ful-busy")
    refuses(upon, "overloaded")

    def use(threepl: ThreePlClient) -> None:
        assert isinstance(fulfill(threepl, "ful-busy"), Uncertain)

    return use


@THREEPL.expects("a read of a fulfillment order that nobody submitted", given=STOCKED)
def read_unknown(upon: HttpInteraction) -> Use:
    refuses(asks(upon, "/fulfillment-orders/ful-none"), "not-found")
    return lambda threepl: is_refused(threepl.read("ful-none", TRACE), "not-found")


def cancel_asked() -> dict[str, Any]:
    return {**order_named(), "reason": text("customer")}


def cancel(threepl: ThreePlClient, name: str) -> Outcome:
    return threepl.cancel(name, {**ORDER, "reason": "customer"}, stamp(f"cancel:{name}"))


@THREEPL.expects(
    "the cancellation of a fulfillment order", given="a fulfillment order was submitted", reference="ful-off"
)
def cancel_early(upon: HttpInteraction) -> Use:
    posts(upon, "/fulfillment-orders/ful-off/cancel", cancel_asked(), "cancel:ful-off")
    answers(upon, 200, {**told("ful-off", "cancelled"), "lines": some({"line_no": whole(1), "cancelled": whole(6)})})
    return lambda threepl: is_order(cancel(threepl, "ful-off"), "ful-off", "cancelled")


@THREEPL.expects(
    "the cancellation of a fulfillment order that is in work",
    given="a fulfillment order is in work",
    reference="ful-late",
)
def cancel_too_late(upon: HttpInteraction) -> Use:
    posts(upon, "/fulfillment-orders/ful-late/cancel", cancel_asked(), "cancel:ful-late")
    refuses(upon, "too-late-to-cancel")
    return lambda threepl: is_refused(cancel(threepl, "ful-late"), "too-late-to-cancel")


@THREEPL.expects("the cancellation of a fulfillment order that nobody submitted", given=STOCKED)
def cancel_unknown(upon: HttpInteraction) -> Use:
    posts(upon, "/fulfillment-orders/ful-none/cancel", cancel_asked(), "cancel:ful-none")
    refuses(upon, "not-found")
    return lambda threepl: is_refused(cancel(threepl, "ful-none"), "not-found")


def changed(name: str, status: str, shipments: Any, reason: Any) -> dict[str, Any]:
    """A fulfillment order as the poll reads it."""
    line = {"line_no": whole(1), "sku": sku("85123A"), "cancelled": whole(0), "shipped": whole(6), "short": whole(0)}
    return {
        **told(name, status),
        "change": whole(3),
        "lines": some(line),
        "shipments": shipments,
        "reason": reason,
    }


def shipment() -> dict[str, Any]:
    return {
        "shipment_id": identifier("ful-gone.S"),
        "tracking_number": identifier("3P0123"),
        "shipped_at": timestamp("2026-11-27T15:00:00.000000Z"),
        "stock_sequence": whole(18),
        "lines": some({"line_no": whole(1), "sku": sku("85123A"), "quantity": whole(6)}),
    }


def poll(threepl: ThreePlClient) -> Any:
    outcome = threepl.changes(0)
    assert isinstance(outcome, Done)
    return outcome.answer


@THREEPL.expects(
    "what changed, a shipped order among it", given="a fulfillment order was shipped", reference="ful-gone"
)
def changes_shipped(upon: HttpInteraction) -> Use:
    asks(upon, "/fulfillment-orders", {"changed_since": "0", "limit": "200"})
    items = some(changed("ful-gone", "shipped", some(shipment()), None))
    answers(upon, 200, {"items": items, "latest_change": whole(3)})

    def use(threepl: ThreePlClient) -> None:
        assert poll(threepl)["items"][0]["shipments"][0]["tracking_number"] == "3P0123"

    return use


@THREEPL.expects(
    "what changed, a rejected order among it", given="a fulfillment order was rejected", reference="ful-no"
)
def changes_rejected(upon: HttpInteraction) -> Use:
    asks(upon, "/fulfillment-orders", {"changed_since": "0", "limit": "200"})
    items = some(changed("ful-no", "rejected", [], text("refused by the provider")))
    answers(upon, 200, {"items": items, "latest_change": whole(3)})

    def use(threepl: ThreePlClient) -> None:
        assert poll(threepl)["items"][0]["reason"] == "refused by the provider"

    return use


@THREEPL.expects("what changed where nothing did", given=STOCKED)
def changes_none(upon: HttpInteraction) -> Use:
    asks(upon, "/fulfillment-orders", {"changed_since": "0", "limit": "200"})
    answers(upon, 200, {"items": [], "latest_change": whole(0)})

    def use(threepl: ThreePlClient) -> None:
        assert poll(threepl) == {"items": [], "latest_change": 0}

    return use


@THREEPL.expects("the whole stock", given=STOCKED)
def stock(upon: HttpInteraction) -> Use:
    asks(upon, "/stock", {"page": "1", "page_size": str(STOCK_PAGE_ROWS)})
    item = {"sku": sku("85123A"), "on_hand": whole(120), "held": whole(0)}
    answers(upon, 200, {"as_of_sequence": whole(17), "items": some(item), "next_page": None})

    def use(threepl: ThreePlClient) -> None:
        assert threepl.stock().items == [{"sku": "85123A", "on_hand": 120, "held": 0}]

    return use


@THREEPL.expects("the stock beyond the quota", given="the client's quota is used up")
def stock_limited(upon: HttpInteraction) -> Use:
    asks(upon, "/stock", {"page": "1", "page_size": str(STOCK_PAGE_ROWS)})
    refuses(upon, "rate-limited", {"Retry-After": seconds("30")})

    def use(threepl: ThreePlClient) -> None:
        with pytest.raises(ReadFailed) as failure:
            threepl.stock()
        assert failure.value.after_us == 30 * SECOND_US

    return use
