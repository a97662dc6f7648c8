"""What the integration expects of the ERP: the client's calls, each with the answers that it tells apart."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from pact.interaction import HttpInteraction

from integration.messaging.message import Stamp
from integration.messaging.outcomes import Done, ErrorClass, Outcome, Refused, Retry, Uncertain
from integration.runtime import ReadFailed
from integration.system.erp import ErpClient
from tests.contracts.pacts.expectations import Contract
from tests.contracts.pacts.http import RealHttp
from tests.contracts.pacts.words import (
    Matcher,
    answers,
    asks,
    country,
    currency,
    given,
    given_path,
    identifier,
    one_of,
    pattern,
    pattern_of,
    posts,
    reference,
    refuses,
    seconds,
    sku,
    some,
    spelled,
    text,
    timestamp,
    whole,
)

SECOND_US = 1_000_000
TRACE = "ab" * 16
ORDER = {"customer_id": "C-1001", "order_reference": "PO-4711"}
AT = "2026-11-27T09:00:00.000000Z"
BOOKED = "a sales order was booked"
MAY_ORDER = "customer C-1001 may order 85123A"
Use = Callable[[ErpClient], None]


@dataclass
class StandingClock:
    """Nine o'clock, always."""

    def now_us(self) -> int:
        return 1_795_770_000_000_000

    def steady_us(self) -> int:
        return 0

    def sleep(self, duration_us: int) -> None:
        raise AssertionError(f"a client has no reason to sleep for {duration_us} us")


def connected(url: str, secret: str = "secret-erp") -> ErpClient:
    return ErpClient(RealHttp(), StandingClock(), url, "integration", secret, 5 * SECOND_US)


ERP = Contract("integration", "erp", connected, beforehand="a request for a token")


def stamp(key: str) -> Stamp:
    return Stamp(key, TRACE, 1)


def order_named() -> dict[str, Any]:
    return {"customer_id": identifier("C-1001"), "order_reference": reference("PO-4711")}


def is_refused(outcome: Outcome, problem: str) -> None:
    assert isinstance(outcome, Refused)
    assert outcome.problem == problem


def token_asked(upon: HttpInteraction, secret: str | Matcher) -> HttpInteraction:
    body = {"grant_type": "client_credentials", "client_id": "integration", "client_secret": secret}
    return upon.with_request("POST", "/oauth/token").with_body(body, "application/json")


@ERP.expects("a request for a token", given="the client is known", along=("one customer",))
def token(upon: HttpInteraction) -> Use:
    token_asked(upon, spelled("secret-erp", "^.+$", "${client_secret}"))
    told = {"access_token": pattern("good-token", r"^\S+$"), "token_type": "Bearer", "expires_in": whole(3600)}
    answers(upon, 200, told)

    def use(erp: ErpClient) -> None:
        assert isinstance(erp.customer("C-1001"), Done)

    return use


@ERP.expects(
    "a request for a token with a wrong secret",
    given="the client is known",
    connect=lambda url: connected(url, "wrong-secret"),
)
def token_refused(upon: HttpInteraction) -> Use:
    refuses(token_asked(upon, "wrong-secret"), "bad-credentials")

    def use(erp: ErpClient) -> None:
        outcome = erp.customer("C-1001")
        assert isinstance(outcome, Retry)
        assert outcome.error_class is ErrorClass.PLATFORM

    return use


def order_asked(article: str = "85123A", customer_id: str = "C-1001") -> dict[str, Any]:
    line = {
        "line_no": whole(1),
        "sku": sku(article),
        "quantity": whole(6),
        "unit_price_minor": whole(255),
        "tax_rate_bp": whole(2000),
        "confirmed": whole(6),
        "backordered": whole(0),
    }
    return {
        "order_id": identifier("ord-1"),
        **order_named(),
        "customer_id": identifier(customer_id),
        "currency": currency("GBP"),
        "ordered_at": timestamp(AT),
        "lines": some(line),
        "total_minor": whole(1836),
        "tax_minor": whole(306),
    }


