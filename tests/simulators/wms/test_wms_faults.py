"""What a warehouse does wrong on purpose, each fault with its exact effects in books, events and answers."""

from collections.abc import Callable
from typing import Any

import orjson

from simulators.kernel import HOUR, MINUTE, Fault

START = 1_795_766_400_000_000
DAY = 24 * HOUR


def on_site(kind: str, from_us: int = 0, to_us: int = 12 * HOUR, **settings: Any) -> Fault:
    return Fault("it", kind, host="wms-east", from_us=START + from_us, to_us=START + to_us, **settings)


def strikes(site: Any) -> list[str]:
    site.caller.world.evidence.flush()
    rows = map(orjson.loads, (site.caller.directory / "faults.ndjson").read_bytes().splitlines())
    return [row["detail"] for row in rows if row["event"] == "strike"]


def subscribed(site: Any, *lines: tuple[str, int]) -> Any:
    site.subscribe()
    return site.release("ful-1", *lines)


def test_a_release_leaves_in_two_shipments(make_site: Callable[..., Any]) -> None:
    site = make_site("regional", on_site("partial_shipment"))
    site.caller.run(lambda: subscribed(site, ("MUG", 5), ("TIN", 2)), 6 * HOUR)
    first, second = site.of("release.shipped")
    assert (first["shipment_id"], second["shipment_id"]) == ("ful-1.S", "ful-1.S2")
    assert first["lines"] == [{"line_no": 1, "sku": "MUG", "quantity": 4}]
    assert second["lines"] == [
        {"line_no": 1, "sku": "MUG", "quantity": 1},
        {"line_no": 2, "sku": "TIN", "quantity": 2},
    ]
    assert [parcel["parcel_id"] for parcel in first["parcels"] + second["parcels"]] == ["ful-1.P1", "ful-1.P2"]
    assert site.departures == [["T-ful-1.P1"], ["T-ful-1.P2"]]
    rows = site.caller.ledger("shipped")
    assert [(row["shipment_id"], row["line_no"], row["quantity"]) for row in rows] == [
        ("ful-1.S", 1, -4), ("ful-1.S2", 1, -1), ("ful-1.S2", 2, -2)
    ]  # fmt: skip
    assert rows[1]["at_us"] - rows[0]["at_us"] == 30 * MINUTE, "with the next departure"
    read = site.caller.run(lambda: site.read("ful-1"))
    assert (read["status"], [line["shipped"] for line in read["lines"]]) == ("shipped", [5, 2])
    assert site.wms.quiet()
    assert strikes(site) == ["ful-1"]


def test_a_single_unit_cannot_leave_in_two(make_site: Callable[..., Any]) -> None:
    site = make_site("regional", on_site("partial_shipment"))
    site.caller.run(lambda: subscribed(site, ("MUG", 1)), 6 * HOUR)
    assert [event["shipment_id"] for event in site.of("release.shipped")] == ["ful-1.S"]


def test_what_was_cancelled_ships_all_the_same(make_site: Callable[..., Any]) -> None:
    site = make_site("regional", on_site("ship_after_cancel"))

    def order_and_cancel() -> Any:
        subscribed(site, ("MUG", 5))
        body = {"customer_id": "C1", "order_reference": "PO-ful-1", "lines": [{"line_no": 1, "quantity": 5}],
                "reason": "customer"}  # fmt: skip
        return site.post("/releases/ful-1/cancel", key="cancel-1", **body)

    answer = site.caller.run(order_and_cancel, 6 * HOUR)
    assert (answer.status, answer.json["status"]) == (200, "cancelled")
    (cancelled,) = site.caller.ledger("release_cancelled")
    (shipped,) = site.caller.ledger("shipped")
    assert (cancelled["quantity"], shipped["quantity"], shipped["at_us"] > cancelled["at_us"]) == (5, -5, True)
    assert shipped["business_key"] == "ful-1"
    assert site.wms.level_of("MUG") == (995, 0)
    assert site.wms.quiet()
    assert strikes(site) == ["ful-1 cancel-1"]


def test_a_forgotten_release_id_is_taken_for_a_new_one(make_site: Callable[..., Any]) -> None:
    site = make_site("regional", on_site("dedupe_expired", delay_us=10 * MINUTE))

    def three_times() -> list[int]:
        statuses = [site.release("ful-1", ("MUG", 5)).status, site.release("ful-1", ("MUG", 5)).status]
        site.caller.world.sleep(11 * MINUTE)
        return [*statuses, site.release("ful-1", ("MUG", 5)).status]

    assert site.caller.run(three_times, 6 * HOUR) == [201, 200, 201]
    assert [row["quantity"] for row in site.caller.ledger("release_accepted")] == [5, 5]
    assert strikes(site) == ["ful-1"]


