"""Orders: place, read, find, cancel."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import orjson
from flask import Blueprint, Response, g
from sqlalchemy import bindparam, select

from contracts.edge import ProblemError, body, environ, query, reply
from contracts.wire import iso, trace_id_of
from integration.experience.idempotency import Idempotency, Kept, fingerprint
from integration.process.intake import Intake, order_on_wire, unknown_customer
from integration.storage import Database, Transaction
from integration.storage.tables import audit, fulfillment_lines, fulfillments, order_lines, orders, parcels, shipments

_ORDER = select(orders).where(orders.c.order_id == bindparam("order_id"))
_BY_REFERENCE = select(orders).where(
    orders.c.customer_id == bindparam("customer_id"), orders.c.order_reference == bindparam("order_reference")
)
_LINES = (
    select(order_lines)
    .where(order_lines.c.order_id.in_(bindparam("order_ids", expanding=True)))
    .order_by(order_lines.c.order_id, order_lines.c.line_no)
)
_FULFILLMENTS = (
    select(fulfillments.c.fulfillment_id, fulfillments.c.node, fulfillments.c.status)
    .where(fulfillments.c.order_id == bindparam("order_id"))
    .order_by(fulfillments.c.created_at_us, fulfillments.c.fulfillment_id)
)
_FULFILLMENT_LINES = (
    select(fulfillment_lines)
    .where(fulfillment_lines.c.fulfillment_id.in_(bindparam("fulfillment_ids", expanding=True)))
    .order_by(fulfillment_lines.c.fulfillment_id, fulfillment_lines.c.line_no)
)
_PARCELS = (
    select(parcels.c.parcel_id, parcels.c.tracking_number, parcels.c.tracking_status)
    .where(parcels.c.fulfillment_id.in_(bindparam("fulfillment_ids", expanding=True)))
    .order_by(parcels.c.parcel_id)
)
_INVOICES = (
    select(shipments.c.invoice_id, shipments.c.shipment_id, shipments.c.shipped_at_us, shipments.c.lines)
    .where(shipments.c.order_id == bindparam("order_id"), shipments.c.invoice_id.is_not(None))
    .order_by(shipments.c.shipped_at_us, shipments.c.shipment_id)
)
_TIMELINE = select(audit).where(audit.c.order_id == bindparam("order_id")).order_by(audit.c.audit_id)
_FULFILLMENT_LINE_FIELDS = ("line_no", "sku", "quantity", "picked", "short", "shipped", "cancelled")


class Cancellation(Protocol):
    """Takes a cancel request: answers (200 or 202, body), or raises ProblemError."""

    def request_cancel(
        self,
        tx: Transaction,
        order_id: str,
        lines: Sequence[Mapping[str, int]] | None,
        reason: str,
        key: str,
    ) -> tuple[int, dict[str, Any]]: ...


def create_blueprint(
    database: Database, intake: Intake, cancellation: Cancellation, idempotency: Idempotency
) -> Blueprint:
    """The routes under /orders."""
    blueprint = Blueprint("orders", __name__)

    @blueprint.post("/orders")
    def place_order() -> Response:
        asked = body()
        _refuse_repeated_lines(asked["lines"])
        channel, trace_id = g.caller.channel, _trace_id()

        def work(tx: Transaction) -> tuple[int, dict[str, str], Any]:
            _refuse_for_another(asked["customer_id"])
            order = intake.place_order(tx, channel, asked, trace_id)
            return 201, {"Location": f"/orders/{order['order_id']}"}, order

        return _answer(idempotency.run(f"{channel} place_order", _key(), fingerprint("/orders", asked), work))

    @blueprint.post("/orders/<order_id>/cancel")
    def cancel_order(order_id: str) -> Response:
        asked = body()

        def work(tx: Transaction) -> tuple[int, dict[str, str], Any]:
            _order_row(tx, order_id)
            status, told = cancellation.request_cancel(tx, order_id, asked.get("lines"), asked["reason"], _key())
            return status, {}, told

        print_of_request = fingerprint(f"/orders/{order_id}/cancel", asked)
        return _answer(idempotency.run(f"{g.caller.channel} cancel_order", _key(), print_of_request, work))

    @blueprint.get("/orders/<order_id>")
    def read_order(order_id: str) -> Response:
        with database.read() as tx:
            detail = _order_detail(tx, _order_row(tx, order_id))
        return reply(detail)

    @blueprint.get("/orders/<order_id>/invoices")
    def list_invoices(order_id: str) -> Response:
        with database.read() as tx:
            row = _order_row(tx, order_id)
            items = _invoices(tx, order_id)
        return reply({"order_id": order_id, "currency": row.currency, "items": items})

    @blueprint.get("/orders")
    def find_orders() -> Response:
        with database.read() as tx:
            found = [row for row in tx.rows(_BY_REFERENCE, query()) if _sees(row.customer_id)]
            return reply({"items": _orders_on_wire(tx, found)})

    return blueprint


def _sees(customer_id: str) -> bool:
    """Whether the orders of this customer are there for who calls."""
    return g.caller.customer_id in ("", customer_id)


def _refuse_for_another(customer_id: str) -> None:
    """A caller who is bound to one customer learns of no other, not even that there is one."""
    if not _sees(customer_id):
        raise unknown_customer(customer_id)


def _order_row(tx: Transaction, order_id: str) -> Any:
    row = tx.one(_ORDER, {"order_id": order_id})
    if row is None or not _sees(row.customer_id):
        raise ProblemError("not-found", f"there is no order {order_id!r}")
    return row


def _refuse_repeated_lines(lines: Sequence[Mapping[str, Any]]) -> None:
    """What JSON Schema can't say: line_no is distinct within an order."""
    seen: set[int] = set()
    for index, line in enumerate(lines):
        if line["line_no"] in seen:
            detail = f"line_no {line['line_no']} is given twice"
            raise ProblemError("invalid-request", detail, pointer=f"/lines/{index}/line_no")
        seen.add(line["line_no"])


