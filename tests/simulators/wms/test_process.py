"""A warehouse at work on the kernel: waves, hands, webhooks, labels and the dock, from release to departure."""

from collections.abc import Callable
from typing import Any

import pytest

from simulators.kernel import HOUR, MINUTE, Fault

STARTS_AT_US = 1_795_766_400_000_000  # 2026-11-27T08:00:00Z


def test_a_release_goes_from_received_to_shipped_and_each_step_is_told_and_booked(site: Any) -> None:
    def order() -> Any:
        site.subscribe()
        return site.release("ful-1", ("MUG", 6), ("TIN", 2))

    answer = site.caller.run(order, 4 * HOUR)
    assert (answer.status, answer.json["status"]) == (201, "received")
    assert [event["type"] for event in site.events] == ["release.picked", "release.packed", "release.shipped"]
    assert [event["data"]["sequence"] for event in site.events] == [1, 2, 3]
    assert site.of("release.picked")[0]["lines"] == [
        {"line_no": 1, "sku": "MUG", "picked": 6, "short": 0, "reason": None},
        {"line_no": 2, "sku": "TIN", "picked": 2, "short": 0, "reason": None},
    ]
    lines = [{"line_no": 1, "sku": "MUG", "quantity": 6}, {"line_no": 2, "sku": "TIN", "quantity": 2}]
    assert site.of("release.packed")[0]["parcels"] == [{"parcel_id": "ful-1.P1", "weight_g": 5_400, "lines": lines}]
    (shipped,) = site.of("release.shipped")
    assert shipped["parcels"] == [{"parcel_id": "ful-1.P1", "tracking_number": "T-ful-1.P1", "lines": lines}]
    assert shipped["stock"] == {
        "sequence": 1,
        "deltas": [
            {"sku": "MUG", "on_hand_delta": -6, "held_delta": 0},
            {"sku": "TIN", "on_hand_delta": -2, "held_delta": 0},
        ],
    }
    assert site.departures == [["T-ful-1.P1"]]
    assert site.wms.level_of("MUG") == (994, 0)
    assert site.wms.quiet()
    rows = site.caller.ledger("release_accepted", "picked", "packed", "shipped")
    assert [(row["kind"], row.get("line_no"), row["quantity"]) for row in rows] == [
        ("release_accepted", 1, 6),
        ("release_accepted", 2, 2),
        ("picked", 1, 6),
        ("picked", 2, 2),
        ("packed", None, 8),
        ("shipped", 1, -6),
        ("shipped", 2, -2),
    ]
    assert rows[-1] == {
        "partner": "wms-east",
        "at_us": rows[-1]["at_us"],
        "kind": "shipped",
        "quantity": -2,
        "location": "FORWARD",
        "business_key": "ful-1",
        "customer_id": "C1",
        "order_reference": "PO-ful-1",
        "line_no": 2,
        "sku": "TIN",
        "balance": 38,
        "held_balance": 0,
        "stock_sequence": 1,
        "correlation_id": "0af7651916cd43dd8448eb211c80319c",
        "shipment_id": "ful-1.S",
        "parcel_id": "ful-1.P1",
        "tracking_number": "T-ful-1.P1",
        "seq": rows[-1]["seq"],
    }
    assert rows[-1]["at_us"] % (30 * MINUTE) == 0


def test_a_wave_starts_at_its_time_or_when_enough_wait(make_site: Callable[..., Any]) -> None:
    site = make_site(wave_at_releases=3)

    def two_then_one() -> list[str]:
        site.release("ful-1", ("MUG", 1))
        site.release("ful-2", ("MUG", 1))
        before = site.read("ful-1")["status"]
        site.release("ful-3", ("MUG", 1))
        return [before, *(site.read(f"ful-{number}")["status"] for number in (1, 2, 3))]

    assert site.caller.run(two_then_one, 10 * MINUTE) == ["received", "picking", "picking", "picking"]

    def one_more() -> str:
        site.release("ful-4", ("MUG", 1))
        return str(site.read("ful-4")["status"])

    assert site.caller.run(one_more, 19 * MINUTE) == "received"
    assert site.wms.gauges()[1] == ("releases_waiting", "", "wms-east", 1.0)
    site.caller.world.run(STARTS_AT_US + 30 * MINUTE + 1)
    assert site.wms.gauges()[1] == ("releases_waiting", "", "wms-east", 0.0)


def test_express_goes_first_and_hands_are_limited(make_site: Callable[..., Any]) -> None:
    site = make_site(pickers=1)

    def orders() -> None:
        site.subscribe()
        site.release("ful-1", ("MUG", 1))
        site.release("ful-2", ("MUG", 1))
        site.release("ful-3", ("MUG", 1), service="express")

    site.caller.run(orders, 3 * HOUR)
    assert [data["release_id"] for data in site.of("release.picked")] == ["ful-3", "ful-1", "ful-2"]


