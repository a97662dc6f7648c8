"""A warehouse's rules without clock or wire: bins in picking order, shorts to held, when a cancel is refused, parcels,
and that no sequence of bookings makes or loses a unit.
"""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.partnerkit.memory import DuplicatePolicy
from simulators.partnerkit.stock import Booking, InsufficientStock, Missing, Pick, Stock
from simulators.wms.model import (
    ConflictingState,
    DuplicateRelease,
    Line,
    Packing,
    QuantityExceeded,
    Release,
    Status,
    TooLateToCancel,
    UnknownLine,
    UnknownParcel,
    UnknownRelease,
    UnknownSkus,
    Warehouse,
)

WEIGHTS_G = {"MUG": 400, "TIN": 1_500, "BAG": 50}
OPENING = {"MUG": 10, "TIN": 4, "BAG": 0}


def warehouse(duplicates: DuplicatePolicy = DuplicatePolicy.RETURN_EXISTING, cap_g: int = 5_000) -> Warehouse:
    model = Warehouse(WEIGHTS_G, Packing(cap_g), duplicates)
    model.open(OPENING, forward_percent=40)
    return model


def release(*lines: tuple[str, int], release_id: str = "ful-1") -> Release:
    by_number = {number: Line(number, sku, quantity) for number, (sku, quantity) in enumerate(lines, start=1)}
    return Release(release_id, "C1", "PO-1", "standard", by_number)


def accepted(model: Warehouse, *lines: tuple[str, int], release_id: str = "ful-1") -> Release:
    return model.accept(release(*lines, release_id=release_id))[0]


def picked(model: Warehouse, *lines: tuple[str, int], missing: dict[int, Missing] | None = None) -> Release:
    taken = accepted(model, *lines)
    model.plan(taken)
    model.begin_picking(taken)
    model.finish_picking(taken, missing or {})
    return taken


def entries(booking: Booking | None) -> list[tuple[Any, ...]]:
    assert booking is not None
    return [
        (move.kind, move.sku, move.location, move.quantity, move.balance, move.held_balance)
        for move in booking.movements
    ]


def test_opening_stock_is_split_over_the_two_bins() -> None:
    model = Warehouse(WEIGHTS_G, Packing(5_000))
    rows = [(move.sku, move.location, move.quantity, move.balance) for move in model.open(OPENING, 35)]
    assert rows == [
        ("MUG", "FORWARD", 4, 4),
        ("MUG", "RESERVE", 6, 6),
        ("TIN", "FORWARD", 2, 2),
        ("TIN", "RESERVE", 2, 2),
        ("BAG", "FORWARD", 0, 0),
        ("BAG", "RESERVE", 0, 0),
    ]
    assert model.stock.sequence == 0


def test_the_forward_bin_is_emptied_before_the_reserve_bin_is_touched() -> None:
    model = warehouse()
    taken = accepted(model, ("MUG", 7))
    model.plan(taken)
    assert [(pick.location, pick.quantity) for pick in taken.lines[1].picks] == [("FORWARD", 4), ("RESERVE", 3)]
    assert model.stock.available("MUG") == 3
    assert model.stock.level("MUG") == (10, 0)


def test_a_release_ships_bin_by_bin_in_one_numbered_booking() -> None:
    model = warehouse()
    taken = picked(model, ("MUG", 5), ("TIN", 1))
    (parcel,) = model.pack(taken)
    assert (parcel.parcel_id, parcel.weight_g) == ("ful-1.P1", 3_500)
    assert model.attach_labels("ful-1", {"ful-1.P1": "TRK1"}) == (taken, True)
    shipped = model.ship(taken, "shp-1")
    assert entries(shipped.booking) == [
        ("shipped", "MUG", "FORWARD", -4, 0, 0),
        ("shipped", "MUG", "RESERVE", -1, 5, 0),
        ("shipped", "TIN", "FORWARD", -1, 1, 0),
    ]
    assert shipped.line_nos == (1, 1, 2)
    assert shipped.booking.sequence == 1
    assert [(d.sku, d.on_hand_delta, d.held_delta) for d in shipped.booking.deltas] == [("MUG", -5, 0), ("TIN", -1, 0)]
    assert taken.status is Status.SHIPPED
    assert [line.shipped for line in taken.lines.values()] == [5, 1]
    assert model.open_releases == 0


