"""States of a carrier."""

from typing import Any

from peakproof.live.states.common import A_FEW_CALLS, LINES, ORDER, SHIP_TO, in_work, use_up_quota, withdrawn_token
from peakproof.live.states.registry import Registry, Scene, StateFailed, Values

CARRIER = Registry("carrier", "carrier")
REFUSES_TWICE = {"cast.carrier.settings.duplicate_policy": "reject"}
REFUSES_IN_FLIGHT = {"cast.carrier.settings.keys": "{in_flight: refuse}"}
ONE_CLERK = {"cast.carrier.settings.desk": "{capacity: 1, queue_limit: 100, queue_timeout: 1ms, retry_after_s: 5}"}
withdrawn_token(CARRIER)


def label_of(label_reference: str) -> dict[str, Any]:
    """A parcel with six of 85123A."""
    return {
        "label_reference": label_reference,
        "shipment_reference": "ful-1",
        **ORDER,
        "service": "standard",
        "ship_to": SHIP_TO,
        "weight_g": 1500,
        "lines": LINES,
    }


def buy(scene: Scene, label_reference: str) -> Values:
    label = scene.post("/labels", label_of(label_reference))
    return {"label_id": label["label_id"], "tracking_number": label["tracking_number"]}


def collect(scene: Scene, tracking_number: str) -> None:
    """The parcel leaves a warehouse with the carrier's van; from now on it is scanned."""
    scene.box.do(scene.box.stage.carrier.collect, [tracking_number])


@CARRIER.state("the carrier is open")
def is_open(scene: Scene) -> None:
    if scene.get("/labels?label_reference=par-none")["items"]:
        raise StateFailed("the carrier opened with a label for par-none")


@CARRIER.state("a label was bought")
def bought(scene: Scene, label_reference: str) -> Values:
    return buy(scene, label_reference)


@CARRIER.state("a label was bought from a carrier that refuses a second one", REFUSES_TWICE)
def bought_strictly(scene: Scene, label_reference: str) -> Values:
    return buy(scene, label_reference)


@CARRIER.state("a label is being bought under the same key", REFUSES_IN_FLIGHT)
def being_bought(scene: Scene, label_reference: str) -> None:
    in_work(scene, "/labels", label_of(label_reference), f"label:{label_reference}")


@CARRIER.state("a parcel was collected")
def collected(scene: Scene, label_reference: str) -> Values:
    values = buy(scene, label_reference)
    collect(scene, values["tracking_number"])
    return values


@CARRIER.state("a parcel was scanned")
def scanned(scene: Scene, label_reference: str) -> Values:
    scene.listen("tracking.updated")
    values = buy(scene, label_reference)
    collect(scene, values["tracking_number"])
    scene.until("the first scan", lambda: bool(scene.heard))
    return values


@CARRIER.state("the client's quota is used up", {"cast.carrier.settings.quota": A_FEW_CALLS})
def quota_used_up(scene: Scene) -> None:
    use_up_quota(scene, "/labels?label_reference=par-none")


@CARRIER.state("every clerk of the carrier is busy", ONE_CLERK)
def busy(scene: Scene) -> None:
    in_work(scene, "/labels", label_of("par-before"), "label:before")
