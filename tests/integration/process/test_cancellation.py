"""What we still hold is cancelled at once, what a node holds is asked for, and who is too late is told so."""

from typing import Any

import pytest

from contracts.errors import ProblemError
from integration.messaging.outcomes import ErrorClass, Refused, Uncertain

EAST = "o1.wms-east"
TOO_LATE = Refused("too-late-to-cancel", "picking has begun", ErrorClass.PARTNER)


def cancel(stage: Any, lines: list[dict[str, int]] | None = None) -> tuple[int, dict[str, Any]]:
    with stage.database.write() as tx:
        status, body = stage.cancellation.request_cancel(tx, "o1", lines, "changed my mind", "k1")
    return status, body


def accepted(stage: Any, quantity: int = 4, confirmed: int = 4, on_hand: int = 10) -> None:
    stage.stock("wms-east", A=on_hand)
    stage.order("o1", {1: ("A", quantity)}, {"wms-east": {1: confirmed}} if confirmed else {})


def test_before_the_booking_everything_is_cancelled_at_once_and_never_released(stage: Any) -> None:
    accepted(stage, quantity=6, confirmed=4)
    status, body = cancel(stage)
    assert (status, body) == (
        200,
        {"order_id": "o1", "result": "cancelled", "lines": [{"line_no": 1, "cancelled": 6}]},
    )
    assert stage.status("o1") == "cancelled"
    assert stage.level("wms-east", "A") == (10, 0, 0)
    stage.settle()
    stage.pass_time(15)
    assert stage.east.calls == []
    assert stage.erp.bodies("book_order")[0]["lines"][0]["quantity"] == 6
    assert stage.erp.bodies("change_order")[-1]["lines"] == [{"line_no": 1, "backordered": 0, "cancelled": 6}]


def test_a_partial_cancel_before_the_booking_releases_the_rest(stage: Any) -> None:
    accepted(stage)
    status, _ = cancel(stage, [{"line_no": 1, "quantity": 1}])
    stage.settle()
    assert status == 200
    assert stage.east.bodies("release")[0]["lines"] == [{"line_no": 1, "sku": "A", "quantity": 3}]
    assert stage.line("o1") == {"confirmed": 3, "cancelled": 1}
    assert stage.level("wms-east", "A") == (10, 0, 3)


def test_a_released_order_is_asked_for_and_confirmed(stage: Any) -> None:
    accepted(stage)
    stage.settle()
    status, body = cancel(stage)
    assert (status, body["result"], body["lines"]) == (202, "requested", [])
    assert stage.line("o1") == {"confirmed": 4}
    stage.settle()
    ((release_id, asked),) = stage.east.bodies("cancel_release")
    assert (release_id, asked["lines"]) == (EAST, [{"line_no": 1, "quantity": 4}])
    assert stage.line("o1") == {"cancelled": 4}
    assert stage.level("wms-east", "A") == (10, 0, 0)
    assert stage.statuses() == {EAST: "cancelled"}
    assert stage.status("o1") == "cancelled"
    assert stage.timeline().count("cancel_confirmed") == 1


def test_the_event_and_the_answer_to_one_cancel_count_once(stage: Any) -> None:
    accepted(stage)
    stage.settle()
    cancel(stage)
    told = {"release_id": EAST, "lines": [{"line_no": 1, "sku": "A", "cancelled": 4}], "sequence": 1}
    stage.hear("wms-east", "release.cancelled", told)
    stage.settle()
    assert stage.line("o1") == {"cancelled": 4}
    assert stage.level("wms-east", "A") == (10, 0, 0)
    assert stage.timeline().count("cancel_confirmed") == 1


