"""A 3PL's rules without clock or wire: references, decisions, cancels, shorts with a hold of their own, and changes."""

import pytest

from simulators.partnerkit.memory import DuplicatePolicy
from simulators.partnerkit.stock import Missing
from simulators.threepl.model import (
    DuplicateReference,
    FulfillmentOrder,
    InvalidReference,
    Line,
    Provider,
    Status,
    TooLateToCancel,
    UnknownSkus,
)


def provider(duplicates: DuplicatePolicy = DuplicatePolicy.RETURN_EXISTING) -> Provider:
    model = Provider(["MUG", "TIN"], duplicates)
    model.open({"MUG": 10, "TIN": 4})
    return model


def order(*lines: tuple[str, int], reference: str = "ful-a") -> FulfillmentOrder:
    return FulfillmentOrder(
        reference, "C1", "PO-1", {no: Line(no, sku, quantity) for no, (sku, quantity) in enumerate(lines, start=1)}
    )


def processing(model: Provider, *lines: tuple[str, int], reference: str = "ful-a") -> FulfillmentOrder:
    taken, _ = model.submit(order(*lines, reference=reference))
    model.decide(taken, None)
    model.begin(taken)
    return taken


def test_an_order_goes_from_submitted_to_shipped_and_every_change_is_numbered() -> None:
    model = provider()
    taken, is_new = model.submit(order(("MUG", 6), ("TIN", 1)))
    seen = [(taken.status, taken.change)]
    model.decide(taken, None)
    seen.append((taken.status, taken.change))
    model.begin(taken)
    seen.append((taken.status, taken.change))
    assert model.finish(taken, {}) == []
    booking, line_nos = model.ship(taken, "shp-1", "TRK1", 1_000)
    seen.append((taken.status, taken.change))
    assert is_new
    assert seen == [("submitted", 1), ("accepted", 2), ("processing", 3), ("shipped", 4)]
    assert [(move.kind, move.sku, move.quantity, move.balance) for move in booking.movements] == [
        ("shipped", "MUG", -6, 4),
        ("shipped", "TIN", -1, 3),
    ]
    assert line_nos == (1, 2)
    (shipment,) = taken.shipments
    assert (shipment.tracking_number, shipment.stock_sequence, shipment.shipped_at_us) == ("TRK1", 1, 1_000)
    assert model.open_orders == 0


@pytest.mark.parametrize("reference", ["ful-1", "ful-a-0042", "x" * 41])
def test_references_that_look_like_split_orders_or_are_too_long_are_refused(reference: str) -> None:
    with pytest.raises(InvalidReference, match=reference):
        provider().submit(order(("MUG", 1), reference=reference))


@pytest.mark.parametrize("reference", ["ful-1-9f3a", "ful1", "x" * 40, "7"])
def test_other_references_are_taken(reference: str) -> None:
    assert provider().submit(order(("MUG", 1), reference=reference))[1] is True


def test_each_short_line_holds_its_units_under_a_number_of_its_own() -> None:
    model = provider()
    taken = processing(model, ("MUG", 6), ("TIN", 9))
    shorts = model.finish(taken, {1: Missing(2, "could_not_locate"), 2: Missing(1, "damaged")})
    told = [(short.line.line_no, short.quantity, short.reason, short.hold and short.hold.sequence) for short in shorts]
    assert told == [(1, 2, "could_not_locate", 1), (2, 1, "damaged", 2), (2, 5, "stockout", None)]
    assert [(line.short, sum(pick.quantity for pick in line.picks)) for line in taken.lines.values()] == [
        (2, 4),
        (6, 3),
    ]
    assert model.stock.level("MUG") == (10, 2)
    booking, _ = model.ship(taken, "shp-1", "TRK1", 1)
    assert booking.sequence == 3
    assert [line.shipped for line in taken.lines.values()] == [4, 3]


def test_an_order_of_which_nothing_is_found_ends_without_shipments() -> None:
    model = provider()
    taken = processing(model, ("TIN", 2))
    model.finish(taken, {1: Missing(2, "could_not_locate")})
    assert (taken.status, taken.shipments, taken.lines[1].short) == (Status.SHIPPED, [], 2)
    assert model.open_orders == 0


def test_only_orders_that_are_not_in_work_can_be_cancelled() -> None:
    model = provider()
    taken, _ = model.submit(order(("MUG", 6)))
    assert model.cancel("ful-a") == (taken, True)
    assert model.cancel("ful-a") == (taken, False)
    assert (taken.status, taken.lines[1].cancelled) == (Status.CANCELLED, 6)
    busy = processing(model, ("MUG", 1), reference="ful-b")
    with pytest.raises(TooLateToCancel, match="is processing"):
        model.cancel("ful-b")
    assert busy.lines[1].cancelled == 0
    rejected, _ = model.submit(order(("MUG", 1), reference="ful-c"))
    model.decide(rejected, "no room")
    assert (rejected.status, rejected.reason) == (Status.REJECTED, "no room")
    with pytest.raises(TooLateToCancel):
        model.cancel("ful-c")


def test_the_three_ways_to_treat_a_known_reference() -> None:
    kind = provider()
    first, _ = kind.submit(order(("MUG", 1)))
    assert kind.submit(order(("MUG", 1))) == (first, False)
    strict = provider(DuplicatePolicy.REJECT)
    strict.submit(order(("MUG", 1)))
    with pytest.raises(DuplicateReference):
        strict.submit(order(("MUG", 1)))
    careless = provider(DuplicatePolicy.CREATE_SECOND)
    references = [careless.submit(order(("MUG", 1)))[0].reference for _ in range(3)]
    assert references == ["ful-a", "ful-a.2", "ful-a.3"]


def test_an_unknown_sku_is_refused_with_its_place() -> None:
    with pytest.raises(UnknownSkus) as refusal:
        provider().submit(order(("MUG", 1), ("CUP", 1)))
    assert refusal.value.pointer == "/lines/1/sku"


def test_a_reader_sees_each_order_once_by_its_last_change() -> None:
    model = provider()
    taken = [model.submit(order(("MUG", 1), reference=f"ful-{name}"))[0] for name in "abc"]
    model.decide(taken[0], None)
    assert [(one.reference, one.change) for one in model.changed_since(0, 200)] == [
        ("ful-b", 2),
        ("ful-c", 3),
        ("ful-a", 4),
    ]
    assert [one.reference for one in model.changed_since(0, 2)] == ["ful-b", "ful-c"]
    assert [one.reference for one in model.changed_since(3, 200)] == ["ful-a"]
    assert model.changed_since(4, 200) == []
