"""nothing_lost: every accepted line is shipped, cancelled, short or waiting, and short is covered by a partner."""

from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.evidence import Evidence, promise, told

LINE = (1, "S1", 5)


def shipped(directory: Path, quantity: int, final: dict[str, Any], **order: Any) -> Evidence:
    """An order of five of which `quantity` shipped, read at the end as `final`."""
    evidence = Evidence(directory)
    evidence.quiet(900)
    evidence.move("opening", "S1", 50, -10)
    evidence.order("A", [LINE], 100, **order)
    evidence.release("A", LINE, 110)
    if quantity:
        evidence.ship("A", (1, "S1", quantity), 120)
    evidence.final("A", [promise(1, "S1", 5, **final)])
    return evidence


def test_without_quiet_it_is_inconclusive(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path)
    evidence.order("A", [LINE], 100)
    result = evidence.check("nothing_lost")
    assert (result.outcome, result.reason) == ("inconclusive", "quiet never came, and things still moved")


def test_without_an_accepted_order_it_is_inconclusive(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path)
    evidence.quiet(900)
    assert evidence.check("nothing_lost").reason == "nothing to examine"


def test_a_shipped_order_holds(tmp_path: Path) -> None:
    result = shipped(tmp_path, 5, {"shipped": 5}).check("nothing_lost")
    assert (result.outcome, result.examined) == ("holds", 1)


@pytest.mark.parametrize(
    ("quantity", "final", "kind", "badness"),
    [
        (4, {"shipped": 5}, "unaccounted", 1),
        (0, {"confirmed": 5}, "unaccounted", 5),
        (4, {"shipped": 4, "short": 1}, "uncovered", 1),
        (0, {"cancelled": 5}, "uncovered", 5),
        (0, {"backordered": 5}, "uncovered", 5),
    ],
)
def test_what_nobody_accounts_for_is_found(
    tmp_path: Path, quantity: int, final: dict[str, int], kind: str, badness: int
) -> None:
    evidence = shipped(tmp_path, quantity, final)
    found = told(evidence.check("nothing_lost"), "kind", "order_reference", "line_no", "badness")
    assert found == [(kind, "A", 1, badness)]


def test_a_short_pick_covers_what_is_short(tmp_path: Path) -> None:
    evidence = shipped(tmp_path, 4, {"shipped": 4, "short": 1})
    evidence.book("wms-east", "short", "A", 115, line_no=1, sku="S1", quantity=1)
    assert evidence.check("nothing_lost").outcome == "holds"


def test_a_backorder_may_wait_or_end_short(tmp_path: Path) -> None:
    for rest in ({"backordered": 3}, {"short": 3}):
        evidence = shipped(tmp_path, 2, {"shipped": 2} | rest, backordered=3)
        assert evidence.check("nothing_lost").outcome == "holds"


def test_a_cancel_that_was_asked_for_covers_itself(tmp_path: Path) -> None:
    evidence = shipped(tmp_path, 0, {"cancelled": 5})
    evidence.attempt("A", [], 105, operation="cancel_order", key="k", status=200)
    assert evidence.check("nothing_lost").outcome == "holds"


def test_an_accepted_order_that_is_gone_is_lost(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path)
    evidence.quiet(900)
    evidence.order("A", [LINE], 100)
    evidence.order("B", [LINE], 101)
    evidence.final("A", [], status=404)
    assert told(evidence.check("nothing_lost"), "kind", "order_reference") == [("gone", "A"), ("not_read", "B")]


def test_orders_that_were_not_read_are_left_out_when_reads_are_partial(tmp_path: Path) -> None:
    evidence = shipped(tmp_path, 5, {"shipped": 5})
    evidence.fact("final_reads", value=1, text="partial")
    evidence.order("B", [LINE], 101)
    result = evidence.check("nothing_lost")
    assert (result.outcome, result.examined) == ("holds", 1)


def test_cases_taken_for_units_are_found(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path)
    evidence.quiet(900)
    evidence.order("A", [(1, "S1", 60)], 100, answer_lines=[promise(1, "S1", 5, 5)])
    evidence.final("A", [promise(1, "S1", 5, cancelled=5)])
    assert told(evidence.check("nothing_lost"), "kind", "ordered") == [("misread", 60)]


