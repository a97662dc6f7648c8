"""What a 3PL knows and what it allows: fulfillment orders, their states, and the stock that they move. Knows no clock.

    submitted -> accepted -> processing -> shipped
        │  └──────────┴-> cancelled
        └-> rejected

Every change of an order takes the next number of one global counter, so a reader asks for what changed since the last
number it saw. A shipped order of which nothing was found has no shipments, and its lines are short.

    ThreePlError
    ├── UnknownOrder        no fulfillment order has this reference
    ├── InvalidReference    too long, or it ends as the provider's own split orders do
    ├── DuplicateReference  the reference was used and the provider refuses a second one
    ├── UnknownSkus         a line asks for what the provider never stocked; carries a JSON pointer
    └── TooLateToCancel     the batch has begun, or the order ended otherwise
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from simulators.partnerkit.memory import DuplicatePolicy
from simulators.partnerkit.stock import Booking, Content, Missing, Movement, Pick, Stock, StockKeeper, split

FLOOR = "FLOOR"
REFERENCE_LENGTH = 40
_SPLIT_SUFFIX = re.compile(r"-\d+$")


class Status(StrEnum):
    SUBMITTED = "submitted"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    PROCESSING = "processing"
    SHIPPED = "shipped"
    CANCELLED = "cancelled"


FINAL = frozenset({Status.REJECTED, Status.SHIPPED, Status.CANCELLED})
CANCELLABLE = frozenset({Status.SUBMITTED, Status.ACCEPTED})


class ThreePlError(Exception):
    """Base of what a 3PL refuses."""


class UnknownOrder(ThreePlError):
    def __init__(self, reference: str) -> None:
        super().__init__(f"no fulfillment order {reference!r} here; submit it first")


class InvalidReference(ThreePlError):
    def __init__(self, reference: str) -> None:
        super().__init__(
            f"reference {reference!r} can't be used: at most {REFERENCE_LENGTH} characters, no dash and number last"
        )


class DuplicateReference(ThreePlError):
    def __init__(self, reference: str) -> None:
        super().__init__(f"reference {reference!r} was used; read it with GET /fulfillment-orders/{reference}")
        self.reference = reference


class UnknownSkus(ThreePlError):
    def __init__(self, skus: Sequence[str], pointer: str) -> None:
        super().__init__(f"skus {', '.join(skus)} are not stocked here; send only skus from GET /stock")
        self.pointer = pointer


class TooLateToCancel(ThreePlError):
    def __init__(self, reference: str, status: Status) -> None:
        super().__init__(
            f"fulfillment order {reference!r} is {status}; only submitted or accepted ones can be cancelled"
        )


@dataclass(slots=True)
class Line:
    """quantity = asked; in the end cancelled + shipped + short, unless the order was rejected."""

    line_no: int
    sku: str
    quantity: int
    cancelled: int = 0
    shipped: int = 0
    short: int = 0
    picks: list[Pick] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Shipment:
    shipment_id: str
    tracking_number: str
    shipped_at_us: int
    stock_sequence: int
    contents: tuple[Content, ...]


@dataclass(slots=True)
class FulfillmentOrder:
    """`change` is the global counter at this order's last change."""

    reference: str
    customer_id: str
    order_reference: str
    lines: dict[int, Line]
    correlation_id: str = ""
    status: Status = Status.SUBMITTED
    change: int = 0
    reason: str | None = None
    shipments: list[Shipment] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Short:
    """One short line: so many units, why, and how the missing ones were put on hold (None for a plain stockout)."""

    line: Line
    quantity: int
    reason: str
    hold: Booking | None


