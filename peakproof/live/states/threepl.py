"""States of a 3PL."""

from typing import Any

from peakproof.live.states.common import (
    LINES,
    ORDER,
    SHIP_TO,
    SKU,
    gateway_overloaded,
    in_work,
    use_up_quota,
    withdrawn_token,
)
from peakproof.live.states.registry import Registry, Scene, StateFailed

THREEPL = Registry("threepl", "threepl")
REFUSES_TWICE = {"cast.threepl.settings.duplicate_policy": "reject"}
REFUSES_IN_FLIGHT = {"cast.threepl.settings.keys": "{in_flight: refuse}"}
SLOW_BUCKET = {"cast.threepl.settings.limit": "{per_second: 0.05, burst: 10}"}
TAKES_ALL = {"cast.threepl.settings.reject_share": "0.0"}
TAKES_NONE = {"cast.threepl.settings.reject_share": "1.0"}
withdrawn_token(THREEPL)


def fulfillment_order(reference: str) -> dict[str, Any]:
    """Six of 85123A for the order of the pacts."""
    return {"reference": reference, **ORDER, "ship_to": SHIP_TO, "lines": LINES}


def submit(scene: Scene, reference: str) -> None:
    scene.post("/fulfillment-orders", fulfillment_order(reference))


def status(scene: Scene, reference: str) -> str:
    return str(scene.get(f"/fulfillment-orders/{reference}")["status"])


@THREEPL.state("the 3PL stocks 85123A")
def stocks(scene: Scene) -> None:
    if not scene.get(f"/stock?sku={SKU}")["items"]:
        raise StateFailed(f"the 3PL opened without {SKU}")


@THREEPL.state("a fulfillment order was submitted")
def submitted(scene: Scene, reference: str) -> None:
    submit(scene, reference)


@THREEPL.state("a fulfillment order was submitted to a 3PL that refuses a second one", REFUSES_TWICE)
def submitted_strictly(scene: Scene, reference: str) -> None:
    submit(scene, reference)


@THREEPL.state("a fulfillment order is being taken in under the same key", REFUSES_IN_FLIGHT)
def being_taken_in(scene: Scene, reference: str) -> None:
    in_work(scene, "/fulfillment-orders", fulfillment_order(reference), f"release:{reference}")


@THREEPL.state("a fulfillment order is in work", TAKES_ALL)
def in_the_works(scene: Scene, reference: str) -> None:
    submit(scene, reference)
    scene.until("the batch", lambda: status(scene, reference) in ("processing", "shipped"))


@THREEPL.state("a fulfillment order was shipped", TAKES_ALL)
def shipped(scene: Scene, reference: str) -> None:
    submit(scene, reference)
    scene.until("the departure", lambda: status(scene, reference) == "shipped")


@THREEPL.state("a fulfillment order was rejected", TAKES_NONE)
def rejected(scene: Scene, reference: str) -> None:
    submit(scene, reference)
    scene.until("the decision", lambda: status(scene, reference) == "rejected")


@THREEPL.state("the client's quota is used up", SLOW_BUCKET)
def quota_used_up(scene: Scene) -> None:
    use_up_quota(scene, f"/stock?sku={SKU}")


@THREEPL.state("the 3PL is overloaded", gateway_overloaded("threepl", "POST /fulfillment-orders"))
def overloaded(scene: Scene) -> None:
    stocks(scene)
