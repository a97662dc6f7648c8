"""poison_is_parked: who came after a message that never works is sent within a bound, five minutes here."""

from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.evidence import Evidence, at, told

LINE = (1, "S1", 1)


def poisoned(directory: Path, sent: float | None) -> Evidence:
    """An order that the ERP cannot read, tried each 100 s for 1,000 s; another accepted at 200 s and sent at `sent`."""
    evidence = Evidence(directory)
    evidence.limits(calls=30)
    evidence.order("P", [LINE], 0)
    for number in range(11):
        evidence.call("P", 1 + 100 * number, attempt=number + 1, status=400)
    evidence.order("B", [LINE], 199.9)
    if sent is not None:
        evidence.call("B", sent)
    return evidence


def test_without_poison_it_is_inconclusive(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path)
    evidence.limits()
    evidence.order("A", [LINE], 0)
    for number in range(4):
        evidence.call("A", number, attempt=number + 1, status=400)
    reason = evidence.check("poison_is_parked").reason
    assert reason == (
        "nothing to examine: it applies when a call of the integration was tried four times or more over longer than"
        " the parking bound"
    )


def test_who_came_after_and_was_sent_at_once_holds(tmp_path: Path) -> None:
    result = poisoned(tmp_path, 201).check("poison_is_parked")
    assert (result.outcome, result.examined) == ("holds", 1)


@pytest.mark.parametrize(("sent", "outcome"), [(499, "holds"), (501, "violated")])
def test_longer_than_the_bound_is_found(tmp_path: Path, sent: float, outcome: str) -> None:
    result = poisoned(tmp_path, sent).check("poison_is_parked")
    assert result.outcome == outcome
    if outcome == "violated":
        found = told(
            result, "kind", "order_reference", "target", "message", "poison", "poison_calls", "badness", "at_us"
        )
        assert found == [("held_up", "B", "erp", "sales_order", "book-P", 3, 301_000_000, at(500))]


def test_a_look_right_before_it_shows_no_way_past_the_poison(tmp_path: Path) -> None:
    evidence = poisoned(tmp_path, 501)
    evidence.call("B", 500.5, method="GET", key=None, status=200)
    found = told(evidence.check("poison_is_parked"), "kind", "order_reference", "badness")
    assert found == [("held_up", "B", 301_000_000)]


def test_an_order_that_was_never_sent_is_found(tmp_path: Path) -> None:
    found = told(poisoned(tmp_path, None).check("poison_is_parked"), "kind", "order_reference", "badness")
    assert found == [("held_up", "B", 801_000_000)]


def test_a_message_of_a_webhook_waits_from_then_on(tmp_path: Path) -> None:
    evidence = poisoned(tmp_path, 201)
    told_at: dict[str, Any] = {"source": "wms-east", "target": "integration", "event_type": "release.shipped"}
    evidence.call("B", 300, handled_at_us=at(300), key="w1", route="/webhooks/{partner}", **told_at)
    evidence.call("B", 700, key="ship-B", route="/shipments")
    found = told(evidence.check("poison_is_parked"), "message", "key", "badness")
    assert found == [("shipment", "ship-B", 400_000_000)]


def busy(evidence: Evidence) -> None:
    evidence.call("C", 400)


def ill(evidence: Evidence) -> None:
    evidence.call("C", 100, status=None, outcome="timeout")


def asked_for_patience(evidence: Evidence) -> None:
    evidence.call("P", 450, key="other", status=429, retry_after_s=100)


def crashed(evidence: Evidence) -> None:
    evidence.row(
        "faults", fault="c", kind="crash", target="integration", event="window", from_us=at(300), to_us=at(330)
    )


@pytest.mark.parametrize("excuse", [busy, ill, asked_for_patience, crashed])
def test_what_else_may_have_kept_it_excuses(tmp_path: Path, excuse: Any) -> None:
    evidence = poisoned(tmp_path, 600)
    assert evidence.check("poison_is_parked").outcome == "violated"
    excuse(evidence)
    assert evidence.check("poison_is_parked").outcome == "holds"


def test_an_order_on_hold_waits_for_something_else(tmp_path: Path) -> None:
    evidence = poisoned(tmp_path, 600)
    evidence.rows["operations"][-1]["order_status"] = "on_hold"
    assert evidence.check("poison_is_parked").outcome == "holds"
