"""no_oversell: a sale beyond stock is found however it came about, and what nobody could know is excused."""

from pathlib import Path

from tests.scenarios.evidence import Evidence, at, told

COLUMNS = ("order_reference", "sku", "committed_at_least", "supply_at_most")


def stocked(directory: Path, quantity: int, nodes: tuple[str, ...] = ("wms-east",)) -> Evidence:
    evidence = Evidence(directory, nodes=nodes)
    for node in nodes:
        evidence.move("opening", "S1", quantity, -10, node=node)
    return evidence


def test_nothing_confirmed_is_inconclusive(tmp_path: Path) -> None:
    result = stocked(tmp_path, 5).check("no_oversell")
    assert (result.outcome, result.examined) == ("inconclusive", 0)


def test_selling_all_there_is_holds(tmp_path: Path) -> None:
    evidence = stocked(tmp_path, 5)
    evidence.order("A", [(1, "S1", 3)], 100)
    evidence.order("B", [(1, "S1", 2)], 200)
    result = evidence.check("no_oversell")
    assert (result.outcome, result.examined, result.violations) == ("holds", 2, 0)


def test_one_unit_too_many_is_found_with_its_order(tmp_path: Path) -> None:
    evidence = stocked(tmp_path, 5)
    evidence.order("A", [(1, "S1", 3)], 100)
    evidence.order("B", [(1, "S1", 3)], 200)
    result = evidence.check("no_oversell")
    assert result.outcome == "violated"
    assert told(result, *COLUMNS) == [("B", "S1", 6, 5)]
    assert result.counterexamples[0] == {
        "pick": "first", "kind": "oversold", "at_us": at(200.1), "badness": 1, "customer_id": "C1",
        "order_reference": "B", "sku": "S1", "quantity": 3, "committed_at_least": 6, "supply_at_most": 5,
    }  # fmt: skip


def test_two_overlapping_orders_for_the_last_unit_are_found(tmp_path: Path) -> None:
    evidence = stocked(tmp_path, 1)
    evidence.order("A", [(1, "S1", 1)], 100, took=2)
    evidence.order("B", [(1, "S1", 1)], 101, took=2)
    assert told(evidence.check("no_oversell"), *COLUMNS) == [("B", "S1", 2, 1)]


def test_two_lines_of_one_order_count_together(tmp_path: Path) -> None:
    evidence = stocked(tmp_path, 5)
    evidence.order("A", [(1, "S1", 3), (2, "S1", 3)], 100)
    assert told(evidence.check("no_oversell"), *COLUMNS) == [("A", "S1", 6, 5)]


def test_shipping_does_not_make_room_again(tmp_path: Path) -> None:
    evidence = stocked(tmp_path, 5)
    evidence.order("A", [(1, "S1", 5)], 100)
    evidence.release("A", (1, "S1", 5), 110)
    evidence.ship("A", (1, "S1", 5), 120)
    evidence.order("B", [(1, "S1", 1)], 121)
    assert told(evidence.check("no_oversell"), *COLUMNS) == [("B", "S1", 6, 5)]


def test_backordered_units_are_no_commitment_until_they_ship(tmp_path: Path) -> None:
    evidence = stocked(tmp_path, 5)
    evidence.order("A", [(1, "S1", 8)], 100, backordered=3)
    assert evidence.check("no_oversell").outcome == "holds"
    evidence.move("receipt", "S1", 3, 200)
    evidence.release("A", (1, "S1", 8), 210)
    evidence.ship("A", (1, "S1", 8), 220)
    evidence.order("B", [(1, "S1", 1)], 300)
    assert told(evidence.check("no_oversell"), *COLUMNS) == [("B", "S1", 9, 8)]


def test_shrinkage_is_excused_within_freshness_and_not_after(tmp_path: Path) -> None:
    evidence = stocked(tmp_path, 5)
    evidence.move("adjustment", "S1", -2, 100)
    evidence.order("A", [(1, "S1", 5)], 100.5)
    assert evidence.check("no_oversell").outcome == "holds"
    late = stocked(tmp_path, 5)
    late.move("adjustment", "S1", -2, 100)
    late.order("A", [(1, "S1", 5)], 101.5)
    assert told(late.check("no_oversell"), *COLUMNS) == [("A", "S1", 5, 3)]


def test_a_blocked_message_stretches_freshness(tmp_path: Path) -> None:
    evidence = stocked(tmp_path, 5)
    evidence.fact("freshness_stretch_us", subject="wms-east", value=at(99), value_to=at(500))
    evidence.move("adjustment", "S1", -2, 100)
    evidence.order("A", [(1, "S1", 5)], 400)
    assert evidence.check("no_oversell").outcome == "holds"
    evidence.order("B", [(1, "S1", 1)], 502)
    assert told(evidence.check("no_oversell"), *COLUMNS) == [("B", "S1", 6, 3)]


