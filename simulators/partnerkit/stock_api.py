"""The handlers for goods that every node with stock serves alike: its stock, adjustments and receipts."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from flask import Response

from contracts.edge import ProblemError, body, query, reply
from simulators.partnerkit.site import StockSite
from simulators.partnerkit.stock import InsufficientStock, TooMuchStock, UnknownSku

STOCK_PROBLEMS: dict[type[Exception], str] = {
    UnknownSku: "unknown-sku",
    InsufficientStock: "insufficient-stock",
    TooMuchStock: "invalid-request",
}
Route = tuple[str, str, Callable[..., Response]]
Site = TypeVar("Site", bound=StockSite[Any, Any])


def taken_in(answer: object, is_new: bool, status: int = 201) -> Response:
    """The answer to a write: `status` for a new one, 200 and a header for one that was seen before."""
    return reply(answer, status) if is_new else reply(answer, 200, {"Idempotent-Replayed": "true"})


class StockHandlers(Generic[Site]):
    """Handlers of one node; `stock_routes` are (method, rule, handler)."""

    def __init__(self, site: Site) -> None:
        self.site = site

    def stock_routes(self) -> tuple[Route, ...]:
        return (
            ("GET", "/stock", self.stock),
            ("POST", "/adjustments", self.adjust),
            ("POST", "/receipts", self.receive),
        )

    def stock(self) -> Response:
        asked = query()
        with self.site.serving(False, "stock"):
            return reply(self.site.stock_reads.page(asked, self.site.profile.stock_page_size))

    def adjust(self) -> Response:
        asked = body()
        answer = {name: asked[name] for name in ("adjustment_id", "sku", "quantity_delta")}
        if asked["quantity_delta"] == 0:
            raise ProblemError("invalid-request", "quantity_delta is 0: nothing to book", pointer="/quantity_delta")
        with self.site.serving(True, "adjustment", asked["adjustment_id"]):
            is_new = self.site.adjust(asked["adjustment_id"], asked["sku"], asked["quantity_delta"], asked["reason"])
            return taken_in(answer, is_new)

    def receive(self) -> Response:
        asked = body()
        answer = {name: asked[name] for name in ("receipt_id", "sku", "quantity")}
        with self.site.serving(True, "receipt", asked["receipt_id"]):
            is_new = self.site.receive_goods(asked["receipt_id"], asked["sku"], asked["quantity"], asked["reason"])
            return taken_in(answer, is_new)
