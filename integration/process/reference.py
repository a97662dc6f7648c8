"""Customers, items, prices and tax: local copies of what the ERP knows, so that taking an order needs no partner.

A copy is as old as the beginning of its last complete synchronization. What was read from the copies is kept in memory
until the next one.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any, Protocol

from sqlalchemy import Table, bindparam, delete, select
from sqlalchemy.dialects.postgresql import Insert, insert

from contracts.wire import iso, parse_iso
from integration.domain.pricing import ContractPrice
from integration.runtime import Clock
from integration.storage import Database, Transaction, audit
from integration.storage.tables import customers, item_units, items, prices, reference_sync, tax_rates

KINDS = ("customers", "items", "prices", "tax_rates")
BATCH_ROWS = 1_000
# An ERP's `updated_at` may be older than the moment when the row became visible.
OVERLAP_US = 60_000_000

Record = Mapping[str, Any]


class ErpReference(Protocol):
    """What the ERP client offers: every record changed since that wire timestamp (None: all), read page by page.

    Raises ReadFailed when a page can't be had.
    """

    def customers(self, changed_since: str | None) -> Iterable[Record]: ...

    def items(self, changed_since: str | None) -> Iterable[Record]: ...

    def prices(self, changed_since: str | None) -> Iterable[Record]: ...

    def tax_rates(self, changed_since: str | None) -> Iterable[Record]: ...


@dataclass(frozen=True)
class Item:
    """A sellable item; `units` maps each unit to its number of base units."""

    sku: str
    status: str
    tax_category: str
    units: Mapping[str, int]


@dataclass
class ReferenceView:
    """The copies as of one synchronization. `oldest_us` is the age of the oldest kind, None before the first load."""

    version: tuple[tuple[str, int], ...]
    oldest_us: int | None
    customers_synced_at_us: int
    customers: dict[str, Any] = field(default_factory=dict)
    items: dict[str, Item] = field(default_factory=dict)
    prices: dict[tuple[str, str], list[ContractPrice]] = field(default_factory=dict)
    tax_rates: dict[tuple[str, str], int] = field(default_factory=dict)


_SYNCED = select(reference_sync.c.kind, reference_sync.c.synced_at_us).order_by(reference_sync.c.kind)
_CUSTOMER = select(customers).where(customers.c.customer_id == bindparam("customer_id"))
_ITEMS = select(items.c.sku, items.c.status, items.c.tax_category).where(
    items.c.sku.in_(bindparam("skus", expanding=True))
)
_UNITS = select(item_units).where(item_units.c.sku.in_(bindparam("skus", expanding=True)))
_PRICES = select(
    prices.c.sku, prices.c.unit_price_minor, prices.c.currency, prices.c.valid_from_us, prices.c.valid_to_us
).where(prices.c.price_list == bindparam("price_list"), prices.c.sku.in_(bindparam("skus", expanding=True)))
_TAX_RATES = select(tax_rates.c.jurisdiction, tax_rates.c.tax_category, tax_rates.c.rate_bp)


class Reference:
    """Looks up the local copies."""

    def __init__(self) -> None:
        self._view: ReferenceView | None = None

    def view(self, tx: Transaction) -> ReferenceView:
        """The copies as they are now."""
        version = tuple((row.kind, row.synced_at_us) for row in tx.rows(_SYNCED))
        if self._view is None or self._view.version != version:
            synced = dict(version)
            oldest_us = min(synced.values()) if len(synced) == len(KINDS) else None
            self._view = ReferenceView(version, oldest_us, synced.get("customers", 0))
        return self._view

    def customer(self, tx: Transaction, view: ReferenceView, customer_id: str) -> Any:
        """The customer's row, or None."""
        if customer_id not in view.customers:
            row = tx.one(_CUSTOMER, {"customer_id": customer_id})
            if row is None:
                return None
            view.customers[customer_id] = row
        return view.customers[customer_id]

    def items(self, tx: Transaction, view: ReferenceView, skus: Sequence[str]) -> Mapping[str, Item]:
        """Items by sku; those that do not exist are missing."""
        unknown = [sku for sku in skus if sku not in view.items]
        if unknown:
            units: dict[str, dict[str, int]] = {}
            for row in tx.rows_for(_UNITS, "skus", unknown):
                units.setdefault(row.sku, {})[row.unit] = row.factor
            for row in tx.rows_for(_ITEMS, "skus", unknown):
                view.items[row.sku] = Item(row.sku, row.status, row.tax_category, units.get(row.sku, {}))
        return view.items

    def prices(
        self, tx: Transaction, view: ReferenceView, price_list: str, skus: Sequence[str]
    ) -> Mapping[tuple[str, str], Sequence[ContractPrice]]:
        """Prices by price list and sku, whenever they are in force."""
        unknown = [sku for sku in skus if (price_list, sku) not in view.prices]
        if unknown:
            found: dict[tuple[str, str], list[ContractPrice]] = {(price_list, sku): [] for sku in unknown}
            for row in tx.rows_for(_PRICES, "skus", unknown, {"price_list": price_list}):
                price = ContractPrice(row.unit_price_minor, row.currency, row.valid_from_us, row.valid_to_us)
                found[price_list, row.sku].append(price)
            view.prices.update(found)  # whole, for another thread may read it
        return view.prices

    def tax_rates(self, tx: Transaction, view: ReferenceView) -> Mapping[tuple[str, str], int]:
        """Basis points by jurisdiction and tax category."""
        if not view.tax_rates:
            view.tax_rates.update({(row.jurisdiction, row.tax_category): row.rate_bp for row in tx.rows(_TAX_RATES)})
        return view.tax_rates