@pytest.mark.parametrize(
    ("asked", "final", "found"),
    [
        (2, {"shipped": 3, "cancelled": 2}, []),
        (1, {"shipped": 3, "cancelled": 2}, [("uncovered", 1)]),
        (2, {"shipped": 3, "cancelled": 1, "short": 1}, []),
        (2, {"shipped": 2, "cancelled": 2, "short": 1}, [("uncovered", 1)]),
    ],
)
def test_a_cancel_covers_no_more_than_was_asked(
    tmp_path: Path, asked: int, final: dict[str, int], found: list[tuple[str, int]]
) -> None:
    evidence = shipped(tmp_path, final["shipped"], final)
    evidence.attempt("A", [(1, "S1", asked)], 105, operation="cancel_order", key="k", status=200)
    assert told(evidence.check("nothing_lost"), "kind", "badness") == found


def test_a_cancel_that_was_refused_covers_nothing(tmp_path: Path) -> None:
    evidence = shipped(tmp_path, 3, {"shipped": 3, "cancelled": 2})
    evidence.attempt("A", [(1, "S1", 2)], 105, operation="cancel_order", key="k", outcome="fail", status=409)
    assert told(evidence.check("nothing_lost"), "kind", "badness") == [("uncovered", 2)]


def test_what_a_node_gave_back_because_the_client_asked_is_the_same_units(tmp_path: Path) -> None:
    evidence = shipped(tmp_path, 2, {"shipped": 2, "cancelled": 2, "short": 1})
    evidence.attempt("A", [(1, "S1", 2)], 105, operation="cancel_order", key="k", outcome="info")
    evidence.book("wms-east", "release_cancelled", "A", 106, line_no=1, sku="S1", quantity=2, business_key="rel-A")
    assert told(evidence.check("nothing_lost"), "kind", "badness") == [("uncovered", 1)]


@pytest.mark.parametrize(("cancelled", "found"), [(2, []), (3, [("unaccounted", 3)])])
def test_a_node_that_ships_what_it_cancelled_may_count_twice_and_no_further(
    tmp_path: Path, cancelled: int, found: list[tuple[str, int]]
) -> None:
    evidence = shipped(tmp_path, 5, {"cancelled": cancelled})
    evidence.attempt("A", [(1, "S1", 3)], 105, operation="cancel_order", key="k", outcome="info")
    evidence.book("wms-east", "release_cancelled", "A", 106, line_no=1, sku="S1", quantity=2, business_key="rel-A")
    assert told(evidence.check("nothing_lost"), "kind", "badness") == found


def open_for_ever(directory: Path, **final: int) -> Evidence:
    """An order of five that was booked and never released, in a world that stands still."""
    evidence = Evidence(directory)
    evidence.still(900)
    evidence.order("A", [LINE], 100, backordered=final.get("backordered", 0))
    evidence.final("A", [promise(1, "S1", 5, **final)], order_status="booked")
    return evidence


def test_what_is_open_in_a_world_that_stands_still_is_lost(tmp_path: Path) -> None:
    result = open_for_ever(tmp_path, confirmed=5).check("nothing_lost")
    found = told(result, "kind", "order_reference", "line_no", "badness")
    assert found == [("unaccounted", "A", 1, 5)]
    (late,) = told(open_for_ever(tmp_path, confirmed=2, backordered=3).check("nothing_lost"), "kind", "badness")
    assert late == ("unaccounted", 2)


def test_a_backorder_may_wait_in_a_world_that_stands_still(tmp_path: Path) -> None:
    result = open_for_ever(tmp_path, backordered=5).check("nothing_lost")
    assert (result.outcome, result.examined) == ("holds", 1)


def test_what_is_open_while_things_still_move_is_not_lost_yet(tmp_path: Path) -> None:
    evidence = open_for_ever(tmp_path, confirmed=5)
    evidence.rows["facts"] = [row for row in evidence.rows["facts"] if row["fact"] != "still_at_us"]
    assert evidence.check("nothing_lost").outcome == "inconclusive"


def test_an_order_that_could_not_be_read_is_not_called_gone(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path)
    evidence.still(900)
    evidence.order("A", [LINE], 100)
    evidence.final("A", [], status=503)
    assert told(evidence.check("nothing_lost"), "kind", "order_reference") == [("not_read", "A")]
