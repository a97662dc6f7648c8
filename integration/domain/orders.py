"""The life of an order, and the status that follows from its parts.

    accepted -> booked -> released -> partially_shipped -> shipped -> invoiced
    on_hold  -> accepted
    any open state -> cancelled (nothing shipped) or closed (nothing shipped, and not all by cancellation)

The status of an order is never set: it follows from its lines, fulfillments and shipments, and never moves backwards.
"""

from dataclasses import dataclass

ON_HOLD = "on_hold"
ACCEPTED = "accepted"
BOOKED = "booked"
RELEASED = "released"
PARTIALLY_SHIPPED = "partially_shipped"
SHIPPED = "shipped"
INVOICED = "invoiced"
CANCELLED = "cancelled"
CLOSED = "closed"

_RANK = {ON_HOLD: 0, ACCEPTED: 1, BOOKED: 2, RELEASED: 3, PARTIALLY_SHIPPED: 4, SHIPPED: 5, INVOICED: 6,
         CANCELLED: 7, CLOSED: 7}  # fmt: skip

# A fulfillment in one of these has reached its node.
REACHED_NODE = ("released", "picked", "short", "packed", "labelled", "shipped", "cancel_requested")


class OrderError(Exception):
    """An order can't be what it is said to be: a bug of our own."""


@dataclass(frozen=True)
class OrderFacts:
    """What an order's status follows from. Quantities are sums over its lines in base units."""

    status: str
    held: bool
    booked: bool
    open_quantity: int
    shipped: int
    cancelled: int
    short: int
    released: bool
    uninvoiced_shipments: int


def derive_status(facts: OrderFacts) -> str:
    """The status that these facts amount to, never behind the one that the order already has."""
    status = _ended(facts) if facts.open_quantity == 0 else _open(facts)
    return status if _RANK[status] >= _RANK[facts.status] else facts.status


def _ended(facts: OrderFacts) -> str:
    if facts.shipped:
        return SHIPPED if facts.uninvoiced_shipments else INVOICED
    return CLOSED if facts.short else CANCELLED


def _open(facts: OrderFacts) -> str:
    if facts.shipped:
        return PARTIALLY_SHIPPED
    if facts.released:
        return RELEASED
    if facts.booked:
        return BOOKED
    return ON_HOLD if facts.held else ACCEPTED


@dataclass(frozen=True)
class Line:
    """One order line's books in base units: ordered = confirmed + backordered + shipped + cancelled + short."""

    line_no: int
    sku: str
    ordered: int
    confirmed: int = 0
    backordered: int = 0
    shipped: int = 0
    cancelled: int = 0
    short: int = 0

    def check(self) -> None:
        """Raise OrderError when the quantities do not add up or one is negative."""
        parts = (self.confirmed, self.backordered, self.shipped, self.cancelled, self.short)
        if min(parts) < 0 or sum(parts) != self.ordered:
            raise OrderError(f"line {self.line_no} ({self.sku}) does not add up: ordered {self.ordered}, parts {parts}")
