"""What every process writes the same way: the audit trail, and an order's derived status."""

from sqlalchemy import bindparam, func, insert, select, update
from sqlalchemy.sql import ColumnElement

from integration.domain.orders import REACHED_NODE, OrderFacts, derive_status
from integration.storage.database import StorageError, Transaction
from integration.storage.statements import sum_of
from integration.storage.tables import audit as audit_table
from integration.storage.tables import fulfillments, order_lines, orders, shipments

_INSERT_AUDIT = insert(audit_table)


def audit(
    tx: Transaction,
    at_us: int,
    event: str,
    *,
    order_id: str = "",
    correlation_id: str = "",
    entity: str = "order",
    entity_id: str = "",
    from_state: str | None = None,
    to_state: str | None = None,
    detail: str = "",
) -> None:
    """Record in the field's terms that something happened. `entity_id` is the order's unless given."""
    entry = {"at_us": at_us, "correlation_id": correlation_id, "order_id": order_id, "entity": entity,
             "entity_id": entity_id or order_id, "event": event, "from_state": from_state, "to_state": to_state,
             "detail": detail}  # fmt: skip
    tx.send(_INSERT_AUDIT, entry)


def _sum(column: ColumnElement[int]) -> ColumnElement[int]:
    query = select(func.coalesce(sum_of(column), 0)).where(order_lines.c.order_id == orders.c.order_id)
    return query.correlate(orders).scalar_subquery()


_reached = (
    select(func.count())
    .select_from(fulfillments)
    .where(fulfillments.c.order_id == orders.c.order_id, fulfillments.c.status.in_(REACHED_NODE))
    .correlate(orders)
    .scalar_subquery()
)
_uninvoiced = (
    select(func.count())
    .select_from(shipments)
    .where(shipments.c.order_id == orders.c.order_id, shipments.c.invoice_id.is_(None))
    .correlate(orders)
    .scalar_subquery()
)
_FACTS = select(
    orders.c.status,
    orders.c.correlation_id,
    orders.c.hold_reason,
    orders.c.booked_at_us,
    _sum(order_lines.c.confirmed + order_lines.c.backordered).label("open_quantity"),
    _sum(order_lines.c.shipped).label("shipped"),
    _sum(order_lines.c.cancelled).label("cancelled"),
    _sum(order_lines.c.short).label("short"),
    _reached.label("reached"),
    _uninvoiced.label("uninvoiced"),
).where(orders.c.order_id == bindparam("order_id"))
_TOUCH = (
    update(orders)
    .where(orders.c.order_id == bindparam("touched_order_id"))
    .values(status=bindparam("new_status"), version=orders.c.version + 1)
)


def touch_order(tx: Transaction, order_id: str, now_us: int) -> str:
    """Call after any change of an order's lines, fulfillments or shipments: derives its status, moves its version on.

    A change of status is audited as `status_changed`. Answers the status now; raises StorageError for an unknown order.
    """
    row = tx.one(_FACTS, {"order_id": order_id})
    if row is None:
        raise StorageError(f"order {order_id!r} is not in the database")
    facts = OrderFacts(
        status=row.status,
        held=row.hold_reason is not None,
        booked=row.booked_at_us is not None,
        open_quantity=row.open_quantity,
        shipped=row.shipped,
        cancelled=row.cancelled,
        short=row.short,
        released=row.reached > 0,
        uninvoiced_shipments=row.uninvoiced,
    )
    status = derive_status(facts)
    tx.send(_TOUCH, {"touched_order_id": order_id, "new_status": status})
    if status != row.status:
        audit(tx, now_us, "status_changed", order_id=order_id, correlation_id=row.correlation_id,
              from_state=row.status, to_state=status)  # fmt: skip
    return status
