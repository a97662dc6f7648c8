"""Reference data: copied page by page, only what changed, and looked up from memory until the next time."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import func, select

from contracts.wire import iso
from integration.domain.pricing import ContractPrice
from integration.process.reference import OVERLAP_US, Reference, ReferenceSync
from integration.runtime import Clock, ReadFailed
from integration.storage import Database
from integration.storage.tables import prices

EPOCH = iso(0)
CUSTOMER = {
    "customer_id": "C1",
    "name": "Gift Shop",
    "status": "active",
    "segment": "retail",
    "country": "GB",
    "tax_jurisdiction": "GB",
    "currency": "GBP",
    "price_list": "STD",
    "credit_limit_minor": 1000,
    "credit_exposure_minor": 10,
    "updated_at": EPOCH,
}
ITEM = {
    "sku": "A",
    "description": "a thing",
    "status": "active",
    "tax_category": "standard",
    "units": [{"unit": "EA", "factor": 1}, {"unit": "CS", "factor": 12}],
    "weight_g": 100,
    "updated_at": EPOCH,
}
PRICE = {
    "price_list": "STD",
    "sku": "A",
    "unit_price_minor": 250,
    "currency": "GBP",
    "valid_from": EPOCH,
    "valid_to": None,
    "updated_at": EPOCH,
}
TAX_RATE = {"jurisdiction": "GB", "tax_category": "standard", "rate_bp": 2000, "updated_at": EPOCH}


class FakeErp:
    """Serves its collections; a failing one breaks off after its first record."""

    def __init__(self) -> None:
        self.records: dict[str, list[dict[str, Any]]] = {
            "customers": [CUSTOMER],
            "items": [ITEM],
            "prices": [PRICE],
            "tax_rates": [TAX_RATE],
        }
        self.failing: list[str] = []
        self.calls: list[tuple[str, str | None]] = []

    def customers(self, changed_since: str | None) -> Iterator[dict[str, Any]]:
        return self._serve("customers", changed_since)

    def items(self, changed_since: str | None) -> Iterator[dict[str, Any]]:
        return self._serve("items", changed_since)

    def prices(self, changed_since: str | None) -> Iterator[dict[str, Any]]:
        return self._serve("prices", changed_since)

    def tax_rates(self, changed_since: str | None) -> Iterator[dict[str, Any]]:
        return self._serve("tax_rates", changed_since)

    def _serve(self, kind: str, changed_since: str | None) -> Iterator[dict[str, Any]]:
        self.calls.append((kind, changed_since))
        for record in self.records[kind]:
            yield record
            if kind in self.failing:
                raise ReadFailed(kind, "overloaded", 7_000_000)


def test_everything_is_copied_and_found(database: Database, clock: Clock) -> None:
    synced: list[str] = []
    ReferenceSync(database, clock, FakeErp(), lambda: synced.append("done")).synchronize()
    reference = Reference()
    with database.read() as tx:
        view = reference.view(tx)
        assert view.oldest_us == clock.now_us()
        assert reference.customer(tx, view, "C1").price_list == "STD"
        assert reference.customer(tx, view, "C2") is None
        item = reference.items(tx, view, ["A", "B"])["A"]
        assert (item.status, item.units) == ("active", {"EA": 1, "CS": 12})
        assert "B" not in reference.items(tx, view, ["A", "B"])
        found = reference.prices(tx, view, "STD", ["A", "B"])
        assert (found["STD", "A"], found["STD", "B"]) == ([ContractPrice(250, "GBP", 0, None)], [])
        assert reference.tax_rates(tx, view) == {("GB", "standard"): 2000}
        assert reference.view(tx) is view
    assert synced == ["done"]


def test_the_second_time_only_changes_are_asked_for_and_they_replace(database: Database, clock: Clock) -> None:
    erp, reference = FakeErp(), Reference()
    sync = ReferenceSync(database, clock, erp)
    first_us = clock.now_us()
    sync.synchronize()
    with database.read() as tx:
        before = reference.view(tx)
        assert reference.prices(tx, before, "STD", ["A"])["STD", "A"][0].unit_price_minor == 250
    clock.sleep(1_000_000)
    erp.records["prices"] = [{**PRICE, "unit_price_minor": 300}]
    erp.records["items"] = [{**ITEM, "units": [{"unit": "EA", "factor": 1}]}]
    erp.calls.clear()
    sync.synchronize()
    assert erp.calls[0] == ("customers", iso(first_us - OVERLAP_US))
    with database.read() as tx:
        after = reference.view(tx)
        assert after is not before
        assert [p.unit_price_minor for p in reference.prices(tx, after, "STD", ["A"])["STD", "A"]] == [300]
        assert reference.items(tx, after, ["A"])["A"].units == {"EA": 1}


def test_a_failure_keeps_the_age_of_what_was_not_complete(database: Database, clock: Clock) -> None:
    erp, reference = FakeErp(), Reference()
    sync = ReferenceSync(database, clock, erp)
    erp.failing = ["prices"]
    with pytest.raises(ReadFailed, match="prices could not be read: overloaded") as failure:
        sync.synchronize()
    assert failure.value.after_us == 7_000_000
    with database.read() as tx:
        assert reference.view(tx).oldest_us is None
    erp.failing = []
    sync.synchronize()
    first_us = clock.now_us()
    clock.sleep(60_000_000)
    erp.failing = ["prices"]
    with pytest.raises(ReadFailed):
        sync.synchronize()
    with database.read() as tx:
        view = reference.view(tx)
        assert (view.oldest_us, view.customers_synced_at_us) == (first_us, clock.now_us())


def test_a_large_price_list_loads_in_a_few_seconds(database: Database, clock: Clock) -> None:
    erp = FakeErp()
    erp.records["prices"] = [{**PRICE, "sku": f"S{number:05}"} for number in range(41_709)]
    began = time.process_time()
    ReferenceSync(database, clock, erp).synchronize()
    assert time.process_time() - began < 4
    with database.read() as tx:
        assert tx.one(select(func.count().label("rows")).select_from(prices)).rows == 41_709