def test_a_receipt_may_be_sold_the_moment_it_is_booked(tmp_path: Path) -> None:
    evidence = stocked(tmp_path, 5)
    evidence.order("A", [(1, "S1", 5)], 100)
    evidence.move("receipt", "S1", 4, 200.05)
    evidence.order("B", [(1, "S1", 4)], 200)
    assert evidence.check("no_oversell").outcome == "holds"


def test_a_cancelled_order_makes_room_from_the_asking_on(tmp_path: Path) -> None:
    evidence = stocked(tmp_path, 5)
    evidence.order("A", [(1, "S1", 5)], 100)
    evidence.attempt("A", [], 200, operation="cancel_order", key="cancel-A", outcome="info", took=10)
    evidence.order("B", [(1, "S1", 5)], 201)
    assert evidence.check("no_oversell").outcome == "holds"
    refused = stocked(tmp_path, 5)
    refused.order("A", [(1, "S1", 5)], 100)
    refused.attempt("A", [], 200, operation="cancel_order", key="cancel-A", outcome="fail")
    refused.order("B", [(1, "S1", 5)], 201)
    assert told(refused.check("no_oversell"), *COLUMNS) == [("B", "S1", 10, 5)]


def test_a_short_pick_ends_a_commitment_and_takes_its_stock(tmp_path: Path) -> None:
    evidence = stocked(tmp_path, 5)
    evidence.order("A", [(1, "S1", 3)], 100)
    evidence.release("A", (1, "S1", 3), 110)
    evidence.book("wms-east", "short", "A", 120, line_no=1, sku="S1", quantity=2, business_key="rel-A")
    evidence.move("hold", "S1", 2, 120, reference="A", line_no=1)
    evidence.order("B", [(1, "S1", 2)], 200)
    assert evidence.check("no_oversell").outcome == "holds"
    evidence.order("C", [(1, "S1", 1)], 300)
    assert told(evidence.check("no_oversell"), *COLUMNS) == [("C", "S1", 4, 3)]


def test_safety_stock_is_not_for_sale(tmp_path: Path) -> None:
    evidence = stocked(tmp_path, 5)
    evidence.fact("safety_stock", subject="wms-east", value=2)
    evidence.order("A", [(1, "S1", 4)], 100)
    assert told(evidence.check("no_oversell"), *COLUMNS) == [("A", "S1", 4, 3)]


def test_a_deficit_at_one_node_takes_nothing_from_another(tmp_path: Path) -> None:
    evidence = stocked(tmp_path, 5, ("wms-east", "wms-west"))
    evidence.order("A", [(1, "S1", 5)], 100)
    evidence.release("A", (1, "S1", 5), 101, node="wms-east")
    evidence.move("adjustment", "S1", -4, 200, node="wms-east")
    evidence.order("B", [(1, "S1", 5)], 300)
    assert evidence.check("no_oversell").outcome == "holds", "B may be meant for wms-west"
    evidence.release("B", (1, "S1", 5), 301, node="wms-west")
    assert evidence.check("no_oversell").outcome == "holds"


def test_a_deficit_is_no_excuse_for_who_is_served_there(tmp_path: Path) -> None:
    evidence = stocked(tmp_path, 5, ("wms-east", "wms-west"))
    evidence.order("A", [(1, "S1", 5)], 100)
    evidence.release("A", (1, "S1", 5), 101, node="wms-east")
    evidence.move("adjustment", "S1", -4, 200, node="wms-east")
    evidence.order("B", [(1, "S1", 5)], 300)
    evidence.release("B", (1, "S1", 5), 301, node="wms-east")
    assert told(evidence.check("no_oversell"), *COLUMNS) == [("B", "S1", 10, 6)]


def test_an_order_that_was_sourced_again_elsewhere_is_not_blamed_for_losses(tmp_path: Path) -> None:
    """Three of B were promised from wms-west; its fourth unit found stock at wms-east only after the count there."""
    evidence = stocked(tmp_path, 5, ("wms-east", "wms-west"))
    evidence.order("A", [(1, "S1", 5)], 100)
    evidence.release("A", (1, "S1", 5), 101, node="wms-east")
    evidence.move("adjustment", "S1", -4, 200, node="wms-east")
    evidence.order("B", [(1, "S1", 6)], 300, backordered=1)
    evidence.release("B", (1, "S1", 5), 301, node="wms-west")
    evidence.release("B", (1, "S1", 1), 900, node="wms-east", release="rel-B2")
    assert evidence.check("no_oversell").outcome == "holds"