def test_a_short_line_is_held_and_told_with_the_pick(make_site: Callable[..., Any]) -> None:
    site = make_site("regional", Fault("short", "short_pick", host="wms-east", strength=1.0))

    def order() -> None:
        site.subscribe()
        site.release("ful-1", ("MUG", 6))

    site.caller.run(order, 4 * HOUR)
    (data,) = site.of("release.picked")
    (line,) = data["lines"]
    assert 1 <= line["short"] <= 6
    assert line["picked"] == 6 - line["short"]
    deltas = [{"sku": "MUG", "on_hand_delta": 0, "held_delta": line["short"]}]
    assert data["stock"] == {"sequence": 1, "deltas": deltas}
    (hold,) = site.caller.ledger("hold")
    assert (hold["quantity"], hold["balance"], hold["held_balance"]) == (line["short"], 400, line["short"])
    assert (hold["stock_sequence"], hold["line_no"], hold["reason"]) == (1, 1, line["reason"])
    assert site.wms.level_of("MUG").held == line["short"]
    assert site.wms.stock_of("MUG") == 1_000 - 6  # what was found has left, what was not is held
    assert site.of("inventory.changed") == []


def test_everything_short_ends_the_release(make_site: Callable[..., Any]) -> None:
    site = make_site("regional", Fault("short", "short_pick", host="wms-east", strength=1.0))

    def order() -> None:
        site.subscribe()
        site.release("ful-1", ("MUG", 1))

    site.caller.run(order, 4 * HOUR)
    assert site.caller.run(lambda: site.read("ful-1")["status"]) == "short"
    assert [event["type"] for event in site.events] == ["release.picked"]
    assert site.wms.quiet()


def test_the_same_release_twice_ships_once_or_twice_by_policy(make_site: Callable[..., Any]) -> None:
    kind, careless, strict = make_site("regional"), make_site("careless"), make_site("strict")
    for site, second, shipped in ((kind, 200, -1), (careless, 201, -2), (strict, 409, -1)):

        def twice(site: Any = site) -> int:
            site.subscribe()
            site.release("ful-1", ("MUG", 1))
            return int(site.release("ful-1", ("MUG", 1)).status)

        assert site.caller.run(twice, 6 * HOUR) == second
        assert sum(row["quantity"] for row in site.caller.ledger("shipped")) == shipped
        assert site.wms.quiet()
    assert careless.departures == [["T-ful-1.P1", "T-ful-1.2.P1"]]
    assert sorted(data["sequence"] for data in careless.of("release.shipped")) == [5, 6]
    assert len({row["shipment_id"] for row in careless.caller.ledger("shipped")}) == 2


def test_a_cancel_in_time_is_told_and_nothing_ships(site: Any) -> None:
    def order_and_cancel() -> Any:
        site.subscribe()
        site.release("ful-1", ("MUG", 6))
        head = {"customer_id": "C1", "order_reference": "PO-ful-1", "reason": "customer"}
        first = site.post("/releases/ful-1/cancel", "cancel-1", **head, lines=[{"line_no": 1, "quantity": 2}])
        again = site.post("/releases/ful-1/cancel", "cancel-1", **head, lines=[{"line_no": 1, "quantity": 2}])
        assert first.json == again.json
        return site.post("/releases/ful-1/cancel", "cancel-2", **head, lines=[{"line_no": 1, "quantity": 4}])

    assert site.caller.run(order_and_cancel, 4 * HOUR).json["status"] == "cancelled"
    told = sorted(site.of("release.cancelled"), key=lambda data: data["sequence"])
    assert [data["lines"] for data in told] == [
        [{"line_no": 1, "sku": "MUG", "cancelled": 2}],
        [{"line_no": 1, "sku": "MUG", "cancelled": 6}],
    ]
    assert [row["quantity"] for row in site.caller.ledger("release_cancelled")] == [2, 4]
    assert site.caller.ledger("picked", "shipped") == []
    assert site.wms.level_of("MUG") == (1_000, 0)
    assert site.wms.quiet()


