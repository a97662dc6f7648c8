"""Soft claims on a node's stock: taken by one conditional update, so that two orders can't take the same unit."""

from collections.abc import Mapping, Sequence

from sqlalchemy import bindparam, select, update

from integration.storage import StorageError, Transaction
from integration.storage.tables import stock

_QUANTITY = bindparam("quantity", type_=stock.c.reserved.type)
_AVAILABLE = stock.c.on_hand - stock.c.held - stock.c.safety - stock.c.reserved
_HERE = (stock.c.node == bindparam("at_node"), stock.c.sku == bindparam("of_sku"))
_TAKE = update(stock).where(*_HERE, _AVAILABLE.op(">=")(_QUANTITY)).values(reserved=stock.c.reserved + _QUANTITY)
_FREE = update(stock).where(*_HERE, stock.c.reserved >= _QUANTITY).values(reserved=stock.c.reserved - _QUANTITY)
_LOOK = select(stock.c.sku, stock.c.node, _AVAILABLE.label("available")).where(
    stock.c.sku.in_(bindparam("skus", expanding=True))
)


class Reservations:
    """Takes and frees reservations; quantities are positive base units."""

    def available(self, tx: Transaction, skus: Sequence[str]) -> dict[str, dict[str, int]]:
        """What can be reserved now: sku to node to quantity, never below zero. Unknown skus are missing."""
        found: dict[str, dict[str, int]] = {}
        for row in tx.rows_for(_LOOK, "skus", skus):
            found.setdefault(row.sku, {})[row.node] = max(0, row.available)
        return found

    def take(self, tx: Transaction, node: str, sku: str, quantity: int) -> bool:
        """Reserve `quantity` at `node`, or nothing; whether it was there to be had."""
        return tx.execute(_TAKE, {"at_node": node, "of_sku": sku, "quantity": quantity}) == 1

    def free(self, tx: Transaction, node: str, sku: str, quantity: int) -> None:
        """Give back `quantity`: it was shipped, picked short or cancelled. StorageError when it was not reserved."""
        if tx.execute(_FREE, {"at_node": node, "of_sku": sku, "quantity": quantity}) != 1:
            raise StorageError(f"{quantity} of {sku!r} at {node!r} were to be freed, more than is reserved there")


def total(by_node: Mapping[str, int]) -> int:
    """Units over all nodes."""
    return sum(by_node.values())
