"""The ERP on the wire: HTTP to the model and back, nothing more."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import Flask, Response, request

from contracts.edge import ProblemError, body, reply
from contracts.wire import iso, parse_iso
from simulators.erp.model import (
    BookOrder,
    Customer,
    DuplicateOrder,
    ErpError,
    Invoice,
    Item,
    LineChange,
    NewLine,
    NotFound,
    Price,
    QuantityExceeded,
    SalesOrder,
    ShippedLine,
    TaxRate,
    TooMuchMoney,
    UnknownCustomer,
    UnknownLine,
    UnknownSku,
    WrongReference,
    changed_since,
)
from simulators.erp.process import Erp
from simulators.partnerkit import correlation_id, create, paged
from simulators.partnerkit.requests import by_number

_PROBLEMS: dict[type[ErpError], str] = {
    UnknownCustomer: "unknown-customer",
    UnknownSku: "unknown-sku",
    UnknownLine: "unknown-line",
    NotFound: "not-found",
    WrongReference: "conflicting-state",
    QuantityExceeded: "quantity-exceeded",
    TooMuchMoney: "invalid-request",
}


def create_app(erp: Erp) -> Flask:
    """The application of one ERP; making it begins a life of the host."""
    erp.start()
    app = create(erp.name, "erp", erp.tokens.check, erp.limit, open_paths=("/oauth/token",), keys=erp.keys)
    handlers = _Handlers(erp)
    for method, rule, handler in (
        ("POST", "/oauth/token", handlers.token),
        ("GET", "/customers", handlers.customers),
        ("GET", "/customers/<customer_id>", handlers.customer),
        ("GET", "/items", handlers.items),
        ("GET", "/price-lists", handlers.prices),
        ("GET", "/tax-rates", handlers.tax_rates),
        ("POST", "/sales-orders", handlers.book_order),
        ("GET", "/sales-orders", handlers.find_orders),
        ("GET", "/sales-orders/<erp_order_id>", handlers.read_order),
        ("POST", "/sales-orders/<erp_order_id>/changes", handlers.change_order),
        ("POST", "/shipments", handlers.confirm_shipment),
        ("POST", "/invoices", handlers.invoice),
        ("GET", "/invoices", handlers.find_invoices),
    ):
        app.add_url_rule(rule, f"{method} {rule}", _answering(handler), methods=[method])
    return app


@dataclass(frozen=True, slots=True)
class _Handlers:
    erp: Erp

    def token(self) -> Response:
        asked = body()
        token = self.erp.tokens.issue(asked["client_id"], asked["client_secret"])
        return reply({"access_token": token.access_token, "token_type": "Bearer", "expires_in": token.expires_in_s})

    def customers(self) -> Response:
        return self._list("customers", lambda: list(self.erp.books.customers.values()), _customer)

    def items(self) -> Response:
        return self._list("items", lambda: list(self.erp.books.items.values()), _item)

    def prices(self) -> Response:
        return self._list("price-lists", lambda: list(self.erp.books.prices), _price)

    def tax_rates(self) -> Response:
        return self._list("tax-rates", lambda: list(self.erp.books.tax_rates), _tax_rate)

    def customer(self, customer_id: str) -> Response:
        with self.erp.reading("customer"):
            return reply(_customer(self.erp.books.customer(customer_id)))

    def book_order(self) -> Response:
        asked = body()
        lines = tuple(
            NewLine(
                line["line_no"],
                line["sku"],
                line["quantity"],
                line["unit_price_minor"],
                line["tax_rate_bp"],
                line["confirmed"],
                line["backordered"],
            )
            for line in by_number(asked["lines"]).values()
        )
        command = BookOrder(
            asked["order_id"],
            asked["customer_id"],
            asked["order_reference"],
            asked["currency"],
            asked["total_minor"],
            lines,
        )
        order, new = self.erp.book_order(command, correlation_id())
        return _created(_order(order), new)

    def find_orders(self) -> Response:
        with self.erp.reading("sales-orders"):
            found = self.erp.books.orders_of(request.args["customer_id"], request.args["order_reference"])
            return reply({"items": [_order(order) for order in found]})

    def read_order(self, erp_order_id: str) -> Response:
        with self.erp.reading("sales-order"):
            return reply(_order(self.erp.books.order(erp_order_id)))

    def change_order(self, erp_order_id: str) -> Response:
        asked = body()
        order = self._order_of(erp_order_id, asked)
        lines = [
            LineChange(line["line_no"], line["backordered"], line["cancelled"])
            for line in by_number(asked["lines"]).values()
        ]
        return reply(_order(self.erp.change_order(order, asked["change_id"], asked["reason"], lines, correlation_id())))

    def confirm_shipment(self) -> Response:
        asked = body()
        order = self._order_of(asked["erp_order_id"], asked)
        lines = [ShippedLine(line["line_no"], line["sku"], line["quantity"]) for line in asked["lines"]]
        shipment, new = self.erp.confirm_shipment(
            order, asked["shipment_id"], asked["node"], asked["tracking_numbers"], lines, correlation_id()
        )
        answer: dict[str, object] = {
            "shipment_id": shipment.shipment_id,
            "erp_order_id": shipment.erp_order_id,
            "confirmed_at": iso(shipment.confirmed_at_us),
        }
        return _created(answer, new)

    def invoice(self) -> Response:
        asked = body()
        self._order_of(asked["erp_order_id"], asked)
        shipment = self.erp.books.shipment(asked["shipment_id"])
        if shipment.erp_order_id != asked["erp_order_id"]:
            raise WrongReference(f"shipment {shipment.shipment_id} is of {shipment.erp_order_id}, not the order given")
        invoice, new = self.erp.invoice(shipment, correlation_id())
        return _created(_invoice(invoice), new)

    def find_invoices(self) -> Response:
        with self.erp.reading("invoices"):
            found = self.erp.books.invoices_of(request.args["customer_id"], request.args["order_reference"])
            return reply({"items": [_invoice(invoice) for invoice in found]})

    def _list(self, what: str, rows: Callable[[], list[Any]], wire: Callable[[Any], dict[str, object]]) -> Response:
        """One page of master data. The rows are read when the service time is over, like every other answer."""
        since = request.args.get("changed_since")
        with self.erp.reading(what):
            chosen = changed_since(rows(), None if since is None else parse_iso(since))
            page = paged(chosen, self.erp.profile.pages.default, self.erp.profile.pages.cap)
            page["items"] = [wire(row) for row in page["items"]]
            return reply(page)

    def _order_of(self, erp_order_id: str, asked: dict[str, Any]) -> SalesOrder:
        order = self.erp.books.order(erp_order_id)
        if (order.customer_id, order.order_reference) != (asked["customer_id"], asked["order_reference"]):
            raise WrongReference(
                f"{erp_order_id} is {order.order_reference!r} of {order.customer_id},"
                f" not {asked['order_reference']!r} of {asked['customer_id']}"
            )
        return order


def _answering(handler: Callable[..., Response]) -> Callable[..., Response]:
    """The handler, with the model's errors turned into problems."""

    def answer(**path: str) -> Response:
        try:
            return handler(**path)
        except DuplicateOrder as error:
            standing = error.standing.erp_order_id
            raise ProblemError("duplicate-order", str(error), erp_order_id=standing) from error
        except ErpError as error:
            raise ProblemError(_PROBLEMS[type(error)], str(error)) from error

    return answer


