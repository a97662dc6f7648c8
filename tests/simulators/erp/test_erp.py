"""The ERP on the wire: it books at the end of its service time, though the caller may be gone, and it saturates."""

from collections.abc import Callable
from typing import Any

import pytest

from contracts.edge import unserved
from simulators.erp.api import create_app
from simulators.erp.model import Customer, Item, MasterData, Price, TaxRate
from simulators.erp.process import Erp, ErpProfile
from simulators.kernel import Fault
from simulators.partnerkit import load

SECOND = 1_000_000
START = 1_795_766_400_000_000
WHEN = "2026-11-27T08:00:00.000000Z"
TRACE = "0af7651916cd43dd8448eb211c80319c"


def master(skus: int = 3) -> MasterData:
    customer = Customer("C1", "Gift Shop", "retail", "GB", "GB", "standard", 1_000_000, updated_at_us=START - 1)
    items = [Item(f"S{number}", "Heart", "standard", updated_at_us=START - number) for number in range(skus)]
    prices = [Price("standard", item.sku, 255, 0) for item in items]
    return MasterData([customer], items, prices, [TaxRate("GB", "standard", 2000)])


@pytest.fixture
def make_erp(make_caller: Callable[..., Any]) -> Callable[..., tuple[Any, Erp]]:
    def make(*faults: Fault, profile: str = "midsize", skus: int = 3, **overrides: object) -> tuple[Any, Erp]:
        caller = make_caller(*faults)
        erp = Erp(caller.world, "erp", load(ErpProfile, profile, overrides), master(skus))
        caller.world.network.attach("erp", lambda: create_app(erp))
        caller.token = erp.tokens.issue("integration", "secret-erp").access_token
        return caller, erp

    return make


def order(reference: str = "PO-1", lines: int = 2) -> dict[str, Any]:
    return {
        "order_id": f"ord-{reference}",
        "customer_id": "C1",
        "order_reference": reference,
        "currency": "GBP",
        "ordered_at": WHEN,
        "lines": [
            {
                "line_no": number + 1,
                "sku": f"S{number}",
                "quantity": 6,
                "unit_price_minor": 255,
                "tax_rate_bp": 2000,
                "confirmed": 6,
                "backordered": 0,
            }
            for number in range(lines)
        ],
        "total_minor": 3672,
        "tax_minor": 612,
    }


def shipment(erp_order_id: str, shipment_id: str = "SHP-1", quantity: int = 6) -> dict[str, Any]:
    return {
        "shipment_id": shipment_id,
        "erp_order_id": erp_order_id,
        "customer_id": "C1",
        "order_reference": "PO-1",
        "node": "wms-east",
        "shipped_at": WHEN,
        "tracking_numbers": ["PK1"],
        "lines": [{"line_no": 1, "sku": "S0", "quantity": quantity}],
    }


def invoice(erp_order_id: str, shipment_id: str = "SHP-1") -> dict[str, Any]:
    return {"shipment_id": shipment_id, "erp_order_id": erp_order_id, "customer_id": "C1", "order_reference": "PO-1"}


def test_every_operation_of_the_contract_is_served(make_erp: Callable[..., Any]) -> None:
    _, erp = make_erp()
    assert unserved(create_app(erp), "erp") == []


def test_an_order_is_booked_shipped_and_invoiced_and_all_of_it_is_in_the_ledger(make_erp: Callable[..., Any]) -> None:
    caller, erp = make_erp()

    def story() -> list[Any]:
        booked = caller.call("POST", "http://erp/sales-orders", order())
        number = booked.json["erp_order_id"]
        confirmed = caller.call("POST", "http://erp/shipments", shipment(number))
        again = caller.call("POST", "http://erp/shipments", shipment(number))
        billed = caller.call("POST", "http://erp/invoices", invoice(number))
        billed_again = caller.call("POST", "http://erp/invoices", invoice(number))
        change = {"change_id": "CHG-1", "customer_id": "C1", "order_reference": "PO-1", "reason": "short"}
        lines = [{"line_no": 2, "backordered": 0, "cancelled": 6}]
        changed = caller.call("POST", f"http://erp/sales-orders/{number}/changes", {**change, "lines": lines})
        return [booked, confirmed, again, billed, billed_again, changed]

    booked, confirmed, again, billed, billed_again, changed = caller.run(story)
    assert [booked.status, confirmed.status, again.status] == [201, 201, 200]
    assert confirmed.json == again.json
    assert [billed.status, billed_again.status, billed.json == billed_again.json] == [201, 200, True]
    assert (billed.json["net_minor"], billed.json["tax_minor"], billed.json["total_minor"]) == (1530, 306, 1836)
    assert changed.json["status"] == "closed"
    assert changed.json["lines"][1] == {
        "line_no": 2,
        "sku": "S1",
        "quantity": 6,
        "cancelled": 6,
        "shipped": 0,
        "invoiced": 0,
    }
    rows = [(row["kind"], row.get("line_no"), row["quantity"], row.get("amount_minor")) for row in caller.ledger()]
    assert rows == [
        ("order_booked", None, 0, 3672),
        ("order_line", 1, 6, 1530),
        ("order_line", 2, 6, 1530),
        ("shipment_confirmed", 1, 6, None),
        ("invoiced", 1, 6, 1530),
        ("invoice", None, 0, 1836),
        ("order_changed", 2, 6, None),
    ]
    assert {row["correlation_id"] for row in caller.ledger()} == {TRACE}
    assert {row["order_reference"] for row in caller.ledger()} == {"PO-1"}
    assert (erp.quiet(), erp.desk.busy) == (True, 0)


