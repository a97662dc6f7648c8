"""A node's stock by sku and bin: what is on hand, what is held, and what is set aside for releases being worked.

Quantities are base units. Every booking that moves on hand or held takes the next number of the node's stock sequence
(from 1); it may touch several skus and bins. On hand never goes below zero, and held plus allocated never above on
hand: breaking that is this module's own bug and asserted. What the world does wrong (taking more than is there) raises.

    StockError
    ├── InsufficientStock   more was asked than is available
    ├── TooMuchStock        the bins have no room for that
    └── UnknownSku          the node never stocked it
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

MOST_ON_HAND = 100_000_000
"""Units of one sku at one node: the most that the wire can say."""


class StockError(Exception):
    """Base of what callers can get wrong about stock."""


class InsufficientStock(StockError):
    """More was asked than is available."""

    def __init__(self, sku: str, asked: int, available: int) -> None:
        super().__init__(f"{sku}: {asked} asked, {available} available; ask for at most {available}")
        self.sku, self.asked, self.available = sku, asked, available


class TooMuchStock(StockError):
    """The bins have no room for that."""

    def __init__(self, sku: str, quantity: int) -> None:
        super().__init__(f"{sku}: {quantity} more would be above the {MOST_ON_HAND} that a node can hold of one sku")


class UnknownSku(StockError):
    """The node never stocked this sku."""

    def __init__(self, sku: str) -> None:
        super().__init__(f"sku {sku!r} is not stocked here; send a sku from GET /stock")
        self.sku = sku


@dataclass(slots=True)
class Bin:
    """One sku at one location; `allocated` is set aside for releases that are not shipped yet."""

    on_hand: int = 0
    held: int = 0
    allocated: int = 0

    @property
    def available(self) -> int:
        return self.on_hand - self.held - self.allocated


@dataclass(frozen=True, slots=True)
class Pick:
    """So many units of one sku at one location."""

    sku: str
    location: str
    quantity: int


@dataclass(frozen=True, slots=True)
class Content:
    """Units of one order line, as in a parcel, a cancellation or a shipment."""

    line_no: int
    sku: str
    quantity: int


@dataclass(frozen=True, slots=True)
class Missing:
    """What a picker could not take although the books say it is there."""

    quantity: int
    reason: str


@dataclass(frozen=True, slots=True)
class Movement:
    """One ledger entry: a signed quantity at a location, with what is on hand and held there after it."""

    kind: str
    sku: str
    location: str
    quantity: int
    balance: int
    held_balance: int


@dataclass(frozen=True, slots=True)
class Delta:
    """What one booking changed for one sku, all bins together."""

    sku: str
    on_hand_delta: int
    held_delta: int


@dataclass(frozen=True, slots=True)
class Booking:
    """One numbered change of stock: its ledger entries, and the net change per sku in order of first touch."""

    sequence: int
    movements: tuple[Movement, ...]
    deltas: tuple[Delta, ...]


class Level(NamedTuple):
    """One sku over all bins."""

    on_hand: int
    held: int


class Stock:
    """Bins per sku, in picking order: the first location is emptied before the next is touched."""

    def __init__(self, locations: Sequence[str], skus: Iterable[str] = ()) -> None:
        assert locations, "a node needs at least one location"
        self.locations = tuple(locations)
        self.sequence = 0
        self._bins: dict[str, tuple[Bin, ...]] = {sku: self._empty() for sku in skus}

    def _empty(self) -> tuple[Bin, ...]:
        return tuple(Bin() for _ in self.locations)

    def open(self, opening: Mapping[str, int], first_percent: int) -> list[Movement]:
        """Put opening stock in its bins: `first_percent` of each sku, rounded up, in the first, the rest in the last.

        Opening stock is where the sequence starts: it takes no number.
        """
        entries = []
        for sku, quantity in opening.items():
            assert quantity >= 0, f"opening stock of {sku} is {quantity}"
            bins = self._bins[sku] = self._empty()
            first = -(-quantity * first_percent // 100) if len(bins) > 1 else quantity
            bins[0].on_hand += first
            bins[-1].on_hand += quantity - first
            entries += [
                Movement("opening", sku, location, bin_.on_hand, bin_.on_hand, 0)
                for location, bin_ in zip(self.locations, bins, strict=True)
            ]
        return entries

    def knows(self, sku: str) -> bool:
        return sku in self._bins

    def bins(self, sku: str) -> tuple[Bin, ...]:
        try:
            return self._bins[sku]
        except KeyError:
            raise UnknownSku(sku) from None

    def skus(self) -> list[str]:
        """All skus of the node, sorted."""
        return sorted(self._bins)

    def level(self, sku: str) -> Level:
        on_hand = held = 0
        for bin_ in self.bins(sku):
            on_hand += bin_.on_hand
            held += bin_.held
        return Level(on_hand, held)

    def available(self, sku: str) -> int:
        """What a new release could still be given: on hand less held less allocated."""
        return sum(bin_.available for bin_ in self.bins(sku))

    def allocate(self, sku: str, quantity: int) -> list[Pick]:
        """Set aside up to `quantity`, in picking order; the picks sum to less where less is available."""
        picks = []
        for location, bin_ in zip(self.locations, self.bins(sku), strict=True):
            taken = min(quantity, bin_.available)
            if taken > 0:
                bin_.allocated += taken
                picks.append(Pick(sku, location, taken))
                quantity -= taken
        return picks

    def free(self, picks: Iterable[Pick]) -> None:
        """Undo an allocation."""
        for pick in picks:
            bin_ = self._bin(pick.sku, pick.location)
            bin_.allocated -= pick.quantity
            assert bin_.allocated >= 0, f"{pick.sku} at {pick.location}: freed more than was allocated"

    def ship(self, picks: Iterable[Pick]) -> Booking:
        """Take allocated units out of the node; one movement per pick, in order."""
        movements = []
        for pick in picks:
            self._bin(pick.sku, pick.location).allocated -= pick.quantity
            movements.append(self._move("shipped", pick.sku, pick.location, on_hand=-pick.quantity))
        return self._booked(movements)

    def hold(self, picks: Iterable[Pick]) -> Booking:
        """Turn allocated units into held ones: they are on hand by the books, but nobody can find them."""
        movements = []
        for pick in picks:
            self._bin(pick.sku, pick.location).allocated -= pick.quantity
            movements.append(self._move("hold", pick.sku, pick.location, held=pick.quantity))
        return self._booked(movements)

    def unhold(self, picks: Iterable[Pick]) -> Booking:
        """Give held units back to sale."""
        return self._booked([self._move("unhold", pick.sku, pick.location, held=-pick.quantity) for pick in picks])

    def scrap(self, picks: Iterable[Pick]) -> Booking:
        """Write held units off."""
        return self._booked(
            [
                self._move("scrapped", pick.sku, pick.location, on_hand=-pick.quantity, held=-pick.quantity)
                for pick in picks
            ]
        )

    def receive(self, sku: str, quantity: int) -> Booking:
        """Put goods away in the last location of the picking order."""
        assert quantity > 0, f"receipt of {quantity} {sku}"
        self._check_room(sku, quantity)
        return self._booked([self._move("receipt", sku, self.locations[-1], on_hand=quantity)])

    def adjust(self, sku: str, quantity_delta: int) -> Booking:
        """Correct a count, gains and losses at the end of the picking order; raises InsufficientStock, TooMuchStock."""
        if quantity_delta >= 0:
            self._check_room(sku, quantity_delta)
            return self._booked([self._move("adjustment", sku, self.locations[-1], on_hand=quantity_delta)])
        if self.available(sku) < -quantity_delta:
            raise InsufficientStock(sku, -quantity_delta, self.available(sku))
        movements, left = [], -quantity_delta
        for location, bin_ in reversed(list(zip(self.locations, self.bins(sku), strict=True))):
            taken = min(left, bin_.available)
            if taken > 0:
                movements.append(self._move("adjustment", sku, location, on_hand=-taken))
                left -= taken
        return self._booked(movements)

    def _check_room(self, sku: str, quantity: int) -> None:
        if self.level(sku).on_hand + quantity > MOST_ON_HAND:
            raise TooMuchStock(sku, quantity)

    def _bin(self, sku: str, location: str) -> Bin:
        return self.bins(sku)[self.locations.index(location)]

    def _move(self, kind: str, sku: str, location: str, *, on_hand: int = 0, held: int = 0) -> Movement:
        bin_ = self._bin(sku, location)
        bin_.on_hand += on_hand
        bin_.held += held
        assert min(bin_.held, bin_.allocated, bin_.available) >= 0, f"{kind} of {sku} at {location} leaves {bin_}"
        quantity = abs(held) if kind in {"hold", "unhold"} else on_hand
        return Movement(kind, sku, location, quantity, bin_.on_hand, bin_.held)

    def _booked(self, movements: list[Movement]) -> Booking:
        self.sequence += 1
        on_hand: dict[str, int] = {}
        held: dict[str, int] = {}
        for entry in movements:
            moved, kept = _effect(entry)
            on_hand[entry.sku] = on_hand.get(entry.sku, 0) + moved
            held[entry.sku] = held.get(entry.sku, 0) + kept
        deltas = tuple(Delta(sku, moved, held[sku]) for sku, moved in on_hand.items())
        return Booking(self.sequence, tuple(movements), deltas)


class StockKeeper:
    """What a node knows of its goods: the stock, and which adjustments and receipts have been booked."""

    def __init__(self, stock: Stock) -> None:
        self.stock = stock
        self._adjustments: set[str] = set()
        self._receipts: set[str] = set()

    def adjust(self, adjustment_id: str, sku: str, quantity_delta: int) -> Booking | None:
        """Correct a count; None when this adjustment was booked before. Raises UnknownSku or InsufficientStock."""
        if adjustment_id in self._adjustments:
            return None
        booking = self.stock.adjust(sku, quantity_delta)
        self._adjustments.add(adjustment_id)
        return booking

    def receive(self, receipt_id: str, sku: str, quantity: int) -> Booking | None:
        """Put goods away; None when this receipt was booked before. Raises UnknownSku."""
        if receipt_id in self._receipts:
            return None
        booking = self.stock.receive(sku, quantity)
        self._receipts.add(receipt_id)
        return booking


def _effect(entry: Movement) -> tuple[int, int]:
    """What an entry does to on hand and to held."""
    if entry.kind == "hold":
        return 0, entry.quantity
    if entry.kind == "unhold":
        return 0, -entry.quantity
    if entry.kind == "scrapped":
        return entry.quantity, entry.quantity
    return entry.quantity, 0


def content_rows(contents: Sequence[Content]) -> list[dict[str, object]]:
    """Lines of a parcel or a shipment as they go over the wire."""
    return [{"line_no": each.line_no, "sku": each.sku, "quantity": each.quantity} for each in contents]


def split(picks: Sequence[Pick], quantity: int) -> tuple[list[Pick], list[Pick]]:
    """The first `quantity` units of some picks, and the rest, both in order."""
    first: list[Pick] = []
    rest: list[Pick] = []
    for pick in picks:
        taken = min(quantity, pick.quantity)
        quantity -= taken
        if taken:
            first.append(Pick(pick.sku, pick.location, taken))
        if taken < pick.quantity:
            rest.append(Pick(pick.sku, pick.location, pick.quantity - taken))
    return first, rest
