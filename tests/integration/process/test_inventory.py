"""Stock books: deltas count once and in any order, a snapshot neither loses nor repeats one, and rises are told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import bindparam, select

from integration.process.inventory import Inventory, Reconciliation
from integration.process.reservations import Reservations
from integration.runtime import Clock, ReadFailed
from integration.storage import Database, StorageError, Transaction
from integration.storage.tables import stock, stock_deltas

EAST = "wms-east"
ROW = select(stock.c.on_hand, stock.c.held, stock.c.reserved).where(
    stock.c.node == bindparam("node"), stock.c.sku == bindparam("sku")
)


@pytest.fixture
def inventory(clock: Clock) -> Inventory:
    return Inventory(clock, safety_stock=0)


def delta(sku: str, on_hand: int, held: int = 0) -> dict[str, Any]:
    return {"sku": sku, "on_hand_delta": on_hand, "held_delta": held}


def level(sku: str, on_hand: int, held: int = 0) -> dict[str, Any]:
    return {"sku": sku, "on_hand": on_hand, "held": held}


def apply(database: Database, inventory: Inventory, sequence: int, *deltas: Mapping[str, Any]) -> None:
    with database.write() as tx:
        inventory.apply(tx, EAST, sequence, deltas)


def snapshot(database: Database, inventory: Inventory, as_of: int, *levels: Mapping[str, Any]) -> None:
    with database.write() as tx:
        inventory.take_snapshot(tx, EAST, as_of, levels)


def books(database: Database, sku: str) -> tuple[int, int]:
    with database.read() as tx:
        row = tx.one(ROW, {"node": EAST, "sku": sku})
        return (row.on_hand, row.held)


def test_a_delta_that_came_before_its_snapshot_is_not_counted_twice(database: Database, inventory: Inventory) -> None:
    apply(database, inventory, 1, delta("A", -3))
    snapshot(database, inventory, 1, level("A", 7))
    assert books(database, "A") == (7, 0)


def test_a_delta_that_comes_after_a_snapshot_that_contains_it_is_ignored(
    database: Database, inventory: Inventory
) -> None:
    snapshot(database, inventory, 5, level("A", 7))
    apply(database, inventory, 4, delta("A", -3))
    apply(database, inventory, 5, delta("A", -2))
    assert books(database, "A") == (7, 0)
    apply(database, inventory, 6, delta("A", -2, 1))
    assert books(database, "A") == (5, 1)


def test_a_delta_that_races_an_older_snapshot_survives_it(database: Database, inventory: Inventory) -> None:
    """The snapshot was read as of 5, delta 6 arrived while it was on its way, delta 4 is in it."""
    snapshot(database, inventory, 3, level("A", 10))
    apply(database, inventory, 6, delta("A", -4))
    apply(database, inventory, 4, delta("A", -1))
    snapshot(database, inventory, 5, level("A", 8, 2))
    assert books(database, "A") == (4, 2)
    snapshot(database, inventory, 6, level("A", 4, 2))
    assert books(database, "A") == (4, 2)
    with database.read() as tx:
        assert tx.rows(select(stock_deltas.c.sequence)) == []


def test_deltas_add_up_in_any_order_and_create_rows(database: Database, inventory: Inventory) -> None:
    apply(database, inventory, 3, delta("A", -2), delta("B", 1))
    apply(database, inventory, 1, delta("A", 5))
    assert (books(database, "A"), books(database, "B")) == ((3, 0), (1, 0))


def test_an_older_snapshot_than_the_last_is_ignored(database: Database, inventory: Inventory) -> None:
    snapshot(database, inventory, 5, level("A", 7))
    snapshot(database, inventory, 4, level("A", 9))
    assert books(database, "A") == (7, 0)


def test_what_a_snapshot_leaves_out_is_gone(database: Database, inventory: Inventory) -> None:
    snapshot(database, inventory, 1, level("A", 7), level("B", 2, 1))
    snapshot(database, inventory, 2, level("A", 7))
    assert books(database, "B") == (0, 0)


def test_rises_are_told_in_their_transaction_and_nothing_else_is(database: Database, inventory: Inventory) -> None:
    told: list[tuple[str, list[str]]] = []

    def note(tx: Transaction, node: str, skus: list[str]) -> None:
        assert tx.is_write
        told.append((node, skus))

    inventory.when_stock_rises(note)
    snapshot(database, inventory, 1, level("B", 7), level("A", 1), level("C", 3, 3))
    apply(database, inventory, 2, delta("A", -1), delta("B", 2), delta("C", 1, 1))
    apply(database, inventory, 3, delta("C", 0, -1))
    snapshot(database, inventory, 4, level("A", 0), level("B", 9), level("C", 4, 3))
    assert told == [(EAST, ["A", "B"]), (EAST, ["B"]), (EAST, ["C"])]


def test_reservations_are_taken_whole_or_not_at_all(database: Database, inventory: Inventory) -> None:
    reservations = Reservations()
    snapshot(database, inventory, 1, level("A", 10, 3))
    with database.write() as tx:
        assert reservations.take(tx, EAST, "A", 5)
        assert not reservations.take(tx, EAST, "A", 3)
        assert not reservations.take(tx, "wms-west", "A", 1)
        assert reservations.available(tx, ["A", "Z"]) == {"A": {EAST: 2}}
        reservations.free(tx, EAST, "A", 4)
        assert reservations.available(tx, ["A"]) == {"A": {EAST: 6}}
        with pytest.raises(StorageError, match="2 of 'A' at 'wms-east'"):
            reservations.free(tx, EAST, "A", 2)


def test_availability_is_never_below_zero_and_keeps_safety_stock_back(database: Database, clock: Clock) -> None:
    inventory = Inventory(clock, safety_stock=2)
    snapshot(database, inventory, 1, level("A", 10), level("B", 1), level("C", 5))
    with database.read() as tx:
        assert inventory.availability(tx, ["B", "A", "Z"]) == {"B": {EAST: 0}, "A": {EAST: 8}, "Z": {}}
        assert inventory.availability_page(tx, 1, 2) == {"A": {EAST: 8}, "B": {EAST: 0}}
        assert inventory.availability_page(tx, 2, 2) == {"C": {EAST: 3}}
        assert inventory.nodes_heard(tx) == [EAST]


@dataclass(frozen=True)
class Levels:
    as_of_sequence: int
    items: Sequence[Mapping[str, Any]]


class FakeNode:
    """Serves its levels, or can't be read while it has none."""

    def __init__(self, levels: Levels | None) -> None:
        self.levels = levels

    def stock(self) -> Levels:
        if self.levels is None:
            raise ReadFailed("stock", "busy", 5)
        return self.levels