def test_the_same_reference_twice_in_flight_is_booked_once(make_erp: Callable[..., Any]) -> None:
    caller, _ = make_erp()
    answers: list[Any] = []
    for _ in range(2):
        caller.later(0, lambda: caller.call("POST", "http://erp/sales-orders", order()), answers)
    caller.run(lambda: True)
    assert sorted(answer.status for answer in answers) == [200, 201]
    assert answers[0].json == answers[1].json
    assert len(caller.ledger("order_booked")) == 1


@pytest.mark.parametrize(("policy", "status", "booked"), [("reject", 409, 1), ("create_second", 201, 2)])
def test_other_policies_for_a_repeated_reference(
    make_erp: Callable[..., Any], policy: str, status: int, booked: int
) -> None:
    caller, _ = make_erp(duplicate_policy=policy)
    first, second = caller.run(lambda: [caller.call("POST", "http://erp/sales-orders", order()) for _ in range(2)])
    assert second.status == status
    assert len(caller.ledger("order_booked")) == booked
    if policy == "reject":
        assert second.json["type"] == "urn:peakproof:problem:duplicate-order"
        assert second.json["erp_order_id"] == first.json["erp_order_id"]


def test_a_caller_that_timed_out_finds_the_order_booked(make_erp: Callable[..., Any]) -> None:
    caller, _ = make_erp()

    def story() -> Any:
        with pytest.raises(TimeoutError):
            caller.call("POST", "http://erp/sales-orders", order(), timeout_us=200_000)
        assert caller.ledger("order_booked") == []
        caller.world.sleep(20 * SECOND)
        return caller.call("GET", "http://erp/sales-orders?customer_id=C1&order_reference=PO-1")

    found = caller.run(story)
    assert [item["order_reference"] for item in found.json["items"]] == ["PO-1"]
    assert len(caller.ledger("order_booked")) == 1


def test_beyond_its_capacity_and_queue_it_sends_callers_away_without_effect(make_erp: Callable[..., Any]) -> None:
    caller, _ = make_erp(desk={"capacity": 1, "queue_limit": 2, "queue_timeout": "2s"}, create={"sigma": 0})
    answers: list[Any] = []
    for number in range(5):
        call = lambda number=number: caller.call("POST", "http://erp/sales-orders", order(f"PO-{number}"))  # noqa: E731
        caller.later(number * 100_000, call, answers)
    caller.run(lambda: True)
    # Each takes 1.04 s: the first is served; two wait and are served within 2 s; two are turned away at once.
    assert sorted(answer.status for answer in answers) == [201, 201, 201, 429, 429]
    refused = next(answer for answer in answers if answer.status == 429)
    assert (refused.headers["retry-after"], refused.json["type"]) == ("5", "urn:peakproof:problem:rate-limited")
    assert len(caller.ledger("order_booked")) == 3


def test_queued_too_long_is_503_without_effect(make_erp: Callable[..., Any]) -> None:
    caller, _ = make_erp(
        Fault("slow", "slowdown", host="erp", strength=4.0),
        desk={"capacity": 1, "queue_limit": 2, "queue_timeout": "2s"},
        create={"sigma": 0},
    )
    answers: list[Any] = []
    for number in range(2):
        call = lambda number=number: caller.call("POST", "http://erp/sales-orders", order(f"PO-{number}"))  # noqa: E731
        caller.later(number, call, answers)
    caller.run(lambda: True)
    assert [answer.status for answer in answers] == [503, 201]
    assert answers[0].headers["retry-after"] == "5"
    assert len(caller.ledger("order_booked")) == 1


