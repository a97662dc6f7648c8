"""What a storefront and a customer portal expect of the order API."""

from collections.abc import Callable
from typing import Any

import pytest
from pact.interaction import HttpInteraction

from tests.contracts.pacts.clients import LoginExpired, OrderRefused, Placed, Portal, Storefront, TryLater
from tests.contracts.pacts.expectations import Contract
from tests.contracts.pacts.subscribers import Pages, Shelves
from tests.contracts.pacts.words import (
    ADDRESS,
    address,
    answers,
    asks,
    authorized,
    currency,
    given,
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
    spelled,
    text,
    whole,
)

STOREFRONT = Contract("storefront", "integration", Storefront, inbox=lambda _directory: Shelves())
PORTAL = Contract("customer-portal", "integration", Portal, inbox=lambda _directory: Pages())
IN_STOCK = "85123A is available"
STATUSES = ("accepted", "on_hold", "booked", "released", "partially_shipped", "shipped", "invoiced", "cancelled",
            "closed")  # fmt: skip
NODE = r"(wms-east|wms-west|threepl)"
Sell = Callable[[Storefront], None]
Show = Callable[[Portal], None]


def order(order_reference: str, article: str = "85123A", quantity: int = 6, **changes: Any) -> dict[str, Any]:
    """What a storefront sends. It is meant as it is: the answer depends on every word of it."""
    line = {"line_no": 1, "sku": article, "quantity": quantity, "unit": changes.pop("unit", "EA")}
    if "unit_price_minor" in changes:
        line["unit_price_minor"] = changes.pop("unit_price_minor")
    return {
        "customer_id": "C-1001",
        "order_reference": order_reference,
        "currency": "GBP",
        "fill_policy": "fill_available",
        "service": "standard",
        "ship_to": ADDRESS,
        "lines": [line],
        **changes,
    }


def order_asked(order_reference: str, article: str = "85123A", quantity: int = 6, **changes: Any) -> dict[str, Any]:
    sent = order(order_reference, article, quantity, **changes)
    (line,) = sent["lines"]
    meant = {**line, "line_no": whole(1), "sku": sku(article), "quantity": whole(quantity)}
    return {
        **sent,
        "customer_id": identifier(sent["customer_id"]),
        "order_reference": reference(order_reference),
        "currency": currency(sent["currency"]),
        "service": one_of("standard", ("standard", "express")),
        "ship_to": address(),
        "lines": some(meant),
    }


def order_told(confirmed: Any, backordered: Any) -> dict[str, Any]:
    return {
        "order_id": identifier("ord-1"),
        "total_minor": whole(1836),
        "currency": currency("GBP"),
        "lines": some({"confirmed": confirmed, "backordered": backordered}),
    }


LOCATION = {"Location": spelled("/orders/ord-1", "^/orders/[^/]+$")}
REPLAYED = {"Idempotent-Replayed": "true"}


@STOREFRONT.expects("what can be promised of two articles", given=IN_STOCK)
def availability(upon: HttpInteraction) -> Sell:
    asks(upon, "/availability", {"sku": "85123A"}).with_query_parameter("sku", "NO-SUCH-SKU")
    known = {"sku": "85123A", "available": whole(120)}
    answers(upon, 200, {"items": [known, {"sku": "NO-SUCH-SKU", "available": 0}]})

    def sell(shop: Storefront) -> None:
        assert shop.available("85123A", "NO-SUCH-SKU") == {"85123A": 120, "NO-SUCH-SKU": 0}

    return sell


@STOREFRONT.expects("an order that can be filled", given=IN_STOCK)
def place(upon: HttpInteraction) -> Sell:
    posts(upon, "/orders", order_asked("PO-NEW"), "cart-1")
    answers(upon, 201, order_told(6, 0), LOCATION)

    def sell(shop: Storefront) -> None:
        assert shop.place(order("PO-NEW"), "cart-1") == Placed("ord-1", "18.36 GBP", 6, 0, again=False)

    return sell


@STOREFRONT.expects("an order by the case", given=IN_STOCK)
def place_case(upon: HttpInteraction) -> Sell:
    posts(upon, "/orders", order_asked("PO-CASE", quantity=1, unit="CS"), "cart-2")
    answers(upon, 201, order_told(6, 0), LOCATION)

    def sell(shop: Storefront) -> None:
        assert shop.place(order("PO-CASE", quantity=1, unit="CS"), "cart-2").confirmed == 6

    return sell