def _created(answer: dict[str, object], new: bool) -> Response:
    return reply(answer, 201) if new else reply(answer, 200, {"Idempotent-Replayed": "true"})


def _customer(customer: Customer) -> dict[str, object]:
    return {
        "customer_id": customer.customer_id,
        "name": customer.name,
        "status": customer.status,
        "segment": customer.segment,
        "country": customer.country,
        "tax_jurisdiction": customer.tax_jurisdiction,
        "currency": customer.currency,
        "price_list": customer.price_list,
        "credit_limit_minor": customer.credit_limit_minor,
        "credit_exposure_minor": customer.credit_exposure_minor,
        "updated_at": iso(customer.updated_at_us),
    }


def _item(item: Item) -> dict[str, object]:
    return {
        "sku": item.sku,
        "description": item.description,
        "status": item.status,
        "tax_category": item.tax_category,
        "units": [{"unit": unit.unit, "factor": unit.factor} for unit in item.units],
        "weight_g": item.weight_g,
        "updated_at": iso(item.updated_at_us),
    }


def _price(price: Price) -> dict[str, object]:
    return {
        "price_list": price.price_list,
        "sku": price.sku,
        "unit_price_minor": price.unit_price_minor,
        "currency": price.currency,
        "valid_from": iso(price.valid_from_us),
        "valid_to": None if price.valid_to_us is None else iso(price.valid_to_us),
        "updated_at": iso(price.updated_at_us),
    }


def _tax_rate(rate: TaxRate) -> dict[str, object]:
    return {
        "jurisdiction": rate.jurisdiction,
        "tax_category": rate.tax_category,
        "rate_bp": rate.rate_bp,
        "updated_at": iso(rate.updated_at_us),
    }


def _order(order: SalesOrder) -> dict[str, object]:
    return {
        "erp_order_id": order.erp_order_id,
        "order_id": order.order_id,
        "customer_id": order.customer_id,
        "order_reference": order.order_reference,
        "status": order.status.value,
        "created_at": iso(order.created_at_us),
        "lines": [
            {
                "line_no": line.line_no,
                "sku": line.sku,
                "quantity": line.quantity,
                "cancelled": line.cancelled,
                "shipped": line.shipped,
                "invoiced": line.invoiced,
            }
            for line in order.lines.values()
        ],
    }


def _invoice(invoice: Invoice) -> dict[str, object]:
    return {
        "invoice_id": invoice.invoice_id,
        "shipment_id": invoice.shipment_id,
        "erp_order_id": invoice.erp_order_id,
        "customer_id": invoice.customer_id,
        "order_reference": invoice.order_reference,
        "currency": invoice.currency,
        "net_minor": invoice.net_minor,
        "tax_minor": invoice.tax_minor,
        "total_minor": invoice.total_minor,
        "lines": [
            {
                "line_no": line.line_no,
                "sku": line.sku,
                "quantity": line.quantity,
                "net_minor": line.net_minor,
                "tax_minor": line.tax_minor,
            }
            for line in invoice.lines
        ],
        "created_at": iso(invoice.created_at_us),
    }
