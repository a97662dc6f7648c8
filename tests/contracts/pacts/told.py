"""What the storefront and the customer portal expect of the events that the integration tells."""

from collections.abc import Callable
from typing import Any

from pact.interaction import AsyncMessageInteraction

from tests.contracts.pacts.events import AT, event
from tests.contracts.pacts.shop import PORTAL, STATUSES, STOREFRONT
from tests.contracts.pacts.subscribers import Page, Pages, Shelves
from tests.contracts.pacts.words import currency, identifier, one_of, reference, sku, some, text, timestamp, whole

Shelve = Callable[[Shelves], None]
Show = Callable[[Pages], None]


def of_order(upon: AsyncMessageInteraction, type_: str, data: dict[str, Any]) -> None:
    event(upon, type_, "integration", identifier("ord-1"), data)


def of_page(upon: AsyncMessageInteraction, type_: str, status: str, **data: Any) -> None:
    head = {"order_id": identifier("ord-1"), "version": whole(7), "status": one_of(status, STATUSES)}
    of_order(upon, type_, head | data)


def shows(page: Page) -> Show:
    """The event makes this page, and coming again it changes nothing."""

    def show(pages: Pages) -> None:
        for _ in range(2):
            pages.take()
            assert pages.orders == {"ord-1": page}

    return show


@STOREFRONT.expects(
    "order.accepted of an order that is filled in part",
    given="a subscriber was told that an order was accepted",
    kind="Async",
    order_reference="PO-MUCH",
)
def accepted(upon: AsyncMessageInteraction) -> Shelve:
    data = {
        "customer_id": identifier("C-1001"),
        "order_reference": reference("PO-MUCH"),
        "total_minor": whole(198000),
        "currency": currency("GBP"),
        "lines": some({"confirmed": whole(9), "backordered": whole(991)}),
    }
    of_order(upon, "order.accepted", data)

    def shelve(shelves: Shelves) -> None:
        shelves.take()
        assert shelves.mails == ["C-1001: PO-MUCH is accepted, 1980.00 GBP; 9 ship now, 991 later"]

    return shelve


@STOREFRONT.expects(
    "availability.changed of an article that was sold out",
    given="a subscriber was told that an article was sold out",
    kind="Async",
    order_reference="PO-LAST",
)
def sold_out(upon: AsyncMessageInteraction) -> Shelve:
    data = {"sku": sku("20725"), "available": 0, "as_of": timestamp(AT)}
    event(upon, "availability.changed", "integration", sku("20725"), data)

    def shelve(shelves: Shelves) -> None:
        shelves.take()
        assert shelves.available == {"20725": 0}

    return shelve


@PORTAL.expects(
    "order.backordered of an order that waits for less",
    given="a subscriber was told that goods came for an order",
    kind="Async",
    order_reference="PO-WAITS",
)
def backordered(upon: AsyncMessageInteraction) -> Show:
    of_page(upon, "order.backordered", "released", lines=some({"line_no": whole(1), "backordered": whole(891)}))
    return shows(Page(7, "released", waiting={1: 891}))


@PORTAL.expects(
    "order.cancelled of a whole order",
    given="a subscriber was told that an order was cancelled",
    kind="Async",
    order_reference="PO-OFF",
    reason="changed my mind",
)
def cancelled(upon: AsyncMessageInteraction) -> Show:
    line = {"line_no": whole(1), "cancelled": whole(6)}
    of_page(upon, "order.cancelled", "cancelled", reason=text("changed my mind"), lines=some(line))
    return shows(Page(7, "cancelled", cancelled={1: 6}, notes=["changed my mind"]))


@PORTAL.expects(
    "order.shipped of a whole order",
    given="a subscriber was told that an order was shipped",
    kind="Async",
    order_reference="PO-SENT",
)
def shipped(upon: AsyncMessageInteraction) -> Show:
    parcels, lines = some({"tracking_number": identifier("TRK1")}), some({"line_no": whole(1), "quantity": whole(6)})
    of_page(upon, "order.shipped", "shipped", parcels=parcels, lines=lines)
    return shows(Page(7, "shipped", shipped={1: 6}, parcels=["TRK1"]))


@PORTAL.expects(
    "order.invoiced of a whole order",
    given="a subscriber was told that an order was invoiced",
    kind="Async",
    order_reference="PO-BILLED",
)
def invoiced(upon: AsyncMessageInteraction) -> Show:
    bill = {"invoice_id": identifier("INV-1"), "total_minor": whole(1836), "currency": currency("GBP")}
    of_page(upon, "order.invoiced", "invoiced", **bill)
    return shows(Page(7, "invoiced", invoices={"INV-1": "18.36 GBP"}))