def test_units_that_are_not_found_are_held_where_they_were_looked_for() -> None:
    model = warehouse()
    taken = accepted(model, ("MUG", 6))
    model.plan(taken)
    model.begin_picking(taken)
    result = model.finish_picking(taken, {1: Missing(5, "could_not_locate")})
    assert [(line.line_no, quantity, reason) for line, quantity, reason in result.shorts] == [
        (1, 5, "could_not_locate")
    ]
    assert entries(result.hold) == [("hold", "MUG", "FORWARD", 4, 4, 4), ("hold", "MUG", "RESERVE", 1, 6, 1)]
    assert result.hold_line_nos == (1, 1)
    assert result.hold is not None
    assert [(d.on_hand_delta, d.held_delta) for d in result.hold.deltas] == [(0, 5)]
    assert (taken.lines[1].picked, taken.lines[1].short, taken.status) == (1, 5, Status.PICKED)
    assert model.stock.level("MUG") == (10, 5)
    assert model.stock.available("MUG") == 4


def test_what_is_not_there_is_short_without_holding_anything() -> None:
    model = warehouse()
    taken = accepted(model, ("TIN", 9))
    model.plan(taken)
    model.begin_picking(taken)
    result = model.finish_picking(taken, {})
    assert [(quantity, reason) for _, quantity, reason in result.shorts] == [(5, "stockout")]
    assert result.hold is None
    assert (taken.lines[1].picked, taken.lines[1].short) == (4, 5)


def test_a_release_of_which_nothing_is_found_ends_short_and_holds_what_should_have_been_there() -> None:
    model = warehouse()
    taken = picked(model, ("TIN", 6), ("BAG", 1), missing={1: Missing(6, "damaged")})
    assert taken.status is Status.SHORT
    assert [(line.short, line.reason) for line in taken.lines.values()] == [(6, "damaged"), (1, "stockout")]
    assert model.stock.level("TIN") == (4, 4)
    assert model.open_releases == 0


def test_the_first_wave_gets_the_stock_and_the_second_is_short() -> None:
    model = warehouse()
    first, second = accepted(model, ("TIN", 3)), accepted(model, ("TIN", 3), release_id="ful-2")
    model.plan(first)
    model.plan(second)
    assert [sum(pick.quantity for pick in one.lines[1].picks) for one in (first, second)] == [3, 1]


def test_a_cancel_before_picking_gives_its_allocation_back() -> None:
    model = warehouse()
    taken = accepted(model, ("MUG", 6), ("TIN", 2))
    model.plan(taken)
    _, cancelled = model.cancel("ful-1", {1: 5}, "key-1")
    assert [(content.line_no, content.quantity) for content in cancelled] == [(1, 5)]
    assert model.stock.available("MUG") == 9
    assert taken.status == "released"
    assert model.cancel("ful-1", {1: 5}, "key-1") == (taken, [])
    model.cancel("ful-1", {1: 1, 2: 2}, "key-2")
    assert taken.status == "cancelled"
    assert (model.stock.available("MUG"), model.stock.available("TIN"), model.open_releases) == (10, 4, 0)


def test_a_cancel_is_refused_once_picking_has_begun() -> None:
    model = warehouse()
    taken = accepted(model, ("MUG", 6))
    model.plan(taken)
    model.begin_picking(taken)
    with pytest.raises(TooLateToCancel, match="'ful-1' is picking"):
        model.cancel("ful-1", {1: 6}, "key-1")
    assert taken.lines[1].cancelled == 0


def test_a_cancel_is_all_or_nothing() -> None:
    model = warehouse()
    taken = accepted(model, ("MUG", 6), ("TIN", 2))
    with pytest.raises(QuantityExceeded, match="line 2 has 2 left to cancel, not 3") as refusal:
        model.cancel("ful-1", {1: 6, 2: 3}, "key-1")
    assert refusal.value.pointer == "/lines/1/quantity"
    with pytest.raises(UnknownLine):
        model.cancel("ful-1", {1: 6, 3: 1}, "key-1")
    assert [line.cancelled for line in taken.lines.values()] == [0, 0]


