"""What a node did with a fulfillment, however it was told: picked short, shipped, cancelled. Each in one transaction.

The moves may come in any order. What a line of a fulfillment still has open is
quantity - short - shipped - cancelled; a node's word beyond that contradicts an earlier one and is noted, not hidden.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy.dialects.postgresql import insert

from integration.domain.events import ShipmentLeft
from integration.domain.sourcing import Demand
from integration.process.backorders import Backorders
from integration.process.billing import put_confirmation
from integration.process.desk import (
    FULFILLMENT_LINES,
    Books,
    Desk,
    Move,
    move_fulfillment_lines,
    move_order_lines,
    note,
)
from integration.storage import Transaction
from integration.storage.tables import shipments

# Both SQLite and PostgreSQL compile this form.
_SHIPMENT = insert(shipments).on_conflict_do_nothing()


@dataclass(frozen=True, slots=True)
class Shipment:
    """What left a node: entries {line_no, sku, quantity}."""

    shipment_id: str
    shipped_at_us: int
    lines: Sequence[Mapping[str, Any]]
    tracking_numbers: Sequence[str]


class Progress:
    """Keeps order, fulfillment and reservation in step with what nodes tell."""

    def __init__(self, desk: Desk, backorders: Backorders) -> None:
        self._desk = desk
        self._backorders = backorders

    def lines_of(self, tx: Transaction, fulfillment_id: str) -> dict[int, Any]:
        """A fulfillment's lines by line number."""
        return {row.line_no: row for row in tx.rows(FULFILLMENT_LINES, {"fulfillment_id": fulfillment_id})}

    def pick(self, tx: Transaction, fulfillment: Any, picked: Mapping[int, int], short: Mapping[int, int]) -> None:
        """A node's whole word on a pick, by line number. Shorts free their reservation and look for another node."""
        moves: list[Move] = []
        demands: list[Demand] = []
        for line_no, line in self.lines_of(tx, fulfillment.fulfillment_id).items():
            missing = min(max(0, short.get(line_no, 0) - line.short), _open(line))
            more_picked = picked.get(line_no, 0) - line.picked
            if missing or more_picked:
                freed = min(missing, line.reserved)
                moves.append(Move(line_no, line.sku, picked=more_picked, short=missing, released=freed))
            if missing:
                demands.append(Demand(line_no, line.sku, missing))
        move_fulfillment_lines(tx, self._desk, fulfillment, moves)
        if demands:
            self._backorder(tx, fulfillment, demands, "picked_short", try_there_last=True)

    def reject(self, tx: Transaction, fulfillment: Any, reason: str) -> None:
        """A node refused the whole fulfillment after all: everything open looks for another node."""
        lines = [line for line in self.lines_of(tx, fulfillment.fulfillment_id).values() if _open(line)]
        moves = [Move(line.line_no, line.sku, short=_open(line), released=line.reserved) for line in lines]
        move_fulfillment_lines(tx, self._desk, fulfillment, moves)
        note(tx, fulfillment, "node_rejected", self._desk.clock.now_us(), reason)
        demands = [Demand(line.line_no, line.sku, _open(line)) for line in lines]
        if demands:
            self._backorder(tx, fulfillment, demands, "backordered", try_there_last=False)

    def _backorder(
        self, tx: Transaction, fulfillment: Any, demands: Sequence[Demand], event: str, try_there_last: bool
    ) -> None:
        order_id = fulfillment.order_id
        move_order_lines(
            tx,
            order_id,
            [Books(demand.line_no, confirmed=-demand.quantity, backordered=demand.quantity) for demand in demands],
        )
        detail = ", ".join(f"{demand.quantity} of line {demand.line_no}" for demand in demands)
        note(tx, fulfillment, event, self._desk.clock.now_us(), detail)
        lines = [demand.line_no for demand in demands]
        self._desk.tell_erp_of_change(tx, order_id, fulfillment.correlation_id, "backorder", lines)
        self._backorders.source_again(tx, order_id, demands, fulfillment.node, try_there_last)

    def ship(self, tx: Transaction, fulfillment: Any, shipment: Shipment) -> bool:
        """A shipment left: the reservation is consumed and the ERP told. False when this shipment is known."""
        row = {
            "shipment_id": shipment.shipment_id,
            "fulfillment_id": fulfillment.fulfillment_id,
            "order_id": fulfillment.order_id,
            "node": fulfillment.node,
            "shipped_at_us": shipment.shipped_at_us,
            "lines": orjson.dumps(list(shipment.lines)).decode(),
            "tracking_numbers": orjson.dumps(list(shipment.tracking_numbers)).decode(),
        }
        if tx.execute(_SHIPMENT, row) == 0:
            return False
        known = self.lines_of(tx, fulfillment.fulfillment_id)
        moves: list[Move] = []
        books: list[Books] = []
        for line_no, quantity in _sums(shipment.lines).items():
            line = known[line_no]
            regular = min(quantity, _open(line))
            revived = min(quantity - regular, line.cancelled)
            freed = min(quantity, line.reserved)
            moves.append(Move(line_no, line.sku, shipped=quantity, cancelled=-revived, released=freed))
            books.append(Books(line_no, confirmed=-regular, cancelled=-revived, shipped=regular + revived))
            if quantity > regular:
                detail = f"line {line_no}: {quantity} shipped, {regular} open, {revived} cancelled before"
                note(tx, fulfillment, "shipped_beyond_order", self._desk.clock.now_us(), detail)
        move_fulfillment_lines(tx, self._desk, fulfillment, moves)
        move_order_lines(tx, fulfillment.order_id, books)
        tx.tell(ShipmentLeft(fulfillment.order_id, shipment.shipment_id))
        put_confirmation(tx, self._desk, fulfillment.order_id, shipment.shipment_id, fulfillment.correlation_id)
        return True

    def cancel(self, tx: Transaction, fulfillment: Any, cancelled: Mapping[int, int]) -> dict[int, int]:
        """A node agreed that this much in all is cancelled, by line number. The quantities that were news."""
        moves: list[Move] = []
        for line_no, line in self.lines_of(tx, fulfillment.fulfillment_id).items():
            more = min(max(0, cancelled.get(line_no, 0) - line.cancelled), _open(line))
            if more:
                moves.append(Move(line_no, line.sku, cancelled=more, released=min(more, line.reserved)))
        if not moves:
            return {}
        move_fulfillment_lines(tx, self._desk, fulfillment, moves)
        news = {move.line_no: move.cancelled for move in moves}
        order_id = fulfillment.order_id
        move_order_lines(tx, order_id, [Books(line_no, confirmed=-q, cancelled=q) for line_no, q in news.items()])
        self._desk.tell_erp_of_change(tx, order_id, fulfillment.correlation_id, "cancel", list(news))
        self._backorders.when_stock_rises(tx, fulfillment.node, sorted({move.sku for move in moves}))
        return news

    def is_void(self, tx: Transaction, fulfillment_id: str) -> bool:
        """Whether everything of a fulfillment has been cancelled."""
        return all(line.cancelled == line.quantity for line in self.lines_of(tx, fulfillment_id).values())


def _open(line: Any) -> int:
    return max(0, int(line.quantity - line.short - line.shipped - line.cancelled))


def _sums(lines: Sequence[Mapping[str, Any]]) -> dict[int, int]:
    """Quantity by line number: a node may list a line once per bin or parcel."""
    sums: dict[int, int] = {}
    for line in lines:
        sums[line["line_no"]] = sums.get(line["line_no"], 0) + line["quantity"]
    return sums
