"""States of the integration, as its channels find it."""

from collections.abc import Mapping
from typing import Any

from integration.bootstrap import Parts
from integration.process.intake import Intake
from integration.storage import Transaction
from peakproof.live.house import BLOCKED, SCARCE
from peakproof.live.states.common import LINES, ORDER, SHIP_TO, SKU, in_work, use_up_quota, withdrawn_token
from peakproof.live.states.registry import MINUTE_US, Registry, Scene, StateFailed, Values
from peakproof.live.states.wms import WMS
from scenarios.stage import CLERK

INTEGRATION = Registry("integration", "integration", "portal")
SLOW_BUCKET = {"integration.channel_rate_per_second": "0.05"}
REFUSES_ON_OLD_DATA = {"integration.stale_policy": "refuse", "integration.reference_max_age": "1m"}
KEEPS_EVENTS = {"integration.keep_events": "7d"}
PORTAL_OF_ONE = {"integration.channel_customers": f"{{portal: {ORDER['customer_id']}}}"}
AVAILABILITY = f"/availability?sku={SKU}"
withdrawn_token(INTEGRATION)


class SlowIntake(Intake):
    """Takes ten seconds over every order, so that a second attempt can come while the first is in work."""

    def place_order(self, tx: Transaction, channel: str, asked: Mapping[str, Any], trace_id: str) -> dict[str, Any]:
        self._clock.sleep(MINUTE_US // 6)
        return super().place_order(tx, channel, asked, trace_id)


def order_of(order_reference: str) -> dict[str, Any]:
    """Six of 85123A, as the storefront writes it: a key that comes with another body is another matter."""
    return {
        "customer_id": ORDER["customer_id"],
        "order_reference": order_reference,
        "currency": "GBP",
        "fill_policy": "fill_available",
        "service": "standard",
        "ship_to": SHIP_TO,
        "lines": [{**LINES[0], "unit": "EA"}],
    }


def much_of(order_reference: str) -> dict[str, Any]:
    """A thousand of 20725, of which there are but a few."""
    return {**order_of(order_reference), "lines": [{**LINES[0], "sku": "20725", "quantity": 1000, "unit": "EA"}]}


def place(scene: Scene, order_reference: str, key: str = "") -> str:
    return str(scene.post("/orders", order_of(order_reference), key)["order_id"])


def status(scene: Scene, order_id: str) -> str:
    return str(scene.get(f"/orders/{order_id}")["status"])


def place_until(scene: Scene, order_reference: str, *statuses: str) -> Values:
    order_id = place(scene, order_reference)
    scene.until(" or ".join(statuses), lambda: status(scene, order_id) in statuses)
    return {"order_id": order_id}


@INTEGRATION.state("85123A is available")
def available(scene: Scene) -> None:
    if scene.get(AVAILABILITY)["items"][0]["available"] < 100:
        raise StateFailed(f"the house opened with fewer than 100 of {SKU}")


@INTEGRATION.state("20725 is scarce")
def scarce(scene: Scene) -> None:
    left = scene.get("/availability?sku=20725")["items"][0]["available"]
    if left > 3 * SCARCE["20725"]:
        raise StateFailed(f"the house opened with {left} of 20725")


@INTEGRATION.state("customer C-1009 is blocked")
def blocked(scene: Scene) -> None:
    found = scene.box.stage.erp.books.customer(BLOCKED).status
    if (BLOCKED, found) != ("C-1009", "blocked"):
        raise StateFailed(f"the house opened with customer {BLOCKED} {found}")


@INTEGRATION.state("the channel's quota is used up", SLOW_BUCKET)
def quota_used_up(scene: Scene) -> None:
    use_up_quota(scene, AVAILABILITY)


@INTEGRATION.state("reference data are too old to decide on", REFUSES_ON_OLD_DATA)
def stale(scene: Scene) -> None:
    scene.box.advance(5 * MINUTE_US)


@INTEGRATION.state("an order was placed")
def placed(scene: Scene, order_reference: str) -> Values:
    return {"order_id": place(scene, order_reference)}


@INTEGRATION.state("an order was placed under a key")
def placed_with_key(scene: Scene, order_reference: str, key: str) -> Values:
    return {"order_id": place(scene, order_reference, key)}


@INTEGRATION.state("an order is being placed under a key", parts=Parts(intake=SlowIntake))
def being_placed(scene: Scene, order_reference: str, key: str) -> None:
    in_work(scene, "/orders", order_of(order_reference), key)


@INTEGRATION.state("an order was released to a warehouse")
def released(scene: Scene, order_reference: str) -> Values:
    return place_until(scene, order_reference, "released")


@INTEGRATION.state("an order was invoiced")
def invoiced(scene: Scene, order_reference: str) -> Values:
    return place_until(scene, order_reference, "invoiced")


@INTEGRATION.state("another customer placed an order", PORTAL_OF_ONE)
def placed_by_another(scene: Scene, order_reference: str) -> Values:
    theirs = {**order_of(order_reference), "customer_id": "C-1002"}
    return {"order_id": str(scene.post("/orders", theirs, client="edi")["order_id"])}


@INTEGRATION.state("no events are kept")
def no_events(scene: Scene) -> None:
    if scene.get("/subscriptions")["items"]:
        raise StateFailed("the house opened with a subscription")


@INTEGRATION.state("events are kept", KEEPS_EVENTS)
def events_kept(scene: Scene) -> None:
    no_events(scene)


@INTEGRATION.state("the channel has a subscription", KEEPS_EVENTS)
def subscribed(scene: Scene, url: str) -> Values:
    asked = {"url": url, "types": ["order.accepted"]}
    return {"subscription_id": str(scene.post("/subscriptions", asked)["subscription_id"])}


def until_told(scene: Scene, what: str) -> None:
    scene.until(what, lambda: bool(scene.heard))


@INTEGRATION.state("a subscriber was told that an order was accepted", KEEPS_EVENTS)
def told_of_order(scene: Scene, order_reference: str) -> None:
    scene.listen("order.accepted")
    scene.post("/orders", much_of(order_reference))
    until_told(scene, "the event")


@INTEGRATION.state("a subscriber was told that an article was sold out", KEEPS_EVENTS)
def told_of_last(scene: Scene, order_reference: str) -> None:
    scene.listen("availability.changed")
    scene.post("/orders", much_of(order_reference))
    until_told(scene, "the event")


@INTEGRATION.state("a subscriber was told that goods came for an order", KEEPS_EVENTS)
def told_of_goods(scene: Scene, order_reference: str) -> None:
    scene.listen("order.backordered")
    scene.post("/orders", much_of(order_reference))
    receipt = {"receipt_id": f"rcp-{order_reference}", "sku": "20725", "quantity": 100, "reason": "purchase"}
    Scene(scene.box, WMS).post("/receipts", receipt, client=CLERK)
    until_told(scene, "the event")


@INTEGRATION.state("a subscriber was told that an order was cancelled", KEEPS_EVENTS)
def told_of_cancel(scene: Scene, order_reference: str, reason: str) -> None:
    scene.listen("order.cancelled")
    scene.post(f"/orders/{place(scene, order_reference)}/cancel", {"reason": reason})
    until_told(scene, "the event")


@INTEGRATION.state("a subscriber was told that an order was shipped", KEEPS_EVENTS)
def told_of_shipment(scene: Scene, order_reference: str) -> None:
    scene.listen("order.shipped")
    place(scene, order_reference)
    until_told(scene, "the departure")


@INTEGRATION.state("a subscriber was told that an order was invoiced", KEEPS_EVENTS)
def told_of_invoice(scene: Scene, order_reference: str) -> None:
    scene.listen("order.invoiced")
    place(scene, order_reference)
    until_told(scene, "the invoice")