def test_tokens_expire_and_wrong_secrets_get_none(make_erp: Callable[..., Any]) -> None:
    caller, _ = make_erp(token_lifetime="60s")
    wanted = {"grant_type": "client_credentials", "client_id": "integration", "client_secret": "secret-erp"}

    def story() -> list[Any]:
        issued = caller.call("POST", "http://erp/oauth/token", wanted)
        refused = caller.call("POST", "http://erp/oauth/token", {**wanted, "client_secret": "guess"})
        caller.token = issued.json["access_token"]
        good = caller.call("GET", "http://erp/customers")
        caller.world.sleep(60 * SECOND)
        stale = caller.call("GET", "http://erp/customers")
        caller.token = "made-up"
        return [issued, refused, good, stale, caller.call("GET", "http://erp/customers")]

    issued, refused, good, stale, unknown = caller.run(story)
    assert issued.json["expires_in"] == 60
    assert [one.status for one in (issued, refused, good, stale, unknown)] == [200, 401, 200, 401, 401]
    problems = [one.json["type"].rpartition(":")[2] for one in (refused, stale, unknown)]
    assert problems == ["bad-credentials", "token-expired", "bad-token"]


def test_a_strict_erp_calls_a_stale_token_forbidden_and_keeps_a_quota(make_erp: Callable[..., Any]) -> None:
    caller, erp = make_erp(profile="strict", quota={"calls": 2, "per": "5m"})

    def story() -> list[Any]:
        answers = [caller.call("GET", "http://erp/items") for _ in range(3)]
        erp.tokens.revoke_all()
        caller.world.sleep(300 * SECOND)
        return [*answers, caller.call("GET", "http://erp/items")]

    answers = caller.run(story)
    assert [answer.status for answer in answers] == [200, 200, 429, 403]
    assert answers[2].headers["retry-after"] == "300"


def test_the_change_that_voids_an_order_voids_it_once_however_often_it_comes(make_erp: Callable[..., Any]) -> None:
    caller, _ = make_erp()
    lines = [{"line_no": number, "backordered": 0, "cancelled": 6} for number in (1, 2)]
    change = {"customer_id": "C1", "order_reference": "PO-1", "reason": "cancel", "lines": lines}

    def story() -> list[Any]:
        booked = caller.call("POST", "http://erp/sales-orders", order()).json["erp_order_id"]
        url = f"http://erp/sales-orders/{booked}/changes"
        return [
            caller.call("POST", url, {**change, "change_id": change_id}) for change_id in ("CHG-1", "CHG-1", "CHG-2")
        ]

    assert [answer.status for answer in caller.run(story)] == [200, 200, 200]
    assert len(caller.ledger("order_voided")) == 1


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (
            {"quantity": 100_000_000_000, "unit_price_minor": 1_000_000_000_000_000},
            "at most 1000000000000000 can be kept",
        ),
        ({"line_no": 2}, "line_no 2 is given twice"),
    ],
)
def test_an_order_that_the_books_cannot_keep_is_refused(
    make_erp: Callable[..., Any], changed: dict[str, int], told: str
) -> None:
    caller, erp = make_erp()
    asked = order()
    asked["lines"][0] |= changed

    (refused,) = caller.run(lambda: [caller.call("POST", "http://erp/sales-orders", asked)])
    assert (refused.status, refused.json["type"].rpartition(":")[2]) == (422, "invalid-request")
    assert told in refused.json["detail"]
    assert erp.books.orders == {}


def test_a_customers_exposure_stays_within_what_money_can_be(make_erp: Callable[..., Any]) -> None:
    caller, erp = make_erp()

    def story() -> list[Any]:
        orders = [{**order(f"PO-{number}"), "total_minor": 600_000_000_000_000} for number in (1, 2)]
        return [caller.call("POST", "http://erp/sales-orders", asked) for asked in orders]

    assert [answer.status for answer in caller.run(story)] == [201, 422]
    assert erp.books.customers["C1"].credit_exposure_minor == 600_000_000_000_000


def test_lists_come_in_pages_and_by_change(make_erp: Callable[..., Any]) -> None:
    caller, _ = make_erp(skus=5, pages={"default": 2, "cap": 4})

    def story() -> list[Any]:
        urls = ("items", "items?page=3", "items?page=9", "items?page_size=5", f"items?changed_since={WHEN}")
        return [caller.call("GET", f"http://erp/{url}") for url in urls]

    first, third, beyond, too_large, changed = caller.run(story)
    assert ([item["sku"] for item in first.json["items"]], first.json["next_page"]) == (["S0", "S1"], 2)
    assert ([item["sku"] for item in third.json["items"]], third.json["next_page"]) == (["S4"], None)
    assert beyond.json == {"items": [], "next_page": None}
    assert (too_large.status, too_large.json["type"].rpartition(":")[2]) == (422, "page-size-exceeded")
    assert [item["sku"] for item in changed.json["items"]] == ["S0"]