def _upsert(table: Table) -> Insert:
    statement = insert(table)
    keys = [column.name for column in table.primary_key.columns]
    others = {column.name: statement.excluded[column.name] for column in table.columns if column.name not in keys}
    return statement.on_conflict_do_update(index_elements=keys, set_=others)


_UPSERT_CUSTOMER = _upsert(customers)
_UPSERT_ITEM = _upsert(items)
_UPSERT_UNIT = _upsert(item_units)
_UPSERT_PRICE = _upsert(prices)
_UPSERT_TAX_RATE = _upsert(tax_rates)
_UPSERT_SYNC = _upsert(reference_sync)
_DELETE_UNITS = delete(item_units).where(item_units.c.sku == bindparam("of_sku"))


class ReferenceSync:
    """Keeps the local copies up to date."""

    def __init__(
        self, database: Database, clock: Clock, erp: ErpReference, after_sync: Callable[[], None] = lambda: None
    ) -> None:
        self._database = database
        self._clock = clock
        self._erp = erp
        self._after_sync = after_sync

    def synchronize(self) -> None:
        """Fetch what changed since the last time, kind by kind; raises ReadFailed.

        What was fetched before a failure stays, as do the ages of the kinds that were complete.
        """
        with self._database.read() as tx:
            synced = {row.kind: row.synced_at_us for row in tx.rows(_SYNCED)}
        for kind in KINDS:
            began_at_us = self._clock.now_us()
            since = _iso_or_none(synced.get(kind))
            count = self._copy(kind, since)
            self._database.transact(partial(self._synchronized, kind=kind, began_at_us=began_at_us, count=count))
        self._after_sync()

    def _synchronized(self, tx: Transaction, kind: str, began_at_us: int, count: int) -> None:
        tx.execute(_UPSERT_SYNC, {"kind": kind, "synced_at_us": began_at_us})
        if count:
            audit(tx, self._clock.now_us(), "reference_synchronized", entity="reference", entity_id=kind,
                  detail=f"{count} records")  # fmt: skip

    def _copy(self, kind: str, since: str | None) -> int:
        """Copy what changed, in transactions of some rows each; how many records."""
        erp = self._erp
        sources = {"customers": erp.customers, "items": erp.items, "prices": erp.prices, "tax_rates": erp.tax_rates}
        records = iter(sources[kind](since))
        count = 0
        while batch := list(islice(records, BATCH_ROWS)):
            self._database.transact(partial(_STORES[kind], records=batch))
            count += len(batch)
        return count


def _iso_or_none(synced_at_us: int | None) -> str | None:
    return None if synced_at_us is None else iso(max(0, synced_at_us - OVERLAP_US))


def _store_customers(tx: Transaction, records: Sequence[Record]) -> None:
    tx.execute(_UPSERT_CUSTOMER, [_columns(record, customers, ("updated_at",)) for record in records])


def _store_items(tx: Transaction, records: Sequence[Record]) -> None:
    tx.execute(_UPSERT_ITEM, [_columns(record, items, ("updated_at",)) for record in records])
    tx.execute(_DELETE_UNITS, [{"of_sku": record["sku"]} for record in records])
    units = [
        {"sku": record["sku"], "unit": unit["unit"], "factor": unit["factor"]}
        for record in records
        for unit in record["units"]
    ]
    tx.execute(_UPSERT_UNIT, units)


def _store_prices(tx: Transaction, records: Sequence[Record]) -> None:
    times = ("updated_at", "valid_from", "valid_to")
    tx.execute(_UPSERT_PRICE, [_columns(record, prices, times) for record in records])


def _store_tax_rates(tx: Transaction, records: Sequence[Record]) -> None:
    tx.execute(_UPSERT_TAX_RATE, [_columns(record, tax_rates, ("updated_at",)) for record in records])


_STORES: Mapping[str, Callable[..., None]] = {
    "customers": _store_customers,
    "items": _store_items,
    "prices": _store_prices,
    "tax_rates": _store_tax_rates,
}


def _columns(record: Record, table: Table, times: Sequence[str]) -> dict[str, Any]:
    """The record's fields that the table keeps, with its timestamps as microseconds."""
    named = {f"{name}_us": name for name in times}
    row: dict[str, Any] = {}
    for column in table.columns.keys():  # noqa: SIM118 - it is no dict
        if column in named:
            text = record[named[column]]
            row[column] = None if text is None else parse_iso(text)
        else:
            row[column] = record[column]
    return row