def test_parcels_are_filled_line_by_line_up_to_the_cap() -> None:
    model = warehouse(cap_g=2_000)
    parcels = model.pack(picked(model, ("MUG", 6), ("TIN", 2)))
    assert [(one.weight_g, [(c.sku, c.quantity) for c in one.contents]) for one in parcels] == [
        (2_000, [("MUG", 5)]),
        (1_900, [("MUG", 1), ("TIN", 1)]),
        (1_500, [("TIN", 1)]),
    ]


def test_a_unit_above_the_cap_travels_alone() -> None:
    model = warehouse(cap_g=1_000)
    parcels = model.pack(picked(model, ("MUG", 1), ("TIN", 2)))
    assert [one.weight_g for one in parcels] == [400, 1_500, 1_500]


def test_a_release_that_needs_too_many_parcels_goes_on_pallets() -> None:
    model = Warehouse(WEIGHTS_G, Packing(2_000, parcels_at_most=2, pallet_max_weight_g=50_000))
    model.open(OPENING, forward_percent=40)
    assert [one.weight_g for one in model.pack(picked(model, ("MUG", 10)))] == [2_000, 2_000]
    heavy = accepted(model, ("TIN", 3), release_id="ful-2")
    model.plan(heavy)
    model.begin_picking(heavy)
    model.finish_picking(heavy, {})
    assert [one.weight_g for one in model.pack(heavy)] == [4_500]


def test_labels_are_all_known_or_none_is_attached() -> None:
    model = warehouse(cap_g=2_000)
    taken = accepted(model, ("TIN", 2))
    with pytest.raises(ConflictingState, match="is received"):
        model.attach_labels("ful-1", {"ful-1.P1": "TRK1"})
    model.plan(taken)
    model.begin_picking(taken)
    model.finish_picking(taken, {})
    model.pack(taken)
    with pytest.raises(UnknownParcel) as refusal:
        model.attach_labels("ful-1", {"ful-1.P1": "TRK1", "ful-1.P9": "TRK9"})
    assert refusal.value.pointer == "/parcels/1/parcel_id"
    assert [parcel.tracking_number for parcel in taken.parcels] == [None, None]
    assert model.attach_labels("ful-1", {"ful-1.P1": "TRK1"})[1] is False
    assert taken.status is Status.PACKED
    assert model.attach_labels("ful-1", {"ful-1.P2": "TRK2"})[1] is True
    assert model.attach_labels("ful-1", {"ful-1.P2": "TRK2"})[1] is False
    model.ship(taken, "shp-1")
    with pytest.raises(ConflictingState, match="has left with label 'TRK2'"):
        model.attach_labels("ful-1", {"ful-1.P2": "TRK3"})


def test_the_three_ways_to_treat_a_known_release_id() -> None:
    kind = warehouse()
    first = accepted(kind, ("MUG", 1))
    assert kind.accept(release(("MUG", 1))) == (first, False)
    strict = warehouse(DuplicatePolicy.REJECT)
    accepted(strict, ("MUG", 1))
    with pytest.raises(DuplicateRelease):
        strict.accept(release(("MUG", 1)))
    careless = warehouse(DuplicatePolicy.CREATE_SECOND)
    accepted(careless, ("MUG", 1))
    second, is_new = careless.accept(release(("MUG", 1)))
    assert (is_new, second.copy, second.mark, careless.open_releases) == (True, 2, "ful-1.2", 2)
    assert [careless.next_sequence("ful-1") for _ in range(3)] == [1, 2, 3]


def test_an_unknown_release_or_sku_is_refused() -> None:
    model = warehouse()
    with pytest.raises(UnknownRelease, match="no release 'ful-9'"):
        model.find("ful-9")
    with pytest.raises(UnknownSkus) as refusal:
        model.accept(release(("MUG", 1), ("CUP", 1)))
    assert refusal.value.pointer == "/lines/1/sku"
    assert model.open_releases == 0


