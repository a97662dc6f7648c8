"""What every process needs at hand, and the few moves on an order's books that several of them make.

Quantities are base units. Every move keeps ordered = confirmed + backordered + shipped + cancelled + short per line,
and a line's share of a reservation in step with the node's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, select, update

from integration.domain.events import BackorderChanged, UnitsGivenUp
from integration.messaging.keys import BusinessKeys
from integration.messaging.message import Message, Stamp
from integration.messaging.outbox import Outbox
from integration.messaging.outcomes import ErrorClass
from integration.process.inventory import Inventory
from integration.process.reservations import Reservations
from integration.runtime import Clock, Ids
from integration.storage import Database, Transaction, audit
from integration.storage.tables import fulfillment_lines, fulfillments, order_lines, orders

FULFILLMENT = (
    select(
        fulfillments,
        orders.c.ship_to,
        orders.c.service,
        orders.c.accepted_at_us,
        orders.c.booked_at_us,
        orders.c.erp_order_id,
    )
    .join(orders, orders.c.order_id == fulfillments.c.order_id)
    .where(fulfillments.c.fulfillment_id == bindparam("fulfillment_id"))
)
FULFILLMENT_LINES = (
    select(fulfillment_lines)
    .where(fulfillment_lines.c.fulfillment_id == bindparam("fulfillment_id"))
    .order_by(fulfillment_lines.c.line_no)
)
ORDER = select(orders).where(orders.c.order_id == bindparam("order_id"))
# Takes a row lock, where the database has them: whoever changes an order's course takes the order first.
LOCKED_ORDER = ORDER.with_for_update()
_TAKE_ORDER = select(orders.c.order_id).where(orders.c.order_id == bindparam("order_id")).with_for_update()
_TAKE_ORDER_OF = (
    select(orders.c.order_id)
    .where(
        orders.c.order_id
        == select(fulfillments.c.order_id)
        .where(fulfillments.c.fulfillment_id == bindparam("fulfillment_id"))
        .scalar_subquery()
    )
    .with_for_update()
)
ORDER_LINES = select(order_lines).where(order_lines.c.order_id == bindparam("order_id")).order_by(order_lines.c.line_no)

_MOVE_FULFILLMENT_LINE = (
    update(fulfillment_lines)
    .where(
        fulfillment_lines.c.fulfillment_id == bindparam("of_fulfillment_id"),
        fulfillment_lines.c.line_no == bindparam("of_line_no"),
    )
    .values(
        picked=fulfillment_lines.c.picked + bindparam("more_picked"),
        short=fulfillment_lines.c.short + bindparam("more_short"),
        shipped=fulfillment_lines.c.shipped + bindparam("more_shipped"),
        cancelled=fulfillment_lines.c.cancelled + bindparam("more_cancelled"),
        reserved=fulfillment_lines.c.reserved - bindparam("less_reserved"),
    )
)
_MOVE_ORDER_LINE = (
    update(order_lines)
    .where(order_lines.c.order_id == bindparam("of_order_id"), order_lines.c.line_no == bindparam("of_line_no"))
    .values(
        confirmed=order_lines.c.confirmed + bindparam("more_confirmed"),
        backordered=order_lines.c.backordered + bindparam("more_backordered"),
        shipped=order_lines.c.shipped + bindparam("more_shipped"),
        cancelled=order_lines.c.cancelled + bindparam("more_cancelled"),
        short=order_lines.c.short + bindparam("more_short"),
    )
)
_SET_STATUS = (
    update(fulfillments)
    .where(fulfillments.c.fulfillment_id == bindparam("of_fulfillment_id"))
    .values(status=bindparam("new_status"), event_sequence=bindparam("new_sequence"), updated_at_us=bindparam("now_us"))
)


@dataclass(frozen=True)
class Desk:
    """The collaborators that processes share."""

    clock: Clock
    ids: Ids
    database: Database
    outbox: Outbox
    keys: BusinessKeys
    reservations: Reservations
    inventory: Inventory
    nodes: Sequence[str]
    polled_nodes: Sequence[str]

    def stamp(self, message: Message) -> Stamp:
        """What a write for this message carries."""
        return Stamp(self.keys.key(message), message.correlation_id, message.attempts + 1)

    def put(
        self, tx: Transaction, lane: str, kind: str, key: str, payload: dict[str, Any], correlation_id: str
    ) -> None:
        """Put a message of one's own kind; `key` need be unique only within the kind."""
        self.outbox.put(tx, lane, kind, f"{kind}:{key}", payload, correlation_id)

    def tell_erp_of_change(
        self, tx: Transaction, order_id: str, correlation_id: str, reason: str, line_nos: Sequence[int]
    ) -> None:
        """Have the ERP told what these lines now stand at; `reason` is backorder, short or cancel."""
        payload = {"order_id": order_id, "reason": reason, "line_nos": sorted(line_nos)}
        self.put(tx, "erp", "change_order", self.ids.new("change"), payload, correlation_id)