def order_sent(article: str = "85123A", customer_id: str = "C-1001") -> dict[str, Any]:
    line = {"line_no": 1, "sku": article, "quantity": 6, "unit_price_minor": 255, "tax_rate_bp": 2000,
            "confirmed": 6, "backordered": 0}  # fmt: skip
    return {"order_id": "ord-1", **ORDER, "customer_id": customer_id, "currency": "GBP", "ordered_at": AT,
            "lines": [line], "total_minor": 1836, "tax_minor": 306}  # fmt: skip


def order_told() -> dict[str, Any]:
    """A sales order as far as the integration reads it."""
    return {
        "erp_order_id": identifier("SO-1"),
        "lines": some({"line_no": whole(1), "cancelled": whole(0)}),
    }


STANDS = Done({"erp_order_id": "SO-1", "lines": [{"line_no": 1, "cancelled": 0}]})


@ERP.expects("the booking of an order that is new", given=MAY_ORDER)
def book(upon: HttpInteraction) -> Use:
    posts(upon, "/sales-orders", order_asked(), "book:ord-1")
    answers(upon, 201, order_told())

    def use(erp: ErpClient) -> None:
        assert erp.book_order(order_sent(), stamp("book:ord-1")) == STANDS

    return use


@ERP.expects("the booking of an order a second time", given=BOOKED)
def book_again(upon: HttpInteraction) -> Use:
    posts(upon, "/sales-orders", order_asked(), "book:ord-1.2")
    answers(upon, 200, order_told())

    def use(erp: ErpClient) -> None:
        assert erp.book_order(order_sent(), stamp("book:ord-1.2")) == STANDS

    return use


@ERP.expects(
    "the booking of an order a second time, which is refused",
    given="a sales order was booked by an ERP that refuses a second one",
    along=("a search for a sales order that stands",),
)
def book_refused(upon: HttpInteraction) -> Use:
    posts(upon, "/sales-orders", order_asked(), "book:ord-1.2")
    refuses(upon, "duplicate-order", erp_order_id=identifier("SO-1"))

    def use(erp: ErpClient) -> None:
        assert erp.book_order(order_sent(), stamp("book:ord-1.2")) == STANDS

    return use


@ERP.expects(
    "the booking of an order whose first attempt is in work",
    given="a sales order is being booked under the same key",
    key="book:ord-1",
)
def book_in_flight(upon: HttpInteraction) -> Use:
    posts(upon, "/sales-orders", order_asked(), "book:ord-1")
    refuses(upon, "request-in-flight")

    def use(erp: ErpClient) -> None:
        assert isinstance(erp.book_order(order_sent(), stamp("book:ord-1")), Retry)

    return use


@ERP.expects("the booking of an article that the ERP does not know", given=MAY_ORDER)
def book_unknown_sku(upon: HttpInteraction) -> Use:
    posts(upon, "/sales-orders", order_asked("NO-SUCH-SKU"), "book:ord-odd")
    refuses(upon, "unknown-sku")
    return lambda erp: is_refused(erp.book_order(order_sent("NO-SUCH-SKU"), stamp("book:ord-odd")), "unknown-sku")


@ERP.expects("the booking for a customer that the ERP does not know", given=MAY_ORDER)
def book_unknown_customer(upon: HttpInteraction) -> Use:
    posts(upon, "/sales-orders", order_asked(customer_id="C-0000"), "book:ord-whose")
    refuses(upon, "unknown-customer")
    body = order_sent(customer_id="C-0000")
    return lambda erp: is_refused(erp.book_order(body, stamp("book:ord-whose")), "unknown-customer")


@ERP.expects("a booking beyond the quota", given="the client's quota is used up")
def book_limited(upon: HttpInteraction) -> Use:
    posts(upon, "/sales-orders", order_asked(), "book:ord-much")
    refuses(upon, "rate-limited", {"Retry-After": seconds("30")})

    def use(erp: ErpClient) -> None:
        outcome = erp.book_order(order_sent(), stamp("book:ord-much"))
        assert isinstance(outcome, Retry)
        assert (outcome.after_us, outcome.healthy) == (30 * SECOND_US, True)

    return use


