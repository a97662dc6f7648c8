"""One order from its acceptance to its invoice, and what lost answers and late events do to it: nothing."""

from typing import Any

from integration.messaging.outcomes import Done, Uncertain
from integration.storage.tables import parcels, shipments

EAST = "o1.wms-east"


def accepted(stage: Any, quantity: int = 4) -> None:
    stage.stock("wms-east", A=10)
    stage.order("o1", {1: ("A", quantity)}, {"wms-east": {1: quantity}})


def packed_and_labelled(stage: Any) -> None:
    stage.hear("wms-east", "release.picked", stage.picked(EAST, {1: ("A", 4, 0)}))
    stage.hear("wms-east", "release.packed", stage.packed(EAST, [[(1, "A", 3)], [(1, "A", 1)]]))
    stage.settle()


def test_the_whole_way(stage: Any) -> None:
    accepted(stage)
    stage.settle()
    assert stage.status("o1") == "released"
    packed_and_labelled(stage)
    ((release_id, labels),) = stage.east.bodies("attach_labels")
    assert release_id == EAST
    assert labels["parcels"] == [
        {"parcel_id": f"{EAST}.P1", "tracking_number": f"T-{EAST}.P1"},
        {"parcel_id": f"{EAST}.P2", "tracking_number": f"T-{EAST}.P2"},
    ]
    assert stage.statuses() == {EAST: "labelled"}
    stage.hear("wms-east", "release.shipped", stage.shipped(EAST, [(1, "A", 4)], 1))
    assert stage.status("o1") == "shipped"
    stage.settle()
    assert stage.status("o1") == "invoiced"
    assert stage.line("o1") == {"shipped": 4}
    assert stage.level("wms-east", "A") == (6, 0, 0)
    assert [name for name, _ in stage.erp.calls] == ["book_order", "confirm_shipment", "invoice"]
    assert stage.undone() == []


def test_bodies_name_the_order_and_the_promise(stage: Any) -> None:
    stage.stock("wms-east", A=3)
    stage.order("o1", {1: ("A", 5)}, {"wms-east": {1: 3}})
    stage.settle()
    (booked,) = stage.erp.bodies("book_order")
    assert booked["lines"][0] == {
        "line_no": 1, "sku": "A", "quantity": 5, "unit_price_minor": 100, "tax_rate_bp": 2000, "confirmed": 3,
        "backordered": 2,
    }  # fmt: skip
    (release,) = stage.east.bodies("release")
    assert release["release_id"] == EAST
    assert (release["customer_id"], release["order_reference"], release["service"]) == ("C1", "R-o1", "standard")
    assert release["lines"] == [{"line_no": 1, "sku": "A", "quantity": 3}]
    assert release["ship_to"]["city"] == "Leeds"


def test_nothing_is_released_before_the_order_is_booked(stage: Any) -> None:
    stage.erp.script["book_order"] = [Uncertain("no answer")]
    accepted(stage)
    stage.settle()
    assert stage.east.calls == []
    assert stage.status("o1") == "accepted"
    stage.pass_time(2)
    assert stage.status("o1") == "released"


def test_a_lost_answer_is_asked_after_before_it_is_repeated(stage: Any) -> None:
    there = Done({"erp_order_id": "E-first", "lines": []})
    stage.erp.script = {"book_order": [Uncertain("no answer")], "find_order": [there]}
    stage.east.script = {"release": [Uncertain("no answer")]}
    accepted(stage)
    stage.settle()
    stage.pass_time(4)
    assert [name for name, _ in stage.erp.calls] == ["book_order", "find_order"]
    assert [name for name, _ in stage.east.calls] == ["release", "read_release", "release"]
    first, second = [key for name, key in stage.east.keys if name == "release"]
    assert first == second