def take_order(tx: Transaction, order_id: str) -> None:
    """Before a change of an order's lines, fulfillments or shipments: whoever else is about one waits until this
    transaction ends. What is read after it is what the one before left."""
    tx.lock(_TAKE_ORDER, {"order_id": order_id})


def take_order_of(tx: Transaction, fulfillment_id: str) -> None:
    """As `take_order`, of the order to which a fulfillment belongs; nothing where there is no such fulfillment."""
    tx.lock(_TAKE_ORDER_OF, {"fulfillment_id": fulfillment_id})


@dataclass(frozen=True, slots=True)
class Move:
    """What moves on one line of a fulfillment, as increments."""

    line_no: int
    sku: str
    picked: int = 0
    short: int = 0
    shipped: int = 0
    cancelled: int = 0
    released: int = 0


def move_fulfillment_lines(tx: Transaction, desk: Desk, fulfillment: Any, moves: Sequence[Move]) -> None:
    """Apply the moves, and free at the node what each gives back of the reservation (`released`)."""
    tx.execute(
        _MOVE_FULFILLMENT_LINE,
        [
            {
                "of_fulfillment_id": fulfillment.fulfillment_id,
                "of_line_no": move.line_no,
                "more_picked": move.picked,
                "more_short": move.short,
                "more_shipped": move.shipped,
                "more_cancelled": move.cancelled,
                "less_reserved": move.released,
            }
            for move in moves
        ],
    )
    for move in sorted(moves, key=lambda move: move.sku):  # rows of stock are locked in this order everywhere
        if move.released:
            desk.reservations.free(tx, fulfillment.node, move.sku, move.released)


@dataclass(frozen=True, slots=True)
class Books:
    """What moves on one line of an order, as increments that sum to 0."""

    line_no: int
    confirmed: int = 0
    backordered: int = 0
    shipped: int = 0
    cancelled: int = 0
    short: int = 0


def move_order_lines(tx: Transaction, order_id: str, books: Sequence[Books]) -> None:
    """Apply the moves to the order's lines."""
    for entry in books:
        total = entry.confirmed + entry.backordered + entry.shipped + entry.cancelled + entry.short
        assert total == 0, f"moves on line {entry.line_no} of {order_id!r} sum to {total}, not to 0: {entry}"
    tx.execute(
        _MOVE_ORDER_LINE,
        [
            {
                "of_order_id": order_id,
                "of_line_no": entry.line_no,
                "more_confirmed": entry.confirmed,
                "more_backordered": entry.backordered,
                "more_shipped": entry.shipped,
                "more_cancelled": entry.cancelled,
                "more_short": entry.short,
            }
            for entry in books
        ],
    )
    waiting = tuple(entry.line_no for entry in books if entry.backordered)
    if waiting:
        tx.tell(BackorderChanged(order_id, waiting))
    given_up = tuple(entry.line_no for entry in books if entry.cancelled + entry.short > 0)
    if given_up:
        tx.tell(UnitsGivenUp(order_id, given_up))


def set_status(
    tx: Transaction, fulfillment: Any, status: str, now_us: int, detail: str = "", sequence: int | None = None
) -> None:
    """Move a fulfillment to a status, with an entry in the audit trail where it is a new one."""
    values = {"of_fulfillment_id": fulfillment.fulfillment_id, "new_status": status, "now_us": now_us}
    tx.execute(_SET_STATUS, {**values, "new_sequence": fulfillment.event_sequence if sequence is None else sequence})
    if status != fulfillment.status:
        note(tx, fulfillment, f"fulfillment_{status}", now_us, detail, fulfillment.status, status)


def note(
    tx: Transaction,
    fulfillment: Any,
    event: str,
    now_us: int,
    detail: str = "",
    from_state: str | None = None,
    to_state: str | None = None,
) -> None:
    """An entry about a fulfillment in its order's timeline."""
    audit(
        tx,
        now_us,
        event,
        order_id=fulfillment.order_id,
        correlation_id=fulfillment.correlation_id,
        entity="fulfillment",
        entity_id=fulfillment.fulfillment_id,
        from_state=from_state,
        to_state=to_state,
        detail=detail,
    )


class OrderHandler:
    """Base of the handlers of messages that belong to an order: a dead one shows in the order's timeline."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def done(self, tx: Transaction, message: Message, answer: Mapping[str, Any]) -> None:
        """No effect on our side."""

    def dead(self, tx: Transaction, message: Message, reason: str, error_class: ErrorClass) -> None:
        """Leave word where the order's people look."""
        audit(
            tx,
            self.desk.clock.now_us(),
            "dead_lettered",
            order_id=str(message.payload.get("order_id", "")),
            correlation_id=message.correlation_id,
            entity="message",
            entity_id=str(message.message_id),
            to_state="dead",
            detail=f"{message.kind} ({error_class}): {reason}",
        )
