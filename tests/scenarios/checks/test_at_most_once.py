"""at_most_once: each kind of doubling is found in the partners' books, and what was voided may be done again."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.scenarios.evidence import Evidence, told

LINE = (1, "S1", 3)
COLUMNS = ("kind", "order_reference", "line_no", "subject", "happened", "allowed")


def one_order(directory: Path) -> Evidence:
    evidence = Evidence(directory)
    evidence.move("opening", "S1", 50, -10)
    evidence.order("A", [LINE], 100)
    evidence.chain("A", LINE, 110)
    return evidence


def book_again(evidence: Evidence) -> None:
    evidence.erp("order_booked", "A", 200, business_key="SO-2")


def release_again(evidence: Evidence) -> None:
    evidence.release("A", LINE, 200, release="other")


def ship_again(evidence: Evidence) -> None:
    evidence.ship("A", LINE, 200, release="other")


def label_again(evidence: Evidence) -> None:
    evidence.label("A", LINE, 200, parcel="other")


def invoice_again(evidence: Evidence) -> None:
    evidence.erp("invoice", "A", 200, business_key="INV-2", shipment_id="rel-A.S")


def invoice_line_again(evidence: Evidence) -> None:
    evidence.erp("invoiced", "A", 200, LINE, business_key="INV-2", shipment_id="rel-A.S")


def refund_twice(evidence: Evidence) -> None:
    for seconds in (200, 300):
        evidence.erp("credited", "A", seconds, LINE, business_key="return-1")


def test_no_entry_is_inconclusive(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path)
    evidence.order("A", [LINE], 100)
    assert evidence.check("at_most_once").outcome == "inconclusive"


def test_a_whole_order_once_holds(tmp_path: Path) -> None:
    result = one_order(tmp_path).check("at_most_once")
    assert (result.outcome, result.examined) == ("holds", 1)


@pytest.mark.parametrize(
    ("again", "found"),
    [
        (book_again, ("booked_twice", "A", None, "", 2, 1)),
        (release_again, ("released_twice", "A", 1, "S1", 6, 3)),
        (ship_again, ("shipped_twice", "A", 1, "S1", 6, 3)),
        (label_again, ("labelled_twice", "A", 1, "S1", 6, 3)),
        (invoice_again, ("invoice_twice", "A", None, "rel-A.S", 2, 1)),
        (invoice_line_again, ("invoiced_twice", "A", 1, "S1", 6, 3)),
        (refund_twice, ("refunded_twice", "A", None, "return-1", 2, 1)),
    ],
)
def test_each_doubling_is_found(tmp_path: Path, again: Callable[[Evidence], None], found: tuple[object, ...]) -> None:
    evidence = one_order(tmp_path)
    again(evidence)
    result = evidence.check("at_most_once")
    assert result.outcome == "violated"
    assert told(result, *COLUMNS) == [found]


def test_a_second_label_for_the_same_parcel_is_found_as_such(tmp_path: Path) -> None:
    evidence = one_order(tmp_path)
    evidence.label("A", LINE, 200)
    assert told(evidence.check("at_most_once"), *COLUMNS) == [
        ("labelled_twice", "A", 1, "S1", 6, 3),
        ("two_labels", "A", None, "par-A", 2, 1),
    ]


def test_doubling_counts_where_the_client_never_had_an_answer(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path)
    evidence.attempt("A", [LINE], 100, outcome="info", took=10)
    evidence.release("A", LINE, 101, release="one")
    evidence.release("A", LINE, 102, release="two", node="wms-west")
    assert told(evidence.check("at_most_once"), *COLUMNS) == [("released_twice", "A", 1, "S1", 6, 3)]


@pytest.mark.parametrize("ended", ["release_cancelled", "release_rejected", "short"])
def test_what_was_ended_may_be_released_again(tmp_path: Path, ended: str) -> None:
    evidence = Evidence(tmp_path)
    evidence.order("A", [LINE], 100)
    evidence.release("A", LINE, 101, release="one")
    evidence.book("wms-east", ended, "A", 102, line_no=1, sku="S1", quantity=3, business_key="one")
    evidence.release("A", LINE, 103, release="two", node="wms-west")
    assert evidence.check("at_most_once").outcome == "holds"


def test_a_refusal_of_what_was_never_accepted_makes_no_room(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path)
    evidence.order("A", [LINE], 100)
    evidence.book("wms-west", "release_rejected", "A", 101, line_no=1, sku="S1", quantity=3, business_key="never")
    evidence.release("A", LINE, 102, release="one")
    evidence.release("A", LINE, 103, release="two")
    assert told(evidence.check("at_most_once"), *COLUMNS) == [("released_twice", "A", 1, "S1", 6, 3)]


def test_voided_orders_and_labels_are_netted(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path)
    evidence.order("A", [LINE], 100)
    evidence.erp("order_booked", "A", 101, business_key="SO-1")
    evidence.erp("order_booked", "A", 102, business_key="SO-2")
    evidence.erp("order_voided", "A", 103, business_key="SO-2")
    evidence.label("A", LINE, 104, tracking="T1")
    evidence.book("carrier", "label_voided", "A", 105, parcel_id="par-A", tracking_number="T1")
    evidence.label("A", LINE, 106, tracking="T2")
    assert evidence.check("at_most_once").outcome == "holds"


def test_a_second_sales_order_that_an_erp_made_of_a_repetition_is_found_unless_it_was_voided(tmp_path: Path) -> None:
    evidence = one_order(tmp_path)
    book_again(evidence)
    evidence.erp("order_line", "A", 200, LINE, business_key="SO-2", amount_minor=300)
    found = told(evidence.check("at_most_once"), *COLUMNS)
    assert found == [("booked_twice", "A", None, "", 2, 1), ("order_line_twice", "A", 1, "S1", 6, 3)]
    evidence.erp("order_voided", "A", 210, business_key="SO-2")
    assert evidence.check("at_most_once").outcome == "holds"


def test_what_only_a_failed_key_asked_for_is_not_allowed(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path)
    evidence.attempt("A", [(1, "S1", 6)], 90, outcome="fail", key="first")
    evidence.order("A", [LINE], 100, key="second")
    evidence.release("A", (1, "S1", 6), 110)
    assert told(evidence.check("at_most_once"), *COLUMNS) == [("released_twice", "A", 1, "S1", 6, 3)]
