"""A 3PL at work on the kernel: a decision minutes later, hourly batches, its own shipments, polling, and its limits."""

from collections.abc import Callable
from typing import Any

import pytest

from contracts.edge import unserved
from simulators.kernel import HOUR, MINUTE, Fault
from simulators.threepl.api import create_app

STARTS_AT_US = 1_795_766_400_000_000  # 2026-11-27T08:00:00Z


def problem(answer: Any) -> tuple[int, str]:
    return answer.status, answer.json["type"].removeprefix("urn:peakproof:problem:")


def test_every_operation_of_the_contract_is_served(provider: Any) -> None:
    assert unserved(create_app(provider.threepl), "threepl") == []


def test_an_order_is_accepted_later_batched_shipped_and_booked(provider: Any) -> None:
    submitted = provider.caller.run(lambda: provider.submit("ful-a", ("MUG", 6), ("TIN", 2)), 4 * HOUR)
    assert (submitted.status, submitted.json["status"], submitted.json["change"]) == (202, "submitted", 1)
    answer = provider.caller.run(lambda: provider.get("/fulfillment-orders?changed_since=0").json)
    (order,) = answer["items"]
    assert (order["status"], order["change"], answer["latest_change"]) == ("shipped", 4, 4)
    assert [(line["shipped"], line["short"]) for line in order["lines"]] == [(6, 0), (2, 0)]
    (shipment,) = order["shipments"]
    assert shipment["stock_sequence"] == 1
    assert shipment["tracking_number"].startswith("3P")
    assert shipment["shipped_at"] == "2026-11-27T10:00:00.000000Z"
    rows = provider.caller.ledger("release_accepted", "picked", "shipped")
    assert [(row["kind"], row["line_no"], row["quantity"]) for row in rows] == [
        ("release_accepted", 1, 6),
        ("release_accepted", 2, 2),
        ("picked", 1, 6),
        ("picked", 2, 2),
        ("shipped", 1, -6),
        ("shipped", 2, -2),
    ]
    assert (rows[-1]["balance"], rows[-1]["shipment_id"], rows[-1]["business_key"]) == (98, "ful-a.S", "ful-a")
    assert rows[-1]["tracking_number"] == shipment["tracking_number"]
    assert (rows[0]["at_us"] - STARTS_AT_US) // MINUTE in range(1, 31)
    assert provider.threepl.level_of("TIN") == (98, 0)
    assert provider.threepl.quiet()


def test_a_rejected_order_says_why_and_moves_no_stock(make_provider: Callable[..., Any]) -> None:
    provider = make_provider(reject_share=1.0)
    provider.caller.run(lambda: provider.submit("ful-a", ("MUG", 6)), 4 * HOUR)
    order = provider.caller.run(lambda: provider.get("/fulfillment-orders/ful-a").json)
    assert (order["status"], order["reason"]) == ("rejected", "refused by the provider")
    assert [row["quantity"] for row in provider.caller.ledger("release_rejected")] == [6]
    assert provider.caller.ledger("release_accepted", "shipped") == []
    assert provider.threepl.level_of("MUG") == (1_000, 0)


