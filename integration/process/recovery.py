"""What a warehouse did and never got told: releases that stay open for long are read, and what was missed is applied.

A sender of webhooks gives up some day, and a subscription may be dropped in silence. Stock is read first, so that a
shipment frees its reservation only after its units have left the books.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from sqlalchemy import bindparam, select

from integration.messaging.outcomes import Done, Outcome, Refused
from integration.runtime import Clock, ReadFailed
from integration.storage import Database, Transaction
from integration.storage.tables import fulfillment_lines, fulfillments

_LINES = fulfillment_lines.c
_STILL_OPEN = (
    select(_LINES.line_no)
    .where(
        _LINES.fulfillment_id == fulfillments.c.fulfillment_id,
        _LINES.quantity > _LINES.short + _LINES.shipped + _LINES.cancelled,
    )
    .exists()
)
_OVERDUE = (
    select(fulfillments.c.fulfillment_id, fulfillments.c.correlation_id)
    .where(
        fulfillments.c.node == bindparam("of_node"),
        fulfillments.c.status.not_in(("planned", "rejected", "cancelled")),
        fulfillments.c.updated_at_us <= bindparam("before_us"),
        fulfillments.c.fulfillment_id > bindparam("after_id"),
        _STILL_OPEN,
    )
    .order_by(fulfillments.c.fulfillment_id)
    .limit(bindparam("most"))
)
_PAGE = 50


class Reader(Protocol):
    """A warehouse that can be asked about a release."""

    def read_release(self, release_id: str, correlation_id: str) -> Outcome: ...


CatchUp = Callable[[Transaction, str, Mapping[str, Any]], bool]
"""Applies a release as its node tells it: (transaction, node, answer); whether there was news."""


class Recovery:
    """Asks warehouses about releases of which nothing was heard for `after_us`."""

    def __init__(
        self,
        clock: Clock,
        database: Database,
        warehouses: Mapping[str, Reader],
        read_stock: Callable[[str], None],
        catch_up: CatchUp,
        after_us: int,
    ) -> None:
        self._clock = clock
        self._database = database
        self._warehouses = warehouses
        self._read_stock = read_stock
        self._catch_up = catch_up
        self._after_us = after_us

    def recover(self, node: str) -> None:
        """Ask a warehouse about every overdue release there, some at a time. Raises ReadFailed."""
        before_us, after_id = self._clock.now_us() - self._after_us, ""
        while overdue := self._overdue(node, before_us, after_id):
            for fulfillment in overdue:
                self._ask(node, fulfillment)
            after_id = overdue[-1].fulfillment_id

    def _overdue(self, node: str, before_us: int, after_id: str) -> list[Any]:
        params = {"of_node": node, "before_us": before_us, "after_id": after_id, "most": _PAGE}
        with self._database.read() as tx:
            return tx.rows(_OVERDUE, params)

    def _ask(self, node: str, fulfillment: Any) -> None:
        release_id = fulfillment.fulfillment_id
        outcome = self._warehouses[node].read_release(release_id, fulfillment.correlation_id)
        if isinstance(outcome, Refused):
            return  # the node has no such release, though it took it: nothing to be learnt
        if not isinstance(outcome, Done):
            raise ReadFailed(f"release {release_id} at {node}", outcome.reason, outcome.after_us)
        answer = outcome.answer
        if answer.get("shipments") or any(line["short"] for line in answer["lines"]):
            self._read_stock(node)
        self._database.transact(lambda tx: self._catch_up(tx, node, answer))