def test_a_cancel_that_loses_to_the_pick_is_refused_and_the_order_ships(stage: Any) -> None:
    accepted(stage)
    stage.settle()
    stage.east.script["cancel_release"] = [TOO_LATE]
    assert cancel(stage)[0] == 202
    stage.settle()
    assert "cancel_refused" in stage.timeline()
    assert stage.statuses() == {EAST: "released"}
    stage.hear("wms-east", "release.shipped", stage.shipped(EAST, [(1, "A", 4)], 1))
    assert stage.line("o1") == {"shipped": 4}
    assert stage.undone() != []
    assert "dead_lettered" not in stage.timeline()


def test_a_pick_that_is_known_refuses_without_asking(stage: Any) -> None:
    accepted(stage)
    stage.settle()
    stage.hear("wms-east", "release.picked", stage.picked(EAST, {1: ("A", 4, 0)}))
    with pytest.raises(ProblemError) as refusal:
        cancel(stage)
    assert refusal.value.key == "too-late-to-cancel"
    assert stage.line("o1") == {"confirmed": 4}


def test_a_cancel_waits_for_a_release_whose_fate_is_unknown(stage: Any) -> None:
    accepted(stage)
    stage.east.script["release"] = [Uncertain("no answer")]
    stage.settle()
    assert cancel(stage)[0] == 202
    stage.settle()
    assert stage.east.bodies("cancel_release") == []
    stage.pass_time(8)
    assert [name for name, _ in stage.east.calls] == ["release", "read_release", "release", "cancel_release"]
    assert stage.line("o1") == {"cancelled": 4}


def test_a_lost_answer_to_a_cancel_is_repeated_under_the_same_key(stage: Any) -> None:
    accepted(stage)
    stage.settle()
    stage.east.script["cancel_release"] = [Uncertain("no answer")]
    cancel(stage)
    stage.settle()
    assert stage.level("wms-east", "A") == (10, 0, 4)  # nothing is freed on a guess
    stage.pass_time(2)
    first, second = [key for name, key in stage.east.keys if name == "cancel_release"]
    assert first == second
    assert stage.line("o1") == {"cancelled": 4}


def test_what_waits_for_stock_is_cancelled_though_the_rest_was_picked(stage: Any) -> None:
    accepted(stage, quantity=6, confirmed=4, on_hand=4)
    stage.settle()
    stage.hear("wms-east", "release.picked", stage.picked(EAST, {1: ("A", 4, 0)}))
    status, body = cancel(stage)
    assert (status, body["lines"]) == (202, [{"line_no": 1, "cancelled": 2}])
    assert stage.line("o1") == {"confirmed": 4, "cancelled": 2}
    assert "cancel_refused" in stage.timeline()


def test_freed_stock_serves_who_waits(stage: Any) -> None:
    stage.stock("wms-east", A=4)
    stage.order("o1", {1: ("A", 4)}, {"wms-east": {1: 4}})
    stage.order("o2", {1: ("A", 2)}, {})
    stage.settle()
    cancel(stage)
    stage.settle()
    assert stage.line("o2") == {"confirmed": 2}
    assert stage.level("wms-east", "A") == (4, 0, 2)


@pytest.mark.parametrize(
    ("line", "key"),
    [({"line_no": 9, "quantity": 1}, "unknown-line"), ({"line_no": 1, "quantity": 5}, "quantity-exceeded")],
)
def test_a_cancel_of_what_was_never_ordered_is_refused(stage: Any, line: dict[str, int], key: str) -> None:
    accepted(stage)
    with pytest.raises(ProblemError) as refusal:
        cancel(stage, [line])
    assert refusal.value.key == key
    assert stage.line("o1") == {"confirmed": 4}


def test_a_shipment_after_a_confirmed_cancel_is_booked_and_noted(stage: Any) -> None:
    accepted(stage)
    stage.settle()
    cancel(stage)
    stage.settle()
    stage.hear("wms-east", "release.shipped", stage.shipped(EAST, [(1, "A", 4)], 1))
    assert stage.line("o1") == {"shipped": 4}
    assert stage.level("wms-east", "A") == (6, 0, 0)
    assert "shipped_beyond_order" in stage.timeline()