@ERP.expects("a booking that waits too long", given="all workers of the ERP are busy")
def book_overloaded(upon: HttpInteraction) -> Use:
    posts(upon, "/sales-orders", order_asked(), "book:ord-busy")
    refuses(upon, "overloaded", {"Retry-After": seconds("5")})

    def use(erp: ErpClient) -> None:
        outcome = erp.book_order(order_sent(), stamp("book:ord-busy"))
        assert isinstance(outcome, Uncertain)
        assert outcome.after_us == 5 * SECOND_US

    return use


def turned_away(erp: ErpClient) -> None:
    outcome = erp.book_order(order_sent(), stamp("book:ord-late"))
    assert isinstance(outcome, Retry)
    assert outcome.error_class is ErrorClass.PLATFORM


@ERP.expects("a booking with a token that has expired", given="the client's token has expired")
def book_expired(upon: HttpInteraction) -> Use:
    posts(upon, "/sales-orders", order_asked(), "book:ord-late")
    refuses(upon, "token-expired")
    return turned_away


@ERP.expects(
    "a booking with a token that has expired, answered as forbidden",
    given="the client's token has expired, which this ERP answers with 403",
)
def book_forbidden(upon: HttpInteraction) -> Use:
    posts(upon, "/sales-orders", order_asked(), "book:ord-late")
    refuses(upon, "forbidden")
    return turned_away


@ERP.expects("a booking with a token that was withdrawn", given="the client's token was withdrawn")
def book_bad_token(upon: HttpInteraction) -> Use:
    posts(upon, "/sales-orders", order_asked(), "book:ord-late")
    refuses(upon, "bad-token")
    return turned_away


@ERP.expects("a search for a sales order that stands", given=BOOKED)
def find(upon: HttpInteraction) -> Use:
    asks(upon, "/sales-orders", ORDER)
    answers(upon, 200, {"items": some(order_told())})

    def use(erp: ErpClient) -> None:
        assert erp.find_order("C-1001", "PO-4711", TRACE) == STANDS

    return use


@ERP.expects("a search for a sales order that was never booked", given=MAY_ORDER)
def find_none(upon: HttpInteraction) -> Use:
    asks(upon, "/sales-orders", {"customer_id": "C-1001", "order_reference": "PO-NONE"})
    answers(upon, 200, {"items": []})

    def use(erp: ErpClient) -> None:
        assert erp.find_order("C-1001", "PO-NONE", TRACE) == Done({})

    return use


def change_asked(cancelled: int = 2, line_no: int = 1) -> dict[str, Any]:
    line = {"line_no": whole(line_no), "backordered": whole(0), "cancelled": whole(cancelled)}
    reason = one_of("cancel", ("backorder", "short", "cancel"))
    return {"change_id": identifier("chg-1"), **order_named(), "reason": reason, "lines": some(line)}


def change(erp: ErpClient, erp_order_id: str, cancelled: int = 2, line_no: int = 1, **named: str) -> Outcome:
    line = {"line_no": line_no, "backordered": 0, "cancelled": cancelled}
    body = {"change_id": "chg-1", **ORDER, **named, "reason": "cancel", "lines": [line]}
    return erp.change_order(erp_order_id, body, stamp("change:ord-1"))


CHANGES = given_path("/sales-orders/{erp_order_id}/changes", erp_order_id="SO-1")


@ERP.expects("a change of a sales order", given=BOOKED)
def change_order(upon: HttpInteraction) -> Use:
    posts(upon, CHANGES, change_asked(), "change:ord-1")
    lines = some({"line_no": whole(1), "cancelled": whole(2)})
    answers(upon, 200, {"erp_order_id": identifier("SO-1"), "lines": lines})

    def use(erp: ErpClient) -> None:
        told = {"erp_order_id": "SO-1", "lines": [{"line_no": 1, "cancelled": 2}]}
        assert change(erp, "SO-1") == Done(told)

    return use


