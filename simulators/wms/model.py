"""What a warehouse knows and what it allows: releases, their states, and the stock that they move. Knows no clock.

    received -> released -> picking -> picked -> packed -> labelled -> shipped
        └─────────┴-> cancelled  └-> short (nothing of it could be picked)

A release is allocated when its wave is planned, not before: two releases may hope for the same units until then, and
stock that shrinks in between makes the later one short.

    WmsError
    ├── UnknownRelease      no release has this id
    ├── DuplicateRelease    the id was used and the vendor refuses a second one
    ├── TooLateToCancel     picking has begun
    ├── ConflictingState    a parcel has left, or was never packed
    └── Misplaced           the request contradicts the release; carries a JSON pointer
        ├── UnknownSkus     a line asks for what the warehouse never stocked
        ├── UnknownLine     the release has no such line
        ├── UnknownParcel   the release has no such parcel
        └── QuantityExceeded  more than is open on the line
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from simulators.partnerkit.memory import DuplicatePolicy
from simulators.partnerkit.stock import Booking, Content, Missing, Movement, Pick, Stock, StockKeeper, split

FORWARD, RESERVE = "FORWARD", "RESERVE"


class Status(StrEnum):
    RECEIVED = "received"
    RELEASED = "released"
    PICKING = "picking"
    PICKED = "picked"
    SHORT = "short"
    PACKED = "packed"
    LABELLED = "labelled"
    SHIPPED = "shipped"
    CANCELLED = "cancelled"


FINAL = frozenset({Status.SHORT, Status.SHIPPED, Status.CANCELLED})
CANCELLABLE = frozenset({Status.RECEIVED, Status.RELEASED})
PACKED_OR_LATER = frozenset({Status.PACKED, Status.LABELLED, Status.SHIPPED})


class WmsError(Exception):
    """Base of what a warehouse refuses."""


class UnknownRelease(WmsError):
    def __init__(self, release_id: str) -> None:
        super().__init__(f"no release {release_id!r} here; post it first")


class DuplicateRelease(WmsError):
    def __init__(self, release_id: str) -> None:
        super().__init__(f"release {release_id!r} exists already; read it with GET /releases/{release_id}")
        self.release_id = release_id


class TooLateToCancel(WmsError):
    def __init__(self, release_id: str, status: Status) -> None:
        super().__init__(f"release {release_id!r} is {status}; it can be cancelled only before picking begins")


class ConflictingState(WmsError):
    """The message names the state."""


class Misplaced(WmsError):
    """`pointer` is the JSON pointer of the offending member."""

    def __init__(self, message: str, pointer: str) -> None:
        super().__init__(message)
        self.pointer = pointer


class UnknownSkus(Misplaced):
    def __init__(self, skus: Sequence[str], pointer: str) -> None:
        super().__init__(f"skus {', '.join(skus)} are not stocked here; send only skus from GET /stock", pointer)


class UnknownLine(Misplaced):
    pass


class UnknownParcel(Misplaced):
    pass


class QuantityExceeded(Misplaced):
    pass


@dataclass(slots=True)
class Line:
    """quantity = asked; cancelled + picked + short never exceed it."""

    line_no: int
    sku: str
    quantity: int
    cancelled: int = 0
    picked: int = 0
    short: int = 0
    shipped: int = 0
    reason: str | None = None
    picks: list[Pick] = field(default_factory=list)

    @property
    def open(self) -> int:
        return self.quantity - self.cancelled


@dataclass(slots=True)
class Parcel:
    parcel_id: str
    weight_g: int
    contents: tuple[Content, ...]
    tracking_number: str | None = None
    shipment_id: str = ""
    shipped_at_us: int = 0


@dataclass(frozen=True, slots=True)
class Packing:
    """Parcels of up to `parcel_max_weight_g`; a release above `parcels_at_most` times that travels on pallets."""

    parcel_max_weight_g: int
    parcels_at_most: int = 20
    pallet_max_weight_g: int = 600_000


@dataclass(slots=True)
class Release:
    """`copy` is 1, or higher where the vendor made another release of the same id."""

    release_id: str
    customer_id: str
    order_reference: str
    service: str
    lines: dict[int, Line]
    correlation_id: str = ""
    copy: int = 1
    status: Status = Status.RECEIVED
    parcels: list[Parcel] = field(default_factory=list)
    shipment_id: str = ""
    cancel_keys: tuple[str, ...] = ()

    @property
    def mark(self) -> str:
        """A name that is unique among copies too."""
        return self.release_id if self.copy == 1 else f"{self.release_id}.{self.copy}"


@dataclass(frozen=True, slots=True)
class Picked:
    """How a pick ended.

    `shorts` are (line, quantity, reason); `hold` is the booking that put the missing units on hold, if there were any,
    and `hold_line_nos` names the line of each of its movements, in order.
    """

    shorts: tuple[tuple[Line, int, str], ...]
    hold: Booking | None
    hold_line_nos: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Shipped:
    """`line_nos` names the line of each movement of the booking, in order."""

    booking: Booking
    line_nos: tuple[int, ...]


class Warehouse(StockKeeper):
    """Releases and stock of one site. `weights_g` is grams per unit; a sku without weight counts 1 g."""

    def __init__(
        self,
        weights_g: Mapping[str, int],
        packing: Packing,
        duplicates: DuplicatePolicy = DuplicatePolicy.RETURN_EXISTING,
    ) -> None:
        super().__init__(Stock((FORWARD, RESERVE), weights_g))
        self.releases: dict[str, list[Release]] = {}
        self.open_releases = 0
        self._weights_g = weights_g
        self._packing = packing
        self._duplicates = duplicates
        self._sequences: dict[str, int] = {}

    def open(self, opening: Mapping[str, int], forward_percent: int) -> list[Movement]:
        return self.stock.open(opening, forward_percent)

    def find(self, release_id: str) -> Release:
        """The release of this id, the newest where the vendor made several."""
        return self._copies(release_id)[-1]

    def accept(self, release: Release, forgotten: bool = False) -> tuple[Release, bool]:
        """Take a release in. The answer is what the warehouse now has under that id, and whether it is new.

        One that is `forgotten` is not recognized, whatever the policy.
        """
        copies = self.releases.get(release.release_id, [])
        if copies and self._duplicates is DuplicatePolicy.RETURN_EXISTING and not forgotten:
            return copies[-1], False
        if copies and self._duplicates is DuplicatePolicy.REJECT and not forgotten:
            raise DuplicateRelease(release.release_id)
        unknown = [number for number, line in enumerate(release.lines.values()) if not self.stock.knows(line.sku)]
        if unknown:
            lines = list(release.lines.values())
            raise UnknownSkus([lines[number].sku for number in unknown], f"/lines/{unknown[0]}/sku")
        release.copy = len(copies) + 1
        self.releases[release.release_id] = [*copies, release]
        self.open_releases += 1
        return release, True

    def next_sequence(self, release_id: str) -> int:
        """Number of the next event about a release id, from 1; copies share the count."""
        number = self._sequences.get(release_id, 0) + 1
        self._sequences[release_id] = number
        return number

    def sequence_of(self, release_id: str) -> int:
        """Number of the latest event about a release id; 0 before the first."""
        return self._sequences.get(release_id, 0)

    def plan(self, release: Release) -> None:
        """Put a release in a wave: allocate what is there, forward bin first."""
        self._advance(release, Status.RECEIVED, Status.RELEASED)
        for line in release.lines.values():
            line.picks = self.stock.allocate(line.sku, line.open)

    def begin_picking(self, release: Release) -> None:
        self._advance(release, Status.RELEASED, Status.PICKING)

    def finish_picking(self, release: Release, missing: Mapping[int, Missing]) -> Picked:
        """End a pick. `missing` by line number; what was never allocated is short as `stockout`."""
        shorts: list[tuple[Line, int, str]] = []
        lost: list[tuple[int, Pick]] = []
        for line in release.lines.values():
            absent = missing.get(line.line_no)
            if absent is not None:
                not_found, line.picks = split(line.picks, absent.quantity)
                lost += [(line.line_no, pick) for pick in not_found]
                _add_short(line, sum(pick.quantity for pick in not_found), absent.reason, shorts)
            line.picked = sum(pick.quantity for pick in line.picks)
            _add_short(line, line.open - line.picked - line.short, "stockout", shorts)
        hold = self.stock.hold(pick for _, pick in lost) if lost else None
        nothing = all(line.picked == 0 for line in release.lines.values())
        self._advance(release, Status.PICKING, Status.SHORT if nothing else Status.PICKED)
        return Picked(tuple(shorts), hold, tuple(line_no for line_no, _ in lost))

    def pack(self, release: Release, at_least: int = 1) -> list[Parcel]:
        """Fill parcels (or pallets) line by line up to the weight cap; a single unit above the cap travels alone.

        With `at_least` two, what would fit into one parcel is halved, as far as it has two units.
        """
        self._advance(release, Status.PICKED, Status.PACKED)
        filled = self._fill(release)
        if len(filled) < at_least:
            filled = [(self._weight_g(contents), contents) for contents in _halves(filled[0][1])]
        release.parcels = [
            Parcel(f"{release.mark}.P{number}", weight_g, contents)
            for number, (weight_g, contents) in enumerate(filled, start=1)
        ]
        return release.parcels

    def attach_labels(self, release_id: str, tracking_numbers: Mapping[str, str]) -> tuple[Release, bool]:
        """Put tracking numbers on parcels, by parcel id; all or nothing. True when that made the release ready to ship.

        Of several copies the one is meant that has the first parcel named.
        """
        release = self._holder(release_id, next(iter(tracking_numbers)))
        parcels = {parcel.parcel_id: parcel for parcel in release.parcels}
        if not parcels:
            raise ConflictingState(f"release {release_id!r} is {release.status}; it has no parcels to label yet")
        for number, (parcel_id, tracking_number) in enumerate(tracking_numbers.items()):
            parcel = parcels.get(parcel_id)
            if parcel is None:
                known = ", ".join(parcels)
                raise UnknownParcel(
                    f"release {release_id!r} has no parcel {parcel_id!r}; it has {known}",
                    f"/parcels/{number}/parcel_id",
                )
            if release.status is Status.SHIPPED and parcel.tracking_number != tracking_number:
                raise ConflictingState(f"parcel {parcel_id!r} has left with label {parcel.tracking_number!r}")
        for parcel_id, tracking_number in tracking_numbers.items():
            parcels[parcel_id].tracking_number = tracking_number
        ready = release.status is Status.PACKED and all(parcel.tracking_number for parcel in release.parcels)
        if ready:
            self._advance(release, Status.PACKED, Status.LABELLED)
        return release, ready

    def ship(
        self, release: Release, shipment_id: str, parcels: Sequence[Parcel] | None = None, at_us: int = 0
    ) -> Shipped:
        """Load parcels of a labelled release, all of them unless told: what is in them leaves the books, bin by bin.

        With the last of them the release is shipped.
        """
        parcels = release.parcels if parcels is None else parcels
        assert release.status is Status.LABELLED, f"release {release.mark} is {release.status}, not labelled"
        release.shipment_id = shipment_id
        for parcel in parcels:
            parcel.shipment_id, parcel.shipped_at_us = shipment_id, at_us
        units = units_by_line(parcels)
        picks: list[tuple[int, Pick]] = []
        for line in release.lines.values():
            leaving, line.picks = split(line.picks, units.get(line.line_no, 0))
            line.shipped += units.get(line.line_no, 0)
            picks += [(line.line_no, pick) for pick in leaving]
        booking = self.stock.ship(pick for _, pick in picks)
        if all(parcel.shipment_id for parcel in release.parcels):
            self._advance(release, Status.LABELLED, Status.SHIPPED)
        return Shipped(booking, tuple(line_no for line_no, _ in picks))

    def cancel(self, release_id: str, quantities: Mapping[int, int], key: str) -> tuple[Release, list[Content]]:
        """Cancel quantities by line number, all or nothing; the answer lists what this call cancelled.

        `key` makes the call repeatable: the same key again changes nothing. A cancelled release stays so.
        """
        release = self.find(release_id)
        if key in release.cancel_keys or release.status is Status.CANCELLED:
            return release, []
        if release.status not in CANCELLABLE:
            raise TooLateToCancel(release_id, release.status)
        for number, (line_no, quantity) in enumerate(quantities.items()):
            line = release.lines.get(line_no)
            if line is None:
                raise UnknownLine(f"release {release_id!r} has no line {line_no}", f"/lines/{number}/line_no")
            if quantity > line.open:
                message = f"line {line_no} has {line.open} left to cancel, not {quantity}"
                raise QuantityExceeded(message, f"/lines/{number}/quantity")
        release.cancel_keys += (key,)
        cancelled = [self._cancel_line(release.lines[line_no], quantity) for line_no, quantity in quantities.items()]
        if all(line.open == 0 for line in release.lines.values()):
            self._advance(release, release.status, Status.CANCELLED)
        return release, cancelled

    def overlook(self, release: Release, cancelled: Sequence[Content]) -> Release:
        """The floor never heard of a cancellation: what was cancelled stands as another copy of the release."""
        copies = self.releases[release.release_id]
        ghost = Release(
            release.release_id,
            release.customer_id,
            release.order_reference,
            release.service,
            {each.line_no: Line(each.line_no, each.sku, each.quantity) for each in cancelled},
            release.correlation_id,
            copy=len(copies) + 1,
        )
        self.releases[release.release_id] = [*copies, ghost]
        self.open_releases += 1
        return ghost

    def recount(self, picks: Sequence[Pick], found: bool) -> Booking:
        """Settle held units: what was found goes back to sale, what was not is written off."""
        return self.stock.unhold(picks) if found else self.stock.scrap(picks)

    def _copies(self, release_id: str) -> list[Release]:
        try:
            return self.releases[release_id]
        except KeyError:
            raise UnknownRelease(release_id) from None

    def _holder(self, release_id: str, parcel_id: str) -> Release:
        copies = self._copies(release_id)
        if len(copies) > 1:
            for release in copies:
                if any(parcel.parcel_id == parcel_id for parcel in release.parcels):
                    return release
        return copies[-1]

    def _advance(self, release: Release, before: Status, after: Status) -> None:
        assert release.status is before, f"release {release.mark} is {release.status}, not {before}"
        release.status = after
        self.open_releases -= after in FINAL

    def _cancel_line(self, line: Line, quantity: int) -> Content:
        line.cancelled += quantity
        surplus = sum(pick.quantity for pick in line.picks) - line.open
        if surplus > 0:
            kept, freed = split(line.picks, line.open)
            self.stock.free(freed)
            line.picks = kept
        return Content(line.line_no, line.sku, quantity)

    def _weight_g(self, contents: Sequence[Content]) -> int:
        return sum(each.quantity * max(1, self._weights_g.get(each.sku, 1)) for each in contents)

    def _cap_g(self, release: Release) -> int:
        rules = self._packing
        total_g = sum(line.picked * self._weights_g.get(line.sku, 1) for line in release.lines.values())
        on_pallets = total_g > rules.parcel_max_weight_g * rules.parcels_at_most
        return rules.pallet_max_weight_g if on_pallets else rules.parcel_max_weight_g

    def _fill(self, release: Release) -> list[tuple[int, tuple[Content, ...]]]:
        cap_g = self._cap_g(release)
        filled: list[tuple[int, tuple[Content, ...]]] = []
        contents: list[Content] = []
        weight_g = 0
        for line in release.lines.values():
            unit_g = max(1, self._weights_g.get(line.sku, 1))
            left = line.picked
            while left:
                fitting = min(left, (cap_g - weight_g) // unit_g)
                if fitting <= 0 and contents:
                    filled.append((weight_g, tuple(contents)))
                    contents, weight_g = [], 0
                    continue
                taken = max(1, fitting)
                contents.append(Content(line.line_no, line.sku, taken))
                weight_g += taken * unit_g
                left -= taken
        filled.append((weight_g, tuple(contents)))
        return filled


def units_by_line(parcels: Sequence[Parcel]) -> dict[int, int]:
    """Units in parcels, by line number."""
    units: dict[int, int] = {}
    for parcel in parcels:
        for content in parcel.contents:
            units[content.line_no] = units.get(content.line_no, 0) + content.quantity
    return units


def _halves(contents: Sequence[Content]) -> list[tuple[Content, ...]]:
    """The first half of the units, rounded up, and the rest; one part where there is one unit."""
    left = -(-sum(each.quantity for each in contents) // 2)
    first: list[Content] = []
    rest: list[Content] = []
    for each in contents:
        taken = min(left, each.quantity)
        left -= taken
        if taken:
            first.append(Content(each.line_no, each.sku, taken))
        if taken < each.quantity:
            rest.append(Content(each.line_no, each.sku, each.quantity - taken))
    return [tuple(part) for part in (first, rest) if part]


def _add_short(line: Line, quantity: int, reason: str, shorts: list[tuple[Line, int, str]]) -> None:
    if quantity > 0:
        line.short += quantity
        line.reason = line.reason or reason
        shorts.append((line, quantity, reason))
