"""How the basket shop's API is spoken."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from loadtests.adapters import AVAILABILITY, FIND, Call, OrderApi, Request, Told

UNUSED = ("wms-west", "threepl")


class Baskets(OrderApi):
    """Everything but cancels; it says what is on the shelves, of its one warehouse."""

    provides = frozenset({"promises", "read", "find", "availability", "keys", "traces"})

    def place(self, order: Mapping[str, Any], key: str) -> Request:
        return Request("PUT", f"/baskets/{quote(key)}", order)

    def read(self, order_id: str) -> Request:
        return Request("GET", f"/baskets/{quote(order_id)}")

    def find(self, customer_id: str, order_reference: str) -> Request:
        return Request("GET", "/baskets?" + urlencode({"customer": customer_id, "reference": order_reference}))

    def availability(self, skus: list[str], page: int) -> Request:
        """All shelves at once; `told` picks out those that were asked for."""
        del skus, page
        return Request("GET", "/shelves")

    def authorize(self, token: str) -> Mapping[str, str]:
        return {"X-Api-Key": token}

    def told(self, call: Call, status: int, _headers: Mapping[str, str], body: Any) -> Told:
        if body is None or status >= 500:
            return Told.info()
        if status == 400:
            details = {"existing_order_id": body["basket"]} if body["basket"] else {}
            return Told.fail(body["reason"], **details)
        if call.kind == FIND:
            return Told.ok(items=body)
        if call.kind == AVAILABILITY:
            skus = call.query.get("sku", sorted(body))
            return Told.ok(items=[_shelf(sku, body[sku]) for sku in skus if sku in body], next_page=None)
        return Told.ok(replayed=body["again"], **body["taken"])


def _shelf(sku: str, available: int) -> dict[str, Any]:
    nodes = [{"node": "wms-east", "available": available}, *({"node": node, "available": 0} for node in UNUSED)]
    return {"sku": sku, "available": available, "nodes": nodes}
