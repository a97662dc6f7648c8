"""One short story per role: requests that succeed, and refusals that only a certain state gives."""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from contracts.validation import Events
from contracts.wire import iso
from peakproof.certification.transport import Request
from peakproof.fuzzing.door import KEY_HEADER, PLACEHOLDER, SIGNED, Door, label, takes_key
from peakproof.fuzzing.house import HouseTarget
from peakproof.fuzzing.promises import Broken, Exchange, parsed_json
from simulators.kernel.faults import Fault

HOUR_US = 3_600_000_000
SKU = "85123A"
CUSTOMER = "C-1001"
SHIP_TO = {"name": "Gift Shop Ltd", "street": "1 High Street", "city": "Leeds", "postcode": "LS1 1AA", "country": "GB"}
LINE = {"line_no": 1, "sku": SKU, "quantity": 2}


class StoryBroke(Exception):
    """A step did not end as the rest of the story needs; the finding is noted."""


class Script:
    """Writes and reads of one story. `firsts` are the first success of each write under a key."""

    def __init__(self, door: Door, target: HouseTarget) -> None:
        self._door = door
        self._target = target
        self._count = 0
        self.firsts: dict[str, Exchange] = {}

    def write(self, path: str, body: Mapping[str, Any] | None, *statuses: int) -> Any:
        """POST under a key of its own; the answer's JSON. `statuses` are what it may end with."""
        self._count += 1
        headers = {"Authorization": PLACEHOLDER, KEY_HEADER: f"story-{self._count}"}
        content = b""
        if body is not None:
            headers["Content-Type"] = "application/json"
            content = orjson.dumps(body)
        exchange = self._carried(Request("POST", path, headers, content), statuses)
        operation = exchange.operation
        if operation is not None and takes_key(operation) and 200 <= exchange.reply.status < 300:
            self._first(label(operation), exchange)
        return parsed_json(exchange.reply.body)

    def read(self, path: str, *statuses: int) -> Any:
        """GET; the answer's JSON."""
        exchange = self._carried(Request("GET", path, {"Authorization": PLACEHOLDER}), statuses or (200,))
        return parsed_json(exchange.reply.body)

    def remove(self, path: str, *statuses: int) -> None:
        """DELETE."""
        self._carried(Request("DELETE", path, {"Authorization": PLACEHOLDER}), statuses)

    def tell(self, partner: str, event_type: str, *statuses: int, signature: str = SIGNED) -> None:
        """POST the example of an event as a partner's webhook, signed with its secret unless told otherwise."""
        event = Events.load().schemas[event_type]["examples"][0]
        headers = {
            "Content-Type": "application/cloudevents+json",
            "webhook-id": event["id"],
            "webhook-timestamp": "0",
            "webhook-signature": signature,
        }
        self._carried(Request("POST", f"/webhooks/{partner}", headers, orjson.dumps(event)), statuses)

    def secret(self) -> str:
        """The client secret that the ERP takes."""
        return self._target.box.stage.keys.integration_at["erp"]

    def wait(self, hours: float) -> None:
        """Let time pass in the house."""
        self._target.box.advance(int(hours * HOUR_US))
        self._door.refresh()

    def now(self) -> str:
        return iso(self._target.box.now_us())

    def strike(self, fault: Fault) -> None:
        """Let a fault strike from now on."""
        self._target.box.do(self._target.box.stage.world.faults.add, fault)

    def heal(self, fault_id: str) -> None:
        """Let it strike no more."""
        self._target.box.do(self._target.box.stage.world.faults.remove, fault_id)

    def _first(self, name: str, exchange: Exchange) -> None:
        """The first success of a write is repeated at once, while nothing else has happened to what it made."""
        if name not in self.firsts:
            self.firsts[name] = exchange
            self._door.repeat(exchange)

    def _carried(self, request: Request, statuses: tuple[int, ...]) -> Exchange:
        exchange = self._door.exchange(request)
        if statuses and exchange.reply.status not in statuses:
            wanted = " or ".join(str(status) for status in statuses)
            broken = Broken("reachable", f"answered {exchange.reply.status} where the story needs {wanted}")
            self._door.note(request, exchange.reply, broken)
            raise StoryBroke(broken.told)
        return exchange


