"""The warehouse on the wire: HTTP to the model and back, nothing more."""

from collections.abc import Callable, Mapping
from typing import Any

from flask import Flask, Response

from contracts.edge import ProblemError, body, reply
from contracts.wire import iso
from simulators.partnerkit import correlation_id, create, write_key
from simulators.partnerkit.requests import by_number, same_order
from simulators.partnerkit.stock import StockError, content_rows
from simulators.partnerkit.stock_api import STOCK_PROBLEMS, Route, StockHandlers, taken_in
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
    units_by_line,
)
from simulators.wms.process import Wms

_PROBLEMS: dict[type[Exception], str] = {
    UnknownRelease: "not-found",
    DuplicateRelease: "duplicate-reference",
    UnknownSkus: "unknown-sku",
    UnknownLine: "unknown-line",
    UnknownParcel: "unknown-parcel",
    QuantityExceeded: "quantity-exceeded",
    TooLateToCancel: "too-late-to-cancel",
    ConflictingState: "conflicting-state",
} | STOCK_PROBLEMS
_RELEASE_ID_LENGTH = 50  # parcels and shipments are named after their release, within the 64 that the contract allows


def create_app(wms: Wms) -> Flask:
    """The application of one warehouse; making it begins a life of the host."""
    wms.start()
    app = create(wms.name, "wms", wms.tokens.check, wms.limit, keys=wms.keys)
    handlers = _Handlers(wms)
    routes: tuple[Route, ...] = (
        ("POST", "/releases", handlers.create_release),
        ("GET", "/releases/<release_id>", handlers.read_release),
        ("POST", "/releases/<release_id>/cancel", handlers.cancel_release),
        ("POST", "/releases/<release_id>/labels", handlers.attach_labels),
        *handlers.stock_routes(),
        ("POST", "/subscriptions", handlers.subscribe),
    )
    for method, rule, handler in routes:
        app.add_url_rule(rule, f"{method} {rule}", _answering(handler), methods=[method])
    return app


class _Handlers(StockHandlers[Wms]):
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
        with self.site.serving(True, "release", release_id, lines=len(lines)):
            taken, is_new = self.site.receive_release(release)
            return taken_in(self._told(taken), is_new)

    def read_release(self, release_id: str) -> Response:
        with self.site.serving(False, "release", release_id):
            return reply(self._told(self.site.model.find(release_id)))

    def cancel_release(self, release_id: str) -> Response:
        asked = body()
        quantities = {line_no: row["quantity"] for line_no, row in by_number(asked["lines"]).items()}
        with self.site.serving(True, "cancel", release_id):
            self._of(release_id, asked)
            return reply(self._told(self.site.cancel_release(release_id, quantities, write_key())))

    def attach_labels(self, release_id: str) -> Response:
        asked = body()
        parcels = by_number(asked["parcels"], "parcel_id", "/parcels")
        tracking_numbers = {parcel_id: row["tracking_number"] for parcel_id, row in parcels.items()}
        with self.site.serving(True, "labels", release_id):
            self._of(release_id, asked)
            return reply(self._told(self.site.attach_labels(release_id, tracking_numbers)))

    def subscribe(self) -> Response:
        asked = body()
        made = self.site.webhooks.subscribe(asked["url"], asked["secret"], asked["types"])
        return reply({"subscription_id": made.subscription_id, "url": made.url, "types": list(made.types)}, 201)

    def _told(self, release: Release) -> dict[str, object]:
        return _release(release, self.site.model.sequence_of(release.release_id))

    def _of(self, release_id: str, asked: Mapping[str, Any]) -> None:
        """The release must be of the order that the caller names."""
        release = self.site.model.find(release_id)
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


def _shipments(release: Release) -> list[dict[str, object]]:
    """What has left so far, a shipment at a time, in the order in which they left."""
    left = dict.fromkeys(parcel.shipment_id for parcel in release.parcels if parcel.shipment_id)
    told: list[dict[str, object]] = []
    for shipment_id in left:
        parcels = [parcel for parcel in release.parcels if parcel.shipment_id == shipment_id]
        units = units_by_line(parcels)
        rows = [
            {"line_no": line.line_no, "sku": line.sku, "quantity": units[line.line_no]}
            for line in release.lines.values()
            if line.line_no in units
        ]
        told.append(
            {
                "shipment_id": shipment_id,
                "shipped_at": iso(parcels[0].shipped_at_us),
                "lines": rows,
                "parcels": [parcel.parcel_id for parcel in parcels],
            }
        )
    return told


def _release(release: Release, sequence: int) -> dict[str, object]:
    return {
        "sequence": sequence,
        "shipments": _shipments(release),
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