class Provider(StockKeeper):
    """Orders and stock of one 3PL. `skus` is everything that it may stock."""

    def __init__(self, skus: Sequence[str], duplicates: DuplicatePolicy = DuplicatePolicy.RETURN_EXISTING) -> None:
        super().__init__(Stock((FLOOR,), skus))
        self.orders: dict[str, FulfillmentOrder] = {}
        self.change = 0
        self.open_orders = 0
        self._duplicates = duplicates
        self._by_change: dict[str, FulfillmentOrder] = {}

    def open(self, opening: Mapping[str, int]) -> list[Movement]:
        return self.stock.open(opening, 100)

    def find(self, reference: str) -> FulfillmentOrder:
        try:
            return self.orders[reference]
        except KeyError:
            raise UnknownOrder(reference) from None

    def submit(self, order: FulfillmentOrder, forgotten: bool = False) -> tuple[FulfillmentOrder, bool]:
        """Take an order in. The answer is what the provider now has under that reference, and whether it is new.

        A second order of the same reference, where the provider makes one, gets `<reference>.2` for its own. A
        reference that is `forgotten` is not recognized, whatever the policy.
        """
        reference = order.reference
        if len(reference) > REFERENCE_LENGTH or _SPLIT_SUFFIX.search(reference):
            raise InvalidReference(reference)
        existing = self.orders.get(reference)
        if existing is not None and self._duplicates is DuplicatePolicy.RETURN_EXISTING and not forgotten:
            return existing, False
        if existing is not None and self._duplicates is DuplicatePolicy.REJECT and not forgotten:
            raise DuplicateReference(reference)
        lines = list(order.lines.values())
        unknown = [number for number, line in enumerate(lines) if not self.stock.knows(line.sku)]
        if unknown:
            raise UnknownSkus([lines[number].sku for number in unknown], f"/lines/{unknown[0]}/sku")
        if existing is not None:
            order.reference = self._next_copy(reference)
        self.orders[order.reference] = order
        self.open_orders += 1
        self._touch(order)
        return order, True

    def decide(self, order: FulfillmentOrder, refusal: str | None) -> None:
        """Accept a submitted order, or reject it for a reason."""
        self._advance(order, Status.SUBMITTED, Status.REJECTED if refusal else Status.ACCEPTED)
        order.reason = refusal

    def begin(self, order: FulfillmentOrder) -> None:
        """Take an accepted order into a batch: allocate what is there."""
        self._advance(order, Status.ACCEPTED, Status.PROCESSING)
        for line in order.lines.values():
            line.picks = self.stock.allocate(line.sku, line.quantity)

    def finish(self, order: FulfillmentOrder, missing: Mapping[int, Missing]) -> list[Short]:
        """End the pick; each line with missing units books a hold of its own. Nothing found at all ends the order."""
        assert order.status is Status.PROCESSING, f"{order.reference} is {order.status}"
        shorts: list[Short] = []
        for line in order.lines.values():
            absent = missing.get(line.line_no)
            not_found: list[Pick] = []
            if absent is not None:
                not_found, line.picks = split(line.picks, absent.quantity)
            if absent is not None and not_found:
                quantity = sum(pick.quantity for pick in not_found)
                shorts.append(Short(line, quantity, absent.reason, self.stock.hold(not_found)))
                line.short += quantity
            lacking = line.quantity - line.short - sum(pick.quantity for pick in line.picks)
            if lacking:
                shorts.append(Short(line, lacking, "stockout", None))
                line.short += lacking
        if not any(line.picks for line in order.lines.values()):
            self._advance(order, Status.PROCESSING, Status.SHIPPED)
            order.reason = "stockout"
        elif shorts:
            self._touch(order)
        return shorts

    def ship(
        self, order: FulfillmentOrder, shipment_id: str, tracking_number: str, shipped_at_us: int, half: bool = False
    ) -> tuple[Booking, tuple[int, ...]]:
        """Send a finished order off: the booking, and the line number of each of its movements.

        `half`: only the first half of its units, rounded up; the order is shipped when the rest has left too.
        """
        picked = sum(pick.quantity for line in order.lines.values() for pick in line.picks)
        room = -(-picked // 2) if half else picked
        picks: list[tuple[int, Pick]] = []
        contents: list[Content] = []
        for line in order.lines.values():
            leaving, line.picks = split(line.picks, room)
            units = sum(pick.quantity for pick in leaving)
            room -= units
            line.shipped += units
            picks += [(line.line_no, pick) for pick in leaving]
            if units:
                contents.append(Content(line.line_no, line.sku, units))
        booking = self.stock.ship(pick for _, pick in picks)
        order.shipments.append(Shipment(shipment_id, tracking_number, shipped_at_us, booking.sequence, tuple(contents)))
        if any(line.picks for line in order.lines.values()):
            self._touch(order)
        else:
            self._advance(order, Status.PROCESSING, Status.SHIPPED)
        return booking, tuple(line_no for line_no, _ in picks)

    def cancel(self, reference: str) -> tuple[FulfillmentOrder, bool]:
        """Cancel a whole order; False when it had been cancelled before."""
        order = self.find(reference)
        if order.status is Status.CANCELLED:
            return order, False
        if order.status not in CANCELLABLE:
            raise TooLateToCancel(reference, order.status)
        for line in order.lines.values():
            line.cancelled = line.quantity
        self._advance(order, order.status, Status.CANCELLED)
        return order, True

    def changed_since(self, change: int, limit: int) -> list[FulfillmentOrder]:
        """The orders that changed after `change`, oldest change first, at most `limit` of them."""
        newer: list[FulfillmentOrder] = []
        for order in reversed(self._by_change.values()):
            if order.change <= change:
                break
            newer.append(order)
        newer.reverse()
        return newer[:limit]

    def _next_copy(self, reference: str) -> str:
        """The first free reference after `reference`, shortened where it would become too long."""
        number = 2
        while (copy := f"{reference[: REFERENCE_LENGTH - 4]}.{number}") in self.orders:
            number += 1
        return copy

    def _advance(self, order: FulfillmentOrder, before: Status, after: Status) -> None:
        assert order.status is before, f"fulfillment order {order.reference} is {order.status}, not {before}"
        order.status = after
        self.open_orders -= after in FINAL
        self._touch(order)

    def _touch(self, order: FulfillmentOrder) -> None:
        """Number this change and move the order to the end of the list that readers page through."""
        self.change += 1
        order.change = self.change
        self._by_change.pop(order.reference, None)
        self._by_change[order.reference] = order