def of_erp(script: Script) -> None:
    """An order is booked, changed, shipped and invoiced."""
    of_order = {"customer_id": CUSTOMER, "order_reference": "PO-1"}
    priced = {"line_no": 1, "sku": SKU, "quantity": 6, "unit_price_minor": 255, "tax_rate_bp": 2000, "confirmed": 6,
              "backordered": 0}  # fmt: skip
    order = {"order_id": "ord-1", **of_order, "currency": "GBP", "ordered_at": script.now(), "lines": [priced],
             "total_minor": 1836, "tax_minor": 306}  # fmt: skip
    asked = {"grant_type": "client_credentials", "client_id": "integration"}
    script.write("/oauth/token", {**asked, "client_secret": script.secret()}, 200)
    script.write("/oauth/token", {**asked, "client_secret": "wrong"}, 401)
    for path in ("/customers", "/items", "/price-lists", "/tax-rates"):
        script.read(path)
    for path in ("/sales-orders", "/invoices"):
        script.read(path + "?customer_id=C-1001&order_reference=PO-1")
    made = script.write("/sales-orders", order, 201)
    script.write("/sales-orders", order, 200)
    erp_order_id = made["erp_order_id"]
    script.read(f"/sales-orders/{erp_order_id}")
    script.read("/customers/C-1001")
    change = {"change_id": "chg-1", **of_order, "reason": "short",
              "lines": [{"line_no": 1, "backordered": 0, "cancelled": 2}]}  # fmt: skip
    script.write(f"/sales-orders/{erp_order_id}/changes", change, 200)
    script.write(f"/sales-orders/{erp_order_id}/changes", {**change, "order_reference": "PO-2"}, 409)
    script.write("/sales-orders/none/changes", change, 404)
    shipment = {"shipment_id": "shp-1", "erp_order_id": erp_order_id, **of_order, "node": "wms-east",
                "shipped_at": script.now(), "tracking_numbers": ["TRK1"], "lines": [LINE]}  # fmt: skip
    script.write("/shipments", shipment, 201)
    script.write("/shipments", shipment, 200)
    script.write("/shipments", {**shipment, "shipment_id": "shp-2", "customer_id": "C-1002"}, 409)
    invoice = {"shipment_id": "shp-1", "erp_order_id": erp_order_id, **of_order}
    script.write("/shipments", {**shipment, "shipment_id": "shp-3", "erp_order_id": "none"}, 404)
    script.write("/invoices", {**invoice, "shipment_id": "none"}, 404)
    script.write("/invoices", invoice, 201)
    script.write("/invoices", invoice, 200)
    script.write("/invoices", {**invoice, "order_reference": "PO-2"}, 409)


def of_wms(script: Script) -> None:
    """A release is received, partly cancelled, packed, labelled and shipped."""
    of_order = {"customer_id": CUSTOMER, "order_reference": "PO-1"}
    release = {"release_id": "rel-1", **of_order, "service": "standard", "ship_to": SHIP_TO, "lines": [LINE]}
    script.write("/releases", release, 201)
    script.write("/releases", release, 200)
    script.read("/releases/rel-1")
    cancel = {**of_order, "reason": "customer", "lines": [{"line_no": 1, "quantity": 1}]}
    script.write("/releases/rel-1/cancel", cancel, 200)
    script.write(
        "/releases/rel-1/labels", {**of_order, "parcels": [{"parcel_id": "par-1", "tracking_number": "TRK1"}]}, 409, 422
    )
    script.write("/releases/none/cancel", cancel, 404)
    script.write("/releases/none/labels", {**of_order, "parcels": [{"parcel_id": "p", "tracking_number": "T"}]}, 404)
    parcels: list[Any] = []
    for _ in range(12):
        script.wait(0.5)
        parcels = script.read("/releases/rel-1")["parcels"]
        if parcels:
            break
    labels = [{"parcel_id": each["parcel_id"], "tracking_number": f"TRK{place}"} for place, each in enumerate(parcels)]
    script.write("/releases/rel-1/labels", {**of_order, "parcels": labels}, 200)
    script.write("/releases/rel-1/cancel", cancel, 409)
    _of_goods(script)
    script.write("/subscriptions", {"url": "http://integration/webhooks/wms-east", "secret": "secret-of-story",
                                    "types": ["release.shipped"]}, 201)  # fmt: skip


def of_threepl(script: Script) -> None:
    """One fulfillment order is cancelled in time, another too late."""
    of_order = {"customer_id": CUSTOMER, "order_reference": "PO-1"}
    order = {"reference": "ful-a", **of_order, "ship_to": SHIP_TO, "lines": [LINE]}
    script.write("/fulfillment-orders", order, 202)
    script.write("/fulfillment-orders", order, 200)
    script.write("/fulfillment-orders", {**order, "reference": "ful-b"}, 202)
    script.read("/fulfillment-orders/ful-a")
    script.read("/fulfillment-orders?changed_since=0&limit=10")
    cancel = {**of_order, "reason": "customer"}
    script.write("/fulfillment-orders/none/cancel", cancel, 404)
    script.write("/fulfillment-orders/ful-a/cancel", cancel, 200)
    script.wait(6)
    script.write("/fulfillment-orders/ful-b/cancel", cancel, 409)
    _of_goods(script)


