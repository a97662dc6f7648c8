"""What every node with goods does alike: it takes time for calls, books its stock, and lets trucks depart."""

from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, Generic, TypeVar

import simpy
from pydantic import Field

from simulators.kernel import World
from simulators.kernel.faults import Fault
from simulators.partnerkit.access import StaticTokens
from simulators.partnerkit.counting import counted_when_asked
from simulators.partnerkit.hours import Hours, next_slot_us
from simulators.partnerkit.keys import Keys, KeySettings
from simulators.partnerkit.ledger import Ledger
from simulators.partnerkit.limits import LimitSettings, RateLimit
from simulators.partnerkit.memory import Memory
from simulators.partnerkit.profile import Duration, Profile
from simulators.partnerkit.service import Pace, service_time_us
from simulators.partnerkit.stock import Booking, Level, Movement, StockKeeper
from simulators.partnerkit.stock_page import StockReads

Events = Generator[simpy.Event, Any, None]


class SiteProfile(Profile):
    """What the profile of every node with goods says."""

    summary: str = ""
    hours: Hours | None = None
    departure_every: Duration = Field(gt=0)
    reads: Pace
    writes: Pace
    limit: LimitSettings | None = None
    keys: KeySettings = KeySettings()
    stock_page_size: int = Field(default=5_000, gt=0)
    stock_report_every: Duration = Field(default=0, ge=0)
    """GET /stock is answered from a report of this age at most; 0: from the stock itself."""


Model = TypeVar("Model", bound=StockKeeper)
Settings = TypeVar("Settings", bound=SiteProfile)


class StockSite(Generic[Model, Settings]):
    """One node with goods; `credentials` is token to client. A kind of node says how its loaded orders `_depart`."""

    place: ClassVar[str]
    """Names the service times of this kind of node's calls."""

    def __init__(
        self,
        ledger: Ledger,
        world: World,
        name: str,
        profile: Settings,
        model: Model,
        credentials: Mapping[str, str] | None,
    ) -> None:
        self.world, self.name, self.profile, self.model = world, name, profile, model
        self.ledger = ledger
        self.tokens = StaticTokens(credentials or {f"token-{name}": "integration"})
        self.limit = RateLimit(world, profile.limit, name)
        self.keys = Keys(world, name, profile.keys)
        self.stock_reads = StockReads(world, name, model.stock, profile.stock_report_every)
        self._writes_in_work = 0
        self._departure_due = False
        self._refused: set[str] = set()
        self._memory = Memory(world, name)
        counted_when_asked(world, name, model.stock, self._correct)

    def start(self) -> None:
        """Begin a life of the host. After a crash: the floor went on working."""
        self._writes_in_work = 0
        self.keys.restart()

    @contextmanager
    def serving(self, write: bool, what: str, key: str = "", lines: int = 0) -> Iterator[None]:
        """Take the service time of one call, then run the body: the effect comes last, whether or not anyone waits."""
        pace = self.profile.writes if write else self.profile.reads
        now_us = self.world.now_us()
        self._writes_in_work += write
        try:
            service_us = service_time_us(
                self.world, self.name, pace, self.place, self.name, what, key, now_us, lines=lines
            )
            self.world.wait(self.world.protocol.timeout(service_us))
            yield
        finally:
            self._writes_in_work -= write

    def adjust(self, adjustment_id: str, sku: str, quantity_delta: int, reason: str) -> bool:
        """Correct a count; False when this adjustment was booked before. Raises StockError."""
        booking = self.model.adjust(adjustment_id, sku, quantity_delta)
        if booking is not None:
            self._change_stock("adjustment", booking, adjustment_id, reason)
        return booking is not None

    def receive_goods(self, receipt_id: str, sku: str, quantity: int, reason: str) -> bool:
        """Put goods away; False when this receipt was booked before. Raises StockError."""
        booking = self.model.receive(receipt_id, sku, quantity)
        if booking is not None:
            self._change_stock("receipt", booking, receipt_id, reason)
        return booking is not None

    def stock_of(self, sku: str) -> int:
        """Units of a sku that are on hand and not held."""
        level = self.level_of(sku)
        return level.on_hand - level.held

    def level_of(self, sku: str) -> Level:
        """On hand and held of a sku over all locations; zeros for one that was never stocked."""
        return self.model.stock.level(sku) if self.model.stock.knows(sku) else Level(0, 0)

    def _schedule_departure(self) -> None:
        if not self._departure_due:
            self._departure_due = True
            slot_us = next_slot_us(self.world.now_us(), self.profile.departure_every, self.profile.hours)
            self.world.process("departure", self._depart_at(slot_us), self.name)

    def _depart_at(self, slot_us: int) -> Events:
        yield self.world.env.timeout(slot_us - self.world.now_us())
        self._departure_due = False
        self._depart()

    def _depart(self) -> None:
        """Ship what stands at the dock."""
        raise NotImplementedError

    def _correct(self, _fault: Fault, reference: str, sku: str, units: int) -> None:
        """Book what a count found."""
        self.adjust(reference, sku, units, "cycle count")

    def _change_stock(self, cause: str, booking: Booking, reference: str, reason: str) -> None:
        self._book_change(booking, reference, reason)
        self._tell_change(cause, booking, reference)

    def _tell_change(self, cause: str, booking: Booking, reference: str) -> None:
        """Nobody is told, unless a kind of node says otherwise: who reads the stock sees it."""

    def _book_opening(self, movements: Iterable[Movement]) -> None:
        for movement in movements:
            self._book_movement(movement, None)

    def _book_change(self, booking: Booking, reference: str, reason: str) -> None:
        for movement in booking.movements:
            self._book_movement(movement, booking.sequence, business_key=reference, reason=reason)

    def _book_movement(
        self,
        movement: Movement,
        sequence: int | None,
        *,
        business_key: str = "",
        customer_id: str = "",
        order_reference: str = "",
        line_no: int | None = None,
        correlation_id: str = "",
        shipment_id: str = "",
        parcel_id: str = "",
        tracking_number: str = "",
        reason: str = "",
    ) -> None:
        """Book what happened to a bin, and what it happened for."""
        self.ledger.book(
            movement.kind,
            location=movement.location,
            business_key=business_key,
            customer_id=customer_id,
            order_reference=order_reference,
            line_no=line_no,
            sku=movement.sku,
            quantity=movement.quantity,
            balance=movement.balance,
            held_balance=movement.held_balance,
            stock_sequence=sequence,
            correlation_id=correlation_id,
            shipment_id=shipment_id,
            parcel_id=parcel_id,
            tracking_number=tracking_number,
            reason=reason,
        )
