"""Sourcing takes as few nodes as possible, prefers the preferred, and never promises a unit twice."""

from hypothesis import given
from hypothesis import strategies as st

from integration.domain.sourcing import Demand, Share, preferred_nodes, source

NODES = ("east", "west", "threepl")


def test_one_node_that_has_everything_is_taken_alone() -> None:
    demands = [Demand(1, "A", 5), Demand(2, "B", 3)]
    available = {"A": {"east": 5, "west": 9}, "B": {"west": 3}}
    assert source(demands, available, NODES, 3) == [Share("west", 1, "A", 5), Share("west", 2, "B", 3)]


def test_of_equal_nodes_the_preferred_one_is_taken() -> None:
    available = {"A": {"east": 5, "west": 5}}
    assert source([Demand(1, "A", 5)], available, ("west", "east"), 3) == [Share("west", 1, "A", 5)]


def test_a_line_is_split_and_the_rest_is_left_over() -> None:
    available = {"A": {"east": 2, "west": 4, "threepl": 0}}
    assert source([Demand(1, "A", 10)], available, NODES, 3) == [Share("west", 1, "A", 4), Share("east", 1, "A", 2)]


def test_no_more_nodes_than_allowed() -> None:
    assert source([Demand(1, "A", 10)], {"A": {"east": 2, "west": 4}}, NODES, 1) == [Share("west", 1, "A", 4)]


def test_lines_of_the_same_sku_share_what_there_is() -> None:
    demands = [Demand(1, "A", 3), Demand(2, "A", 3)]
    assert source(demands, {"A": {"east": 4}}, NODES, 3) == [Share("east", 1, "A", 3), Share("east", 2, "A", 1)]


def test_nothing_there_means_no_shares() -> None:
    assert source([Demand(1, "A", 1)], {}, NODES, 3) == []
    assert source([], {"A": {"east": 1}}, NODES, 3) == []


@given(
    st.lists(st.tuples(st.sampled_from("ABC"), st.integers(1, 20)), max_size=8),
    st.dictionaries(st.sampled_from("ABC"), st.dictionaries(st.sampled_from(NODES), st.integers(0, 30))),
)
def test_shares_stay_within_demand_and_stock_and_leave_nothing_that_could_be_served(
    wanted: list[tuple[str, int]], available: dict[str, dict[str, int]]
) -> None:
    demands = [Demand(number, sku, quantity) for number, (sku, quantity) in enumerate(wanted, 1)]
    shares = source(demands, available, NODES, len(NODES))
    for demand in demands:
        assert sum(s.quantity for s in shares if s.line_no == demand.line_no) <= demand.quantity
    for sku in "ABC":
        there = available.get(sku, {})
        for node in NODES:
            assert sum(s.quantity for s in shares if (s.sku, s.node) == (sku, node)) <= there.get(node, 0)
        asked = sum(d.quantity for d in demands if d.sku == sku)
        assert sum(s.quantity for s in shares if s.sku == sku) == min(asked, sum(there.values()))


def test_full_nodes_come_last_and_unnamed_ones_after_the_preferred() -> None:
    assert preferred_nodes(NODES, ("west",), {}, {}) == ("west", "east", "threepl")
    assert preferred_nodes(NODES, NODES, {"east": 10, "west": 9}, {"east": 10, "west": 10}) == (
        "west",
        "threepl",
        "east",
    )
