"""What the integration expects of a warehouse: the client's calls, each with the answers that it tells apart."""

from collections.abc import Callable
from typing import Any

import pytest
from pact.interaction import HttpInteraction

from integration.messaging.message import Stamp
from integration.messaging.outcomes import Done, ErrorClass, Refused, Retry, Uncertain
from integration.runtime import ReadFailed
from integration.system.node import STOCK_PAGE_ROWS
from integration.system.wms import WmsClient
from tests.contracts.pacts.expectations import Contract
from tests.contracts.pacts.http import RealHttp
from tests.contracts.pacts.inbox import Inbox
from tests.contracts.pacts.words import (
    ADDRESS,
    address,
    answers,
    asks,
    given,
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
    whole,
)

SECOND_US = 1_000_000
WMS = Contract("integration", "wms", lambda url: WmsClient(RealHttp(), url, "good-token", 5 * SECOND_US), inbox=Inbox)
ORDER = {"customer_id": "C-1001", "order_reference": "PO-4711"}
TRACE = "ab" * 16
STATUSES = ("received", "released", "picking", "picked", "short", "packed", "labelled", "shipped", "cancelled")
Use = Callable[[WmsClient], None]


def stamp(key: str) -> Stamp:
    return Stamp(key, TRACE, 1)


def order_named() -> dict[str, Any]:
    return {"customer_id": identifier("C-1001"), "order_reference": reference("PO-4711")}


def release_asked(release_id: str, article: str = "85123A") -> dict[str, Any]:
    line = {"line_no": whole(1), "sku": sku(article), "quantity": whole(6)}
    return {
        "release_id": identifier(release_id),
        **order_named(),
        "service": one_of("standard", ("standard", "express")),
        "ship_to": address(),
        "lines": some(line),
    }


def release_sent(release_id: str, article: str = "85123A") -> dict[str, Any]:
    return {
        "release_id": release_id,
        **ORDER,
        "service": "standard",
        "ship_to": ADDRESS,
        "lines": [{"line_no": 1, "sku": article, "quantity": 6}],
    }


def release_told(release_id: str, status: str) -> dict[str, Any]:
    """A release as far as the integration reads it: its id, and of its lines what was cancelled."""
    return {
        "release_id": release_id,
        "status": one_of(status, STATUSES),
        "lines": some({"line_no": whole(1), "cancelled": whole(0)}),
    }


def is_release(outcome: object, release_id: str) -> bool:
    return isinstance(outcome, Done) and outcome.answer["release_id"] == release_id and bool(outcome.answer["lines"])


@WMS.expects("the release of an order that is new", given="the warehouse stocks 85123A")
def release_new(upon: HttpInteraction) -> Use:
    posts(upon, "/releases", release_asked("ful-new"), "release:ful-new")
    answers(upon, 201, release_told("ful-new", "received"))

    def use(wms: WmsClient) -> None:
        assert is_release(wms.release(release_sent("ful-new"), stamp("release:ful-new")), "ful-new")

    return use


@WMS.expects("the release of an order a second time", given="a release was received", release_id="ful-again")
def release_again(upon: HttpInteraction) -> Use:
    posts(upon, "/releases", release_asked("ful-again"), "release:ful-again")
    answers(upon, 200, release_told("ful-again", "received"))

    def use(wms: WmsClient) -> None:
        assert is_release(wms.release(release_sent("ful-again"), stamp("release:ful-again")), "ful-again")

    return use


@WMS.expects(
    "the release of an order a second time, which is refused",
    given="a release was received by a warehouse that refuses a second one",
    along=("a read of the release that stands",),
    release_id="ful-twice",
)
def release_refused(upon: HttpInteraction) -> Use:
    posts(upon, "/releases", release_asked("ful-twice"), "release:ful-twice.2")
    refuses(upon, "duplicate-reference", existing_id="ful-twice")

    def use(wms: WmsClient) -> None:
        assert is_release(wms.release(release_sent("ful-twice"), stamp("release:ful-twice.2")), "ful-twice")

    return use


@WMS.expects("a read of the release that stands", given="a release was received", release_id="ful-twice")
def read_standing(upon: HttpInteraction) -> Use:
    answers(asks(upon, "/releases/ful-twice"), 200, release_told("ful-twice", "received"))

    def use(wms: WmsClient) -> None:
        assert is_release(wms.read_release("ful-twice", TRACE), "ful-twice")

    return use


@WMS.expects(
    "the release of an order whose first attempt is in work",
    given="a release is being taken in under the same key",
    release_id="ful-hasty",
)
def release_in_flight(upon: HttpInteraction) -> Use:
    posts(upon, "/releases", release_asked("ful-hasty"), "release:ful-hasty")
    refuses(upon, "request-in-flight")

    def use(wms: WmsClient) -> None:
        assert isinstance(wms.release(release_sent("ful-hasty"), stamp("release:ful-hasty")), Retry)

    return use