def test_a_cancel_before_the_batch_works_and_one_in_it_does_not(provider: Any) -> None:
    def submit_and_cancel() -> Any:
        provider.submit("ful-a", ("MUG", 6))
        provider.submit("ful-b", ("MUG", 1))
        return provider.cancel("ful-a")

    assert provider.caller.run(submit_and_cancel, 61 * MINUTE).json["status"] == "cancelled"
    assert provider.caller.run(lambda: provider.cancel("ful-a"), 0 + MINUTE // 6).status == 200
    late = provider.caller.run(lambda: provider.cancel("ful-b"), MINUTE)
    assert problem(late) == (409, "too-late-to-cancel")
    assert [row["quantity"] for row in provider.caller.ledger("release_cancelled")] == [6]
    provider.caller.world.run(STARTS_AT_US + 4 * HOUR)
    assert [row["business_key"] for row in provider.caller.ledger("shipped")] == ["ful-b"]


def test_shorts_are_held_and_seen_by_polling(make_provider: Callable[..., Any]) -> None:
    provider = make_provider("regional", Fault("short", "short_pick", host="threepl", strength=1.0))
    provider.caller.run(lambda: provider.submit("ful-a", ("TIN", 40)), 4 * HOUR)
    order = provider.caller.run(lambda: provider.get("/fulfillment-orders/ful-a").json)
    (line,) = order["lines"]
    assert line["short"] >= 1
    assert line["shipped"] + line["short"] == 40
    stock = provider.caller.run(lambda: provider.get("/stock?sku=TIN").json)
    assert stock["items"] == [{"sku": "TIN", "on_hand": 100 - line["shipped"], "held": line["short"]}]
    assert stock["as_of_sequence"] == order["shipments"][0]["stock_sequence"] == 2
    (hold,) = provider.caller.ledger("hold")
    assert (hold["quantity"], hold["stock_sequence"], hold["line_no"]) == (line["short"], 1, 1)


def test_the_same_reference_twice_ships_once_or_twice_by_policy(make_provider: Callable[..., Any]) -> None:
    for profile, second, shipped in (("regional", "ful-a", -1), ("careless", "ful-a.2", -2)):
        provider = make_provider(profile)

        def twice(provider: Any = provider) -> str:
            provider.submit("ful-a", ("MUG", 1))
            return str(provider.submit("ful-a", ("MUG", 1)).json["reference"])

        assert provider.caller.run(twice, 5 * HOUR) == second
        assert sum(row["quantity"] for row in provider.caller.ledger("shipped")) == shipped


def test_a_vendor_that_refuses_duplicates_names_what_stands(make_provider: Callable[..., Any]) -> None:
    provider = make_provider(duplicate_policy="reject")
    _, second = provider.caller.run(lambda: [provider.submit("ful-a", ("MUG", 1)) for _ in range(2)])
    assert (problem(second), second.json["existing_id"]) == ((409, "duplicate-reference"), "ful-a")


def test_a_bad_reference_an_unknown_sku_and_a_foreign_order_are_refused(provider: Any) -> None:
    def tries() -> list[Any]:
        provider.submit("ful-a", ("MUG", 1))
        foreign = {"customer_id": "C2", "order_reference": "PO-1", "reason": "customer"}
        return [
            provider.submit("ful-1", ("MUG", 1)),
            provider.submit("ful-b", ("CUP", 1)),
            provider.post("/fulfillment-orders/ful-a/cancel", **foreign),
            provider.get("/fulfillment-orders/ful-z"),
        ]

    answers = provider.caller.run(tries, MINUTE)
    assert [(*problem(answer), answer.json.get("pointer")) for answer in answers] == [
        (422, "invalid-request", "/reference"),
        (422, "unknown-sku", "/lines/0/sku"),
        (422, "invalid-request", "/customer_id"),
        (404, "not-found", None),
    ]


def test_beyond_thirty_at_once_calls_are_refused_with_the_time_to_wait(provider: Any) -> None:
    answers: list[Any] = []
    for _ in range(31):
        provider.caller.later(0, lambda: provider.get("/stock?sku=MUG"), answers)
    provider.caller.world.run(STARTS_AT_US + MINUTE)
    refused = [answer for answer in answers if answer.status == 429]
    assert len(answers) == 31
    assert [(problem(answer), answer.headers["retry-after"]) for answer in refused] == [((429, "rate-limited"), "1")]


def test_adjustments_and_receipts_are_booked_once(provider: Any) -> None:
    def clerk() -> list[int]:
        adjust = {"adjustment_id": "adj-1", "sku": "TIN", "quantity_delta": -3, "reason": "cycle_count"}
        receive = {"receipt_id": "rcp-1", "sku": "TIN", "quantity": 50, "reason": "purchase"}
        too_much = {"adjustment_id": "adj-2", "sku": "TIN", "quantity_delta": -148, "reason": "cycle_count"}
        calls = [("/adjustments", adjust)] * 2 + [("/receipts", receive)] * 2 + [("/adjustments", too_much)]
        return [provider.post(path, **body).status for path, body in calls]

    assert provider.caller.run(clerk) == [201, 200, 201, 200, 409]
    assert provider.threepl.level_of("TIN") == (147, 0)
    assert [row["stock_sequence"] for row in provider.caller.ledger("adjustment", "receipt")] == [1, 2]


@pytest.mark.parametrize(
    ("kind", "second"),
    [("batch_missing", []), ("batch_twice", ["ful-a"]), ("batch_disordered", ["ful-b", "ful-a"])],
)
def test_a_batch_of_changes_is_missing_comes_twice_or_out_of_sequence(
    make_provider: Callable[..., Any], kind: str, second: list[str]
) -> None:
    """The second of three polls is struck; what the third brings is all that there is, in order."""
    from_us, to_us = STARTS_AT_US + 10_000_000, STARTS_AT_US + 20_000_000
    provider = make_provider("regional", Fault(id="it", kind=kind, host="threepl", from_us=from_us, to_us=to_us))

    def poll() -> list[str]:
        found = provider.get("/fulfillment-orders?changed_since=0").json["items"]
        return [item["reference"] for item in found]

    def polls() -> list[list[str]]:
        provider.submit("ful-a", ("MUG", 1))
        seen = [poll()]
        provider.submit("ful-b", ("MUG", 1))
        provider.caller.world.sleep(11_000_000)
        seen.append(poll())
        provider.caller.world.sleep(10_000_000)
        return [*seen, poll()]

    assert provider.caller.run(polls, 2 * MINUTE) == [["ful-a"], second, ["ful-a", "ful-b"]]