def test_an_order_that_was_sourced_again_is_where_it_was_sourced_first(tmp_path: Path) -> None:
    """Part of B's own release is short later and released once more: that tells nothing of how it was promised."""
    evidence = stocked(tmp_path, 5, ("wms-east", "wms-west", "threepl"))
    evidence.order("A", [(1, "S1", 5)], 100)
    evidence.release("A", (1, "S1", 5), 101, node="wms-east")
    evidence.move("adjustment", "S1", -4, 200, node="wms-east")
    evidence.order("B", [(1, "S1", 7)], 300)
    evidence.release("B", (1, "S1", 4), 301, node="wms-west")
    evidence.release("B", (1, "S1", 3), 302, node="threepl")
    evidence.book("wms-west", "short", "B", 400, line_no=1, sku="S1", quantity=1, business_key="rel-B")
    evidence.release("B", (1, "S1", 1), 401, node="wms-west")
    assert evidence.check("no_oversell").outcome == "holds"


def test_an_excess_that_only_the_sum_over_nodes_shows_is_found(tmp_path: Path) -> None:
    """What B was promised is nowhere in work, so no node is exceeded, and no stock was lost that would explain it."""
    evidence = stocked(tmp_path, 5, ("wms-east", "wms-west"))
    evidence.order("A", [(1, "S1", 5)], 100)
    evidence.release("A", (1, "S1", 5), 101, node="wms-east")
    evidence.order("B", [(1, "S1", 5)], 200)
    evidence.order("C", [(1, "S1", 1)], 300)
    evidence.release("C", (1, "S1", 1), 301, node="wms-west")
    assert told(evidence.check("no_oversell"), *COLUMNS) == [("C", "S1", 11, 10)]


def test_a_loss_elsewhere_excuses_no_more_than_was_lost(tmp_path: Path) -> None:
    evidence = two_nodes_sold_out(tmp_path)
    evidence.move("adjustment", "S1", -1, 200, node="wms-east")
    evidence.order("C", [(1, "S1", 1)], 300)
    evidence.release("C", (1, "S1", 1), 301, node="wms-west")
    assert told(evidence.check("no_oversell"), *COLUMNS) == [("C", "S1", 11, 9)]
    excused = two_nodes_sold_out(tmp_path, first=4)
    excused.move("adjustment", "S1", -1, 200, node="wms-east")
    excused.order("C", [(1, "S1", 1)], 300)
    excused.release("C", (1, "S1", 1), 301, node="wms-west")
    assert excused.check("no_oversell").outcome == "holds"


def test_a_loss_where_the_order_is_served_excuses_nothing(tmp_path: Path) -> None:
    evidence = two_nodes_sold_out(tmp_path)
    evidence.move("adjustment", "S1", -2, 200, node="wms-west")
    evidence.order("C", [(1, "S1", 1)], 300)
    evidence.release("C", (1, "S1", 1), 301, node="wms-west")
    assert told(evidence.check("no_oversell"), *COLUMNS) == [("C", "S1", 11, 8)]


def two_nodes_sold_out(directory: Path, first: int = 5) -> Evidence:
    """`first` units sold at wms-east, and five of which nobody knows where they are to come from."""
    evidence = stocked(directory, 5, ("wms-east", "wms-west"))
    evidence.order("A", [(1, "S1", first)], 100)
    evidence.release("A", (1, "S1", first), 101, node="wms-east")
    evidence.order("B", [(1, "S1", 5)], 110)
    return evidence


def test_a_backorder_that_is_served_before_the_promise_does_not_tell_where_that_was(tmp_path: Path) -> None:
    """Two of B were promised from wms-west, which was down; two more found stock at wms-east meanwhile."""
    evidence = stocked(tmp_path, 5, ("wms-east", "wms-west"))
    evidence.order("A", [(1, "S1", 5)], 100)
    evidence.release("A", (1, "S1", 5), 101, node="wms-east")
    evidence.move("adjustment", "S1", -4, 200, node="wms-east")
    evidence.order("B", [(1, "S1", 4)], 300, backordered=2)
    evidence.release("B", (1, "S1", 2), 310, node="wms-east", release="rel-B2")
    evidence.release("B", (1, "S1", 2), 900, node="wms-west")
    assert evidence.check("no_oversell").outcome == "holds"


def test_a_node_that_is_not_eligible_supplies_nothing(tmp_path: Path) -> None:
    evidence = stocked(tmp_path, 5)
    evidence.move("opening", "S1", 50, -10, node="elsewhere")
    evidence.order("A", [(1, "S1", 6)], 100)
    assert told(evidence.check("no_oversell"), *COLUMNS) == [("A", "S1", 6, 5)]


def test_freshness_counts_from_the_first_call_with_the_order(tmp_path: Path) -> None:
    evidence = stocked(tmp_path, 5)
    evidence.attempt("A", [(1, "S1", 5)], 100, outcome="info", took=10)
    evidence.move("adjustment", "S1", -2, 105)
    evidence.order("A", [(1, "S1", 5)], 105 + 1_000)
    assert evidence.check("no_oversell").outcome == "holds"