@STOREFRONT.expects("an order for more than there is", given="20725 is scarce")
def place_backordered(upon: HttpInteraction) -> Sell:
    posts(upon, "/orders", order_asked("PO-MUCH", "20725", 1000), "cart-3")
    answers(upon, 201, order_told(whole(9), whole(991)), LOCATION)

    def sell(shop: Storefront) -> None:
        placed = shop.place(order("PO-MUCH", "20725", 1000), "cart-3")
        assert (placed.confirmed, placed.backordered) == (9, 991)

    return sell


@STOREFRONT.expects(
    "the same order under the same key", given="an order was placed under a key", order_reference="PO-ONE", key="cart-4"
)
def place_again(upon: HttpInteraction) -> Sell:
    upon.with_request("POST", "/orders").with_header("Idempotency-Key", "cart-4")
    upon.with_header("Authorization", spelled("Bearer good-token", r"^Bearer \S+$", "Bearer ${token}"))
    upon.with_body(order("PO-ONE"), "application/json")
    answers(upon, 201, order_told(6, 0), {**LOCATION, **REPLAYED})

    def sell(shop: Storefront) -> None:
        assert shop.place(order("PO-ONE"), "cart-4").again

    return sell


@STOREFRONT.expects(
    "another order under a key that is used",
    given="an order was placed under a key",
    order_reference="PO-FIRST",
    key="cart-5",
)
def place_reused_key(upon: HttpInteraction) -> Sell:
    posts(upon, "/orders", order_asked("PO-SECOND"), "cart-5")
    refuses(upon, "idempotency-key-reused")
    return refused(order("PO-SECOND"), "cart-5", "idempotency-key-reused")


@STOREFRONT.expects(
    "an order whose first attempt is in work",
    given="an order is being placed under a key",
    order_reference="PO-HASTY",
    key="cart-6",
)
def place_in_flight(upon: HttpInteraction) -> Sell:
    posts(upon, "/orders", order_asked("PO-HASTY"), "cart-6")
    refuses(upon, "request-in-flight")

    def sell(shop: Storefront) -> None:
        with pytest.raises(TryLater, match="request-in-flight"):
            shop.place(order("PO-HASTY"), "cart-6")

    return sell


@STOREFRONT.expects("an order under a reference that is used", given="an order was placed", order_reference="PO-USED")
def place_used_reference(upon: HttpInteraction) -> Sell:
    posts(upon, "/orders", order_asked("PO-USED", quantity=7), "cart-7")
    refuses(upon, "order-reference-used", LOCATION, existing_order_id=identifier("ord-1"))
    return refused(order("PO-USED", quantity=7), "cart-7", "order-reference-used", existing_order_id="ord-1")


@STOREFRONT.expects("an order to be filled wholly or not at all", given="20725 is scarce")
def place_fill_or_kill(upon: HttpInteraction) -> Sell:
    posts(upon, "/orders", order_asked("PO-ALL", "20725", 1000, fill_policy="fill_or_kill"), "cart-8")
    short = {"line_no": whole(1), "sku": sku("20725"), "requested": whole(1000), "available": whole(9)}
    refuses(upon, "out-of-stock", lines=some(short))
    lines = [{"line_no": 1, "sku": "20725", "requested": 1000, "available": 9}]
    return refused(order("PO-ALL", "20725", 1000, fill_policy="fill_or_kill"), "cart-8", "out-of-stock", lines=lines)


def refused(body: dict[str, Any], key: str, why: str, **members: Any) -> Sell:
    def sell(shop: Storefront) -> None:
        with pytest.raises(OrderRefused) as refusal:
            shop.place(body, key)
        assert refusal.value.why == why
        assert {name: refusal.value.problem[name] for name in members} == members

    return sell


BAD_ORDERS: tuple[tuple[str, str, str, str, dict[str, Any]], ...] = (
    ("an order of an article that is not sold", IN_STOCK, "unknown-sku", "NO-SUCH-SKU", {}),
    ("an order in a unit that the article has not", IN_STOCK, "unknown-unit", "84879", {"unit": "CS"}),
    ("an order at a price that is not the customer's", IN_STOCK, "price-mismatch", "85123A", {"unit_price_minor": 1}),
    ("an order in another currency", IN_STOCK, "currency-mismatch", "85123A", {"currency": "EUR"}),
    ("an order beyond the customer's credit", IN_STOCK, "credit-exceeded", "22423", {"quantity": 1_000_000}),
    ("an order of a customer who is not known", IN_STOCK, "unknown-customer", "85123A", {"customer_id": "C-0000"}),
    (
        "an order of a blocked customer",
        "customer C-1009 is blocked",
        "customer-blocked",
        "85123A",
        {"customer_id": "C-1009"},
    ),
)


