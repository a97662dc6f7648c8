"""Taking an order: everything that must be true before the customer is told yes, in one transaction.

customer -> items and units -> price and tax -> credit -> sourcing -> reservation -> order, fulfillments, message to the
ERP, audit. No partner is called. A refusal is a catalogued problem, and leaves nothing behind.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import Any

import orjson
from sqlalchemy import bindparam, func, insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from contracts.errors import ProblemError
from contracts.wire import iso
from integration.domain.credit import exceeds_credit
from integration.domain.events import OrderAccepted
from integration.domain.orders import ACCEPTED, ON_HOLD, Line
from integration.domain.pricing import line_tax_minor, price_in_force
from integration.domain.sourcing import Demand, Share, preferred_nodes, source
from integration.messaging.outbox import Outbox
from integration.process.desk import take_order
from integration.process.inventory import Inventory
from integration.process.reference import Item, Reference, ReferenceView
from integration.process.reservations import Reservations, total
from integration.runtime import Clock, Ids
from integration.settings import SECOND, Settings
from integration.storage import Database, Transaction, audit, sum_of, touch_order
from integration.storage.tables import fulfillment_lines, fulfillments, order_lines, orders

_BY_REFERENCE = select(orders.c.order_id).where(
    orders.c.customer_id == bindparam("customer_id"), orders.c.order_reference == bindparam("order_reference")
)
# What the ERP's last exposure can't contain yet.
_OWN_OPEN = select(func.coalesce(sum_of(orders.c.total_minor), 0).label("minor")).where(
    orders.c.customer_id == bindparam("customer_id"),
    or_(orders.c.booked_at_us.is_(None), orders.c.booked_at_us > bindparam("synced_at_us")),
    orders.c.status.not_in(("cancelled", "closed")),
)
_LOAD = (
    select(fulfillments.c.node, func.count().label("open"))
    .where(fulfillments.c.status.in_(("planned", "released", "picked", "packed", "labelled")))
    .group_by(fulfillments.c.node)
)
_INSERT_ORDER = upsert(orders).on_conflict_do_nothing(index_elements=["customer_id", "order_reference"])
_INSERT_LINE = insert(order_lines)
_INSERT_FULFILLMENT = insert(fulfillments)
_INSERT_FULFILLMENT_LINE = insert(fulfillment_lines)
_HELD = (
    select(orders.c.order_id, orders.c.customer_id, orders.c.correlation_id, orders.c.hold_reason)
    .where(orders.c.hold_reason.is_not(None))
    .order_by(orders.c.accepted_at_us, orders.c.order_id)
)
_UNHOLD = (
    update(orders)
    .where(orders.c.order_id == bindparam("held_order_id"), orders.c.hold_reason.is_not(None))
    .values(hold_reason=bindparam("new_reason"))
)

STALE = "stale-reference-data"
# How often a line is sourced anew when others take its stock between the look and the reservation.
MOST_LOOKS = 4


@dataclass(frozen=True)
class PricedLine:
    """One asked line in base units, with the money that goes with it."""

    line_no: int
    sku: str
    quantity: int
    unit_price_minor: int
    tax_rate_bp: int

    @property
    def net_minor(self) -> int:
        return self.quantity * self.unit_price_minor

    @property
    def tax_minor(self) -> int:
        return line_tax_minor(self.net_minor, self.tax_rate_bp)


class Intake:
    """Accepts or refuses orders. `base_quantity(quantity, factor)` converts a unit of measure to base units."""

    def __init__(
        self,
        *,
        clock: Clock,
        ids: Ids,
        settings: Settings,
        reference: Reference,
        inventory: Inventory,
        reservations: Reservations,
        outbox: Outbox,
        base_quantity: Callable[[int, int], int],
    ) -> None:
        self._clock = clock
        self._ids = ids
        self._settings = settings
        self._reference = reference
        self._inventory = inventory
        self._reservations = reservations
        self._outbox = outbox
        self._base_quantity = base_quantity

    def place_order(self, tx: Transaction, channel: str, asked: Mapping[str, Any], trace_id: str) -> dict[str, Any]:
        """Take the order of a validated request body; answers the wire's Order, or raises ProblemError."""
        now_us = self._clock.now_us()
        self._refuse_used_reference(tx, asked)
        view = self._reference.view(tx)
        held = self._must_hold(view, now_us)
        customer = self._customer(tx, view, asked)
        lines = self._priced_lines(tx, view, customer, asked, now_us)
        self._refuse_beyond_credit(tx, view, customer, lines)
        shares = self._reserve(tx, asked, lines)
        order = self._order_row(channel, asked, lines, trace_id, now_us, held)
        return self._write(tx, order, lines, shares)

    def _refuse_used_reference(self, tx: Transaction, asked: Mapping[str, Any]) -> None:
        wanted = {"customer_id": asked["customer_id"], "order_reference": asked["order_reference"]}
        existing = tx.one(_BY_REFERENCE, wanted)
        if existing is not None:
            raise ProblemError(
                "order-reference-used",
                f"customer {asked['customer_id']!r} already ordered under {asked['order_reference']!r}",
                {"Location": f"/orders/{existing.order_id}"},
                existing_order_id=existing.order_id,
            )

    def _must_hold(self, view: ReferenceView, now_us: int) -> bool:
        """Whether the order has to wait for fresh reference data; refuses where the policy says so."""
        if view.oldest_us is not None and now_us - view.oldest_us <= self._settings.reference_max_age_us:
            return False
        if view.oldest_us is not None and self._settings.stale_policy == "hold":
            return True
        age = "were never loaded" if view.oldest_us is None else f"are of {iso(view.oldest_us)}"
        raise self._not_now(f"customers, items, prices or tax rates {age}; try again later")

    def _not_now(self, detail: str) -> ProblemError:
        return ProblemError(STALE, detail, {"Retry-After": str(self._settings.stale_retry_after_us // SECOND)})

    def _customer(self, tx: Transaction, view: ReferenceView, asked: Mapping[str, Any]) -> Any:
        customer = self._reference.customer(tx, view, asked["customer_id"])
        if customer is None:
            raise unknown_customer(asked["customer_id"])
        if customer.status != "active":
            raise ProblemError("customer-blocked", f"customer {customer.customer_id!r} is {customer.status}")
        if customer.currency != asked["currency"]:
            detail = f"customer {customer.customer_id!r} orders in {customer.currency}, not {asked['currency']}"
            raise ProblemError("currency-mismatch", detail)
        return customer

    def _priced_lines(
        self, tx: Transaction, view: ReferenceView, customer: Any, asked: Mapping[str, Any], now_us: int
    ) -> list[PricedLine]:
        skus = sorted({line["sku"] for line in asked["lines"]})
        items = self._reference.items(tx, view, skus)
        prices = self._reference.prices(tx, view, customer.price_list, skus)
        rates = self._reference.tax_rates(tx, view)
        priced = []
        for line in asked["lines"]:
            item = _sellable(items, line)
            factor = item.units.get(line["unit"])
            if factor is None:
                raise ProblemError("unknown-unit", f"line {line['line_no']}: {item.sku!r} has no unit {line['unit']!r}")
            price = price_in_force(prices[customer.price_list, item.sku], now_us)
            if price is None or price.currency != customer.currency:
                detail = f"line {line['line_no']}: no price of {item.sku!r} in list {customer.price_list!r} is in force"
                raise ProblemError("no-contract-price", detail)
            _check_price(line, price.unit_price_minor)
            rate_bp = rates.get((customer.tax_jurisdiction, item.tax_category))
            if rate_bp is None:
                where = f"{customer.tax_jurisdiction!r} and category {item.tax_category!r}"
                raise ProblemError("unknown-tax", f"line {line['line_no']}: no tax rate for {where}")
            quantity = self._base_quantity(line["quantity"], factor)
            priced.append(PricedLine(line["line_no"], item.sku, quantity, price.unit_price_minor, rate_bp))
        return priced

    def _refuse_beyond_credit(
        self, tx: Transaction, view: ReferenceView, customer: Any, lines: Sequence[PricedLine]
    ) -> None:
        total_minor = sum(line.net_minor + line.tax_minor for line in lines)
        tx.lock_name(f"credit {customer.customer_id}")  # two orders at once must not both count on the same credit
        since = {"customer_id": customer.customer_id, "synced_at_us": view.customers_synced_at_us}
        own_open = int(tx.one(_OWN_OPEN, since).minor)
        if exceeds_credit(customer.credit_limit_minor, customer.credit_exposure_minor, own_open, total_minor):
            used = customer.credit_exposure_minor + own_open
            raise ProblemError(
                "credit-exceeded",
                f"customer {customer.customer_id!r} has {customer.credit_limit_minor - used} of credit left,"
                f" the order is {total_minor} {customer.currency} (minor units)",
            )

    def _reserve(self, tx: Transaction, asked: Mapping[str, Any], lines: Sequence[PricedLine]) -> list[Share]:
        """Reserve as much as there is and answer who serves what; under fill_or_kill all of it or nothing."""
        whole_or_nothing = asked["fill_policy"] == "fill_or_kill"
        nodes = self._nodes(tx, asked["ship_to"]["country"])
        skus = sorted({line.sku for line in lines})
        wanted = {line.line_no: line.quantity for line in lines}
        taken: list[Share] = []
        for _ in range(MOST_LOOKS):
            demands = [Demand(line.line_no, line.sku, wanted[line.line_no]) for line in lines if wanted[line.line_no]]
            available = self._reservations.available(tx, skus)
            plan = source(demands, available, nodes, self._settings.max_splits)
            if whole_or_nothing and sum(share.quantity for share in plan) < sum(wanted.values()):
                self._refuse_out_of_stock(tx, lines, available, taken)
            won = [share for share in sorted(plan, key=_by_sku) if self._take(tx, share)]
            for share in won:
                wanted[share.line_no] -= share.quantity
            taken += won
            if len(won) == len(plan):
                return _merged(taken)
        if whole_or_nothing:
            self._refuse_out_of_stock(tx, lines, {}, taken)
        return _merged(taken)

    def _take(self, tx: Transaction, share: Share) -> bool:
        return self._reservations.take(tx, share.node, share.sku, share.quantity)

    def _nodes(self, tx: Transaction, country: str) -> tuple[str, ...]:
        settings = self._settings
        load = {row.node: row.open for row in tx.rows(_LOAD)} if settings.node_capacity else {}
        preference = settings.node_preference.get(country, settings.nodes)
        return preferred_nodes(settings.nodes, preference, load, settings.node_capacity)

    def _refuse_out_of_stock(
        self,
        tx: Transaction,
        lines: Sequence[PricedLine],
        available: Mapping[str, Mapping[str, int]],
        taken: Sequence[Share],
    ) -> None:
        """Refuse, telling what each line that lacks something could have had; lines of one sku share it in turn."""
        silent = [node for node in self._settings.nodes if node not in self._inventory.nodes_heard(tx)]
        if silent:
            raise self._not_now(f"the stock of {', '.join(silent)} is not known yet; try again later")
        left = {sku: total(by_node) for sku, by_node in available.items()}
        for share in taken:
            left[share.sku] = left.get(share.sku, 0) + share.quantity
        lacking = []
        for line in lines:
            there = min(left.get(line.sku, 0), line.quantity)
            left[line.sku] = left.get(line.sku, 0) - there
            if there < line.quantity:
                entry = {"line_no": line.line_no, "sku": line.sku, "requested": line.quantity, "available": there}
                lacking.append(entry)
        raise ProblemError("out-of-stock", f"{len(lacking)} of {len(lines)} lines can't be filled", lines=lacking)

    def _order_row(
        self,
        channel: str,
        asked: Mapping[str, Any],
        lines: Sequence[PricedLine],
        trace_id: str,
        now_us: int,
        held: bool,
    ) -> dict[str, Any]:
        order_id = self._ids.new("ord")
        net_minor, tax_minor = sum(line.net_minor for line in lines), sum(line.tax_minor for line in lines)
        return {
            "order_id": order_id,
            "customer_id": asked["customer_id"],
            "order_reference": asked["order_reference"],
            "channel": channel,
            "status": ON_HOLD if held else ACCEPTED,
            "version": 1,
            "fill_policy": asked["fill_policy"],
            "service": asked["service"],
            "currency": asked["currency"],
            "net_minor": net_minor,
            "tax_minor": tax_minor,
            "total_minor": net_minor + tax_minor,
            "ship_to": orjson.dumps(asked["ship_to"]).decode(),
            "correlation_id": trace_id or sha256(order_id.encode()).hexdigest()[:32],
            "accepted_at_us": now_us,
            "booked_at_us": None,
            "erp_order_id": None,
            "hold_reason": STALE if held else None,
        }

    def _write(
        self, tx: Transaction, order: dict[str, Any], lines: Sequence[PricedLine], shares: Sequence[Share]
    ) -> dict[str, Any]:
        confirmed = dict.fromkeys((line.line_no for line in lines), 0)
        for share in shares:
            confirmed[share.line_no] += share.quantity
        rows = [_line_row(order["order_id"], line, confirmed[line.line_no]) for line in lines]
        if tx.execute(_INSERT_ORDER, order) == 0:  # another took the reference since we looked
            self._refuse_used_reference(tx, order)
        tx.send(_INSERT_LINE, rows)
        self._write_fulfillments(tx, order, shares)
        held = order["hold_reason"] is not None
        if not held:
            self._book(tx, order["order_id"], order["correlation_id"])
        told = OrderAccepted(
            order["order_id"],
            order["customer_id"],
            order["order_reference"],
            held,
            sum(confirmed.values()),
            sum(row["backordered"] for row in rows),
            tuple(dict.fromkeys(share.node for share in shares)),
            order["correlation_id"],
            order_on_wire(order, rows),
        )
        tx.tell(told)
        audit(tx, order["accepted_at_us"], "order_accepted", order_id=order["order_id"],
              correlation_id=order["correlation_id"], to_state=order["status"], detail=told.tell())  # fmt: skip
        return dict(told.order)

    def _write_fulfillments(self, tx: Transaction, order: Mapping[str, Any], shares: Sequence[Share]) -> None:
        now_us = order["accepted_at_us"]
        for node in dict.fromkeys(share.node for share in shares):
            fulfillment_id = self._ids.new("ful")
            tx.send(
                _INSERT_FULFILLMENT,
                {
                    "fulfillment_id": fulfillment_id,
                    "order_id": order["order_id"],
                    "customer_id": order["customer_id"],
                    "order_reference": order["order_reference"],
                    "node": node,
                    "status": "planned",
                    "event_sequence": 0,
                    "correlation_id": order["correlation_id"],
                    "created_at_us": now_us,
                    "updated_at_us": now_us,
                },
            )
            own = [share for share in shares if share.node == node]
            tx.send(_INSERT_FULFILLMENT_LINE, [_fulfillment_line_row(fulfillment_id, share) for share in own])

    def _book(self, tx: Transaction, order_id: str, correlation_id: str) -> None:
        self._outbox.put(tx, "erp", "book_order", f"book_order:{order_id}", {"order_id": order_id}, correlation_id)

    def release_held(self, database: Database) -> int:
        """Let orders go on that waited for reference data, where the customer may still order; how many did.

        One whose customer was blocked meanwhile stays on hold for a person to decide, and says so.
        """
        released = 0
        with database.read() as tx:
            waiting = tx.rows(_HELD)
        for row in waiting:
            released += database.transact(partial(self._release_one, held=row))
        return released

    def _release_one(self, tx: Transaction, held: Any) -> int:
        now_us = self._clock.now_us()
        view = self._reference.view(tx)
        if view.oldest_us is None or now_us - view.oldest_us > self._settings.reference_max_age_us:
            return 0
        customer = self._reference.customer(tx, view, held.customer_id)
        may_order = customer is not None and customer.status == "active"
        reason = None if may_order else "customer-blocked"
        if reason == held.hold_reason:
            return 0
        take_order(tx, held.order_id)
        if tx.execute(_UNHOLD, {"held_order_id": held.order_id, "new_reason": reason}) == 0:
            return 0
        audit(tx, now_us, "hold_released" if may_order else "hold_kept", order_id=held.order_id,
              correlation_id=held.correlation_id, from_state=held.hold_reason, to_state=reason)  # fmt: skip
        touch_order(tx, held.order_id, now_us)
        if may_order:  # also one that was cancelled meanwhile: the ERP hears of the order before it hears of the cancel
            self._book(tx, held.order_id, held.correlation_id)
        return int(may_order)


def _sellable(items: Mapping[str, Item], line: Mapping[str, Any]) -> Item:
    item = items.get(line["sku"])
    if item is None or item.status != "active":
        why = "is not known" if item is None else f"is {item.status}"
        raise ProblemError("unknown-sku", f"line {line['line_no']}: item {line['sku']!r} {why}")
    return item


def _check_price(line: Mapping[str, Any], contract_minor: int) -> None:
    given = line.get("unit_price_minor")
    if given is not None and given != contract_minor:
        detail = (
            f"line {line['line_no']}: {given} was given for {line['sku']!r}, the contract price is {contract_minor}"
        )
        raise ProblemError("price-mismatch", detail)


def _by_sku(share: Share) -> tuple[str, str, int]:
    """Reservations are taken in this order everywhere, so that two orders can't wait for each other."""
    return share.sku, share.node, share.line_no


def _merged(shares: Sequence[Share]) -> list[Share]:
    """One share per node and line, in order of line."""
    sums: dict[tuple[int, str, str], int] = {}
    for share in shares:
        place = (share.line_no, share.node, share.sku)
        sums[place] = sums.get(place, 0) + share.quantity
    return [Share(node, line_no, sku, quantity) for (line_no, node, sku), quantity in sorted(sums.items())]


def _line_row(order_id: str, line: PricedLine, confirmed: int) -> dict[str, Any]:
    backordered = line.quantity - confirmed
    Line(line.line_no, line.sku, line.quantity, confirmed, backordered).check()
    return {
        "order_id": order_id,
        "line_no": line.line_no,
        "sku": line.sku,
        "ordered": line.quantity,
        "confirmed": confirmed,
        "backordered": backordered,
        "shipped": 0,
        "cancelled": 0,
        "short": 0,
        "unit_price_minor": line.unit_price_minor,
        "tax_rate_bp": line.tax_rate_bp,
    }


def _fulfillment_line_row(fulfillment_id: str, share: Share) -> dict[str, Any]:
    return {
        "fulfillment_id": fulfillment_id,
        "line_no": share.line_no,
        "sku": share.sku,
        "quantity": share.quantity,
        "picked": 0,
        "short": 0,
        "shipped": 0,
        "cancelled": 0,
        "reserved": share.quantity,
    }


_ORDER_FIELDS = ("order_id", "customer_id", "order_reference", "status", "version", "currency", "net_minor",
                 "tax_minor", "total_minor")  # fmt: skip
_LINE_FIELDS = ("line_no", "sku", "ordered", "confirmed", "backordered", "shipped", "cancelled", "short",
                "unit_price_minor", "tax_rate_bp")  # fmt: skip


def unknown_customer(customer_id: str) -> ProblemError:
    """What is said of a customer who is not there."""
    return ProblemError("unknown-customer", f"there is no customer {customer_id!r}")


def order_on_wire(order: Mapping[str, Any], lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The wire's Order from rows as mappings."""
    return {
        **{name: order[name] for name in _ORDER_FIELDS},
        "accepted_at": iso(order["accepted_at_us"]),
        "lines": [{name: line[name] for name in _LINE_FIELDS} for line in lines],
    }