def test_an_adjustment_takes_from_reserve_first_and_never_what_is_allocated() -> None:
    model = warehouse()
    taken = accepted(model, ("MUG", 3))
    model.plan(taken)
    assert entries(model.adjust("adj-1", "MUG", -7)) == [
        ("adjustment", "MUG", "RESERVE", -6, 0, 0),
        ("adjustment", "MUG", "FORWARD", -1, 3, 0),
    ]
    assert model.adjust("adj-1", "MUG", -7) is None
    with pytest.raises(InsufficientStock, match="MUG: 1 asked, 0 available"):
        model.adjust("adj-2", "MUG", -1)
    assert model.stock.level("MUG") == (3, 0)


def test_held_units_go_back_to_sale_or_are_written_off() -> None:
    model = warehouse()
    taken = accepted(model, ("TIN", 2))
    model.plan(taken)
    model.begin_picking(taken)
    hold = model.finish_picking(taken, {1: Missing(2, "could_not_locate")}).hold
    assert hold is not None
    picks = [Pick(move.sku, move.location, move.quantity) for move in hold.movements]
    assert entries(model.recount(picks, found=False)) == [("scrapped", "TIN", "FORWARD", -2, 0, 0)]
    assert model.stock.level("TIN") == (2, 0)


STEP = st.one_of(
    st.tuples(st.just("receive"), st.integers(1, 20)),
    st.tuples(st.just("adjust"), st.integers(-20, 20).filter(bool)),
    st.tuples(st.just("release"), st.integers(1, 15), st.integers(0, 15), st.integers(0, 15)),
)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 50), st.integers(0, 100), st.lists(STEP, max_size=30))
def test_no_sequence_of_bookings_makes_or_loses_a_unit(
    opening: int, percent: int, steps: list[tuple[Any, ...]]
) -> None:
    model = Warehouse({"MUG": 400}, Packing(5_000))
    ledger = model.open({"MUG": opening}, percent)
    bookings: list[Booking] = []
    for number, step in enumerate(steps):
        bookings += play(model, f"step-{number}", step)
    ledger += [move for booking in bookings for move in booking.movements]
    on_hand = sum(move.quantity for move in ledger if move.kind not in {"hold", "unhold"})
    held = sum(move.quantity for move in ledger if move.kind == "hold")
    assert model.stock.level("MUG") == (on_hand, held)
    assert model.stock.available("MUG") == on_hand - held
    assert all(move.balance >= move.held_balance >= 0 for move in ledger)
    assert [booking.sequence for booking in bookings] == list(range(1, len(bookings) + 1))
    for location in model.stock.locations:
        last = [move.balance for move in ledger if move.location == location][-1]
        assert last == model.stock.bins("MUG")[model.stock.locations.index(location)].on_hand


def play(model: Warehouse, name: str, step: tuple[Any, ...]) -> list[Booking]:
    """Take one step; a release is asked, partly cancelled, partly not found, and ships what is left."""
    if step[0] == "receive":
        return [booking for booking in [model.receive(name, "MUG", step[1])] if booking]
    if step[0] == "adjust":
        try:
            return [booking for booking in [model.adjust(name, "MUG", step[1])] if booking]
        except InsufficientStock:
            return []
    _, quantity, cancelled, lost = step
    taken = accepted(model, ("MUG", quantity), release_id=name)
    model.plan(taken)
    if cancelled:
        model.cancel(name, {1: min(cancelled, quantity)}, name)
    if taken.status is Status.CANCELLED:
        return []
    model.begin_picking(taken)
    result = model.finish_picking(taken, {1: Missing(lost, "could_not_locate")} if lost else {})
    made = [result.hold] if result.hold else []
    if taken.status is Status.PICKED:
        parcels = model.pack(taken)
        model.attach_labels(name, {parcel.parcel_id: f"T-{parcel.parcel_id}" for parcel in parcels})
        made.append(model.ship(taken, f"shp-{name}").booking)
    line = taken.lines[1]
    assert line.cancelled + line.short + line.shipped == line.quantity
    return made


def test_a_single_bin_node_works_the_same() -> None:
    stock = Stock(("FLOOR",), ["MUG"])
    stock.open({"MUG": 3}, 40)
    picks = stock.allocate("MUG", 5)
    assert [(pick.location, pick.quantity) for pick in picks] == [("FLOOR", 3)]
    stock.free(picks)
    assert stock.available("MUG") == 3