def test_adjustments_and_receipts_are_told_once_with_their_sequence(site: Any) -> None:
    def clerk() -> list[int]:
        site.subscribe()
        adjust = {"adjustment_id": "adj-1", "sku": "TIN", "quantity_delta": -3, "reason": "cycle_count"}
        receive = {"receipt_id": "rcp-1", "sku": "TIN", "quantity": 50, "reason": "purchase"}
        answers = [site.post("/adjustments", "k1", **adjust), site.post("/adjustments", "k1", **adjust)]
        answers += [site.post("/receipts", "k2", **receive), site.post("/receipts", "k2", **receive)]
        return [answer.status for answer in answers]

    assert site.caller.run(clerk) == [201, 200, 201, 200]
    told = sorted(site.of("inventory.changed"), key=lambda data: data["stock"]["sequence"])
    assert told == [
        {
            "cause": "adjustment",
            "reference": "adj-1",
            "stock": {"sequence": 1, "deltas": [{"sku": "TIN", "on_hand_delta": -3, "held_delta": 0}]},
        },
        {
            "cause": "receipt",
            "reference": "rcp-1",
            "stock": {"sequence": 2, "deltas": [{"sku": "TIN", "on_hand_delta": 50, "held_delta": 0}]},
        },
    ]
    assert site.wms.level_of("TIN") == (147, 0)


def test_held_units_are_counted_again_where_the_profile_says_so(make_site: Callable[..., Any]) -> None:
    fault = Fault("short", "short_pick", host="wms-east", strength=1.0)
    site = make_site("regional", fault, recount={"after": "1h", "found_share": 1.0})

    def order() -> None:
        site.subscribe()
        site.release("ful-1", ("MUG", 1))

    site.caller.run(order, 80 * MINUTE)
    assert (site.wms.level_of("MUG"), site.wms.quiet()) == ((1_000, 1), False)
    site.caller.world.run(STARTS_AT_US + 3 * HOUR)
    assert (site.wms.level_of("MUG"), site.wms.quiet()) == ((1_000, 0), True)
    assert [data["cause"] for data in site.of("inventory.changed")] == ["unhold"]


def test_nothing_ships_before_its_label_and_the_warehouse_is_not_quiet(site: Any) -> None:
    site.labels = False

    def order() -> None:
        site.subscribe()
        site.release("ful-1", ("MUG", 1))

    site.caller.run(order, 12 * HOUR)
    assert site.departures == []
    assert site.wms.level_of("MUG") == (1_000, 0)
    assert not site.wms.quiet()


@pytest.mark.parametrize(("multiplier", "slot"), [(1.0, 2), (5.0, 3)])
def test_a_slowdown_stretches_the_work(make_site: Callable[..., Any], multiplier: float, slot: int) -> None:
    fault = Fault("slow", "slowdown", host="wms-east", strength=multiplier, to_us=STARTS_AT_US + 2 * HOUR)
    site = make_site("regional", fault)

    def order() -> None:
        site.subscribe()
        site.release("ful-1", *[("MUG", 1)] * 10)

    site.caller.run(order, 4 * HOUR)
    (row, *_) = site.caller.ledger("shipped")
    assert (row["at_us"] - STARTS_AT_US) // (30 * MINUTE) == slot


def test_the_floor_works_on_through_a_crash_and_tells_of_it_afterwards(make_site: Callable[..., Any]) -> None:
    crash = Fault(
        "crash", "crash", host="wms-east", from_us=STARTS_AT_US + 20 * MINUTE, to_us=STARTS_AT_US + 55 * MINUTE
    )
    site = make_site("regional", crash)

    def order() -> None:
        site.subscribe()
        site.release("ful-1", ("MUG", 1))

    site.caller.run(order, 50 * MINUTE)
    assert [row["kind"] for row in site.caller.ledger("picked", "packed")] == ["picked", "packed"]
    assert site.events == []
    site.caller.world.run(STARTS_AT_US + 4 * HOUR)
    assert [data["sequence"] for type_ in ("picked", "packed", "shipped") for data in site.of(f"release.{type_}")] == [
        1,
        2,
        3,
    ]
    assert site.wms.quiet()


def test_one_seed_is_one_history_and_a_lost_order_leaves_the_others_as_they_were(
    make_caller: Callable[..., Any], make_site: Callable[..., Any]
) -> None:
    def history(*names: str) -> dict[str, list[tuple[Any, ...]]]:
        site = make_site(picking={"short_share": 0.3})

        def orders() -> None:
            site.subscribe()
            for name in names:
                site.release(name, ("MUG", 6), ("TIN", 2))

        site.caller.run(orders, 5 * HOUR)
        rows = site.caller.ledger("picked", "short", "shipped")
        return {
            name: [(row["kind"], row["line_no"], row["quantity"]) for row in rows if row["business_key"] == name]
            for name in names
        }

    whole, again, fewer = history("a", "b", "c"), history("a", "b", "c"), history("a", "c")
    assert whole == again
    assert {name: whole[name] for name in ("a", "c")} == fewer
