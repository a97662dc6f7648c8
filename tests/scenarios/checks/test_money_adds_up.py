"""money_adds_up: bookings, invoices and credits against the answered price and the ERP's own price list."""

from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.evidence import Evidence, promise, told

LINE = (1, "S1", 3)
INVOICE: dict[str, Any] = {"shipment_id": "rel-A.S", "business_key": "INV-A"}


def shipped(directory: Path, *, asked: int = 3, sold: int = 3) -> Evidence:
    """An order of three at 1.00 and 20% tax, booked and shipped, not yet invoiced."""
    evidence = Evidence(directory)
    evidence.contract("S1")
    answer = [promise(1, "S1", sold, sold)]
    evidence.order("A", [(1, "S1", asked)], 100, answer_lines=answer)
    line = (1, "S1", sold)
    evidence.erp("order_booked", "A", 110, business_key="SO-A")
    evidence.erp("order_line", "A", 110, line, business_key="SO-A", amount_minor=100 * sold)
    evidence.release("A", line, 111)
    evidence.ship("A", line, 120)
    return evidence


def invoice(evidence: Evidence, *, quantity: int = 3, net: int = 300, tax: int = 60, total: int | None = None) -> None:
    evidence.erp("invoiced", "A", 130, (1, "S1", quantity), amount_minor=net, tax_minor=tax, **INVOICE)
    evidence.erp("invoice", "A", 130, amount_minor=net + tax if total is None else total, **INVOICE)


def test_without_bookings_it_is_inconclusive(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path)
    evidence.order("A", [LINE], 100)
    assert evidence.check("money_adds_up").reason == "nothing to examine"


def test_quantity_by_contract_price_plus_tax_holds(tmp_path: Path) -> None:
    evidence = shipped(tmp_path)
    invoice(evidence)
    result = evidence.check("money_adds_up")
    assert (result.outcome, result.examined) == ("holds", 2)


@pytest.mark.parametrize(
    ("money", "found"),
    [
        ({"net": 299}, [("net_not_by_contract", 1)]),
        ({"quantity": 4, "net": 400, "tax": 80}, [("net_not_by_contract", 100)]),
        ({"tax": 59}, [("tax_wrong", 1)]),
        ({"total": 361}, [("total_wrong", 1)]),
    ],
)
def test_an_invoice_that_does_not_add_up_is_found(
    tmp_path: Path, money: dict[str, int], found: list[tuple[str, int]]
) -> None:
    evidence = shipped(tmp_path)
    invoice(evidence, **money)
    assert told(evidence.check("money_adds_up"), "kind", "badness") == found


@pytest.mark.parametrize(("net", "tax"), [(2, 0), (3, 1), (13, 3), (12, 2)])
def test_tax_is_rounded_half_up_per_line(tmp_path: Path, net: int, tax: int) -> None:
    evidence = Evidence(tmp_path)
    evidence.contract("S1", net)
    line = promise(1, "S1", 1, 1) | {"unit_price_minor": net}
    evidence.order("A", [(1, "S1", 1)], 100, answer_lines=[line])
    evidence.ship("A", (1, "S1", 1), 120)
    invoice(evidence, quantity=1, net=net, tax=tax)
    assert evidence.check("money_adds_up").outcome == "holds"
    invoice(evidence, quantity=0, net=0, tax=0)
    evidence.rows["ledger"][-4]["tax_minor"] = tax + 1
    assert ("tax_wrong", 1) in told(evidence.check("money_adds_up"), "kind", "badness")


def test_cases_taken_for_pieces_are_found_in_the_booking(tmp_path: Path) -> None:
    evidence = shipped(tmp_path, asked=36, sold=3)
    found = told(evidence.check("money_adds_up"), "kind", "order_reference", "line_no", "badness")
    assert found == [("booked_other_than_asked", "A", 1, 3_300)]


def test_the_price_in_force_at_acceptance_counts_not_a_later_one(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path)
    evidence.contract("S1", 90, until=50)
    evidence.contract("S1", 100, since=50, until=115)
    evidence.contract("S1", 110, since=115)
    evidence.order("A", [LINE], 100)
    evidence.ship("A", LINE, 120)
    invoice(evidence)
    assert evidence.check("money_adds_up").outcome == "holds"
    evidence.rows["ledger"][-2]["amount_minor"] = 330
    assert ("net_not_by_contract", 30) in told(evidence.check("money_adds_up"), "kind", "badness")


@pytest.mark.parametrize(("answered", "net"), [(100, 300), (110, 330)])
def test_a_change_of_price_while_the_client_waits_allows_either(tmp_path: Path, answered: int, net: int) -> None:
    evidence = Evidence(tmp_path)
    evidence.contract("S1", 100, until=105)
    evidence.contract("S1", 110, since=105)
    line = promise(1, "S1", 3, 3) | {"unit_price_minor": answered}
    evidence.order("A", [LINE], 100, took=10, answer_lines=[line])
    evidence.ship("A", LINE, 120)
    invoice(evidence, net=net, tax=net // 5)
    assert evidence.check("money_adds_up").outcome == "holds"
    evidence.rows["ledger"][-2]["amount_minor"] = 630 - net
    assert ("net_not_as_answered", 30) in told(evidence.check("money_adds_up"), "kind", "badness")


def test_an_order_whose_answer_was_lost_was_accepted_at_some_time_until_its_booking(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path)
    evidence.contract("S1", 100, until=150)
    evidence.contract("S1", 110, since=150)
    evidence.attempt("A", [LINE], 100, outcome="info")
    evidence.erp("order_booked", "A", 200, business_key="SO-A")
    evidence.ship("A", LINE, 220)
    invoice(evidence, net=330, tax=66)
    assert evidence.check("money_adds_up").outcome == "holds"
    evidence.rows["ledger"][0]["at_us"] -= 60_000_000
    assert told(evidence.check("money_adds_up"), "kind", "badness") == [("net_not_by_contract", 30)]


def test_a_clock_that_is_known_to_be_off_widens_the_moment_of_acceptance(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path)
    evidence.contract("S1", 100, until=90)
    evidence.contract("S1", 110, since=90)
    evidence.order("A", [LINE], 100)
    evidence.ship("A", LINE, 120)
    invoice(evidence)
    assert evidence.check("money_adds_up").outcome == "violated"
    evidence.fact("clock_skew_us", value=20_000_000)
    assert evidence.check("money_adds_up").outcome == "holds"


def test_a_sku_without_a_contract_price_is_found(tmp_path: Path) -> None:
    evidence = shipped(tmp_path)
    evidence.rows["master"] = [row for row in evidence.rows["master"] if row["record"] != "price"]
    assert told(evidence.check("money_adds_up"), "kind", "sku") == [("no_contract_price", "S1")]


@pytest.mark.parametrize(
    ("returned", "credited", "quiet", "found"),
    [
        (2, 2, True, []),
        (2, 3, False, [("credited_unreturned", 1)]),
        (2, 1, True, [("returned_uncredited", 1)]),
        (2, 1, False, []),
    ],
)
def test_credits_are_returns(
    tmp_path: Path, returned: int, credited: int, quiet: bool, found: list[tuple[str, int]]
) -> None:
    evidence = Evidence(tmp_path)
    if quiet:
        evidence.quiet(900)
    evidence.order("A", [LINE], 100)
    line: dict[str, Any] = {"line_no": 1, "sku": "S1"}
    evidence.book("wms-east", "returned", "A", 200, quantity=returned, **line)
    evidence.book("erp", "credited", "A", 210, quantity=credited, business_key="return-1", **line)
    assert told(evidence.check("money_adds_up"), "kind", "badness") == found