@ERP.expects("a change of a sales order that was never booked", given=MAY_ORDER)
def change_unknown(upon: HttpInteraction) -> Use:
    posts(upon, "/sales-orders/SO-NONE/changes", change_asked(), "change:ord-1")
    refuses(upon, "not-found")
    return lambda erp: is_refused(change(erp, "SO-NONE"), "not-found")


@ERP.expects("a change that names another order than it changes", given=BOOKED)
def change_mistaken(upon: HttpInteraction) -> Use:
    posts(upon, CHANGES, {**change_asked(), "order_reference": reference("PO-OTHER")}, "change:ord-1")
    refuses(upon, "conflicting-state")
    return lambda erp: is_refused(change(erp, "SO-1", order_reference="PO-OTHER"), "conflicting-state")


@ERP.expects("the cancellation of more than was ordered", given=BOOKED)
def change_too_much(upon: HttpInteraction) -> Use:
    posts(upon, CHANGES, change_asked(cancelled=7), "change:ord-1")
    refuses(upon, "quantity-exceeded")
    return lambda erp: is_refused(change(erp, "SO-1", cancelled=7), "quantity-exceeded")


@ERP.expects("a change of a line that the order has not", given=BOOKED)
def change_unknown_line(upon: HttpInteraction) -> Use:
    posts(upon, CHANGES, change_asked(line_no=9), "change:ord-1")
    refuses(upon, "unknown-line")
    return lambda erp: is_refused(change(erp, "SO-1", line_no=9), "unknown-line")


def shipment_asked(shipment_id: str, order: Matcher, quantity: int = 6) -> dict[str, Any]:
    line = {"line_no": whole(1), "sku": sku("85123A"), "quantity": whole(quantity)}
    return {
        "shipment_id": identifier(shipment_id),
        "erp_order_id": order,
        **order_named(),
        "node": identifier("wms-east"),
        "shipped_at": timestamp(AT),
        "tracking_numbers": some(identifier("TRK1")),
        "lines": some(line),
    }


def confirm(erp: ErpClient, shipment_id: str, erp_order_id: str = "SO-1", quantity: int = 6) -> Outcome:
    lines = [{"line_no": 1, "sku": "85123A", "quantity": quantity}]
    body = {"shipment_id": shipment_id, "erp_order_id": erp_order_id, **ORDER, "node": "wms-east", "shipped_at": AT,
            "tracking_numbers": ["TRK1"], "lines": lines}  # fmt: skip
    return erp.confirm_shipment(body, stamp(f"ship:{shipment_id}"))


THE_ORDER = given("erp_order_id", "SO-1")


@ERP.expects("the confirmation of a shipment", given=BOOKED)
def confirm_new(upon: HttpInteraction) -> Use:
    posts(upon, "/shipments", shipment_asked("shp-new", THE_ORDER), "ship:shp-new")
    answers(upon, 201, {"shipment_id": "shp-new"})

    def use(erp: ErpClient) -> None:
        assert confirm(erp, "shp-new") == Done({"shipment_id": "shp-new"})

    return use


@ERP.expects("the confirmation of a shipment a second time", given="a shipment was confirmed", shipment_id="shp-again")
def confirm_again(upon: HttpInteraction) -> Use:
    posts(upon, "/shipments", shipment_asked("shp-again", THE_ORDER), "ship:shp-again")
    answers(upon, 200, {"shipment_id": "shp-again"})

    def use(erp: ErpClient) -> None:
        assert confirm(erp, "shp-again") == Done({"shipment_id": "shp-again"})

    return use


@ERP.expects("the confirmation of a shipment of no sales order", given=MAY_ORDER)
def confirm_unknown(upon: HttpInteraction) -> Use:
    posts(upon, "/shipments", shipment_asked("shp-lost", identifier("SO-NONE")), "ship:shp-lost")
    refuses(upon, "not-found")
    return lambda erp: is_refused(confirm(erp, "shp-lost", "SO-NONE"), "not-found")