def bad_order(number: int, why: str, article: str, changes: dict[str, Any]) -> Callable[[HttpInteraction], Sell]:
    def declare(upon: HttpInteraction) -> Sell:
        posts(upon, "/orders", order_asked(f"PO-BAD-{number}", article, **changes), f"bad-cart-{number}")
        refuses(upon, why)
        return refused(order(f"PO-BAD-{number}", article, **changes), f"bad-cart-{number}", why)

    return declare


for number, (description, state, why, article, changes) in enumerate(BAD_ORDERS, 1):
    STOREFRONT.expects(description, given=state)(bad_order(number, why, article, changes))


@STOREFRONT.expects("an order while reference data are old", given="reference data are too old to decide on")
def place_on_old_data(upon: HttpInteraction) -> Sell:
    posts(upon, "/orders", order_asked("PO-WAIT"), "cart-9")
    refuses(upon, "stale-reference-data", {"Retry-After": seconds("60")})

    def sell(shop: Storefront) -> None:
        with pytest.raises(TryLater) as later:
            shop.place(order("PO-WAIT"), "cart-9")
        assert (later.value.why, later.value.after_s) == ("stale-reference-data", 60)

    return sell


@STOREFRONT.expects("an order beyond the quota", given="the channel's quota is used up")
def place_limited(upon: HttpInteraction) -> Sell:
    posts(upon, "/orders", order_asked("PO-FAST"), "cart-10")
    refuses(upon, "rate-limited", {"Retry-After": seconds("1")})

    def sell(shop: Storefront) -> None:
        with pytest.raises(TryLater) as later:
            shop.place(order("PO-FAST"), "cart-10")
        assert later.value.after_s == 1

    return sell


@STOREFRONT.expects("an order with a token that was withdrawn", given="the client's token was withdrawn")
def place_without_access(upon: HttpInteraction) -> Sell:
    posts(upon, "/orders", order_asked("PO-WHO"), "cart-11")
    refuses(upon, "bad-token")

    def sell(shop: Storefront) -> None:
        with pytest.raises(LoginExpired):
            shop.place(order("PO-WHO"), "cart-11")

    return sell


EVENTS_URL = "http://storefront/events"
EVENT_SECRET = "whsec_c2VjcmV0LW9mLXRoZS1zdWJzY3JpYmVyLTEyMzQ1Njc="
TYPES = ("order.accepted", "availability.changed")


def subscription_asked() -> dict[str, Any]:
    return {
        "url": pattern(EVENTS_URL, "^https?://[!-~]+$"),
        "types": some(one_of("order.accepted", TYPES)),
    }


def secret_told() -> Any:
    return pattern(EVENT_SECRET, "^whsec_[A-Za-z0-9+/]+=*$")


@STOREFRONT.expects("a subscription to events", given="events are kept")
def subscribe(upon: HttpInteraction) -> Sell:
    posts(upon, "/subscriptions", subscription_asked(), "sub-key-1")
    answers(upon, 201, {"subscription_id": identifier("sub-1"), "status": "active", "secret": secret_told()})

    def sell(shop: Storefront) -> None:
        assert shop.subscribe(EVENTS_URL, "sub-key-1", "order.accepted") == ("sub-1", EVENT_SECRET)

    return sell


@STOREFRONT.expects("a new secret for a subscription", given="the channel has a subscription", url=EVENTS_URL)
def renew_secret(upon: HttpInteraction) -> Sell:
    posts(upon, "/subscriptions", {**subscription_asked(), "new_secret": True}, "sub-key-3")
    answers(upon, 201, {"status": "active", "secret": secret_told()})

    def sell(shop: Storefront) -> None:
        assert shop.renew_secret(EVENTS_URL, "sub-key-3", "order.accepted") == EVENT_SECRET

    return sell


@STOREFRONT.expects("a subscription to events that nobody keeps", given="no events are kept")
def subscribe_in_vain(upon: HttpInteraction) -> Sell:
    posts(upon, "/subscriptions", subscription_asked(), "sub-key-2")
    refuses(upon, "conflicting-state")

    def sell(shop: Storefront) -> None:
        with pytest.raises(OrderRefused, match="conflicting-state"):
            shop.subscribe(EVENTS_URL, "sub-key-2", "order.accepted")

    return sell