def test_reconciliation_takes_what_the_node_says(database: Database, inventory: Inventory, clock: Clock) -> None:
    snapshot(database, inventory, 1, level("A", 7))
    Reconciliation(clock, database, inventory, {EAST: FakeNode(Levels(2, [level("A", 5)]))}).reconcile(EAST)
    assert books(database, "A") == (5, 0)


def test_a_node_that_can_not_be_read_leaves_the_books_alone(
    database: Database, inventory: Inventory, clock: Clock
) -> None:
    snapshot(database, inventory, 1, level("A", 7))
    with pytest.raises(ReadFailed, match="stock could not be read: busy"):
        Reconciliation(clock, database, inventory, {EAST: FakeNode(None)}).reconcile(EAST)
    assert books(database, "A") == (7, 0)


def test_a_node_that_asked_to_be_left_alone_is_not_called_before_its_time(
    database: Database, inventory: Inventory, clock: Clock
) -> None:
    node = FakeNode(None)
    reconciliation = Reconciliation(clock, database, inventory, {EAST: node})
    with pytest.raises(ReadFailed, match="busy"):
        reconciliation.reconcile(EAST)
    node.levels = Levels(2, [level("A", 5)])
    clock.sleep(2)
    with pytest.raises(ReadFailed, match="it asked to be left alone") as left:
        reconciliation.reconcile(EAST)
    assert left.value.after_us == 3
    clock.sleep(3)
    reconciliation.reconcile(EAST)
    assert books(database, "A") == (5, 0)
