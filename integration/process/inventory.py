"""What the nodes have, as far as we have been told.

A node tells changes as deltas, numbered node-wide, delivered in any order and more than once; and it tells its whole
stock on request, as of a number. A delta counts once: the inbox sees to repetitions, and the number of the last
snapshot to what that snapshot already contains. Deltas since the last snapshot are logged, because the next one may be
older than some that have been applied: its stock is then the snapshot plus those.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from integration.runtime import Clock, ReadFailed
from integration.storage import Database, Transaction, audit, sum_of
from integration.storage.tables import stock, stock_deltas, stock_sync

Deltas = Sequence[Mapping[str, Any]]
RoseCallback = Callable[[Transaction, str, list[str]], None]


class StockLevels(Protocol):
    """A node's whole stock: rows {sku, on_hand, held} as of one number."""

    @property
    def as_of_sequence(self) -> int: ...

    @property
    def items(self) -> Sequence[Mapping[str, Any]]: ...


class StockSource(Protocol):
    """What a node's client offers; raises ReadFailed."""

    def stock(self) -> StockLevels: ...


_AVAILABLE = stock.c.on_hand - stock.c.held - stock.c.safety - stock.c.reserved
_SYNC = select(stock_sync).where(stock_sync.c.node == bindparam("node"))
_SYNCED_NODES = select(stock_sync.c.node).order_by(stock_sync.c.node)
_LOG = insert(stock_deltas)
_APPLY = (
    update(stock)
    .where(stock.c.node == bindparam("at_node"), stock.c.sku == bindparam("of_sku"))
    .values(on_hand=stock.c.on_hand + bindparam("on_hand_delta"), held=stock.c.held + bindparam("held_delta"))
)
_INSERT = insert(stock)
# An unknown article may be told of by two events at once.
_add = upsert(stock)
_ADD = _add.on_conflict_do_update(
    index_elements=["sku", "node"],
    set_={"on_hand": stock.c.on_hand + _add.excluded["on_hand"], "held": stock.c.held + _add.excluded["held"]},
)
_AT_NODE = select(stock).where(stock.c.node == bindparam("at_node"))
_NEWER = (
    select(
        stock_deltas.c.sku,
        sum_of(stock_deltas.c.on_hand_delta).label("on_hand"),
        sum_of(stock_deltas.c.held_delta).label("held"),
    )
    .where(stock_deltas.c.node == bindparam("at_node"), stock_deltas.c.sequence > bindparam("as_of"))
    .group_by(stock_deltas.c.sku)
)
_FORGET = delete(stock_deltas).where(
    stock_deltas.c.node == bindparam("at_node"), stock_deltas.c.sequence <= bindparam("as_of")
)
_SET = (
    update(stock)
    .where(stock.c.node == bindparam("at_node"), stock.c.sku == bindparam("of_sku"))
    .values(on_hand=bindparam("new_on_hand"), held=bindparam("new_held"))
)
_upsert_sync = upsert(stock_sync)
_SYNCED = _upsert_sync.on_conflict_do_update(
    index_elements=["node"],
    set_={
        "as_of_sequence": _upsert_sync.excluded["as_of_sequence"],
        "synced_at_us": _upsert_sync.excluded["synced_at_us"],
    },
)
_AVAILABILITY = select(stock.c.sku, stock.c.node, _AVAILABLE.label("available")).order_by(stock.c.sku, stock.c.node)
_AVAILABILITY_OF = _AVAILABILITY.where(stock.c.sku.in_(bindparam("skus", expanding=True)))
_AVAILABILITY_PAGE = _AVAILABILITY.where(
    stock.c.sku.in_(
        select(stock.c.sku)
        .distinct()
        .order_by(stock.c.sku)
        .limit(bindparam("page_size"))
        .offset(bindparam("skip"))
        .correlate(None)
    )
)