@STOREFRONT.expects("the channel's subscriptions", given="the channel has a subscription", url=EVENTS_URL)
def subscriptions(upon: HttpInteraction) -> Sell:
    item = {
        "subscription_id": identifier("sub-1"),
        "url": EVENTS_URL,
        "status": one_of("active", ("active", "gone", "given_up")),
    }
    answers(asks(upon, "/subscriptions"), 200, {"items": [item]})

    def sell(shop: Storefront) -> None:
        assert shop.subscriptions() == {EVENTS_URL: ("sub-1", "active")}

    return sell


@STOREFRONT.expects("the end of a subscription", given="the channel has a subscription", url=EVENTS_URL)
def unsubscribe(upon: HttpInteraction) -> Sell:
    path = given_path("/subscriptions/{subscription_id}", subscription_id="sub-1")
    authorized(upon.with_request("DELETE", path)).will_respond_with(204)
    return lambda shop: shop.unsubscribe("sub-1")


@STOREFRONT.expects("the end of a subscription that is no more", given="events are kept")
def unsubscribe_again(upon: HttpInteraction) -> Sell:
    refuses(authorized(upon.with_request("DELETE", "/subscriptions/sub-none")), "not-found")
    return lambda shop: shop.unsubscribe("sub-none")


def history() -> dict[str, Any]:
    return {"event": text("order_accepted")}


def detail(status: str, order_line: Any, parcels: Any, invoices: Any) -> dict[str, Any]:
    return {
        "status": one_of(status, STATUSES),
        "lines": some(order_line),
        "fulfillments": some({"node": pattern("wms-east", f"^{NODE}$")}),
        "parcels": parcels,
        "invoices": invoices,
        "timeline": some(history()),
    }


THE_ORDER = given_path("/orders/{order_id}", order_id="ord-1")
CANCEL = given_path("/orders/{order_id}/cancel", order_id="ord-1")


@PORTAL.expects("an order that was just placed", given="an order was placed", order_reference="PO-FRESH")
def read_fresh(upon: HttpInteraction) -> Show:
    line = {"sku": sku("85123A"), "ordered": whole(6), "shipped": whole(0)}
    answers(asks(upon, THE_ORDER), 200, detail("accepted", line, [], []))

    def show(portal: Portal) -> None:
        assert portal.order("ord-1") == {
            "status": "accepted",
            "lines": [("85123A", 6, 0)],
            "from": ["wms-east"],
            "parcels": [],
            "invoices": [],
            "history": ["order_accepted"],
        }

    return show


@PORTAL.expects("an order that is on its way", given="an order was invoiced", order_reference="PO-DONE")
def read_invoiced(upon: HttpInteraction) -> Show:
    line = {"sku": sku("85123A"), "ordered": whole(6), "shipped": whole(6)}
    parcel = {"tracking_number": identifier("TRK1"), "tracking_status": None}
    answers(asks(upon, THE_ORDER), 200, detail("invoiced", line, some(parcel), some(identifier("INV-1"))))

    def show(portal: Portal) -> None:
        told = portal.order("ord-1")
        assert (told["status"], told["parcels"], told["invoices"]) == ("invoiced", [("TRK1", None)], ["INV-1"])

    return show


@PORTAL.expects("an order that nobody placed", given=IN_STOCK)
def read_unknown(upon: HttpInteraction) -> Show:
    refuses(asks(upon, "/orders/ord-none"), "not-found")

    def show(portal: Portal) -> None:
        with pytest.raises(OrderRefused, match="not-found"):
            portal.order("ord-none")

    return show


INVOICES = given_path("/orders/{order_id}/invoices", order_id="ord-1")


@PORTAL.expects("the invoices of an order", given="an order was invoiced", order_reference="PO-PAID")
def read_invoices(upon: HttpInteraction) -> Show:
    item = {"invoice_id": identifier("INV-1"), "net_minor": whole(1530), "lines": some({"quantity": whole(6)})}
    answers(asks(upon, INVOICES), 200, {"currency": currency("GBP"), "items": some(item)})

    def show(portal: Portal) -> None:
        assert portal.invoices("ord-1") == [("INV-1", "15.30 GBP", 6)]

    return show


