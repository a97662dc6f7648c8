"""fresh_availability: an answer against the largest true availability within F before it. F is ten seconds here."""

from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.evidence import Evidence, at, told

LINE = (1, "S1", 4)


def stocked(directory: Path) -> Evidence:
    """Ten units at wms-east from the beginning, of which four are released for an order at 100 s."""
    evidence = Evidence(directory, freshness_s=10)
    evidence.move("opening", "S1", 10, -10)
    evidence.order("A", [LINE], 90)
    evidence.release("A", LINE, 100)
    return evidence


def look(evidence: Evidence, seconds: float, available: int, *, took: float = 0.1) -> None:
    found = [{"sku": "S1", "node": "wms-east", "available": available}]
    evidence.attempt("Q", [], seconds, took=took, operation="check_availability", key="", availability=found)


def test_without_an_answer_it_is_inconclusive(tmp_path: Path) -> None:
    assert stocked(tmp_path).check("fresh_availability").reason == "nothing to examine"


def test_on_hand_less_what_is_released_holds(tmp_path: Path) -> None:
    evidence = stocked(tmp_path)
    look(evidence, 50, 10)
    look(evidence, 101, 6)
    look(evidence, 102, 0)
    result = evidence.check("fresh_availability")
    assert (result.outcome, result.examined) == ("holds", 3)


def test_more_than_there_was_is_found_to_the_unit(tmp_path: Path) -> None:
    evidence = stocked(tmp_path)
    look(evidence, 101, 7)
    found = told(evidence.check("fresh_availability"), "kind", "sku", "node", "available", "at_most", "badness")
    assert found == [("more_than_there_was", "S1", "wms-east", 7, 6, 1)]


def test_a_release_that_came_during_the_call_may_be_missed(tmp_path: Path) -> None:
    evidence = stocked(tmp_path)
    look(evidence, 99.95, 10)
    assert evidence.check("fresh_availability").outcome == "holds"


@pytest.mark.parametrize(("seconds", "outcome"), [(209, "holds"), (211, "violated")])
def test_a_loss_may_be_unknown_for_f_and_no_longer(tmp_path: Path, seconds: float, outcome: str) -> None:
    evidence = stocked(tmp_path)
    evidence.move("adjustment", "S1", -3, 200)
    look(evidence, seconds, 6)
    assert evidence.check("fresh_availability").outcome == outcome


def test_a_gain_may_be_known_before_a_loss(tmp_path: Path) -> None:
    evidence = stocked(tmp_path)
    evidence.move("adjustment", "S1", -3, 200)
    evidence.move("receipt", "S1", 3, 205)
    look(evidence, 206, 9)
    assert evidence.check("fresh_availability").outcome == "holds"


def test_a_shipment_changes_nothing_and_one_beyond_its_release_is_a_loss(tmp_path: Path) -> None:
    evidence = stocked(tmp_path)
    evidence.ship("A", LINE, 150)
    look(evidence, 151, 6)
    look(evidence, 300, 6)
    assert evidence.check("fresh_availability").outcome == "holds"
    evidence.ship("A", (1, "S1", 2), 310)
    look(evidence, 330, 6)
    assert told(evidence.check("fresh_availability"), "at_most", "badness") == [(4, 2)]


@pytest.mark.parametrize("kind", ["release_cancelled", "release_rejected", "short"])
def test_what_the_node_ended_is_free_again(tmp_path: Path, kind: str) -> None:
    evidence = stocked(tmp_path)
    evidence.book("wms-east", kind, "A", 150, business_key="rel-A", line_no=1, sku="S1", quantity=4)
    look(evidence, 151, 10)
    assert evidence.check("fresh_availability").outcome == "holds"


def test_safety_stock_and_held_units_are_not_available(tmp_path: Path) -> None:
    evidence = stocked(tmp_path)
    evidence.fact("safety_stock", subject="wms-east", value=2)
    evidence.move("hold", "S1", 1, 110)
    look(evidence, 200, 3)
    assert evidence.check("fresh_availability").outcome == "holds"
    look(evidence, 210, 4)
    assert told(evidence.check("fresh_availability"), "available", "at_most") == [(4, 3)]


def test_while_the_nodes_messages_are_blocked_what_was_known_before_may_be_told(tmp_path: Path) -> None:
    evidence = stocked(tmp_path)
    evidence.move("adjustment", "S1", -3, 500)
    look(evidence, 900, 6)
    assert evidence.check("fresh_availability").outcome == "violated"
    start = evidence.rows["operations"][-1]["invoked_at_us"] - 400_000_000
    evidence.fact("freshness_stretch_us", subject="wms-east", value=start - 10_000_000, value_to=start + 500_000_000)
    assert evidence.check("fresh_availability").outcome == "holds"


def test_what_is_read_back_at_the_end_is_judged_too(tmp_path: Path) -> None:
    evidence = stocked(tmp_path)
    evidence.published("S1", 7)
    assert told(evidence.check("fresh_availability"), "reader", "badness") == [("final read", 1)]


@pytest.mark.parametrize(
    ("first", "outcome"),
    [
        ({"outcome": "refused"}, "holds"),
        ({"outcome": "answered", "status": 500, "handled_at_us": at(200.2)}, "violated"),
    ],
    ids=["nobody was there", "the integration refused"],
)
def test_a_loss_that_was_told_to_nobody_may_be_unknown_until_it_is_told_again(
    tmp_path: Path, first: dict[str, Any], outcome: str
) -> None:
    evidence = stocked(tmp_path)
    evidence.move("adjustment", "S1", -3, 200)
    told_of = {
        "source": "wms-east", "target": "integration", "event_type": "inventory.changed", "key": "wms-east-1", "copy": 0
    }  # fmt: skip
    evidence.row("exchanges", **told_of, attempt=1, sent_at_us=at(200.1), completed_at_us=at(200.3), **first)
    again = {"handled_at_us": at(900.1), "completed_at_us": at(900.2), "status": 204, "outcome": "answered"}
    evidence.row("exchanges", **told_of, attempt=2, sent_at_us=at(900), **again)
    look(evidence, 800, 6)
    assert evidence.check("fresh_availability").outcome == outcome
    look(evidence, 911, 6)
    assert evidence.check("fresh_availability").outcome == "violated"
