"""Two API processes on one PostgreSQL: each transaction that could race, met by its like just before its commit."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import func, select

from integration.storage.tables import orders, stock
from tests.integration.experience.conftest import Shop, make_shop
from tests.races import HoldingGate, Meeting, meeting


class TwoShops:
    """Two processes, and how they meet."""

    def __init__(self, first: Shop, second: Shop, meeting: Meeting) -> None:
        self.first, self.second, self._meeting = first, second, meeting

    def order_at_once(self, one: dict[str, Any], other: dict[str, Any], keys: tuple[str, str]) -> tuple[Any, Any]:
        first, second = self._meeting.of(
            lambda: self.first.post("/orders", one, keys[0]), lambda: self.second.post("/orders", other, keys[1])
        )
        return first, second

    @property
    def waited(self) -> bool:
        return self._meeting.waited

    def reserved(self) -> int:
        with self.second.application.database.read() as tx:
            return int(tx.one(select(func.sum(stock.c.reserved).label("n"))).n)

    def accepted(self) -> int:
        with self.second.application.database.read() as tx:
            return int(tx.one(select(func.count().label("n")).select_from(orders)).n)


@pytest.fixture
def shops(postgres_url: str, ports: Any) -> Iterator[TwoShops]:
    """Ten of A in the east and four in the west; two processes."""
    gate = HoldingGate()
    holding = type(ports)(ports.clock, ports.http, ports.tasks, ports.ids, gate)
    first = make_shop(holding, postgres_url, create_tables=False)
    second = make_shop(ports, postgres_url, create_tables=False)
    second.load_reference()
    second.stock("wms-east", 1, A=10, B=100)
    second.stock("wms-west", 1, A=4)
    second.stock("threepl", 1)
    with meeting(postgres_url, gate) as met:
        yield TwoShops(first, second, met)
    first.application.database.close()
    second.application.database.close()


def test_a_key_in_flight_in_another_process_is_told_at_once_and_replayed_after(shops: TwoShops) -> None:
    order = shops.second.order({"sku": "A", "quantity": 2})
    first, second = shops.order_at_once(order, order, ("k1", "k1"))
    assert (first.status_code, second.status_code, shops.waited) == (201, 409, False)
    assert second.json["type"] == "urn:peakproof:problem:request-in-flight"
    again = shops.second.post("/orders", order, "k1")
    assert (again.status_code, again.json, again.headers["Idempotent-Replayed"]) == (201, first.json, "true")
    assert (shops.accepted(), shops.reserved()) == (1, 2)


def test_a_reference_is_taken_once_under_two_keys(shops: TwoShops) -> None:
    order = shops.second.order({"sku": "A", "quantity": 2})
    first, second = shops.order_at_once(order, order, ("k1", "k2"))
    assert (first.status_code, second.status_code, shops.waited) == (201, 409, True)
    assert second.json["existing_order_id"] == first.json["order_id"]
    assert (shops.accepted(), shops.reserved()) == (1, 2)


def test_the_last_units_are_promised_once(shops: TwoShops) -> None:
    one = shops.second.order({"sku": "A", "quantity": 9}, order_reference="PO-1")
    other = shops.second.order({"sku": "A", "quantity": 9}, order_reference="PO-2", fill_policy="fill_or_kill")
    first, second = shops.order_at_once(one, other, ("k1", "k2"))
    assert (first.status_code, second.status_code, shops.waited) == (201, 409, True)
    assert second.json["lines"] == [{"line_no": 1, "sku": "A", "requested": 9, "available": 5}]
    assert shops.reserved() == 9


def test_credit_is_not_used_twice(shops: TwoShops) -> None:
    """Each order is 612.00 with tax, the limit 1000.00; the stock of B would do for both."""
    ordered = {"sku": "B", "quantity": 20_000}
    one, other = (shops.second.order(ordered, order_reference=reference) for reference in ("PO-1", "PO-2"))
    first, second = shops.order_at_once(one, other, ("k1", "k2"))
    assert (first.status_code, second.status_code, shops.waited) == (201, 422, True)
    assert second.json["type"] == "urn:peakproof:problem:credit-exceeded"
    assert shops.accepted() == 1


def test_an_event_delivered_to_two_processes_at_once_takes_effect_once(shops: TwoShops) -> None:
    data = {
        "cause": "receipt",
        "reference": "rcp-1",
        "stock": {"sequence": 2, "deltas": [{"sku": "A", "on_hand_delta": 500, "held_delta": 0}]},
    }
    first, second = shops._meeting.of(
        lambda: shops.first.webhook("wms-east", "inventory.changed", data),
        lambda: shops.second.webhook("wms-east", "inventory.changed", data),
    )
    assert (first.status_code, second.status_code, shops.waited) == (204, 204, True)
    page = shops.second.get("/availability?sku=A").json
    assert page["items"][0]["nodes"][0] == {"node": "wms-east", "available": 510}