@WMS.expects("the release of an article that is not stocked", given="the warehouse stocks 85123A")
def release_unknown_sku(upon: HttpInteraction) -> Use:
    posts(upon, "/releases", release_asked("ful-odd", "NO-SUCH-SKU"), "release:ful-odd")
    refuses(upon, "unknown-sku")

    def use(wms: WmsClient) -> None:
        outcome = wms.release(release_sent("ful-odd", "NO-SUCH-SKU"), stamp("release:ful-odd"))
        assert isinstance(outcome, Refused)
        assert (outcome.problem, outcome.error_class) == ("unknown-sku", ErrorClass.DATA)

    return use


@WMS.expects("a release with a token that was withdrawn", given="the client's token was withdrawn")
def release_without_access(upon: HttpInteraction) -> Use:
    posts(upon, "/releases", release_asked("ful-stranger"), "release:ful-stranger")
    refuses(upon, "bad-token")

    def use(wms: WmsClient) -> None:
        outcome = wms.release(release_sent("ful-stranger"), stamp("release:ful-stranger"))
        assert isinstance(outcome, Retry)
        assert outcome.error_class is ErrorClass.PLATFORM

    return use


@WMS.expects("a release beyond the quota", given="the client's quota is used up")
def release_limited(upon: HttpInteraction) -> Use:
    posts(upon, "/releases", release_asked("ful-much"), "release:ful-much")
    refuses(upon, "rate-limited", {"Retry-After": seconds("30")})

    def use(wms: WmsClient) -> None:
        outcome = wms.release(release_sent("ful-much"), stamp("release:ful-much"))
        assert isinstance(outcome, Retry)
        assert outcome.after_us == 30 * SECOND_US

    return use


@WMS.expects("a release that is turned away", given="the warehouse is overloaded")
def release_overloaded(upon: HttpInteraction) -> Use:
    posts(upon, "/releases", release_asked("ful-busy"), "release:ful-busy")
    refuses(upon, "overloaded")

    def use(wms: WmsClient) -> None:
        assert isinstance(wms.release(release_sent("ful-busy"), stamp("release:ful-busy")), Uncertain)

    return use


@WMS.expects("a read of a release", given="a release was received", release_id="ful-known")
def read_release(upon: HttpInteraction) -> Use:
    answers(asks(upon, "/releases/ful-known"), 200, release_told("ful-known", "received"))

    def use(wms: WmsClient) -> None:
        assert is_release(wms.read_release("ful-known", TRACE), "ful-known")

    return use


@WMS.expects("a read of a release that nobody posted", given="the warehouse stocks 85123A")
def read_unknown(upon: HttpInteraction) -> Use:
    refuses(asks(upon, "/releases/ful-none"), "not-found")

    def use(wms: WmsClient) -> None:
        outcome = wms.read_release("ful-none", TRACE)
        assert isinstance(outcome, Refused)
        assert outcome.problem == "not-found"

    return use


def cancel_asked(quantity: int = 6) -> dict[str, Any]:
    lines = some({"line_no": whole(1), "quantity": whole(quantity)})
    return {**order_named(), "reason": text("customer"), "lines": lines}


def cancel_sent(quantity: int = 6) -> dict[str, Any]:
    return {**ORDER, "reason": "customer", "lines": [{"line_no": 1, "quantity": quantity}]}


def refused_cancel(wms: WmsClient, release_id: str, problem: str, quantity: int = 6) -> None:
    outcome = wms.cancel_release(release_id, cancel_sent(quantity), stamp(f"cancel:{release_id}"))
    assert isinstance(outcome, Refused)
    assert outcome.problem == problem


@WMS.expects("the cancellation of a release", given="a release was received", release_id="ful-off")
def cancel(upon: HttpInteraction) -> Use:
    posts(upon, "/releases/ful-off/cancel", cancel_asked(), "cancel:ful-off")
    told = release_told("ful-off", "cancelled") | {"lines": some({"line_no": whole(1), "cancelled": 6})}
    answers(upon, 200, told)

    def use(wms: WmsClient) -> None:
        outcome = wms.cancel_release("ful-off", cancel_sent(), stamp("cancel:ful-off"))
        assert isinstance(outcome, Done)
        assert outcome.answer["lines"][0]["cancelled"] == 6

    return use


@WMS.expects(
    "the cancellation of a release that is in work",
    given="a release is being picked or further on",
    release_id="ful-late",
)
def cancel_too_late(upon: HttpInteraction) -> Use:
    posts(upon, "/releases/ful-late/cancel", cancel_asked(), "cancel:ful-late")
    refuses(upon, "too-late-to-cancel")
    return lambda wms: refused_cancel(wms, "ful-late", "too-late-to-cancel")


