"""What a node could not pick is served elsewhere or waits; what waits is served oldest first, or given up at last."""

from typing import Any

from integration.messaging.outcomes import Done

HOLD_2 = {"sequence": 1, "deltas": [{"sku": "A", "on_hand_delta": 0, "held_delta": 2}]}


def rise(stage: Any, node: str, sku: str, quantity: int, sequence: int) -> None:
    with stage.database.write() as tx:
        stage.inventory.apply(tx, node, sequence, [{"sku": sku, "on_hand_delta": quantity, "held_delta": 0}])


def test_a_short_pick_is_sourced_again_from_another_node(stage: Any) -> None:
    stage.stock("wms-east", A=4)
    stage.stock("wms-west", A=1)
    stage.order("o1", {1: ("A", 4)}, {"wms-east": {1: 4}})
    stage.settle()
    stage.hear("wms-east", "release.picked", stage.picked("o1.wms-east", {1: ("A", 2, 2)}, stock=HOLD_2))
    assert stage.level("wms-east", "A") == (4, 2, 2)
    assert stage.level("wms-west", "A") == (1, 0, 1)
    assert stage.line("o1") == {"confirmed": 3, "backordered": 1}
    stage.settle()
    (release,) = stage.west.bodies("release")
    assert release["lines"] == [{"line_no": 1, "sku": "A", "quantity": 1}]
    assert stage.erp.bodies("change_order")[-1]["lines"] == [{"line_no": 1, "backordered": 1, "cancelled": 0}]
    assert {body["reason"] for body in stage.erp.bodies("change_order")} == {"backorder"}


def test_the_same_short_told_twice_counts_once(stage: Any) -> None:
    stage.stock("wms-east", A=4)
    stage.order("o1", {1: ("A", 4)}, {"wms-east": {1: 4}})
    stage.settle()
    event = stage.picked("o1.wms-east", {1: ("A", 2, 2)}, stock=HOLD_2, sequence=1)
    assert stage.hear("wms-east", "release.picked", dict(event), "m1")
    assert not stage.hear("wms-east", "release.picked", dict(event), "m1")
    assert stage.line("o1") == {"confirmed": 2, "backordered": 2}
    assert stage.level("wms-east", "A") == (4, 2, 2)


def test_a_release_that_is_all_short_ends_short(stage: Any) -> None:
    stage.stock("wms-east", A=2)
    stage.order("o1", {1: ("A", 2)}, {"wms-east": {1: 2}})
    stage.settle()
    stage.hear("wms-east", "release.picked", stage.picked("o1.wms-east", {1: ("A", 0, 2)}, stock=HOLD_2))
    assert stage.statuses() == {"o1.wms-east": "short"}
    assert stage.line("o1") == {"backordered": 2}


def test_stock_that_comes_up_goes_to_the_oldest_order_first(stage: Any) -> None:
    stage.stock("wms-east", A=0)
    for order_id in ("o1", "o2"):
        stage.order(order_id, {1: ("A", 3)}, {})
        stage.clock.sleep(1_000_000)
    stage.settle()
    rise(stage, "wms-east", "A", 4, 1)
    assert stage.line("o1") == {"confirmed": 3}
    assert stage.line("o2") == {"confirmed": 1, "backordered": 2}
    assert stage.level("wms-east", "A") == (4, 0, 4)
    stage.settle()
    assert [body["lines"][0]["quantity"] for body in stage.east.bodies("release")] == [3, 1]


def test_an_order_that_is_not_booked_yet_is_served_when_it_is(stage: Any) -> None:
    """The ERP is told what was promised at acceptance, in every attempt alike."""
    stage.stock("wms-east", A=0)
    stage.order("o1", {1: ("A", 3)}, {})
    rise(stage, "wms-east", "A", 5, 1)
    assert stage.line("o1") == {"backordered": 3}
    stage.settle()
    assert stage.erp.bodies("book_order")[0]["lines"][0]["backordered"] == 3
    assert stage.line("o1") == {"confirmed": 3}
    assert [body["lines"][0]["quantity"] for body in stage.east.bodies("release")] == [3]


def test_a_backorder_that_is_too_old_is_given_up(stage: Any) -> None:
    stage.stock("wms-east", A=1)
    stage.order("o1", {1: ("A", 3)}, {"wms-east": {1: 1}})
    stage.settle()
    assert stage.backorders.expire_once() == 0
    stage.clock.sleep(3_600_000_000)
    assert stage.backorders.expire_once() == 1
    assert stage.backorders.expire_once() == 0
    assert stage.line("o1") == {"confirmed": 1, "short": 2}
    stage.settle()
    (change,) = stage.erp.bodies("change_order")
    assert (change["reason"], change["lines"]) == ("short", [{"line_no": 1, "backordered": 0, "cancelled": 2}])
    assert "backorder_expired" in stage.timeline()


def test_an_erp_that_heard_an_older_change_last_is_told_again(stage: Any) -> None:
    older = Done({"erp_order_id": "E-o1", "lines": [{"line_no": 1, "cancelled": 0}]})
    stage.erp.script["change_order"] = [older]
    stage.stock("wms-east", A=0)
    stage.order("o1", {1: ("A", 3)}, {})
    stage.settle()
    stage.clock.sleep(3_600_000_000)
    stage.backorders.expire_once()
    stage.settle()
    told = stage.erp.bodies("change_order")
    assert [body["lines"][0]["cancelled"] for body in told] == [3, 3]
    assert told[0]["change_id"] != told[1]["change_id"]