def test_a_label_is_not_bought_twice_after_a_lost_answer(stage: Any) -> None:
    bought = {"label_id": "L9", "tracking_number": "T9", "status": "active"}
    late = {"label_id": "L10", "tracking_number": "T10", "status": "active"}
    stage.carrier.script = {
        "create_label": [Uncertain("no answer")],
        "labels": [Done({"items": [bought]}), Done({"items": [bought, late]})],
    }
    accepted(stage)
    stage.settle()
    stage.hear("wms-east", "release.picked", stage.picked(EAST, {1: ("A", 4, 0)}))
    stage.hear("wms-east", "release.packed", stage.packed(EAST, [[(1, "A", 4)]]))
    stage.settle()
    stage.pass_time(2)
    assert len(stage.carrier.bodies("create_label")) == 1
    assert [row.tracking_number for row in stage.rows(parcels)] == ["T9"]
    stage.clock.sleep(15 * 60_000_000)
    stage.pass_time(1)
    assert stage.carrier.bodies("void") == ["L10"]


def test_events_in_reverse_order_end_in_the_same_books(stage: Any) -> None:
    """Shipped, then packed, then picked with a short: the short counts, no label is bought, no status goes back."""
    accepted(stage)
    stage.settle()
    short = {"sequence": 1, "deltas": [{"sku": "A", "on_hand_delta": 0, "held_delta": 1}]}
    stage.hear("wms-east", "release.shipped", stage.shipped(EAST, [(1, "A", 3)], 2, sequence=3))
    assert stage.line("o1") == {"shipped": 3, "confirmed": 1}
    stage.hear("wms-east", "release.packed", stage.packed(EAST, [[(1, "A", 3)]], sequence=2))
    stage.hear("wms-east", "release.picked", stage.picked(EAST, {1: ("A", 3, 1)}, sequence=1, stock=short))
    stage.settle()
    assert stage.statuses()[EAST] == "shipped"
    assert stage.carrier.calls == []
    assert stage.east.bodies("attach_labels") == []
    # The short unit is looked for again where there is stock: 10 - 3 shipped - 1 held, 1 of it promised anew.
    assert stage.level("wms-east", "A") == (7, 1, 1)
    assert stage.line("o1") == {"shipped": 3, "confirmed": 1}
    assert len(stage.rows(shipments)) == 1


def test_a_repeated_event_counts_once(stage: Any) -> None:
    accepted(stage)
    stage.settle()
    event = stage.shipped(EAST, [(1, "A", 4)], 1, sequence=3)
    assert stage.hear("wms-east", "release.shipped", dict(event), "m1")
    assert not stage.hear("wms-east", "release.shipped", dict(event), "m1")
    assert stage.hear("wms-east", "release.shipped", dict(event), "m2")  # another id, the same shipment
    stage.settle()
    assert stage.line("o1") == {"shipped": 4}
    assert stage.level("wms-east", "A") == (6, 0, 0)
    assert len(stage.erp.bodies("invoice")) == 1


def test_an_event_about_a_foreign_release_is_noted_and_moves_stock_only(stage: Any) -> None:
    accepted(stage)
    stage.settle()
    stage.hear("wms-east", "release.shipped", stage.shipped("nobody", [(1, "A", 2)], 1))
    assert "unknown_release" in stage.timeline()
    assert stage.level("wms-east", "A") == (8, 0, 4)
    assert stage.line("o1") == {"confirmed": 4}


def scan(sequence: int, status: str, number: str = f"T-{EAST}.P1") -> dict[str, Any]:
    return {"tracking_number": number, "label_reference": f"{EAST}.P1", "status": status, "sequence": sequence}


def test_scans_follow_the_carriers_sequence(stage: Any) -> None:
    accepted(stage)
    stage.settle()
    packed_and_labelled(stage)
    stage.hear("carrier", "tracking.updated", scan(3, "delivered"), "s3")
    stage.hear("carrier", "tracking.updated", scan(2, "in_transit"), "s2")
    stage.hear("carrier", "tracking.updated", scan(9, "on_hold", "somebody-elses"), "s9")
    assert [row.tracking_status for row in stage.rows(parcels)] == ["delivered", None]
    assert stage.timeline().count("unknown_tracking") == 1