@ERP.expects("the confirmation of more than was ordered", given=BOOKED)
def confirm_too_much(upon: HttpInteraction) -> Use:
    posts(upon, "/shipments", shipment_asked("shp-much", THE_ORDER, 7), "ship:shp-much")
    refuses(upon, "quantity-exceeded")
    return lambda erp: is_refused(confirm(erp, "shp-much", quantity=7), "quantity-exceeded")


def invoice_asked(shipment_id: str) -> dict[str, Any]:
    return {"shipment_id": identifier(shipment_id), "erp_order_id": THE_ORDER, **order_named()}


def invoice(erp: ErpClient, shipment_id: str) -> Outcome:
    body = {"shipment_id": shipment_id, "erp_order_id": "SO-1", **ORDER}
    return erp.invoice(body, stamp(f"invoice:{shipment_id}"))


@ERP.expects("the invoice of a shipment", given="a shipment was confirmed", shipment_id="shp-gone")
def invoice_new(upon: HttpInteraction) -> Use:
    posts(upon, "/invoices", invoice_asked("shp-gone"), "invoice:shp-gone")
    answers(upon, 201, {"invoice_id": identifier("INV-1")})

    def use(erp: ErpClient) -> None:
        assert invoice(erp, "shp-gone") == Done({"invoice_id": "INV-1"})

    return use


@ERP.expects("the invoice of a shipment a second time", given="a shipment was invoiced", shipment_id="shp-paid")
def invoice_again(upon: HttpInteraction) -> Use:
    posts(upon, "/invoices", invoice_asked("shp-paid"), "invoice:shp-paid")
    answers(upon, 200, {"invoice_id": identifier("INV-1")})

    def use(erp: ErpClient) -> None:
        assert invoice(erp, "shp-paid") == Done({"invoice_id": "INV-1"})

    return use


@ERP.expects("the invoice of a shipment that nobody confirmed", given=BOOKED)
def invoice_too_early(upon: HttpInteraction) -> Use:
    posts(upon, "/invoices", invoice_asked("shp-early"), "invoice:shp-early")
    refuses(upon, "not-found")
    return lambda erp: is_refused(invoice(erp, "shp-early"), "not-found")


def customer_told() -> dict[str, Any]:
    return {
        "customer_id": identifier("C-1001"),
        "name": text("Gift Shop Ltd"),
        "status": one_of("active", ("active", "blocked", "closed")),
        "segment": text("retail"),
        "country": country("GB"),
        "tax_jurisdiction": identifier("GB"),
        "currency": currency("GBP"),
        "price_list": identifier("standard"),
        "credit_limit_minor": whole(5_000_000),
        "credit_exposure_minor": whole(120_000),
        "updated_at": timestamp(AT),
    }


def item_told() -> dict[str, Any]:
    return {
        "sku": sku("85123A"),
        "description": text("White hanging heart"),
        "status": one_of("active", ("active", "discontinued")),
        "tax_category": identifier("standard"),
        "units": some({"unit": one_of("EA", ("EA", "CS")), "factor": whole(1)}),
        "weight_g": whole(250),
        "updated_at": timestamp(AT),
    }


def price_told() -> dict[str, Any]:
    return {
        "price_list": identifier("standard"),
        "sku": sku("85123A"),
        "unit_price_minor": whole(255),
        "currency": currency("GBP"),
        "valid_from": timestamp(AT),
        "valid_to": None,
        "updated_at": timestamp(AT),
    }


def tax_told() -> dict[str, Any]:
    return {
        "jurisdiction": identifier("GB"),
        "tax_category": identifier("standard"),
        "rate_bp": whole(2000),
        "updated_at": timestamp(AT),
    }


def page_of(upon: HttpInteraction, collection: str, row: Any) -> None:
    asks(upon, f"/{collection}", {"page": "1", "page_size": "500"})
    answers(upon, 200, {"items": some(row), "next_page": None})


@ERP.expects("all customers", given=MAY_ORDER)
def customers(upon: HttpInteraction) -> Use:
    page_of(upon, "customers", customer_told())

    def use(erp: ErpClient) -> None:
        assert [row["credit_limit_minor"] for row in erp.customers(None)] == [5_000_000]

    return use


