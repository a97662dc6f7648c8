"""A partner's own append-only books. What is written here is the evidence that the verdict rests on."""

from collections import Counter
from typing import TypedDict, Unpack, cast

from simulators.kernel import World


class Entry(TypedDict, total=False):
    """The columns of an entry beside its kind; `quantity` is signed base units, balances are those after the entry."""

    location: str
    business_key: str
    customer_id: str
    order_reference: str
    line_no: int | None
    sku: str
    quantity: int
    balance: int | None
    held_balance: int | None
    amount_minor: int | None
    tax_minor: int | None
    currency: str
    correlation_id: str
    shipment_id: str
    parcel_id: str
    tracking_number: str
    reason: str
    status: str
    stock_sequence: int | None


class Ledger:
    """Entries of one partner, written through to the evidence at the virtual time of the booking.

    An empty text and None are both left out of the row, and so read back as NULL.
    """

    __slots__ = ("_evidence", "_world", "by_kind", "partner")

    def __init__(self, world: World, partner: str) -> None:
        self._world = world
        self._evidence = world.evidence
        self.partner = partner
        self.by_kind: Counter[str] = Counter()

    @property
    def entries(self) -> int:
        """How many entries there are."""
        return self.by_kind.total()

    def book(self, kind: str, **columns: Unpack[Entry]) -> None:
        """Append one entry; a quantity that is not given is 0."""
        given = cast(dict[str, object], columns)
        if "" in given.values() or None in given.values():
            given = {name: value for name, value in given.items() if value is not None and value != ""}
        given.setdefault("quantity", 0)
        self.by_kind[kind] += 1
        self._evidence.row("ledger", partner=self.partner, kind=kind, at_us=self._world.now_us(), **given)
