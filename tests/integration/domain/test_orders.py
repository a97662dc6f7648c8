"""An order's status follows from its parts and never moves backwards; a line's books always add up."""

from dataclasses import replace

import pytest

from integration.domain.orders import Line, OrderError, OrderFacts, derive_status

NEW = OrderFacts(
    status="accepted",
    held=False,
    booked=False,
    open_quantity=10,
    shipped=0,
    cancelled=0,
    short=0,
    released=False,
    uninvoiced_shipments=0,
)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, "accepted"),
        ({"booked": True}, "booked"),
        ({"booked": True, "released": True}, "released"),
        ({"open_quantity": 4, "shipped": 6, "uninvoiced_shipments": 1}, "partially_shipped"),
        ({"open_quantity": 4, "shipped": 6}, "partially_shipped"),
        ({"open_quantity": 0, "shipped": 10, "uninvoiced_shipments": 1}, "shipped"),
        ({"open_quantity": 0, "shipped": 8, "cancelled": 2}, "invoiced"),
        ({"open_quantity": 0, "cancelled": 10}, "cancelled"),
        ({"open_quantity": 0, "cancelled": 4, "short": 6}, "closed"),
    ],
)
def test_status_follows_from_the_parts(change: dict[str, int], status: str) -> None:
    assert derive_status(replace(NEW, **change)) == status  # type: ignore[arg-type]


def test_an_order_on_hold_waits_until_the_hold_is_lifted() -> None:
    held = replace(NEW, status="on_hold", held=True)
    assert derive_status(held) == "on_hold"
    assert derive_status(replace(held, held=False)) == "accepted"


def test_status_never_moves_backwards() -> None:
    """A released fulfillment that came to nothing leaves its order released, though all of it is backordered now."""
    assert derive_status(replace(NEW, status="released", booked=True, released=False)) == "released"


def test_lines_that_do_not_add_up_are_our_own_bug() -> None:
    Line(1, "A", 10, confirmed=4, backordered=3, shipped=1, cancelled=1, short=1).check()
    with pytest.raises(OrderError, match="ordered 10"):
        Line(2, "A", 10, confirmed=4).check()
    with pytest.raises(OrderError, match="-1"):
        Line(3, "A", 3, confirmed=4, backordered=-1).check()
