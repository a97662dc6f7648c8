"""Promises without stock: served when stock comes up, the oldest order first, and given up when they are too old."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import bindparam, insert, select

from integration.domain.sourcing import Demand, Share, source
from integration.process.desk import LOCKED_ORDER, Books, Desk, move_order_lines, take_order
from integration.process.fulfillment import put_release
from integration.runtime import Clock, Duty
from integration.storage import DatabaseFailed, Transaction, audit, touch_order
from integration.storage.tables import fulfillment_lines, fulfillments, order_lines, orders

_OPEN = (
    select(
        order_lines.c.order_id,
        order_lines.c.line_no,
        order_lines.c.sku,
        order_lines.c.backordered,
        orders.c.correlation_id,
    )
    .join(orders, orders.c.order_id == order_lines.c.order_id)
    .where(order_lines.c.backordered > 0)
)
_OLDEST_FIRST = (orders.c.accepted_at_us, order_lines.c.order_id, order_lines.c.line_no)
_ANY = select(order_lines.c.sku).where(order_lines.c.backordered > 0).limit(1)
# Before its booking an order's lines stay as they were accepted, for the ERP is told them so.
_WAITING = (
    _OPEN.where(order_lines.c.sku.in_(bindparam("skus", expanding=True)), orders.c.booked_at_us.is_not(None))
    .order_by(*_OLDEST_FIRST)
    .limit(bindparam("most"))
)
_OF_ORDER = _OPEN.where(order_lines.c.order_id == bindparam("order_id")).order_by(order_lines.c.line_no)
_EXPIRED = (
    _OPEN.where(orders.c.accepted_at_us <= bindparam("accepted_before_us"), orders.c.booked_at_us.is_not(None))
    .order_by(*_OLDEST_FIRST)
    .limit(bindparam("most"))
)
_FULFILLMENT = insert(fulfillments)
_FULFILLMENT_LINE = insert(fulfillment_lines)

# Bounds what one event may set in motion; what is left is served by the next rise or sweep.
MOST_LINES = 200


class Backorders:
    """Allocates backordered quantities and expires them. Durations are microseconds."""

    def __init__(self, desk: Desk, max_age_us: int, check_every_us: int) -> None:
        self._desk = desk
        self._max_age_us = max_age_us
        self._check_every_us = check_every_us

    def when_stock_rises(self, tx: Transaction, node: str, skus: list[str]) -> None:
        """Serve waiting lines from the node whose stock of `skus` rose."""
        if tx.one(_ANY) is None:
            return
        waiting = tx.rows_for(_WAITING, "skus", sorted(skus), {"most": MOST_LINES})
        for order_id, seen in _by_order(waiting[:MOST_LINES]):
            order = tx.one(LOCKED_ORDER, {"order_id": order_id})
            lines = self._still_waiting(tx, order_id, seen)
            if self._allocate(tx, order, _demands(lines), [node]):
                touch_order(tx, order_id, self._desk.clock.now_us())

    def _still_waiting(self, tx: Transaction, order_id: str, seen: Sequence[Any]) -> list[Any]:
        """The lines seen, as they are now that the order is taken: another may have served them meanwhile."""
        numbers = [line.line_no for line in seen]
        return [line for line in tx.rows(_OF_ORDER, {"order_id": order_id}) if line.line_no in numbers]

    def when_booked(self, tx: Transaction, order: Any) -> None:
        """Serve what a fresh booking still waits for: its stock may have come up before."""
        lines = tx.rows(_OF_ORDER, {"order_id": order.order_id})
        if lines:
            self._allocate(tx, order, _demands(lines), self._desk.nodes)

    def source_again(
        self, tx: Transaction, order_id: str, demands: Sequence[Demand], failed_node: str, try_there_last: bool
    ) -> None:
        """Serve lines that one node could not: from the others, and perhaps then from what is left at that one.

        The quantities must be on backorder already; what finds no stock stays there. The caller touches the order.
        """
        order = tx.one(LOCKED_ORDER, {"order_id": order_id})
        others = [node for node in self._desk.nodes if node != failed_node]
        taken = self._allocate(tx, order, demands, others)
        left = [
            Demand(demand.line_no, demand.sku, demand.quantity - taken.get(demand.line_no, 0))
            for demand in demands
            if demand.quantity > taken.get(demand.line_no, 0)
        ]
        if left and try_there_last:
            self._allocate(tx, order, left, [failed_node])

    def _allocate(self, tx: Transaction, order: Any, demands: Sequence[Demand], nodes: Sequence[str]) -> dict[int, int]:
        """Reserve what there is and make fulfillments of it; the quantity served by line number."""
        available = self._desk.inventory.availability(tx, sorted({demand.sku for demand in demands}))
        shares = source(demands, available, nodes, len(nodes))
        held = [share for share in shares if self._desk.reservations.take(tx, share.node, share.sku, share.quantity)]
        taken: dict[int, int] = {}
        for share in held:
            taken[share.line_no] = taken.get(share.line_no, 0) + share.quantity
        if not held:
            return taken
        move_order_lines(
            tx, order.order_id, [Books(line_no, confirmed=q, backordered=-q) for line_no, q in taken.items()]
        )
        for node in nodes:
            at_node = [share for share in held if share.node == node]
            if at_node:
                self._plan(tx, order, node, at_node)
        self._desk.tell_erp_of_change(tx, order.order_id, order.correlation_id, "backorder", list(taken))
        return taken

    def _plan(self, tx: Transaction, order: Any, node: str, shares: Sequence[Share]) -> None:
        fulfillment_id = self._desk.ids.new("ful")
        now_us = self._desk.clock.now_us()
        row = {"fulfillment_id": fulfillment_id, "order_id": order.order_id, "customer_id": order.customer_id,
               "order_reference": order.order_reference, "node": node, "status": "planned", "event_sequence": 0,
               "correlation_id": order.correlation_id, "created_at_us": now_us, "updated_at_us": now_us}  # fmt: skip
        tx.execute(_FULFILLMENT, row)
        tx.execute(
            _FULFILLMENT_LINE,
            [
                {"fulfillment_id": fulfillment_id, "line_no": share.line_no, "sku": share.sku,
                 "quantity": share.quantity, "picked": 0, "short": 0, "shipped": 0, "cancelled": 0,
                 "reserved": share.quantity}
                for share in shares
            ],
        )  # fmt: skip
        put_release(tx, self._desk, order.order_id, fulfillment_id, node, order.correlation_id)
        detail = ", ".join(f"{share.quantity} of line {share.line_no}" for share in shares) + f" at {node}"
        audit(tx, now_us, "backorder_allocated", order_id=order.order_id, correlation_id=order.correlation_id,
              entity="fulfillment", entity_id=fulfillment_id, to_state="planned", detail=detail)  # fmt: skip

    def run(self, clock: Clock, on_duty: Duty) -> None:
        """Sweep for ever, by this clock; a task."""
        while True:
            clock.sleep(self._check_every_us)
            on_duty()
            try:
                while self.expire_once() == MOST_LINES:
                    pass
            except DatabaseFailed:
                continue  # the next sweep finds them again

    def expire_once(self) -> int:
        """Give up backorders that are too old, at most MOST_LINES of them; the number of lines given up."""
        now_us = self._desk.clock.now_us()
        asked = {"accepted_before_us": now_us - self._max_age_us, "most": MOST_LINES}
        with self._desk.database.read() as tx:
            if not tx.rows(_EXPIRED, asked):
                return 0
        return self._desk.database.transact(lambda tx: self._expire_found(tx, asked, now_us))

    def _expire_found(self, tx: Transaction, asked: Mapping[str, int], now_us: int) -> int:
        expired = tx.rows(_EXPIRED, asked)
        for order_id, seen in _by_order(expired):
            take_order(tx, order_id)
            lines = self._still_waiting(tx, order_id, seen)
            if lines:
                self._expire(tx, order_id, lines, now_us)
        return len(expired)

    def _expire(self, tx: Transaction, order_id: str, lines: Sequence[Any], now_us: int) -> None:
        move_order_lines(
            tx, order_id, [Books(line.line_no, backordered=-line.backordered, short=line.backordered) for line in lines]
        )
        correlation_id = lines[0].correlation_id
        detail = ", ".join(f"{line.backordered} of line {line.line_no}" for line in lines)
        audit(tx, now_us, "backorder_expired", order_id=order_id, correlation_id=correlation_id, detail=detail)
        self._desk.tell_erp_of_change(tx, order_id, correlation_id, "short", [line.line_no for line in lines])
        touch_order(tx, order_id, now_us)


def _demands(lines: Sequence[Any]) -> list[Demand]:
    return [Demand(line.line_no, line.sku, line.backordered) for line in lines]


def _by_order(lines: Sequence[Any]) -> list[tuple[str, list[Any]]]:
    """Lines grouped by order, in the order in which each order comes first."""
    groups: dict[str, list[Any]] = {}
    for line in lines:
        groups.setdefault(line.order_id, []).append(line)
    return list(groups.items())
