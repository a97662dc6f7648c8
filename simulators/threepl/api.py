"""The 3PL on the wire: HTTP to the model and back, nothing more."""

from collections.abc import Callable

from flask import Flask, Response

from contracts.edge import ProblemError, body, query, reply
from contracts.wire import iso
from simulators.partnerkit import correlation_id, create
from simulators.partnerkit.requests import by_number, same_order
from simulators.partnerkit.stock import StockError, content_rows
from simulators.partnerkit.stock_api import STOCK_PROBLEMS, Route, StockHandlers, taken_in
from simulators.threepl.model import (
    DuplicateReference,
    FulfillmentOrder,
    InvalidReference,
    Line,
    ThreePlError,
    TooLateToCancel,
    UnknownOrder,
    UnknownSkus,
)
from simulators.threepl.process import ThreePl

_PROBLEMS: dict[type[Exception], str] = {
    UnknownOrder: "not-found",
    TooLateToCancel: "too-late-to-cancel",
} | STOCK_PROBLEMS
_LIST_LIMIT = 200


def create_app(provider: ThreePl) -> Flask:
    """The application of one provider; making it begins a life of the host."""
    provider.start()
    app = create(provider.name, "threepl", provider.tokens.check, provider.limit, keys=provider.keys)
    handlers = _Handlers(provider)
    routes: tuple[Route, ...] = (
        ("POST", "/fulfillment-orders", handlers.submit),
        ("GET", "/fulfillment-orders", handlers.changes),
        ("GET", "/fulfillment-orders/<reference>", handlers.read),
        ("POST", "/fulfillment-orders/<reference>/cancel", handlers.cancel),
        *handlers.stock_routes(),
    )
    for method, rule, handler in routes:
        app.add_url_rule(rule, f"{method} {rule}", _answering(handler), methods=[method])
    return app


class _Handlers(StockHandlers[ThreePl]):
    def submit(self) -> Response:
        asked = body()
        lines = {no: Line(no, row["sku"], row["quantity"]) for no, row in by_number(asked["lines"]).items()}
        order = FulfillmentOrder(
            asked["reference"], asked["customer_id"], asked["order_reference"], lines, correlation_id()
        )
        with self.site.serving(True, "order", order.reference, lines=len(lines)):
            taken, is_new = self.site.submit(order)
            return taken_in(_order(taken), is_new, 202)

    def changes(self) -> Response:
        asked = query()
        with self.site.serving(False, "orders"):
            found = self.site.model.changed_since(asked.get("changed_since", 0), asked.get("limit", _LIST_LIMIT))
            rows = self.site.batch([_order(order) for order in found])
            return reply({"items": rows, "latest_change": self.site.model.change})

    def read(self, reference: str) -> Response:
        with self.site.serving(False, "order", reference):
            return reply(_order(self.site.model.find(reference)))

    def cancel(self, reference: str) -> Response:
        asked = body()
        with self.site.serving(True, "cancel", reference):
            order = self.site.model.find(reference)
            same_order(asked, order.customer_id, order.order_reference)
            return reply(_order(self.site.cancel(reference)))


def _answering(handler: Callable[..., Response]) -> Callable[..., Response]:
    """The handler, with the model's errors turned into problems."""

    def answer(**path: str) -> Response:
        try:
            return handler(**path)
        except InvalidReference as error:
            raise ProblemError("invalid-request", str(error), pointer="/reference") from error
        except DuplicateReference as error:
            raise ProblemError("duplicate-reference", str(error), existing_id=error.reference) from error
        except UnknownSkus as error:
            raise ProblemError("unknown-sku", str(error), pointer=error.pointer) from error
        except (ThreePlError, StockError) as error:
            raise ProblemError(_PROBLEMS[type(error)], str(error)) from error

    return answer


def _order(order: FulfillmentOrder) -> dict[str, object]:
    return {
        "reference": order.reference,
        "customer_id": order.customer_id,
        "order_reference": order.order_reference,
        "status": order.status,
        "change": order.change,
        "lines": [
            {
                "line_no": line.line_no,
                "sku": line.sku,
                "quantity": line.quantity,
                "cancelled": line.cancelled,
                "shipped": line.shipped,
                "short": line.short,
            }
            for line in order.lines.values()
        ],
        "shipments": [
            {
                "shipment_id": shipment.shipment_id,
                "tracking_number": shipment.tracking_number,
                "shipped_at": iso(shipment.shipped_at_us),
                "stock_sequence": shipment.stock_sequence,
                "lines": content_rows(shipment.contents),
            }
            for shipment in order.shipments
        ],
        "reason": order.reason,
    }
