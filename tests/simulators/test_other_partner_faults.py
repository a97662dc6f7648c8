"""What a 3PL, a carrier and an ERP do wrong on purpose."""

from collections.abc import Callable
from typing import Any

from simulators.carrier.model import BuyLabel, ContentLine
from simulators.kernel import HOUR, MINUTE, Fault
from tests.simulators.carrier.test_carrier import DAY, START, make_carrier, purchase
from tests.simulators.erp.test_erp import make_erp, order
from tests.simulators.threepl.conftest import make_provider

__all__ = ["make_carrier", "make_erp", "make_provider"]


def on_host(kind: str, host: str, **settings: Any) -> Fault:
    return Fault("it", kind, host=host, from_us=START, to_us=START + 12 * HOUR, **settings)


def test_a_3pl_order_leaves_in_two_shipments(make_provider: Callable[..., Any]) -> None:
    provider = make_provider("regional", on_host("partial_shipment", "threepl"))
    provider.caller.run(lambda: provider.submit("ful-1x", ("MUG", 5), ("TIN", 2)), 12 * HOUR)
    seen = provider.caller.run(lambda: provider.get("/fulfillment-orders/ful-1x")).json
    assert (seen["status"], [line["shipped"] for line in seen["lines"]]) == ("shipped", [5, 2])
    first, second = seen["shipments"]
    assert (first["shipment_id"], second["shipment_id"]) == ("ful-1x.S", "ful-1x.S2")
    assert first["tracking_number"] != second["tracking_number"]
    assert [line["quantity"] for line in first["lines"] + second["lines"]] == [4, 1, 2]
    assert [row["quantity"] for row in provider.caller.ledger("shipped")] == [-4, -1, -2]
    assert provider.threepl.quiet()


def test_a_3pl_counts_again_and_its_stock_shows_it(make_provider: Callable[..., Any]) -> None:
    provider = make_provider("regional", on_host("cycle_count", "threepl"))
    stock = provider.caller.run(lambda: provider.get("/stock")).json
    counted = {row["sku"]: row["quantity"] for row in provider.caller.ledger("adjustment")}
    assert sorted(counted) == ["MUG", "TIN"]
    opening = {"MUG": 1_000, "TIN": 100}
    assert {item["sku"]: item["on_hand"] - opening[item["sku"]] for item in stock["items"]} == counted


def test_a_3pl_forgets_a_reference(make_provider: Callable[..., Any]) -> None:
    provider = make_provider("regional", on_host("dedupe_expired", "threepl", delay_us=MINUTE))

    def twice() -> list[Any]:
        first = provider.submit("ful-1x", ("MUG", 1))
        provider.caller.world.sleep(2 * MINUTE)
        return [first, provider.submit("ful-1x", ("MUG", 1))]

    first, second = provider.caller.run(twice, 2 * HOUR)
    assert [(answer.status, answer.json["reference"]) for answer in (first, second)] == [
        (202, "ful-1x"), (202, "ful-1x.2")
    ]  # fmt: skip


def test_a_carrier_forgets_a_label_and_sells_it_again(make_carrier: Callable[..., Any]) -> None:
    caller, _ = make_carrier(on_host("dedupe_expired", "carrier", delay_us=MINUTE))

    def buy() -> list[Any]:
        first = caller.call("POST", "http://carrier/labels", purchase(), key="k1")
        again = caller.call("POST", "http://carrier/labels", purchase(), key="k1")
        caller.world.sleep(2 * MINUTE)
        return [first, again, caller.call("POST", "http://carrier/labels", purchase(), key="k1")]

    answers = caller.run(buy)
    assert [answer.status for answer in answers] == [201, 200, 201]
    assert len({answer.json["tracking_number"] for answer in answers}) == 2
    assert len(caller.ledger("label")) == 2


def test_a_missed_pickup_is_scanned_a_day_later(make_carrier: Callable[..., Any]) -> None:
    caller, carrier = make_carrier(on_host("missed_pickup", "carrier"))

    def leave() -> None:
        command = BuyLabel("key", "par-1", "ful-1x", "C1", "PO-1", "standard", 900, (ContentLine(1, "A", 2),), "")
        label, _ = carrier.buy_label(command)
        carrier.collect([label.tracking_number])

    caller.run(leave, DAY - MINUTE)
    assert caller.ledger("scan") == []
    caller.world.run(START + 3 * DAY)
    first = caller.ledger("scan")[0]
    assert first["status"] == "picked_up"
    assert DAY < first["at_us"] - START < DAY + 12 * HOUR


def test_an_erp_forgets_a_reference_and_books_the_order_twice(make_erp: Callable[..., Any]) -> None:
    caller, _ = make_erp(on_host("dedupe_expired", "erp", delay_us=MINUTE))

    def twice() -> list[int]:
        first = caller.call("POST", "http://erp/sales-orders", order(), key="k1")
        caller.world.sleep(2 * MINUTE)
        return [first.status, caller.call("POST", "http://erp/sales-orders", order(), key="k1").status]

    assert caller.run(twice) == [201, 201]
    assert len(caller.ledger("order_booked")) == 2