def _key() -> str:
    return str(environ()["HTTP_IDEMPOTENCY_KEY"])


def _trace_id() -> str:
    return trace_id_of({"traceparent": environ().get("HTTP_TRACEPARENT", "")})


def _answer(kept: Kept) -> Response:
    return reply(kept.body, kept.status, kept.headers)


def _orders_on_wire(tx: Transaction, rows: Sequence[Any]) -> list[dict[str, Any]]:
    lines: dict[str, list[dict[str, Any]]] = {row.order_id: [] for row in rows}
    for line in tx.rows_for(_LINES, "order_ids", list(lines)):
        lines[line.order_id].append(line._asdict())
    return [order_on_wire(row._asdict(), lines[row.order_id]) for row in rows]


def _order_detail(tx: Transaction, row: Any) -> dict[str, Any]:
    order_id = {"order_id": row.order_id}
    parts = tx.rows(_FULFILLMENTS, order_id)
    ids = [part.fulfillment_id for part in parts]
    lines: dict[str, list[dict[str, Any]]] = {fulfillment_id: [] for fulfillment_id in ids}
    for line in tx.rows_for(_FULFILLMENT_LINES, "fulfillment_ids", ids):
        lines[line.fulfillment_id].append({name: getattr(line, name) for name in _FULFILLMENT_LINE_FIELDS})
    return {
        **_orders_on_wire(tx, [row])[0],
        "fulfillments": [{**part._asdict(), "lines": lines[part.fulfillment_id]} for part in parts],
        "parcels": [parcel._asdict() for parcel in tx.rows_for(_PARCELS, "fulfillment_ids", ids)],
        "invoices": [invoice.invoice_id for invoice in tx.rows(_INVOICES, order_id)],
        "timeline": [_moment(entry) for entry in tx.rows(_TIMELINE, order_id)],
    }


def _invoices(tx: Transaction, order_id: str) -> list[dict[str, Any]]:
    price = {line.line_no: line.unit_price_minor for line in tx.rows_for(_LINES, "order_ids", [order_id])}
    found = []
    for row in tx.rows(_INVOICES, {"order_id": order_id}):
        lines = [
            {name: line[name] for name in ("line_no", "sku", "quantity")} | {"unit_price_minor": price[line["line_no"]]}
            for line in orjson.loads(row.lines)
        ]
        found.append(
            {
                "invoice_id": row.invoice_id,
                "shipment_id": row.shipment_id,
                "shipped_at": iso(row.shipped_at_us),
                "net_minor": sum(line["quantity"] * line["unit_price_minor"] for line in lines),
                "lines": lines,
            }
        )
    return found


def _moment(entry: Any) -> dict[str, Any]:
    return {
        "at": iso(entry.at_us),
        "event": entry.event,
        "entity": entry.entity,
        "entity_id": entry.entity_id,
        "from": entry.from_state,
        "to": entry.to_state,
        "detail": entry.detail,
    }
