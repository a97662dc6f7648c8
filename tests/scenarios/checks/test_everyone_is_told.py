"""everyone_is_told: what the partners booked and clients were answered was taken by each subscriber, signed."""

from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.evidence import Evidence, at, told

LINE = (1, "S1", 2)
TYPES = ("order.accepted", "order.cancelled", "order.shipped", "order.invoiced")


def day(directory: Path) -> Evidence:
    """Order A is accepted, shipped and invoiced, order B accepted and cancelled; `shop` is told all of it."""
    evidence = Evidence(directory)
    evidence.order("A", [LINE], 100)
    evidence.order("B", [LINE], 100)
    evidence.book("wms-east", "shipped", "A", 200, shipment_id="S-A", line_no=1, sku="S1", quantity=-2)
    evidence.book("erp", "invoiced", "A", 300, shipment_id="S-A", line_no=1, sku="S1", quantity=2)
    evidence.final("A", [line(shipped=2)])
    evidence.final("B", [line(cancelled=2)], order_status="cancelled")
    evidence.quiet(5_000)
    evidence.subscriber("shop", *TYPES)
    evidence.take("shop", "order.accepted", "A", 101, 1)
    evidence.take("shop", "order.accepted", "B", 101, 1)
    evidence.take("shop", "order.cancelled", "B", 150, 2)
    evidence.take("shop", "order.shipped", "A", 201, 3, shipment_id="S-A")
    evidence.take("shop", "order.invoiced", "A", 301, 4, shipment_id="S-A")
    return evidence


def line(**quantities: int) -> dict[str, Any]:
    none = dict.fromkeys(("confirmed", "backordered", "shipped", "cancelled", "short"), 0)
    return {"line_no": 1, "sku": "S1", "ordered": 2, **none, **quantities}


def found(evidence: Evidence) -> list[tuple[Any, ...]]:
    result = evidence.check("everyone_is_told")
    return told(result, "kind", "order_reference", "subscriber", "event", "badness")


def test_all_that_happened_was_told(tmp_path: Path) -> None:
    result = day(tmp_path).check("everyone_is_told")
    assert (result.outcome, result.examined) == ("holds", 2 * len(TYPES))


def test_without_subscribers_or_rest_it_is_inconclusive(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path)
    evidence.order("A", [LINE], 100)
    assert evidence.check("everyone_is_told").reason == "quiet never came, and things still moved"
    evidence.quiet(5_000)
    told_why = "nothing to examine: it applies when the scenario has subscribers"
    result = evidence.check("everyone_is_told")
    assert (result.outcome, result.reason, result.decides) == ("inconclusive", told_why, True)


@pytest.mark.parametrize("event", ["order.accepted", "order.cancelled", "order.shipped", "order.invoiced"])
def test_what_was_not_taken_is_missing(tmp_path: Path, event: str) -> None:
    evidence = day(tmp_path)
    for row in evidence.rows["ledger"]:
        if row.get("status") == event:
            row["kind"] = "event_refused"
    references = {"order.accepted": ["A", "B"], "order.cancelled": ["B"]}.get(event, ["A"])
    assert found(evidence) == [("missing", reference, "shop", event, 1) for reference in references]


def test_every_subscriber_is_owed_what_it_asked_for_and_no_more(tmp_path: Path) -> None:
    evidence = day(tmp_path)
    evidence.subscriber("pages", "order.shipped")
    assert found(evidence) == [("missing", "A", "pages", "order.shipped", 1)]
    evidence.take("pages", "order.shipped", "A", 400, 3, shipment_id="S-A")
    assert found(evidence) == []
    evidence.subscriber("never", "order.accepted", since=None)
    assert found(evidence) == [("never_subscribed", None, "never", None, 1)]


def test_each_shipment_is_told_by_itself(tmp_path: Path) -> None:
    evidence = day(tmp_path)
    evidence.book("wms-west", "shipped", "A", 250, shipment_id="S-A2", line_no=1, sku="S1", quantity=-1)
    assert found(evidence) == [("missing", "A", "shop", "order.shipped", 1)]


def test_a_signature_that_does_not_fit_is_found_even_where_another_delivery_was_taken(tmp_path: Path) -> None:
    evidence = day(tmp_path)
    evidence.take("shop", "order.shipped", "A", 200.5, 3, kind="event_unsigned", shipment_id="S-A")
    assert found(evidence) == [("badly_signed", "A", "shop", "order.shipped", 1)]


def test_what_never_happened_must_not_be_told(tmp_path: Path) -> None:
    evidence = day(tmp_path)
    evidence.take("shop", "order.accepted", "A", 99, 1, business_key="evt-lost", order_id="ord-rolled-back")
    evidence.take("shop", "order.shipped", "A", 401, 5, business_key="evt-none", shipment_id="S-none")
    evidence.take("shop", "order.accepted", "Z", 500, 1)
    assert sorted(found(evidence), key=str) == [
        ("untrue", "A", "shop", "order.accepted", 1),
        ("untrue", "A", "shop", "order.shipped", 1),
        ("untrue", "Z", "shop", "order.accepted", 1),
    ]


def test_events_come_again_but_first_in_order(tmp_path: Path) -> None:
    evidence = day(tmp_path)
    evidence.take("shop", "order.accepted", "A", 400, 1)
    assert found(evidence) == []
    for row in evidence.rows["ledger"]:
        if row.get("status") == "order.shipped":
            row["at_us"] = at(350)
    assert found(evidence) == [("out_of_order", "A", "shop", "order.shipped", 1)]
