"""What a carrier knows and its rules: rates, labels, parcels and their scans.

Pure state: no clock, no network. Weights are grams, money integer minor units, times microseconds since the Unix epoch.
What a caller gets wrong is one of::

    CarrierError
    ├── NotFound           no such label or tracking number
    ├── WrongReference     the label belongs to another customer or order, or is void
    ├── AlreadyCollected   the parcel is on its way, its label cannot be voided any more
    └── DuplicateLabel     refused by policy; carries the label that stands
"""

from dataclasses import dataclass, field
from enum import StrEnum


class CarrierError(Exception):
    """Base of what a caller can get wrong."""


class NotFound(CarrierError):
    """No such label or tracking number."""


class WrongReference(CarrierError):
    """The label belongs to another customer or order, or is void."""


class AlreadyCollected(CarrierError):
    """The parcel is on its way, its label cannot be voided any more."""


class DuplicateLabel(CarrierError):
    """Refused by policy."""

    def __init__(self, standing: "Label") -> None:
        super().__init__(f"{standing.bought.label_reference} has a label already: {standing.label_id}")
        self.standing = standing


class DuplicatePolicy(StrEnum):
    RETURN_EXISTING = "return_existing"
    REJECT = "reject"
    CREATE_SECOND = "create_second"


class LabelStatus(StrEnum):
    ACTIVE = "active"
    VOIDED = "voided"


class TrackingStatus(StrEnum):
    PENDING = "pending"
    PICKED_UP = "picked_up"
    IN_TRANSIT = "in_transit"
    ON_HOLD = "on_hold"
    OUT_FOR_DELIVERY = "out_for_delivery"
    DELIVERED = "delivered"
    DELIVERY_DELAYED = "delivery_delayed"
    DELIVERY_FAILED = "delivery_failed"
    RETURN_TO_SENDER = "return_to_sender"


FINAL = frozenset({TrackingStatus.DELIVERED, TrackingStatus.RETURN_TO_SENDER})


@dataclass(frozen=True, slots=True)
class Rate:
    service: str
    amount_minor: int
    currency: str
    transit_days: int


@dataclass(frozen=True, slots=True)
class ContentLine:
    line_no: int
    sku: str
    quantity: int


@dataclass(frozen=True, slots=True)
class BuyLabel:
    """`key` is the Idempotency-Key that it came under."""

    key: str
    label_reference: str
    shipment_reference: str
    customer_id: str
    order_reference: str
    service: str
    weight_g: int
    lines: tuple[ContentLine, ...]
    correlation_id: str


@dataclass(frozen=True, slots=True)
class Scan:
    sequence: int
    status: TrackingStatus
    occurred_at_us: int
    reason: str | None = None


@dataclass(slots=True)
class Label:
    """A paid label and the parcel that wears it; `scans` are its way through the network."""

    label_id: str
    tracking_number: str
    bought: BuyLabel
    amount_minor: int
    currency: str
    transit_days: int
    status: LabelStatus = LabelStatus.ACTIVE
    collected: bool = False
    scans: list[Scan] = field(default_factory=list)

    @property
    def tracking_status(self) -> TrackingStatus:
        return self.scans[-1].status if self.scans else TrackingStatus.PENDING


@dataclass(frozen=True, slots=True)
class Tariff:
    """A service's price: `base_minor` and `per_kg_minor` for each kilogram begun."""

    base_minor: int
    per_kg_minor: int
    transit_days: int

    def amount_minor(self, weight_g: int) -> int:
        return self.base_minor + self.per_kg_minor * -(-weight_g // 1_000)


class Books:
    """The carrier's state. Each method is one booking: it happens entirely, or raises and nothing has changed."""

    def __init__(self, tariffs: dict[str, Tariff], currency: str, duplicates: DuplicatePolicy) -> None:
        self._tariffs = tariffs
        self._currency = currency
        self._duplicates = duplicates
        self.labels: dict[str, Label] = {}
        self._by_reference: dict[str, list[Label]] = {}
        self._by_tracking: dict[str, Label] = {}

    def rates(self, weight_g: int) -> list[Rate]:
        return [
            Rate(service, tariff.amount_minor(weight_g), self._currency, tariff.transit_days)
            for service, tariff in self._tariffs.items()
        ]

    def standing(self, command: BuyLabel) -> Label | None:
        """The label that stands in the way: the active one of the reference, else the voided one of this very key."""
        labels = self._by_reference.get(command.label_reference, ())
        active = next((label for label in labels if label.status is LabelStatus.ACTIVE), None)
        return active or next((label for label in labels if label.bought.key == command.key), None)

    def buy(
        self, command: BuyLabel, label_id: str, tracking_number: str, forgotten: bool = False
    ) -> tuple[Label, bool]:
        """The label, and whether it is new; a label that is `forgotten` does not stand in the way."""
        standing = None if forgotten else self.standing(command)
        if standing is not None and self._duplicates is DuplicatePolicy.RETURN_EXISTING:
            return standing, False
        if standing is not None and self._duplicates is DuplicatePolicy.REJECT:
            raise DuplicateLabel(standing)
        tariff = self._tariffs[command.service]
        amount_minor = tariff.amount_minor(command.weight_g)
        label = Label(label_id, tracking_number, command, amount_minor, self._currency, tariff.transit_days)
        self.labels[label_id] = label
        self._by_reference.setdefault(command.label_reference, []).append(label)
        self._by_tracking[tracking_number] = label
        return label, True

    def labels_of(self, label_reference: str) -> list[Label]:
        return self._by_reference.get(label_reference, [])

    def label(self, label_id: str) -> Label:
        try:
            return self.labels[label_id]
        except KeyError:
            raise NotFound(f"no label {label_id!r}") from None

    def tracked(self, tracking_number: str) -> Label:
        try:
            return self._by_tracking[tracking_number]
        except KeyError:
            raise NotFound(f"no parcel with tracking number {tracking_number!r}") from None

    def void(self, label: Label) -> bool:
        """Whether this call voided it; a label that is void already stays so."""
        if label.status is LabelStatus.VOIDED:
            return False
        if label.collected:
            raise AlreadyCollected(f"{label.label_id} is on a parcel that was collected: it cannot be voided")
        label.status = LabelStatus.VOIDED
        return True

    def collect(self, tracking_number: str) -> Label:
        """Take over a parcel. Refused, as at a real dock: an unknown, void or already collected label."""
        label = self.tracked(tracking_number)
        if label.status is LabelStatus.VOIDED:
            raise WrongReference(f"label {label.label_id} of {tracking_number} is void")
        if label.collected:
            raise AlreadyCollected(f"a parcel with {tracking_number} was collected before")
        label.collected = True
        return label

    def scan(self, label: Label, status: TrackingStatus, occurred_at_us: int, reason: str | None = None) -> Scan:
        scan = Scan(len(label.scans) + 1, status, occurred_at_us, reason)
        label.scans.append(scan)
        return scan