class Inventory:
    """The books of what each node has. `when_stock_rises` is told of every sku that became more available."""

    def __init__(self, clock: Clock, safety_stock: int) -> None:
        self._clock = clock
        self._safety_stock = safety_stock
        self._listeners: list[RoseCallback] = []

    def when_stock_rises(self, callback: RoseCallback) -> None:
        """Have `callback(tx, node, skus)` called in the transaction of the rise."""
        self._listeners.append(callback)

    def expect_deltas(self, tx: Transaction, node: str) -> None:
        """Keep snapshots of the node out until this transaction ends; before its order is taken, wherever both are."""
        tx.lock_name(f"stock {node}", shared=True)

    def apply(self, tx: Transaction, node: str, sequence: int, deltas: Deltas) -> None:
        """Apply the deltas of one booking at a node: entries {sku, on_hand_delta, held_delta}.

        The caller makes sure that each booking comes here once.
        """
        self.expect_deltas(tx, node)
        sync = tx.one(_SYNC, {"node": node})
        if sync is not None and sequence <= sync.as_of_sequence:
            return
        rose: list[str] = []
        for delta in sorted(deltas, key=_sku):
            moved = {"on_hand_delta": delta["on_hand_delta"], "held_delta": delta["held_delta"]}
            tx.execute(_LOG, {"node": node, "sequence": sequence, "sku": delta["sku"], **moved})
            if tx.execute(_APPLY, {"at_node": node, "of_sku": delta["sku"], **moved}) == 0:
                tx.execute(_ADD, self._new_row(node, delta["sku"], moved["on_hand_delta"], moved["held_delta"]))
            if moved["on_hand_delta"] > moved["held_delta"]:
                rose.append(delta["sku"])
        self._tell(tx, node, rose)

    def handle(self, tx: Transaction, source: str, _event_type: str, data: Mapping[str, Any]) -> None:
        """Take an `inventory.changed` event of the node `source`, once per event."""
        self.apply(tx, source, data["stock"]["sequence"], data["stock"]["deltas"])
        audit(tx, self._clock.now_us(), "stock_changed", entity="stock", entity_id=source,
              detail=f"{data['cause']} {data['reference']}")  # fmt: skip

    def take_snapshot(self, tx: Transaction, node: str, as_of_sequence: int, rows: Iterable[Mapping[str, Any]]) -> None:
        """Set the node's books to a snapshot {sku, on_hand, held} plus the logged deltas that are newer than it.

        A snapshot older than the last one is ignored.
        """
        tx.lock_name(f"stock {node}")
        sync = tx.one(_SYNC, {"node": node})
        if sync is not None and as_of_sequence < sync.as_of_sequence:
            return
        levels = {row["sku"]: (row["on_hand"], row["held"]) for row in rows}
        for newer in tx.rows(_NEWER, {"at_node": node, "as_of": as_of_sequence}):
            on_hand, held = levels.get(newer.sku, (0, 0))
            levels[newer.sku] = (on_hand + newer.on_hand, held + newer.held)
        known = {row.sku: (row.on_hand, row.held) for row in tx.rows(_AT_NODE, {"at_node": node})}
        self._set_levels(tx, node, levels, known)
        tx.execute(_FORGET, {"at_node": node, "as_of": as_of_sequence})
        now_us = self._clock.now_us()
        tx.execute(_SYNCED, {"node": node, "as_of_sequence": as_of_sequence, "synced_at_us": now_us})
        changed = sum(1 for sku in sorted({*levels, *known}) if levels.get(sku, (0, 0)) != known.get(sku, (0, 0)))
        if changed or sync is None:
            audit(tx, now_us, "stock_reconciled", entity="stock", entity_id=node,
                  detail=f"as of {as_of_sequence}: {changed} of {len(levels)} skus differed")  # fmt: skip

    def _set_levels(
        self,
        tx: Transaction,
        node: str,
        levels: Mapping[str, tuple[int, int]],
        known: Mapping[str, tuple[int, int]],
    ) -> None:
        new = [sku for sku in levels if sku not in known]
        tx.execute(_INSERT, [self._new_row(node, sku, *levels[sku]) for sku in new])
        changed = [sku for sku in sorted(known) if levels.get(sku, (0, 0)) != known[sku]]
        sets = [(sku, *levels.get(sku, (0, 0))) for sku in changed]
        tx.execute(_SET, [{"at_node": node, "of_sku": s, "new_on_hand": o, "new_held": h} for s, o, h in sets])
        before = {sku: on_hand - held for sku, (on_hand, held) in known.items()}
        rose = [sku for sku, (on_hand, held) in levels.items() if on_hand - held > before.get(sku, 0)]
        self._tell(tx, node, sorted(rose))

    def _tell(self, tx: Transaction, node: str, skus: list[str]) -> None:
        if skus:
            for callback in self._listeners:
                callback(tx, node, skus)

    def _new_row(self, node: str, sku: str, on_hand: int, held: int) -> dict[str, Any]:
        return {"node": node, "sku": sku, "on_hand": on_hand, "held": held, "reserved": 0, "safety": self._safety_stock}

    def nodes_heard(self, tx: Transaction) -> list[str]:
        """The nodes whose stock has been read at least once."""
        return [row.node for row in tx.rows(_SYNCED_NODES)]

    def availability(self, tx: Transaction, skus: Sequence[str]) -> dict[str, dict[str, int]]:
        """What is published for these skus: sku to node to quantity, never below zero; unknown skus have no nodes."""
        found: dict[str, dict[str, int]] = {sku: {} for sku in skus}
        for row in tx.rows_for(_AVAILABILITY_OF, "skus", sorted(found)):
            found[row.sku][row.node] = max(0, row.available)
        return found

    def availability_page(self, tx: Transaction, page: int, page_size: int) -> dict[str, dict[str, int]]:
        """One page (from 1) of what is published for all skus, in order of sku."""
        found: dict[str, dict[str, int]] = {}
        for row in tx.rows(_AVAILABILITY_PAGE, {"page_size": page_size, "skip": (page - 1) * page_size}):
            found.setdefault(row.sku, {})[row.node] = max(0, row.available)
        return found


def _sku(delta: Mapping[str, Any]) -> str:
    """Rows of stock are locked in this order everywhere."""
    return str(delta["sku"])


class Reconciliation:
    """Reads the whole stock of a node and sets the books right. A node that asked to be left alone is, whoever asks."""

    def __init__(
        self, clock: Clock, database: Database, inventory: Inventory, sources: Mapping[str, StockSource]
    ) -> None:
        self._clock = clock
        self._database = database
        self._inventory = inventory
        self._sources = sources
        self._alone_until_us: dict[str, int] = {}

    def reconcile(self, node: str) -> None:
        """Read the node's stock and take it as a snapshot; raises ReadFailed."""
        left_us = self._alone_until_us.get(node, 0) - self._clock.steady_us()
        if left_us > 0:
            raise ReadFailed(f"stock of {node}", "it asked to be left alone", left_us)
        try:
            levels = self._sources[node].stock()
        except ReadFailed as failure:
            self._alone_until_us[node] = self._clock.steady_us() + failure.after_us
            raise
        self._database.transact(lambda tx: self._inventory.take_snapshot(tx, node, levels.as_of_sequence, levels.items))
