"""A 3PL at work: it decides on an order minutes after taking it, works in batches, and ships with its own carrier.

Nothing stands by: a batch or a departure is scheduled when something waits for it.
"""

from collections.abc import Mapping

import simpy
from pydantic import Field

from simulators.kernel import World
from simulators.partnerkit import Duration, Ledger, Pace, service_time_us
from simulators.partnerkit.hours import next_slot_us
from simulators.partnerkit.memory import DuplicatePolicy
from simulators.partnerkit.picking import PickingSettings, missing_lines, picking_time_us
from simulators.partnerkit.site import Events, SiteProfile, StockSite
from simulators.partnerkit.stock import Booking
from simulators.threepl.model import FulfillmentOrder, Provider, Status, UnknownSkus


class ThreePlProfile(SiteProfile):
    """How one provider behaves. Shares are 0 to 1, times are durations."""

    duplicate_policy: DuplicatePolicy
    decision: Pace
    reject_share: float = Field(ge=0, le=1)
    batch_every: Duration = Field(gt=0)
    benches: int = Field(gt=0)
    picking: PickingSettings
    packing: Pace


class ThreePl(StockSite[Provider, ThreePlProfile]):
    """One provider. `opening` is units on hand per sku, more skus are in `weights_g`; `credentials` token to client."""

    place = "threepl-call"

    def __init__(
        self,
        world: World,
        name: str,
        profile: ThreePlProfile,
        opening: Mapping[str, int],
        weights_g: Mapping[str, int],
        credentials: Mapping[str, str] | None = None,
    ) -> None:
        model = Provider([*weights_g], profile.duplicate_policy)
        super().__init__(Ledger(world, name), world, name, profile, model, credentials)
        self.benches = simpy.Resource(world.env, profile.benches)
        self._accepted: list[FulfillmentOrder] = []
        self._dock: list[FulfillmentOrder] = []
        self._batch_due = False
        self._polls = 0
        self._last_rows: list[dict[str, object]] = []
        self._book_opening(self.model.open(opening))

    def submit(self, order: FulfillmentOrder) -> tuple[FulfillmentOrder, bool]:
        """Take an order in; the decision follows. Raises ThreePlError; an unfit order is booked as rejected, once."""
        try:
            taken, is_new = self.model.submit(order, self._memory.forgot(order.reference))
        except UnknownSkus:
            if order.reference not in self._refused:
                self._refused.add(order.reference)
                self._book_lines("release_rejected", order, reason="unknown-sku")
            raise
        if is_new:
            self.world.process(f"decide {taken.reference}", self._decide(taken), self.name)
        return taken, is_new

    def cancel(self, reference: str) -> FulfillmentOrder:
        """Cancel a whole order, once. Raises ThreePlError."""
        order, is_new = self.model.cancel(reference)
        if is_new:
            self._book_lines("release_cancelled", order)
        return order

    def batch(self, rows: list[dict[str, object]]) -> list[dict[str, object]]:
        """The rows with which a poll for changes is answered; faults of batches act on them."""
        self._polls += 1
        faults, key = self.world.faults, ("poll", self._polls)
        last, self._last_rows = self._last_rows, rows or self._last_rows
        if rows and faults.hits("batch_missing", self.name, *key):
            return []
        if last and faults.hits("batch_twice", self.name, *key):
            return last
        if len(rows) > 1 and faults.hits("batch_disordered", self.name, *key):
            return rows[::-1]
        return rows

    def quiet(self) -> bool:
        """No write and no order in work."""
        return self._writes_in_work == self.model.open_orders == 0

    def gauges(self) -> list[tuple[str, str, str, float]]:
        """Samples (name, sku, location, value)."""
        values = {
            "releases_open": self.model.open_orders,
            "releases_waiting": len(self._accepted),
            "pickers_busy": self.benches.count,
            "pick_queue": len(self.benches.queue),
            "dock": len(self._dock),
            "calls_refused": self.limit.refused,
        }
        return [(name, "", self.name, float(value)) for name, value in values.items()]

    def _decide(self, order: FulfillmentOrder) -> Events:
        profile = self.profile
        yield self.world.env.timeout(
            service_time_us(self.world, self.name, profile.decision, "decision", self.name, order.reference)
        )
        if order.status is not Status.SUBMITTED:
            return  # cancelled before it was decided on
        if self.world.chance.hit(profile.reject_share, "reject", self.name, order.reference):
            self.model.decide(order, "refused by the provider")
            self._book_lines("release_rejected", order, reason="refused by the provider")
            return
        self.model.decide(order, None)
        self._book_lines("release_accepted", order)
        self._accepted.append(order)
        if not self._batch_due:
            self._batch_due = True
            slot_us = next_slot_us(self.world.now_us(), profile.batch_every, profile.hours)
            self.world.process("batch", self._batch_at(slot_us), self.name)

    def _batch_at(self, slot_us: int) -> Events:
        yield self.world.env.timeout(slot_us - self.world.now_us())
        self._batch_due = False
        batch = [order for order in self._accepted if order.status is Status.ACCEPTED]
        self._accepted = []
        for order in batch:
            self.model.begin(order)
            self.world.process(f"order {order.reference}", self._work(order), self.name)

    def _work(self, order: FulfillmentOrder) -> Events:
        world, profile, key = self.world, self.profile, order.reference
        wanted = [(line.line_no, line.quantity) for line in order.lines.values()]
        with self.benches.request() as turn:
            yield turn
            picking_us = picking_time_us(world, self.name, profile.picking, key, len(wanted))
            packing_us = service_time_us(world, self.name, profile.packing, "pack-time", self.name, key)
            yield world.env.timeout(picking_us + packing_us)
        shorts = self.model.finish(order, missing_lines(world, self.name, profile.picking, key, wanted))
        for line in order.lines.values():
            if line.picks:
                picked = sum(pick.quantity for pick in line.picks)
                self._book("picked", order, line.line_no, line.sku, picked)
        for short in shorts:
            self._book("short", order, short.line.line_no, short.line.sku, short.quantity, reason=short.reason)
            if short.hold is not None:
                self._book_moves(order, (short.line.line_no,), short.hold, reason=short.reason)
        if order.status is Status.PROCESSING:
            self._dock.append(order)
            self._schedule_departure()

    def _depart(self) -> None:
        loaded, self._dock = self._dock, []
        for order in loaded:
            self._ship(order)
            if order.status is Status.PROCESSING:
                self._dock.append(order)
                self._schedule_departure()

    def _ship(self, order: FulfillmentOrder) -> None:
        """Send off what is left of an order, or the first half of it when it leaves in two shipments."""
        chance, reference = self.world.chance, order.reference
        number = "" if not order.shipments else "2"
        half = not number and self.world.faults.hits("partial_shipment", self.name, reference) is not None
        key = (reference, number) if number else (reference,)
        tracking_number = f"3P{chance.hex(14, 'tracking', self.name, *key).upper()}"
        shipment_id = f"{reference}.S{number}"
        booking, line_nos = self.model.ship(order, shipment_id, tracking_number, self.world.now_us(), half)
        self._book_moves(order, line_nos, booking, shipment_id=shipment_id, tracking_number=tracking_number)

    def _book_lines(self, kind: str, order: FulfillmentOrder, reason: str = "") -> None:
        for line in order.lines.values():
            self._book(kind, order, line.line_no, line.sku, line.quantity, reason=reason)

    def _book(
        self, kind: str, order: FulfillmentOrder, line_no: int, sku: str, quantity: int, *, reason: str = ""
    ) -> None:
        self.ledger.book(
            kind,
            business_key=order.reference,
            customer_id=order.customer_id,
            order_reference=order.order_reference,
            line_no=line_no,
            sku=sku,
            quantity=quantity,
            correlation_id=order.correlation_id,
            reason=reason,
        )

    def _book_moves(
        self,
        order: FulfillmentOrder,
        line_nos: tuple[int, ...],
        booking: Booking,
        *,
        shipment_id: str = "",
        tracking_number: str = "",
        reason: str = "",
    ) -> None:
        for line_no, movement in zip(line_nos, booking.movements, strict=True):
            self._book_movement(
                movement,
                booking.sequence,
                business_key=order.reference,
                customer_id=order.customer_id,
                order_reference=order.order_reference,
                line_no=line_no,
                correlation_id=order.correlation_id,
                shipment_id=shipment_id,
                tracking_number=tracking_number,
                reason=reason,
            )