def test_a_cycle_count_corrects_a_share_of_skus_and_tells_it(make_site: Callable[..., Any]) -> None:
    site = make_site("regional", on_site("cycle_count", from_us=HOUR))
    site.caller.run(site.subscribe, 2 * HOUR)
    rows = site.caller.ledger("adjustment")
    assert {row["sku"] for row in rows} == {"BAG", "MUG", "TIN"}
    assert all(1 <= abs(row["quantity"]) <= 3 and row["at_us"] == START + HOUR for row in rows)
    told = [event["stock"] for event in site.of("inventory.changed")]
    assert sorted(stock["sequence"] for stock in told) == [1, 2, 3]
    assert strikes(site) == ["cycle_count"]
    assert site.wms.quiet()


def test_a_backdated_adjustment_is_booked_now_and_told_later(make_site: Callable[..., Any]) -> None:
    site = make_site("regional", on_site("backdated_adjustment", from_us=HOUR, delay_us=2 * HOUR))
    heard: list[int] = []

    def receive_later() -> None:
        site.subscribe()
        site.caller.world.sleep(2 * HOUR)
        site.post("/receipts", receipt_id="rec-1", sku="MUG", quantity=10, reason="supplier")
        site.caller.world.sleep(10 * MINUTE)
        heard.append(len(site.events))

    site.caller.run(receive_later, 4 * HOUR)
    assert heard == [1], "the receipt only, though the adjustments were booked an hour before it"
    assert next(event["stock"]["sequence"] for event in site.of("inventory.changed")) == 4
    assert sorted(event["stock"]["sequence"] for event in site.of("inventory.changed")[1:]) == [1, 2, 3]
    assert {row["at_us"] for row in site.caller.ledger("adjustment")} == {START + HOUR}
    assert site.wms.quiet()


def test_a_stale_snapshot_shows_the_stock_of_its_beginning(make_site: Callable[..., Any]) -> None:
    site = make_site("regional", on_site("stale_snapshot", from_us=MINUTE, to_us=HOUR))

    def look() -> list[tuple[int, int]]:
        def seen() -> tuple[int, int]:
            page = site.caller.call("GET", "http://wms-east/stock?sku=MUG").json
            whole = site.caller.call("GET", "http://wms-east/stock").json
            assert whole["as_of_sequence"] == page["as_of_sequence"]
            return page["as_of_sequence"], page["items"][0]["on_hand"]

        looks = [seen()]
        site.caller.world.sleep(2 * MINUTE)
        site.post("/receipts", receipt_id="rec-1", sku="MUG", quantity=10, reason="supplier")
        looks.append(seen())
        site.caller.world.sleep(HOUR)
        return [*looks, seen()]

    assert site.caller.run(look, 2 * HOUR) == [(0, 1_000), (0, 1_000), (1, 1_010)]
    assert strikes(site) == ["stale_snapshot"]


def test_a_vendor_that_answers_from_a_report_shows_the_stock_of_its_making(make_site: Callable[..., Any]) -> None:
    site = make_site("regional", stock_report_every="1h")

    def seen() -> tuple[int, int]:
        page = site.caller.call("GET", "http://wms-east/stock?sku=MUG").json
        return page["as_of_sequence"], page["items"][0]["on_hand"]

    def look() -> list[tuple[int, int]]:
        looks = [seen()]
        site.post("/receipts", receipt_id="rec-1", sku="MUG", quantity=10, reason="supplier")
        site.caller.world.sleep(50 * MINUTE)
        looks.append(seen())
        site.caller.world.sleep(10 * MINUTE)
        return [*looks, seen()]

    assert site.caller.run(look, 2 * HOUR) == [(0, 1_000), (0, 1_000), (1, 1_010)]


def test_a_lowered_quota_turns_calls_away_with_a_time_to_wait(make_site: Callable[..., Any]) -> None:
    site = make_site("regional", on_site("rate_limit", to_us=HOUR, strength=2.0))

    def call() -> list[tuple[int, str]]:
        asked = [site.caller.call("GET", "http://wms-east/stock?sku=MUG") for _ in range(3)]
        site.caller.world.sleep(HOUR)
        asked += [site.caller.call("GET", "http://wms-east/stock?sku=MUG") for _ in range(3)]
        return [(answer.status, answer.headers.get("retry-after", "")) for answer in asked]

    answers = site.caller.run(call, 2 * HOUR)
    assert answers == [(200, ""), (200, ""), (429, "60"), (200, ""), (200, ""), (200, "")]
    assert strikes(site) == ["rate_limit 2"]