def of_carrier(script: Script) -> None:
    """A label is bought, found, tracked and voided."""
    script.write("/rates", {"ship_to": SHIP_TO, "weight_g": 1500}, 200)
    of_order = {"customer_id": CUSTOMER, "order_reference": "PO-1"}
    label_ = {"label_reference": "par-1", "shipment_reference": "rel-1", **of_order, "service": "standard",
              "ship_to": SHIP_TO, "weight_g": 1500, "lines": [LINE]}  # fmt: skip
    made = script.write("/labels", label_, 201)
    script.write("/labels", label_, 200)
    script.read("/labels?label_reference=par-1")
    script.read(f"/trackings/{made['tracking_number']}")
    script.write("/labels/none/void", of_order, 404)
    script.write(f"/labels/{made['label_id']}/void", {**of_order, "order_reference": "PO-2"}, 409)
    script.write(f"/labels/{made['label_id']}/void", of_order, 200)
    script.write("/subscriptions", {"url": "http://integration/webhooks/carrier", "secret": "secret-of-story",
                                    "types": ["tracking.updated"]}, 201)  # fmt: skip


def of_orders(script: Script) -> None:
    """An order is placed and cancelled at once, another when a warehouse has it, and a third is never booked."""
    order = {"customer_id": CUSTOMER, "order_reference": "PO-1", "currency": "GBP", "fill_policy": "fill_available",
             "service": "standard", "ship_to": SHIP_TO, "lines": [{**LINE, "unit": "EA"}]}  # fmt: skip
    script.write("/orders", order, 201)
    script.write("/orders", order, 409)
    script.read("/orders?customer_id=C-1001&order_reference=PO-1")
    released = script.write("/orders", {**order, "order_reference": "PO-2"}, 201)
    script.wait(0.1)
    script.read(f"/orders/{released['order_id']}")
    script.read(f"/orders/{released['order_id']}/invoices")
    cancel = {"reason": "customer"}
    script.write("/orders/none/cancel", cancel, 404)
    script.write(f"/orders/{released['order_id']}/cancel", cancel, 202)
    made = script.write("/orders", {**order, "order_reference": "PO-3"}, 201)
    script.write(f"/orders/{made['order_id']}/cancel", cancel, 200)
    script.write(f"/orders/{made['order_id']}/cancel", cancel, 200, 409)
    script.read("/availability?sku=85123A")
    for path in ("queues", "dead-letters", "health"):
        script.read(f"/operations/{path}")
    script.write("/operations/dead-letters/999999/redrive", None, 404, 409)
    script.tell("carrier", "tracking.updated", 204)
    script.tell("none", "tracking.updated", 404)
    script.tell("carrier", "tracking.updated", 401, signature="v1,bm90IHRoZSByaWdodCBvbmU=")
    script.write("/operations/dead-letters/none/redrive", None, 404)
    asked = {"url": "http://subscriber/events", "types": ["order.shipped"]}
    subscription = script.write("/subscriptions", asked, 201)
    script.write("/subscriptions", {**asked, "new_secret": True}, 201)
    script.read("/subscriptions")
    script.remove(f"/subscriptions/{subscription['subscription_id']}", 204)
    script.remove(f"/subscriptions/{subscription['subscription_id']}", 404)
    for number in range(20):
        script.write("/subscriptions", {**asked, "url": f"http://subscriber/{number}"}, 201)
    script.write("/subscriptions", asked, 409)
    script.strike(Fault("story", "garbled", source="integration", target="erp", method="POST"))
    script.write("/orders", {**order, "order_reference": "PO-4"}, 201)
    _redriven(script)


def _redriven(script: Script) -> None:
    """Wait for the message that no partner takes to be given up, and try it again."""
    for _ in range(40):
        script.wait(0.1)
        dead = script.read("/operations/dead-letters")["items"]
        if dead:
            break
    script.heal("story")
    message_id = dead[0]["message_id"] if dead else 1
    script.write(f"/operations/dead-letters/{message_id}/redrive", None, 200)
    script.write(f"/operations/dead-letters/{message_id}/redrive", None, 409)


def _of_goods(script: Script) -> None:
    adjustment = {"adjustment_id": "adj-1", "sku": SKU, "quantity_delta": -3, "reason": "cycle count"}
    script.write("/adjustments", adjustment, 201)
    script.write("/adjustments", adjustment, 200)
    script.write("/adjustments", {**adjustment, "adjustment_id": "adj-2", "quantity_delta": -90_000_000}, 409)
    receipt = {"receipt_id": "rcp-1", "sku": SKU, "quantity": 5, "reason": "purchase"}
    script.write("/receipts", receipt, 201)
    script.write("/receipts", receipt, 200)
    script.read(f"/stock?sku={SKU}")


STORIES: Mapping[str, Callable[[Script], None]] = {
    "erp": of_erp,
    "wms": of_wms,
    "threepl": of_threepl,
    "carrier": of_carrier,
    "orders": of_orders,
}
