"""The warehouse on the wire: HTTP to the model and back, nothing more."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Flask, Response

from contracts.edge import ProblemError, body, query, reply
from simulators.partnerkit import correlation_id, create, write_key
from simulators.partnerkit.requests import by_number, same_order
from simulators.partnerkit.stock import InsufficientStock, StockError, TooMuchStock, UnknownSku
from simulators.wms.model import (
    ConflictingState,
    DuplicateRelease,
    Line,
    Misplaced,
    QuantityExceeded,
    Release,
    TooLateToCancel,
    UnknownLine,
    UnknownParcel,
    UnknownRelease,
    UnknownSkus,
    WmsError,
)
from simulators.wms.process import Wms, content_rows

_PROBLEMS: dict[type[Exception], str] = {
    UnknownRelease: "not-found",
    DuplicateRelease: "duplicate-reference",
    UnknownSkus: "unknown-sku",
    UnknownSku: "unknown-sku",
    UnknownLine: "unknown-line",
    UnknownParcel: "unknown-parcel",
    QuantityExceeded: "quantity-exceeded",
    TooLateToCancel: "too-late-to-cancel",
    ConflictingState: "conflicting-state",
    InsufficientStock: "insufficient-stock",
    TooMuchStock: "invalid-request",
}
_REPLAYED = {"Idempotent-Replayed": "true"}
_RELEASE_ID_LENGTH = 50  # parcels and shipments are named after their release, within the 64 that the contract allows


def create_app(wms: Wms) -> Flask:
    """The application of one warehouse; making it begins a life of the host."""
    wms.start()
    app = create(wms.name, "wms", wms.tokens.check, wms.limit)
    handlers = _Handlers(wms)
    for method, rule, handler in (
        ("POST", "/releases", handlers.create_release),
        ("GET", "/releases/<release_id>", handlers.read_release),
        ("POST", "/releases/<release_id>/cancel", handlers.cancel_release),
        ("POST", "/releases/<release_id>/labels", handlers.attach_labels),
        ("GET", "/stock", handlers.stock),
        ("POST", "/adjustments", handlers.adjust),
        ("POST", "/receipts", handlers.receive),
        ("POST", "/subscriptions", handlers.subscribe),
    ):
        app.add_url_rule(rule, f"{method} {rule}", _answering(handler), methods=[method])
    return app


@dataclass(frozen=True, slots=True)
class _Handlers:
    wms: Wms

    def create_release(self) -> Response:
        asked = body()
        release_id = asked["release_id"]
        if len(release_id) > _RELEASE_ID_LENGTH:
            detail = f"release_id has {len(release_id)} characters, at most {_RELEASE_ID_LENGTH} are kept here"
            raise ProblemError("invalid-request", detail, pointer="/release_id")
        lines = {no: Line(no, row["sku"], row["quantity"]) for no, row in by_number(asked["lines"]).items()}
        release = Release(
            release_id,
            asked["customer_id"],
            asked["order_reference"],
            asked["service"],
            lines,
            correlation_id(),
        )
        with self.wms.serving(True, "release", release_id, lines=len(lines)):
            taken, is_new = self.wms.receive_release(release)
            return reply(_release(taken), 201) if is_new else reply(_release(taken), 200, _REPLAYED)

    def read_release(self, release_id: str) -> Response:
        with self.wms.serving(False, "release", release_id):
            return reply(_release(self.wms.model.find(release_id)))

    def cancel_release(self, release_id: str) -> Response:
        asked = body()
        quantities = {line_no: row["quantity"] for line_no, row in by_number(asked["lines"]).items()}
        with self.wms.serving(True, "cancel", release_id):
            self._of(release_id, asked)
            return reply(_release(self.wms.cancel_release(release_id, quantities, write_key())))

    def attach_labels(self, release_id: str) -> Response:
        asked = body()
        parcels = by_number(asked["parcels"], "parcel_id", "/parcels")
        tracking_numbers = {parcel_id: row["tracking_number"] for parcel_id, row in parcels.items()}
        with self.wms.serving(True, "labels", release_id):
            self._of(release_id, asked)
            return reply(_release(self.wms.attach_labels(release_id, tracking_numbers)))

    def stock(self) -> Response:
        asked = query()
        with self.wms.serving(False, "stock"):
            return reply(self.wms.stock_reads.page(asked, self.wms.profile.stock_page_size))

    def adjust(self) -> Response:
        asked = body()
        answer = {name: asked[name] for name in ("adjustment_id", "sku", "quantity_delta")}
        if asked["quantity_delta"] == 0:
            raise ProblemError("invalid-request", "quantity_delta is 0: nothing to book", pointer="/quantity_delta")
        with self.wms.serving(True, "adjustment", asked["adjustment_id"]):
            is_new = self.wms.adjust(asked["adjustment_id"], asked["sku"], asked["quantity_delta"], asked["reason"])
            return reply(answer, 201) if is_new else reply(answer, 200, _REPLAYED)

    def receive(self) -> Response:
        asked = body()
        answer = {name: asked[name] for name in ("receipt_id", "sku", "quantity")}
        with self.wms.serving(True, "receipt", asked["receipt_id"]):
            is_new = self.wms.receive_goods(asked["receipt_id"], asked["sku"], asked["quantity"], asked["reason"])
            return reply(answer, 201) if is_new else reply(answer, 200, _REPLAYED)

    def subscribe(self) -> Response:
        asked = body()
        made = self.wms.webhooks.subscribe(asked["url"], asked["secret"], asked["types"])
        return reply({"subscription_id": made.subscription_id, "url": made.url, "types": list(made.types)}, 201)

    def _of(self, release_id: str, asked: Mapping[str, Any]) -> None:
        """The release must be of the order that the caller names."""
        release = self.wms.model.find(release_id)
        same_order(asked, release.customer_id, release.order_reference)


def _answering(handler: Callable[..., Response]) -> Callable[..., Response]:
    """The handler, with the model's errors turned into problems."""

    def answer(**path: str) -> Response:
        try:
            return handler(**path)
        except Misplaced as error:
            raise ProblemError(_PROBLEMS[type(error)], str(error), pointer=error.pointer) from error
        except DuplicateRelease as error:
            raise ProblemError(_PROBLEMS[type(error)], str(error), existing_id=error.release_id) from error
        except (WmsError, StockError) as error:
            raise ProblemError(_PROBLEMS[type(error)], str(error)) from error

    return answer


def _release(release: Release) -> dict[str, object]:
    return {
        "release_id": release.release_id,
        "customer_id": release.customer_id,
        "order_reference": release.order_reference,
        "status": release.status,
        "lines": [
            {
                "line_no": line.line_no,
                "sku": line.sku,
                "quantity": line.quantity,
                "cancelled": line.cancelled,
                "picked": line.picked,
                "short": line.short,
                "shipped": line.shipped,
            }
            for line in release.lines.values()
        ],
        "parcels": [
            {
                "parcel_id": parcel.parcel_id,
                "weight_g": parcel.weight_g,
                "tracking_number": parcel.tracking_number,
                "lines": content_rows(parcel.contents),
            }
            for parcel in release.parcels
        ],
    }