@PORTAL.expects(
    "the invoices of another customer's order",
    given="another customer placed an order",
    order_reference="PO-THEIRS",
)
def read_invoices_of_another(upon: HttpInteraction) -> Show:
    refuses(asks(upon, INVOICES), "not-found")

    def show(portal: Portal) -> None:
        with pytest.raises(OrderRefused, match="not-found"):
            portal.invoices("ord-1")

    return show


@PORTAL.expects("the order of a reference", given="an order was placed", order_reference="PO-FIND")
def find(upon: HttpInteraction) -> Show:
    asks(upon, "/orders", {"customer_id": "C-1001", "order_reference": "PO-FIND"})
    answers(upon, 200, {"items": some({"order_id": given("order_id", "ord-1")})})

    def show(portal: Portal) -> None:
        assert portal.find("C-1001", "PO-FIND") == "ord-1"

    return show


@PORTAL.expects("the order of a reference that nobody used", given=IN_STOCK)
def find_none(upon: HttpInteraction) -> Show:
    asks(upon, "/orders", {"customer_id": "C-1001", "order_reference": "PO-NONE"})
    answers(upon, 200, {"items": []})

    def show(portal: Portal) -> None:
        assert portal.find("C-1001", "PO-NONE") is None

    return show


ALL_OF_IT = {"reason": text("customer")}


def some_of_it(quantity: int, line_no: int = 1) -> dict[str, Any]:
    return {**ALL_OF_IT, "lines": some({"line_no": whole(line_no), "quantity": whole(quantity)})}


@PORTAL.expects(
    "the cancellation of an order that was just placed", given="an order was placed", order_reference="PO-OFF"
)
def cancel(upon: HttpInteraction) -> Show:
    posts(upon, CANCEL, ALL_OF_IT, "off-1")
    answers(upon, 200, {"result": "cancelled"})

    def show(portal: Portal) -> None:
        assert portal.cancel("ord-1", "off-1") == "cancelled"

    return show


@PORTAL.expects("the cancellation of some of an order", given="an order was placed", order_reference="PO-LESS")
def cancel_some(upon: HttpInteraction) -> Show:
    posts(upon, CANCEL, some_of_it(2), "off-2")
    answers(upon, 200, {"result": "cancelled"})

    def show(portal: Portal) -> None:
        assert portal.cancel("ord-1", "off-2", 2) == "cancelled"

    return show


@PORTAL.expects(
    "the cancellation of an order that a warehouse has",
    given="an order was released to a warehouse",
    order_reference="PO-ASK",
)
def cancel_at_warehouse(upon: HttpInteraction) -> Show:
    posts(upon, CANCEL, ALL_OF_IT, "off-3")
    answers(upon, 202, {"result": "requested"})

    def show(portal: Portal) -> None:
        assert portal.cancel("ord-1", "off-3") == "requested"

    return show


def not_cancelled(why: str, key: str, order_id: str = "ord-1", **some_lines: int) -> Show:
    def show(portal: Portal) -> None:
        with pytest.raises(OrderRefused) as refusal:
            portal.cancel(order_id, key, **some_lines)
        assert refusal.value.why == why

    return show


@PORTAL.expects("the cancellation of an order that has left", given="an order was invoiced", order_reference="PO-GONE")
def cancel_too_late(upon: HttpInteraction) -> Show:
    posts(upon, CANCEL, ALL_OF_IT, "off-4")
    refuses(upon, "too-late-to-cancel")
    return not_cancelled("too-late-to-cancel", "off-4")


@PORTAL.expects("the cancellation of an order that nobody placed", given=IN_STOCK)
def cancel_unknown(upon: HttpInteraction) -> Show:
    posts(upon, "/orders/ord-none/cancel", ALL_OF_IT, "off-5")
    refuses(upon, "not-found")
    return not_cancelled("not-found", "off-5", "ord-none")


@PORTAL.expects("the cancellation of more than was ordered", given="an order was placed", order_reference="PO-SIX")
def cancel_too_much(upon: HttpInteraction) -> Show:
    posts(upon, CANCEL, some_of_it(7), "off-6")
    refuses(upon, "quantity-exceeded")
    return not_cancelled("quantity-exceeded", "off-6", quantity=7)


@PORTAL.expects(
    "the cancellation of a line that the order has not", given="an order was placed", order_reference="PO-LINE"
)
def cancel_unknown_line(upon: HttpInteraction) -> Show:
    posts(upon, CANCEL, some_of_it(1, 9), "off-7")
    refuses(upon, "unknown-line")
    return not_cancelled("unknown-line", "off-7", quantity=1, line_no=9)