@ERP.expects("all items", given=MAY_ORDER)
def items(upon: HttpInteraction) -> Use:
    page_of(upon, "items", item_told())

    def use(erp: ErpClient) -> None:
        assert [row["units"] for row in erp.items(None)] == [[{"unit": "EA", "factor": 1}]]

    return use


@ERP.expects("all prices", given=MAY_ORDER)
def prices(upon: HttpInteraction) -> Use:
    page_of(upon, "price-lists", price_told())

    def use(erp: ErpClient) -> None:
        assert [row["unit_price_minor"] for row in erp.prices(None)] == [255]

    return use


@ERP.expects("all tax rates", given=MAY_ORDER)
def tax_rates(upon: HttpInteraction) -> Use:
    page_of(upon, "tax-rates", tax_told())

    def use(erp: ErpClient) -> None:
        assert [row["rate_bp"] for row in erp.tax_rates(None)] == [2000]

    return use


SINCE = "2026-06-09T05:00:00.000000Z"


@ERP.expects("the customers that changed lately", given=BOOKED)
def customers_changed(upon: HttpInteraction) -> Use:
    asks(
        upon, "/customers", {"page": "1", "page_size": "500", "changed_since": spelled(SINCE, pattern_of("Timestamp"))}
    )
    answers(upon, 200, {"items": some(customer_told()), "next_page": None})

    def use(erp: ErpClient) -> None:
        assert [row["customer_id"] for row in erp.customers(SINCE)] == ["C-1001"]

    return use


SMALL_PAGES = "the ERP serves pages of at most 4 rows"
PAGES = ("items in larger pages than the ERP serves", "items in the ERP's own pages", "the last page of items")


def read_page_by_page(erp: ErpClient) -> None:
    assert [row["sku"] for row in erp.items(None)] == ["85123A", "85123A"]


@ERP.expects(PAGES[0], given=SMALL_PAGES, along=PAGES)
def pages_too_large(upon: HttpInteraction) -> Use:
    asks(upon, "/items", {"page": "1", "page_size": "500"})
    refuses(upon, "page-size-exceeded")
    return read_page_by_page


@ERP.expects(PAGES[1], given=SMALL_PAGES, along=PAGES)
def first_page(upon: HttpInteraction) -> Use:
    asks(upon, "/items", {"page": "1"})
    answers(upon, 200, {"items": some(item_told()), "next_page": whole(2)})
    return read_page_by_page


@ERP.expects(PAGES[2], given=SMALL_PAGES, along=PAGES)
def last_page(upon: HttpInteraction) -> Use:
    asks(upon, "/items", {"page": "2"})
    answers(upon, 200, {"items": some(item_told()), "next_page": None})
    return read_page_by_page


@ERP.expects("reference data beyond the quota", given="the client's quota is used up")
def read_limited(upon: HttpInteraction) -> Use:
    asks(upon, "/customers", {"page": "1", "page_size": "500"})
    refuses(upon, "rate-limited", {"Retry-After": seconds("30")})

    def use(erp: ErpClient) -> None:
        with pytest.raises(ReadFailed) as failure:
            list(erp.customers(None))
        assert failure.value.after_us == 30 * SECOND_US

    return use


@ERP.expects("one customer", given=MAY_ORDER)
def customer(upon: HttpInteraction) -> Use:
    told = customer_told()
    answers(asks(upon, "/customers/C-1001"), 200, {**told, "customer_id": "C-1001"})

    def use(erp: ErpClient) -> None:
        outcome = erp.customer("C-1001")
        assert isinstance(outcome, Done)
        assert outcome.answer["credit_exposure_minor"] == 120_000

    return use


@ERP.expects("a customer that the ERP does not know", given=MAY_ORDER)
def customer_unknown(upon: HttpInteraction) -> Use:
    refuses(asks(upon, "/customers/C-0000"), "not-found")
    return lambda erp: is_refused(erp.customer("C-0000"), "not-found")
