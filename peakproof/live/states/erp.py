"""States of an ERP."""

from typing import Any

from peakproof.live.sandbox import Request
from peakproof.live.states.common import A_FEW_CALLS, LINES, ORDER, SKU, in_work, use_up_quota, withdrawn_token
from peakproof.live.states.registry import HOUR_US, Registry, Scene, StateFailed, Values

ERP = Registry("erp", "erp")
STRICT = {"cast.erp.profile": "strict"}
SMALL_PAGES = {"cast.erp.settings.pages": "{default: 4, cap: 4}"}
ONE_WORKER = {"cast.erp.settings.desk": "{capacity: 1, queue_limit: 16, queue_timeout: 1ms, retry_after_s: 5}"}
ORDERED_AT = "2026-11-27T09:00:00.000000Z"
"""As the consumer writes it: a key that comes with another body is another matter than one in work."""
withdrawn_token(ERP)


def sales_order(order_reference: str = ORDER["order_reference"]) -> dict[str, Any]:
    line = {**LINES[0], "unit_price_minor": 255, "tax_rate_bp": 2000, "confirmed": 6, "backordered": 0}
    return {
        **ORDER,
        "order_id": "ord-1",
        "order_reference": order_reference,
        "currency": "GBP",
        "ordered_at": ORDERED_AT,
        "lines": [line],
        "total_minor": 1836,
        "tax_minor": 306,
    }


def book(scene: Scene, order_reference: str = ORDER["order_reference"]) -> str:
    """Book six of 85123A; the ERP's number of the order."""
    return str(scene.post("/sales-orders", sales_order(order_reference))["erp_order_id"])


def ship(scene: Scene, shipment_id: str) -> str:
    erp_order_id = book(scene)
    told = {"node": "wms-east", "shipped_at": ORDERED_AT, "tracking_numbers": ["TRK1"], "lines": LINES}
    scene.post("/shipments", {"shipment_id": shipment_id, "erp_order_id": erp_order_id, **ORDER, **told})
    return erp_order_id


@ERP.state("customer C-1001 may order 85123A")
def may_order(scene: Scene) -> None:
    found = [item for item in scene.get("/items?page_size=100")["items"] if item["sku"] == SKU]
    if not found or scene.get("/customers/C-1001")["status"] != "active":
        raise StateFailed(f"the ERP opened without customer C-1001 or {SKU}")


@ERP.state("the client is known")
def known(scene: Scene) -> Values:
    return {"client_secret": scene.box.stage.keys.integration_at["erp"]}


@ERP.state("the client's token has expired", {"cast.erp.settings.token_lifetime": "1h"})
def expired(scene: Scene) -> Values:
    stale = scene.box.headers("erp")["Authorization"].removeprefix("Bearer ")
    scene.box.advance(HOUR_US)
    return {"token": stale}


@ERP.state("the client's token has expired, which this ERP answers with 403", STRICT)
def expired_forbidden(scene: Scene) -> Values:
    return expired(scene)  # a strict ERP's tokens live for 15 minutes


@ERP.state("the client's quota is used up", {"cast.erp.settings.quota": A_FEW_CALLS})
def quota_used_up(scene: Scene) -> None:
    use_up_quota(scene, "/customers/C-1001")


@ERP.state("all workers of the ERP are busy", ONE_WORKER)
def busy(scene: Scene) -> None:
    in_work(scene, "/sales-orders", sales_order("PO-BEFORE"), "book:before")


@ERP.state("a sales order was booked")
def booked(scene: Scene) -> Values:
    return {"erp_order_id": book(scene)}


@ERP.state("a sales order was booked by an ERP that refuses a second one", STRICT)
def booked_strictly(scene: Scene) -> Values:
    return booked(scene)


@ERP.state("a sales order is being booked under the same key", STRICT)
def being_booked(scene: Scene, key: str) -> None:
    in_work(scene, "/sales-orders", sales_order(), key)


@ERP.state("a shipment was confirmed")
def shipped(scene: Scene, shipment_id: str) -> Values:
    return {"erp_order_id": ship(scene, shipment_id)}


@ERP.state("a shipment was invoiced")
def invoiced(scene: Scene, shipment_id: str) -> Values:
    erp_order_id = ship(scene, shipment_id)
    scene.post("/invoices", {"shipment_id": shipment_id, "erp_order_id": erp_order_id, **ORDER})
    return {"erp_order_id": erp_order_id}


@ERP.state("the ERP serves pages of at most 4 rows", SMALL_PAGES)
def small_pages(scene: Scene) -> None:
    answer = scene.call(Request("GET", "/items?page_size=5", scene.box.headers("erp")))
    if answer.status != 422:
        raise StateFailed(f"the ERP serves pages of 5 rows, with {answer.status}")
