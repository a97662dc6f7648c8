"""States of a warehouse."""

from typing import Any

from peakproof.live.states.common import (
    A_FEW_CALLS,
    LINES,
    ORDER,
    SHIP_TO,
    SKU,
    gateway_overloaded,
    in_work,
    use_up_quota,
    withdrawn_token,
)
from peakproof.live.states.registry import Registry, Scene, StateFailed, Values
from scenarios.stage import CLERK

HOST = "wms-east"
WMS = Registry("wms", HOST)
STRICT = {f"cast.{HOST}.profile": "strict"}
OFTEN_SHORT = {f"cast.{HOST}.settings.picking": "{walk: 2m, per_line: 30s, short_share: 1.0, damaged_share: 0.0}"}
PACKED_OR_LATER = ("packed", "labelled", "shipped")
withdrawn_token(WMS)


def release_of(release_id: str) -> dict[str, Any]:
    """Six of 85123A for the order of the pacts."""
    return {"release_id": release_id, **ORDER, "service": "standard", "ship_to": SHIP_TO, "lines": LINES}


def release(scene: Scene, release_id: str) -> None:
    scene.post("/releases", release_of(release_id))


def read(scene: Scene, release_id: str) -> Any:
    return scene.get(f"/releases/{release_id}")


def pack(scene: Scene, release_id: str) -> str:
    """Bring a release to where its one parcel waits for a label; the parcel's id."""
    release(scene, release_id)
    scene.until("packing", lambda: read(scene, release_id)["status"] in PACKED_OR_LATER)
    return str(read(scene, release_id)["parcels"][0]["parcel_id"])


def label(scene: Scene, release_id: str, parcel_id: str) -> None:
    parcels = [{"parcel_id": parcel_id, "tracking_number": "TRK1"}]
    scene.post(f"/releases/{release_id}/labels", {**ORDER, "parcels": parcels})


@WMS.state("the warehouse stocks 85123A")
def stocks(scene: Scene) -> None:
    if not scene.get(f"/stock?sku={SKU}")["items"]:
        raise StateFailed(f"{HOST} opened without {SKU}")


@WMS.state("a release was received")
def received(scene: Scene, release_id: str) -> None:
    release(scene, release_id)


@WMS.state("a release was received by a warehouse that refuses a second one", STRICT)
def received_strictly(scene: Scene, release_id: str) -> None:
    release(scene, release_id)


@WMS.state("a release is being taken in under the same key", STRICT)
def being_taken_in(scene: Scene, release_id: str) -> None:
    in_work(scene, "/releases", release_of(release_id), f"release:{release_id}")


@WMS.state("a release is being picked or further on")
def in_the_works(scene: Scene, release_id: str) -> None:
    release(scene, release_id)
    scene.until("picking", lambda: read(scene, release_id)["status"] not in ("received", "released"))


@WMS.state("a release is packed and waits for its label")
def packed(scene: Scene, release_id: str) -> Values:
    return {"parcel_id": pack(scene, release_id)}


@WMS.state("the client's quota is used up", {f"cast.{HOST}.settings.limit": A_FEW_CALLS})
def quota_used_up(scene: Scene) -> None:
    use_up_quota(scene, f"/stock?sku={SKU}")


@WMS.state("the warehouse is overloaded", gateway_overloaded(HOST, "POST /releases"))
def overloaded(scene: Scene) -> None:
    stocks(scene)


@WMS.state("a release was picked whole")
def told_of_pick(scene: Scene, release_id: str) -> None:
    scene.listen("release.picked")
    pack(scene, release_id)


@WMS.state("a release was picked short", OFTEN_SHORT)
def told_of_short(scene: Scene, release_id: str) -> None:
    scene.listen("release.picked")
    release(scene, release_id)
    scene.until("the pick", lambda: bool(scene.heard))


@WMS.state("a release was packed")
def told_of_parcels(scene: Scene, release_id: str) -> None:
    scene.listen("release.packed")
    pack(scene, release_id)
    scene.until("the event", lambda: bool(scene.heard))


@WMS.state("a release was labelled and left")
def told_of_departure(scene: Scene, release_id: str) -> None:
    scene.listen("release.shipped")
    label(scene, release_id, pack(scene, release_id))
    scene.until("the departure", lambda: bool(scene.heard))


@WMS.state("a release was cancelled")
def told_of_cancel(scene: Scene, release_id: str) -> None:
    scene.listen("release.cancelled")
    release(scene, release_id)
    lines = [{"line_no": 1, "quantity": 6}]
    scene.post(f"/releases/{release_id}/cancel", {**ORDER, "reason": "customer", "lines": lines})
    scene.until("the event", lambda: bool(scene.heard))


@WMS.state("goods were received")
def told_of_receipt(scene: Scene, receipt_id: str) -> None:
    scene.listen("inventory.changed")
    receipt = {"receipt_id": receipt_id, "sku": SKU, "quantity": 500, "reason": "purchase"}
    scene.post("/receipts", receipt, client=CLERK)
    scene.until("the event", lambda: bool(scene.heard))


@WMS.state("a count was corrected")
def told_of_correction(scene: Scene, adjustment_id: str) -> None:
    scene.listen("inventory.changed")
    adjustment = {"adjustment_id": adjustment_id, "sku": SKU, "quantity_delta": -3, "reason": "cycle_count"}
    scene.post("/adjustments", adjustment, client=CLERK)
    scene.until("the event", lambda: bool(scene.heard))
