"""The 3PL on the wire: HTTP to the model and back, nothing more."""

from collections.abc import Callable
from dataclasses import dataclass

from flask import Flask, Response

from contracts.edge import ProblemError, body, query, reply
from contracts.wire import iso
from simulators.partnerkit import correlation_id, create
from simulators.partnerkit.requests import by_number, same_order
from simulators.partnerkit.stock import InsufficientStock, StockError, TooMuchStock, UnknownSku
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
    UnknownSku: "unknown-sku",
    TooLateToCancel: "too-late-to-cancel",
    InsufficientStock: "insufficient-stock",
    TooMuchStock: "invalid-request",
}
_REPLAYED = {"Idempotent-Replayed": "true"}
_LIST_LIMIT = 200


def create_app(provider: ThreePl) -> Flask:
    """The application of one provider; making it begins a life of the host."""
    provider.start()
    app = create(provider.name, "threepl", provider.tokens.check, provider.limit)
    handlers = _Handlers(provider)
    for method, rule, handler in (
        ("POST", "/fulfillment-orders", handlers.submit),
        ("GET", "/fulfillment-orders", handlers.changes),
        ("GET", "/fulfillment-orders/<reference>", handlers.read),
        ("POST", "/fulfillment-orders/<reference>/cancel", handlers.cancel),
        ("GET", "/stock", handlers.stock),
        ("POST", "/adjustments", handlers.adjust),
        ("POST", "/receipts", handlers.receive),
    ):
        app.add_url_rule(rule, f"{method} {rule}", _answering(handler), methods=[method])
    return app


@dataclass(frozen=True, slots=True)
class _Handlers:
    provider: ThreePl

    def submit(self) -> Response:
        asked = body()
        lines = {no: Line(no, row["sku"], row["quantity"]) for no, row in by_number(asked["lines"]).items()}
        order = FulfillmentOrder(
            asked["reference"], asked["customer_id"], asked["order_reference"], lines, correlation_id()
        )
        with self.provider.serving(True, "order", order.reference, lines=len(lines)):
            taken, is_new = self.provider.submit(order)
            return reply(_order(taken), 202) if is_new else reply(_order(taken), 200, _REPLAYED)

    def changes(self) -> Response:
        asked = query()
        with self.provider.serving(False, "orders"):
            found = self.provider.model.changed_since(asked.get("changed_since", 0), asked.get("limit", _LIST_LIMIT))
            return reply({"items": [_order(order) for order in found], "latest_change": self.provider.model.change})

    def read(self, reference: str) -> Response:
        with self.provider.serving(False, "order", reference):
            return reply(_order(self.provider.model.find(reference)))

    def cancel(self, reference: str) -> Response:
        asked = body()
        with self.provider.serving(True, "cancel", reference):
            order = self.provider.model.find(reference)
            same_order(asked, order.customer_id, order.order_reference)
            return reply(_order(self.provider.cancel(reference)))

    def stock(self) -> Response:
        asked = query()
        with self.provider.serving(False, "stock"):
            return reply(self.provider.stock_reads.page(asked, self.provider.profile.stock_page_size))

    def adjust(self) -> Response:
        asked = body()
        answer = {name: asked[name] for name in ("adjustment_id", "sku", "quantity_delta")}
        if asked["quantity_delta"] == 0:
            raise ProblemError("invalid-request", "quantity_delta is 0: nothing to book", pointer="/quantity_delta")
        with self.provider.serving(True, "adjustment", asked["adjustment_id"]):
            is_new = self.provider.adjust(
                asked["adjustment_id"], asked["sku"], asked["quantity_delta"], asked["reason"]
            )
            return reply(answer, 201) if is_new else reply(answer, 200, _REPLAYED)

    def receive(self) -> Response:
        asked = body()
        answer = {name: asked[name] for name in ("receipt_id", "sku", "quantity")}
        with self.provider.serving(True, "receipt", asked["receipt_id"]):
            is_new = self.provider.receive_goods(asked["receipt_id"], asked["sku"], asked["quantity"], asked["reason"])
            return reply(answer, 201) if is_new else reply(answer, 200, _REPLAYED)


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
                "lines": [
                    {"line_no": each.line_no, "sku": each.sku, "quantity": each.quantity} for each in shipment.contents
                ],
            }
            for shipment in order.shipments
        ],
        "reason": order.reason,
    }
