"""idempotent_reply: one key, one order, one answer; and the problems about keys are only told where they are true."""

from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.evidence import Evidence, told

LINE = (1, "S1", 3)
IN_FLIGHT = "urn:peakproof:problem:request-in-flight"


def test_without_keys_it_is_inconclusive(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path)
    evidence.read("A", 100, "accepted", 1)
    assert evidence.check("idempotent_reply").outcome == "inconclusive"


def test_the_same_answer_again_holds(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path)
    evidence.order("A", [LINE], 100)
    evidence.order("A", [LINE], 200, replayed=True, attempt=2)
    result = evidence.check("idempotent_reply")
    assert (result.outcome, result.examined) == ("holds", 1)


@pytest.mark.parametrize(
    ("second", "kind", "badness"),
    [
        ({"order_id": "ord-other"}, "two_orders", 2),
        ({"order_version": 2}, "answers_differ", 2),
        ({"status": 200}, "answers_differ", 2),
        ({"fingerprint": "f2"}, "other_payload_replayed", 2),
    ],
)
def test_another_answer_for_the_same_key_is_found(
    tmp_path: Path, second: dict[str, Any], kind: str, badness: int
) -> None:
    evidence = Evidence(tmp_path)
    evidence.order("A", [LINE], 100)
    evidence.order("A", [LINE], 200, **second)
    assert told(evidence.check("idempotent_reply"), "kind", "key", "badness") == [(kind, "key-A", badness)]


def test_in_flight_is_true_while_another_attempt_is_open(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path)
    evidence.order("A", [LINE], 100, took=5)
    evidence.attempt("A", [LINE], 101, outcome="info", status=409, problem=IN_FLIGHT)
    assert evidence.check("idempotent_reply").outcome == "holds"


def test_in_flight_is_true_for_ever_after_an_attempt_without_answer(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path)
    evidence.attempt("A", [LINE], 100, outcome="info", took=10)
    evidence.attempt("A", [LINE], 900, outcome="info", status=409, problem=IN_FLIGHT)
    assert evidence.check("idempotent_reply").outcome == "holds"


def test_in_flight_is_false_after_every_attempt_was_answered(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path)
    evidence.order("A", [LINE], 100)
    evidence.attempt("A", [LINE], 200, outcome="info", status=409, problem=IN_FLIGHT)
    found = told(evidence.check("idempotent_reply"), "kind", "problem")
    assert found == [("unfounded_problem", "request-in-flight")]


@pytest.mark.parametrize(("fingerprint", "outcome"), [("f2", "holds"), ("f1", "violated")])
def test_reuse_needs_another_payload(tmp_path: Path, fingerprint: str, outcome: str) -> None:
    evidence = Evidence(tmp_path)
    evidence.order("A", [LINE], 100)
    evidence.attempt("A", [LINE], 200, outcome="fail", problem="idempotency-key-reused", fingerprint=fingerprint)
    assert evidence.check("idempotent_reply").outcome == outcome


@pytest.mark.parametrize(("first", "outcome"), [("info", "holds"), ("fail", "violated")])
def test_a_used_reference_needs_an_earlier_order(tmp_path: Path, first: str, outcome: str) -> None:
    evidence = Evidence(tmp_path)
    evidence.attempt("A", [LINE], 100, outcome=first)
    evidence.attempt("A", [LINE], 200, outcome="fail", problem="order-reference-used", key="fresh")
    assert evidence.check("idempotent_reply").outcome == outcome