@WMS.expects("the cancellation of a release that nobody posted", given="the warehouse stocks 85123A")
def cancel_unknown(upon: HttpInteraction) -> Use:
    posts(upon, "/releases/ful-none/cancel", cancel_asked(), "cancel:ful-none")
    refuses(upon, "not-found")
    return lambda wms: refused_cancel(wms, "ful-none", "not-found")


@WMS.expects("the cancellation of more than was released", given="a release was received", release_id="ful-six")
def cancel_too_much(upon: HttpInteraction) -> Use:
    posts(upon, "/releases/ful-six/cancel", cancel_asked(7), "cancel:ful-six")
    refuses(upon, "quantity-exceeded")
    return lambda wms: refused_cancel(wms, "ful-six", "quantity-exceeded", 7)


def labels_asked(parcel: Any) -> dict[str, Any]:
    return {**order_named(), "parcels": some({"parcel_id": parcel, "tracking_number": identifier("TRK1")})}


def attached(wms: WmsClient, release_id: str, parcel_id: str = "par-1") -> object:
    body = {**ORDER, "parcels": [{"parcel_id": parcel_id, "tracking_number": "TRK1"}]}
    return wms.attach_labels(release_id, body, stamp(f"labels:{release_id}"))


@WMS.expects(
    "labels for a packed release", given="a release is packed and waits for its label", release_id="ful-packed"
)
def labels(upon: HttpInteraction) -> Use:
    posts(upon, "/releases/ful-packed/labels", labels_asked(given("parcel_id", "par-1")), "labels:ful-packed")
    answers(upon, 200, release_told("ful-packed", "labelled"))

    def use(wms: WmsClient) -> None:
        assert is_release(attached(wms, "ful-packed"), "ful-packed")

    return use


def refused_labels(problem: str, release_id: str) -> Use:
    def use(wms: WmsClient) -> None:
        outcome = attached(wms, release_id)
        assert isinstance(outcome, Refused)
        assert outcome.problem == problem

    return use


@WMS.expects(
    "labels for a parcel that was never packed",
    given="a release is packed and waits for its label",
    release_id="ful-other",
)
def labels_unknown_parcel(upon: HttpInteraction) -> Use:
    posts(upon, "/releases/ful-other/labels", labels_asked(identifier("par-none")), "labels:ful-other")
    refuses(upon, "unknown-parcel")
    return refused_labels("unknown-parcel", "ful-other")


@WMS.expects("labels for a release that is not packed", given="a release was received", release_id="ful-early")
def labels_too_early(upon: HttpInteraction) -> Use:
    posts(upon, "/releases/ful-early/labels", labels_asked(identifier("par-1")), "labels:ful-early")
    refuses(upon, "conflicting-state")
    return refused_labels("conflicting-state", "ful-early")


@WMS.expects("labels for a release that nobody posted", given="the warehouse stocks 85123A")
def labels_unknown(upon: HttpInteraction) -> Use:
    posts(upon, "/releases/ful-none/labels", labels_asked(identifier("par-1")), "labels:ful-none")
    refuses(upon, "not-found")
    return refused_labels("not-found", "ful-none")


@WMS.expects("the whole stock", given="the warehouse stocks 85123A")
def stock(upon: HttpInteraction) -> Use:
    asks(upon, "/stock", {"page": "1", "page_size": str(STOCK_PAGE_ROWS)})
    item = {"sku": sku("85123A"), "on_hand": whole(120), "held": whole(0)}
    answers(upon, 200, {"as_of_sequence": whole(17), "items": some(item), "next_page": None})

    def use(wms: WmsClient) -> None:
        levels = wms.stock()
        assert levels.as_of_sequence == 17
        assert levels.items == [{"sku": "85123A", "on_hand": 120, "held": 0}]

    return use


@WMS.expects("the stock beyond the quota", given="the client's quota is used up")
def stock_limited(upon: HttpInteraction) -> Use:
    asks(upon, "/stock", {"page": "1", "page_size": str(STOCK_PAGE_ROWS)})
    refuses(upon, "rate-limited", {"Retry-After": seconds("30")})

    def use(wms: WmsClient) -> None:
        with pytest.raises(ReadFailed) as failure:
            wms.stock()
        assert failure.value.after_us == 30 * SECOND_US

    return use


@WMS.expects("a subscription to its events", given="the warehouse stocks 85123A")
def subscribe(upon: HttpInteraction) -> Use:
    url, types = "http://integration/webhooks/wms-east", ["release.picked", "inventory.changed"]
    body = {"url": pattern(url, "^https?://.+$"), "secret": text("secret-of-east"), "types": some(types[0])}
    posts(upon, "/subscriptions", body)
    answers(upon, 201, {"subscription_id": identifier("sub-1")})

    def use(wms: WmsClient) -> None:
        assert wms.subscribe(url, "secret-of-east", types) == Done({"subscription_id": "sub-1"})

    return use
