"""How the cart shop's API is spoken: the only thing that a team writes to have its own shop judged."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from loadtests.adapters import FIND, Call, OrderApi, Request, Told

STATES = {"taken": "accepted", "booked": "booked", "packing": "released", "shipped": "shipped", "done": "invoiced"}
REFUSALS = {
    "sold-out": "out-of-stock",
    "unknown-article": "unknown-sku",
    "who-are-you": "unknown-customer",
    "other-price": "price-mismatch",
    "other-cart-under-this-key": "idempotency-key-reused",
}


class Carts(OrderApi):
    """Carts can be placed, read and found; the shop publishes no stock and cancels nothing."""

    provides = frozenset({"promises", "read", "find", "keys", "traces"})

    def place(self, order: Mapping[str, Any], key: str) -> Request:
        return Request("POST", "/carts", order, {"X-Request-Id": key})

    def read(self, order_id: str) -> Request:
        return Request("GET", f"/carts/{quote(order_id)}")

    def find(self, customer_id: str, order_reference: str) -> Request:
        return Request("GET", f"/known/{quote(customer_id)}/{quote(order_reference)}")

    def told(self, call: Call, status: int, _headers: Mapping[str, str], body: Any) -> Told:
        if not isinstance(body, dict) or status >= 500:
            return Told.info()
        if call.kind == FIND:
            return Told.ok(items=[{"order_id": body["cart"]}] if status == 200 else [])
        if status in (200, 201):
            return Told.ok(replayed=body.get("again", False), **_order(body))
        if body["error"] == "known-cart":
            return Told.fail("order-reference-used", existing_order_id=body["cart"])
        return Told.fail(REFUSALS.get(body["error"], "not-found"))


def _order(cart: dict[str, Any]) -> dict[str, Any]:
    lines = [
        {
            "line_no": row["row"], "sku": row["article"], "ordered": row["ordered"], "confirmed": row["promised"],
            "backordered": 0, "shipped": row["shipped"], "cancelled": 0, "short": row["short"],
            "unit_price_minor": row["price"], "tax_rate_bp": row["tax"],
        }
        for row in cart["rows"]
    ]  # fmt: skip
    status = STATES.get(cart["state"], "closed")
    return {"order_id": cart["cart"], "status": status, "version": cart["version"], "lines": lines, "parcels": []}
