"""The carrier at work: labels take their time, and collected parcels travel for days, scanned on their way."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import simpy
from pydantic import Field

from contracts.wire import iso
from simulators.carrier.model import (
    Books,
    BuyLabel,
    CarrierError,
    DuplicatePolicy,
    Label,
    Rate,
    Tariff,
    TrackingStatus,
)
from simulators.kernel import Chance, World
from simulators.partnerkit import (
    Desk,
    DeskSettings,
    Duration,
    Keys,
    KeySettings,
    Ledger,
    Pace,
    Profile,
    RateLimit,
    StaticTokens,
    Webhooks,
    WebhookSettings,
    service_time_us,
)
from simulators.partnerkit.limits import LimitSettings
from simulators.partnerkit.memory import Memory

_MINUTE_US = 60_000_000
_HOUR_US = 60 * _MINUTE_US
_DAY_US = 24 * _HOUR_US


class TariffSettings(Profile):
    """A price in minor units: a base, and so much for each kilogram begun."""

    base_minor: int = Field(ge=0)
    per_kg_minor: int = Field(ge=0)
    transit_days: int = Field(ge=1)


class Span(Profile):
    """A duration drawn evenly from `low` to `high`."""

    low: Duration = Field(ge=0)
    high: Duration = Field(ge=0)

    def draw_us(self, chance: Chance, place: str, *key: object) -> int:
        return chance.integer(self.low, self.high, place, *key)


class Travel(Profile):
    """How parcels travel. Spans after the step before; shares (0 to 1) of parcels that meet an incident."""

    pick_up: Span
    depart: Span
    hub: Span
    round_hours: tuple[int, int] = (6, 9)
    """Hours of the day (UTC) between which vans leave for their round."""
    deliver: Span
    hold: Span
    search: Span
    held_share: float = Field(default=0.0, ge=0, le=1)
    delayed_share: float = Field(default=0.0, ge=0, le=1)
    failed_share: float = Field(default=0.0, ge=0, le=1)
    bad_address_share: float = Field(default=0.0, ge=0, le=1)
    lost_share: float = Field(default=0.0, ge=0, le=1)


class CarrierProfile(Profile):
    """How this carrier behaves."""

    summary: str = ""
    duplicate_policy: DuplicatePolicy = DuplicatePolicy.RETURN_EXISTING
    currency: str = "GBP"
    standard: TariffSettings
    express: TariffSettings
    desk: DeskSettings
    quota: LimitSettings | None = None
    keys: KeySettings = KeySettings()
    read: Pace
    label: Pace
    void: Pace
    webhooks: WebhookSettings = WebhookSettings()
    travel: Travel


@dataclass(frozen=True, slots=True)
class Step:
    """A scan to come: when (microseconds since the Unix epoch), what, and why if it is an incident."""

    at_us: int
    status: TrackingStatus
    reason: str | None = None


class Carrier:
    """One carrier: its books, its desk, its subscribers, and the parcels on their way."""

    def __init__(
        self,
        world: World,
        name: str,
        profile: CarrierProfile,
        credentials: Mapping[str, str] | None = None,
    ) -> None:
        """`credentials` is bearer token to client."""
        self.world = world
        self.name = name
        self.profile = profile
        tariffs = {
            service: Tariff(settings.base_minor, settings.per_kg_minor, settings.transit_days)
            for service, settings in (("standard", profile.standard), ("express", profile.express))
        }
        self.books = Books(tariffs, profile.currency, profile.duplicate_policy)
        self.ledger = Ledger(world, name)
        self.desk = Desk(world, name, profile.desk)
        self.tokens = StaticTokens(credentials or {f"token-{name}": "integration"})
        self.limit = RateLimit(world, profile.quota, name)
        self.keys = Keys(world, name, profile.keys)
        self.webhooks = Webhooks(world, name, profile.webhooks, self.ledger)
        self._memory = Memory(world, name)
        self.scans = 0
        self._writes_in_work = 0
        self._travelling = 0

    def start(self) -> None:
        """Begin a life of the host. After a crash: what is booked stands, undelivered webhooks are taken up again."""
        self.desk.restart()
        self.keys.restart()
        self._writes_in_work = 0
        self.webhooks.resume()

    @contextmanager
    def reading(self, what: str) -> Iterator[None]:
        """Hold a place at the desk for one read."""
        now_us = self.world.now_us()
        with self.desk.served(service_time_us(self.world, self.name, self.profile.read, "carrier-read", what, now_us)):
            yield

    def rates(self, weight_g: int) -> list[Rate]:
        with self.reading("rates"):
            return self.books.rates(weight_g)

    def buy_label(self, command: BuyLabel) -> tuple[Label, bool]:
        """The label, and whether this call bought it."""
        with self._writing(self.profile.label, "carrier-label", command.label_reference):
            number = len(self.books.labels) + 1
            digits = self.world.chance.hex(6, "carrier-label-id", number)
            forgotten = self._memory.forgot(command.label_reference)
            label, new = self.books.buy(
                command, f"LBL-{number:06d}-{digits}", f"PK{number:09d}GB{digits.upper()}", forgotten
            )
            if new:
                self._enter_label(label)
        return label, new

    def void_label(self, label: Label, correlation_id: str) -> Label:
        """The label after it was voided; voiding it again changes nothing."""
        with self._writing(self.profile.void, "carrier-void", label.label_id):
            if self.books.void(label):
                self._enter("label_voided", label, correlation_id, amount_minor=-label.amount_minor)
        return label

    def collect(self, tracking_numbers: Sequence[str]) -> None:
        """The parcels that a warehouse hands over at its dock; from now on they travel and are scanned.

        A departure that the carrier misses is collected a day later, or when the fault says.
        """
        missed = self.world.faults.in_force("missed_pickup", self.name)
        if missed is not None:
            self.world.faults.record(missed, f"{len(tracking_numbers)} parcels left at the dock")
            later = self._collect_later(tracking_numbers, missed.delay_us or _DAY_US)
            self.world.process("missed pickup", later, self.name)
            return
        self._take_over(tracking_numbers)

    def _collect_later(self, tracking_numbers: Sequence[str], delay_us: int) -> Generator[simpy.Event, None, None]:
        yield self.world.env.timeout(delay_us)
        self._take_over(tracking_numbers)

    def _take_over(self, tracking_numbers: Sequence[str]) -> None:
        for tracking_number in tracking_numbers:
            try:
                label = self.books.collect(tracking_number)
            except CarrierError as error:
                self.ledger.book("collection_refused", tracking_number=tracking_number, reason=str(error))
                continue
            self._travelling += 1
            steps = journey(self.world.chance, self.profile.travel, label, self.world.now_us())
            self.world.process(f"parcel {tracking_number}", self._travel(label, steps))

    def gauges(self) -> list[tuple[str, str, str, float]]:
        """The desk, webhooks, and parcels on their way: (name, sku, location, value)."""
        on_their_way = ("parcels_travelling", "", "", float(self._travelling))
        return [*self.desk.gauges(), *self.webhooks.gauges(), on_their_way]

    def quiet(self) -> bool:
        """No write in work, no webhook waiting for a retry. Parcels travel on: first attempts do not count."""
        return self._writes_in_work == 0 and self.webhooks.retrying() == 0

    def _travel(self, label: Label, steps: Sequence[Step]) -> Generator[simpy.Event, None, None]:
        for step in steps:
            yield self.world.env.timeout(step.at_us - self.world.now_us())
            self._scan(label, step)
        self._travelling -= 1

    def _scan(self, label: Label, step: Step) -> None:
        self.scans += 1
        scan = self.books.scan(label, step.status, step.at_us, step.reason)
        bought = label.bought
        self._enter("scan", label, bought.correlation_id, status=scan.status.value, reason=scan.reason or "")
        data: dict[str, object] = {
            "tracking_number": label.tracking_number,
            "label_reference": bought.label_reference,
            "customer_id": bought.customer_id,
            "order_reference": bought.order_reference,
            "status": scan.status.value,
            "sequence": scan.sequence,
            "occurred_at": iso(scan.occurred_at_us),
            "reason": scan.reason,
        }
        self.webhooks.emit("tracking.updated", label.tracking_number, data, bought.correlation_id)

    @contextmanager
    def _writing(self, pace: Pace, place: str, *key: object) -> Iterator[None]:
        self._writes_in_work += 1
        try:
            with self.desk.served(service_time_us(self.world, self.name, pace, place, *key)):
                yield
        finally:
            self._writes_in_work -= 1

    def _enter_label(self, label: Label) -> None:
        self._enter("label", label, label.bought.correlation_id, amount_minor=label.amount_minor)
        for line in label.bought.lines:
            self.ledger.book(
                "label_line",
                business_key=label.bought.label_reference,
                customer_id=label.bought.customer_id,
                order_reference=label.bought.order_reference,
                line_no=line.line_no,
                sku=line.sku,
                quantity=line.quantity,
                parcel_id=label.bought.label_reference,
                tracking_number=label.tracking_number,
                correlation_id=label.bought.correlation_id,
            )

    def _enter(
        self,
        kind: str,
        label: Label,
        correlation_id: str,
        *,
        amount_minor: int | None = None,
        status: str = "",
        reason: str = "",
    ) -> None:
        bought = label.bought
        self.ledger.book(
            kind,
            business_key=bought.label_reference,
            customer_id=bought.customer_id,
            order_reference=bought.order_reference,
            amount_minor=amount_minor,
            currency="" if amount_minor is None else label.currency,
            parcel_id=bought.label_reference,
            tracking_number=label.tracking_number,
            status=status or label.status.value,
            reason=reason,
            correlation_id=correlation_id,
        )


def journey(chance: Chance, travel: Travel, label: Label, collected_at_us: int) -> list[Step]:
    """All scans of a parcel in order of time, drawn by its label reference.

    Picked up, departed, through the hubs of its transit days, out on a round, delivered; incidents by their shares:
    held, delayed, one failed round, a bad address (two failed rounds, then back), lost.
    """
    key = label.tracking_number
    at_us = collected_at_us + travel.pick_up.draw_us(chance, "pick-up", key)
    steps = [Step(at_us, TrackingStatus.PICKED_UP)]
    at_us += travel.depart.draw_us(chance, "depart", key)
    steps.append(Step(at_us, TrackingStatus.IN_TRANSIT))
    if chance.hit(travel.lost_share, "lost", key):
        at_us += travel.search.draw_us(chance, "search", key)
        return [*steps, Step(at_us, TrackingStatus.DELIVERY_FAILED, "lost")]
    if chance.hit(travel.held_share, "held", key):
        at_us += travel.depart.draw_us(chance, "held-after", key)
        steps.append(Step(at_us, TrackingStatus.ON_HOLD, "address_check"))
        at_us += travel.hold.draw_us(chance, "hold", key)
        steps.append(Step(at_us, TrackingStatus.IN_TRANSIT))
    at_us += travel.hub.draw_us(chance, "hub", key) + (label.transit_days - 1) * _DAY_US
    if chance.hit(travel.delayed_share, "delayed", key):
        steps.append(Step(at_us, TrackingStatus.DELIVERY_DELAYED, "weather"))
        at_us += _DAY_US
    return [*steps, *_rounds(chance, travel, key, at_us)]


def _rounds(chance: Chance, travel: Travel, key: str, ready_at_us: int) -> list[Step]:
    """Rounds of the van until the parcel is delivered or sent back."""
    bad_address = chance.hit(travel.bad_address_share, "bad-address", key)
    failures = 2 if bad_address else int(chance.hit(travel.failed_share, "failed", key))
    steps: list[Step] = []
    at_us = ready_at_us
    for number in range(1, failures + 1):
        at_us = _next_round_us(chance, travel, key, at_us, number)
        steps.append(Step(at_us, TrackingStatus.OUT_FOR_DELIVERY))
        at_us += travel.deliver.draw_us(chance, "attempt", key, number)
        reason = "bad_address" if bad_address else "recipient_absent"
        steps.append(Step(at_us, TrackingStatus.DELIVERY_FAILED, reason))
    if bad_address:
        return [*steps, Step(at_us + travel.search.low, TrackingStatus.RETURN_TO_SENDER, "bad_address")]
    at_us = _next_round_us(chance, travel, key, at_us, failures + 1)
    steps.append(Step(at_us, TrackingStatus.OUT_FOR_DELIVERY))
    return [*steps, Step(at_us + travel.deliver.draw_us(chance, "deliver", key), TrackingStatus.DELIVERED)]


def _next_round_us(chance: Chance, travel: Travel, key: str, after_us: int, number: int) -> int:
    """When the parcel leaves on the first round that begins after it is ready."""
    opens, closes = (hour * _HOUR_US for hour in travel.round_hours)
    midnight_us = after_us - after_us % _DAY_US
    first_us = midnight_us + opens
    if first_us <= after_us:
        first_us += _DAY_US
    return first_us + chance.integer(0, closes - opens, "round", key, number)
