"""no_false_rejection: refusing an order as out of stock is wrong only where stock was certainly there all the time."""

from pathlib import Path
from typing import Any

from tests.scenarios.evidence import Evidence, at


def stocked(directory: Path, quantity: int) -> Evidence:
    evidence = Evidence(directory)
    evidence.move("opening", "S1", quantity, -10)
    return evidence


def refuse(evidence: Evidence, reference: str, quantity: int, seconds: float, **columns: Any) -> None:
    refusal: dict[str, Any] = {"outcome": "fail", "status": 409, "problem": "urn:peakproof:problem:out-of-stock"}
    evidence.attempt(reference, [(1, "S1", quantity)], seconds, **(refusal | columns))


def test_no_answer_at_all_is_inconclusive(tmp_path: Path) -> None:
    assert stocked(tmp_path, 5).check("no_false_rejection").outcome == "inconclusive"


def test_a_refusal_with_stock_on_the_shelf_is_wrong(tmp_path: Path) -> None:
    evidence = stocked(tmp_path, 5)
    refuse(evidence, "A", 5, 100)
    result = evidence.check("no_false_rejection")
    assert result.outcome == "violated"
    assert result.counterexamples == (
        {
            "pick": "first", "kind": "wrongly_refused", "at_us": at(100.1), "badness": 0, "customer_id": "C1",
            "order_reference": "A", "key": "key-A",
            "lines": [{"sku": "S1", "quantity": 5, "committed_at_most": 0, "supply_at_least": 5}],
        },
    )  # fmt: skip


def test_a_refusal_of_one_too_many_is_right(tmp_path: Path) -> None:
    evidence = stocked(tmp_path, 5)
    refuse(evidence, "A", 6, 100)
    result = evidence.check("no_false_rejection")
    assert (result.outcome, result.examined) == ("holds", 1)


def test_commitments_and_unknown_orders_count_against_stock(tmp_path: Path) -> None:
    evidence = stocked(tmp_path, 5)
    evidence.order("A", [(1, "S1", 2)], 50)
    evidence.attempt("B", [(1, "S1", 2)], 60, outcome="info", took=10)
    refuse(evidence, "C", 2, 100)
    assert evidence.check("no_false_rejection").outcome == "holds"
    refuse(evidence, "D", 1, 200)
    assert evidence.check("no_false_rejection").violations == 1


def test_stock_that_came_within_freshness_may_be_unknown(tmp_path: Path) -> None:
    evidence = stocked(tmp_path, 1)
    evidence.move("receipt", "S1", 9, 99.5)
    refuse(evidence, "A", 5, 100)
    assert evidence.check("no_false_rejection").outcome == "holds"
    refuse(evidence, "B", 5, 101)
    assert evidence.check("no_false_rejection").violations == 1


def test_stock_that_left_within_the_call_was_not_there_all_the_time(tmp_path: Path) -> None:
    evidence = stocked(tmp_path, 5)
    evidence.move("adjustment", "S1", -3, 100.05)
    refuse(evidence, "A", 4, 100)
    assert evidence.check("no_false_rejection").outcome == "holds"


def test_one_line_that_was_missing_excuses_the_order(tmp_path: Path) -> None:
    evidence = stocked(tmp_path, 5)
    evidence.attempt("A", [(1, "S1", 1), (2, "S2", 1)], 100, outcome="fail", status=409, problem="out-of-stock")
    assert evidence.check("no_false_rejection").outcome == "holds"


def test_an_acknowledged_cancel_makes_room(tmp_path: Path) -> None:
    evidence = stocked(tmp_path, 5)
    evidence.order("A", [(1, "S1", 5)], 50)
    cancelled = [{"line_no": 1, "sku": "S1", "cancelled": 5}]
    evidence.attempt("A", [], 60, operation="cancel_order", key="k", status=200, answer_lines=cancelled)
    refuse(evidence, "B", 5, 100)
    assert evidence.check("no_false_rejection").violations == 1


def test_safety_stock_may_be_refused(tmp_path: Path) -> None:
    evidence = stocked(tmp_path, 5)
    evidence.fact("safety_stock", subject="wms-east", value=1)
    refuse(evidence, "A", 5, 100)
    assert evidence.check("no_false_rejection").outcome == "holds"


def test_another_refusal_is_not_judged(tmp_path: Path) -> None:
    evidence = stocked(tmp_path, 5)
    refuse(evidence, "A", 1, 100, problem="credit-exceeded", status=422)
    assert evidence.check("no_false_rejection").outcome == "inconclusive"