def test_exposure_and_all_master_data_can_be_read(make_erp: Callable[..., Any]) -> None:
    caller, _ = make_erp()

    def story() -> list[Any]:
        booked = caller.call("POST", "http://erp/sales-orders", order())
        reads = ("customers/C1", f"customers?changed_since={WHEN}", "price-lists", "tax-rates", "customers/C2")
        answers = [caller.call("GET", f"http://erp/{read}") for read in reads]
        return [caller.call("GET", f"http://erp/sales-orders/{booked.json['erp_order_id']}"), *answers]

    read, customer, moved, prices, rates, missing = caller.run(story)
    assert read.json["status"] == "open"
    assert customer.json["credit_exposure_minor"] == 3672
    assert moved.json["items"] == [customer.json], "a moved exposure is a change of the customer"
    assert len(prices.json["items"]) == 3
    assert rates.json["items"][0]["rate_bp"] == 2000
    assert missing.status == 404


def test_refusals_name_the_problem(make_erp: Callable[..., Any]) -> None:
    caller, _ = make_erp()

    def story() -> list[Any]:
        number = caller.call("POST", "http://erp/sales-orders", order()).json["erp_order_id"]
        strange = {**order("PO-2"), "customer_id": "C7"}
        return [
            caller.call("POST", "http://erp/sales-orders", strange),
            caller.call("POST", "http://erp/shipments", shipment(number, quantity=7)),
            caller.call("POST", "http://erp/shipments", {**shipment(number), "order_reference": "PO-9"}),
            caller.call("POST", "http://erp/shipments", shipment("SO-none")),
            caller.call("POST", "http://erp/invoices", invoice(number, "SHP-none")),
        ]

    answers = caller.run(story)
    assert [(answer.status, answer.json["type"].rpartition(":")[2]) for answer in answers] == [
        (422, "unknown-customer"),
        (422, "quantity-exceeded"),
        (409, "conflicting-state"),
        (404, "not-found"),
        (404, "not-found"),
    ]
    assert caller.ledger("shipment_confirmed", "invoice") == []


def test_a_crash_loses_what_was_in_work_and_frees_the_workers(make_erp: Callable[..., Any]) -> None:
    crash = Fault("crash", "crash", host="erp", from_us=START + SECOND // 2, to_us=START + 10 * SECOND)
    caller, erp = make_erp(crash, desk={"capacity": 1})

    def story() -> Any:
        with pytest.raises(ConnectionResetError):
            caller.call("POST", "http://erp/sales-orders", order())
        caller.world.sleep(20 * SECOND)
        return caller.call("POST", "http://erp/sales-orders", order())

    answer = caller.run(story)
    assert answer.status == 201
    assert len(caller.ledger("order_booked")) == 1
    assert erp.quiet()


def test_a_peak_hour_fits_and_the_backlog_of_an_outage_drains_within_the_hour_after(
    make_erp: Callable[..., Any],
) -> None:
    """1,250 orders in an hour (3 x 2,000 a day, five times the mean), with the ERP away for 20 minutes of it."""
    outage = Fault("away", "outage", host="erp", from_us=START + 600 * SECOND, to_us=START + 1_800 * SECOND)
    caller, erp = make_erp(outage)
    booked_at_s: list[int] = []

    def place(number: int) -> None:
        while True:
            try:
                answer = caller.call("POST", "http://erp/sales-orders", order(f"PO-{number}"), timeout_us=10 * SECOND)
            except (TimeoutError, ConnectionError):
                caller.world.sleep(30 * SECOND)
                continue
            if answer.status in (200, 201):
                booked_at_s.append((answer.at_us - START) // SECOND)
                return
            caller.world.sleep(int(answer.headers["retry-after"]) * SECOND)

    for number in range(1_250):
        caller.later(number * 2_880_000, lambda number=number: place(number), [])
    caller.run(lambda: True, for_us=2 * 3_600 * SECOND)
    assert len(booked_at_s) == 1_250
    assert sum(1 for second in booked_at_s if 660 <= second < 1_800) == 0
    # 417 orders wait when it is back; about four workers book at 3.5 orders/s of which 0.35/s are new.
    backlog_gone_s = next(second for second in range(1_800, 7_200, 60) if orders_waiting(booked_at_s, second) < 10)
    assert 1_860 <= backlog_gone_s <= 5_400
    assert erp.desk.turned_away > 0


def orders_waiting(booked_at_s: list[int], second: int) -> int:
    arrived = min(1_250, int(second / 2.88) + 1)
    return arrived - sum(1 for booked in booked_at_s if booked <= second)
