"""The warehouse's wire: every operation is served, and each refusal is the catalogued problem with its place."""

from collections.abc import Callable
from typing import Any

import pytest

from contracts.edge import unserved
from simulators.kernel import HOUR
from simulators.wms.api import create_app

HEAD = {"customer_id": "C1", "order_reference": "PO-ful-1"}


def problem(answer: Any) -> tuple[int, str, str | None]:
    return answer.status, answer.json["type"].removeprefix("urn:peakproof:problem:"), answer.json.get("pointer")


def test_every_operation_of_the_contract_is_served(site: Any) -> None:
    assert unserved(create_app(site.wms), "wms") == []


def test_a_caller_without_the_token_is_refused(site: Any) -> None:
    site.caller.token = "guess"
    assert problem(site.caller.run(lambda: site.release("ful-1", ("MUG", 1))))[:2] == (401, "bad-token")
    assert site.caller.ledger("release_accepted") == []


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([("MUG", 1), ("CUP", 1)], (422, "unknown-sku", "/lines/1/sku")),
        ([("MUG", 0)], (422, "invalid-request", "/lines/0/quantity")),
        ([], (422, "invalid-request", "/lines")),
    ],
)
def test_a_release_that_cannot_be_is_refused(site: Any, lines: Any, expected: Any) -> None:
    assert problem(site.caller.run(lambda: site.release("ful-1", *lines))) == expected
    assert site.wms.quiet()


def test_a_refused_sku_is_booked_once_however_often_it_is_tried(site: Any) -> None:
    site.caller.run(lambda: [site.release("ful-1", ("CUP", 2)) for _ in range(3)])
    assert [(row["quantity"], row["reason"]) for row in site.caller.ledger("release_rejected")] == [(2, "unknown-sku")]


def test_a_line_number_given_twice_and_a_long_release_id_are_refused(site: Any) -> None:
    def tries() -> list[Any]:
        good = {"release_id": "ful-1", **HEAD, "service": "standard", "ship_to": address()}
        line = {"line_no": 1, "sku": "MUG", "quantity": 1}
        return [
            problem(site.post("/releases", **good, lines=[line, line])),
            problem(site.post("/releases", **(good | {"release_id": "f" * 51}), lines=[line])),
        ]

    assert site.caller.run(tries) == [
        (422, "invalid-request", "/lines/1/line_no"),
        (422, "invalid-request", "/release_id"),
    ]


def address() -> dict[str, str]:
    return {"name": "Shop", "street": "1 High Street", "city": "Leeds", "postcode": "LS1 1AA", "country": "GB"}


def test_a_vendor_that_refuses_duplicates_names_what_stands(make_site: Callable[..., Any]) -> None:
    site = make_site("strict")
    _, second = site.caller.run(lambda: [site.release("ful-1", ("MUG", 1)) for _ in range(2)])
    assert problem(second)[:2] == (409, "duplicate-reference")
    assert second.json["existing_id"] == "ful-1"


def test_a_vendor_that_returns_the_existing_release_says_that_it_is_a_replay(site: Any) -> None:
    first, second = site.caller.run(lambda: [site.release("ful-1", ("MUG", 1)) for _ in range(2)])
    assert (first.status, first.headers.get("idempotent-replayed")) == (201, None)
    assert (second.status, second.headers.get("idempotent-replayed")) == (200, "true")
    assert first.json == second.json


def test_a_cancel_of_what_is_not_there_is_refused(site: Any) -> None:
    def tries() -> list[Any]:
        site.release("ful-1", ("MUG", 3))
        row = {"line_no": 1, "quantity": 1}
        asked = [
            ("ful-9", HEAD, [row]),
            ("ful-1", HEAD, [{"line_no": 2, "quantity": 1}]),
            ("ful-1", HEAD, [{"line_no": 1, "quantity": 4}]),
            ("ful-1", HEAD | {"order_reference": "PO-other"}, [row]),
            ("ful-1", HEAD, [row, row]),
        ]
        return [
            problem(site.post(f"/releases/{release_id}/cancel", **head, reason="customer", lines=lines))
            for release_id, head, lines in asked
        ]

    assert site.caller.run(tries, HOUR // 60) == [
        (404, "not-found", None),
        (422, "unknown-line", "/lines/0/line_no"),
        (422, "quantity-exceeded", "/lines/0/quantity"),
        (422, "invalid-request", "/order_reference"),
        (422, "invalid-request", "/lines/1/line_no"),
    ]


def test_a_cancel_after_picking_began_and_labels_before_packing_conflict(site: Any) -> None:
    site.labels = False
    labels = [{"parcel_id": "ful-1.P1", "tracking_number": "TRK1"}]
    cancel = HEAD | {"reason": "customer", "lines": [{"line_no": 1, "quantity": 1}]}

    def too_early() -> Any:
        site.subscribe()
        site.release("ful-1", ("MUG", 3))
        return problem(site.post("/releases/ful-1/labels", **HEAD, parcels=labels))

    assert site.caller.run(too_early, HOUR)[:2] == (409, "conflicting-state")
    assert problem(site.caller.run(lambda: site.post("/releases/ful-1/cancel", **cancel)))[:2] == (
        409,
        "too-late-to-cancel",
    )
    wrong = [{"parcel_id": "ful-1.P2", "tracking_number": "TRK1"}]
    assert problem(site.caller.run(lambda: site.post("/releases/ful-1/labels", **HEAD, parcels=wrong))) == (
        422,
        "unknown-parcel",
        "/parcels/0/parcel_id",
    )
    done = site.caller.run(lambda: site.post("/releases/ful-1/labels", **HEAD, parcels=labels))
    assert (done.status, done.json["status"]) == (200, "labelled")
    assert done.json["parcels"][0]["tracking_number"] == "TRK1"


def test_stock_is_read_by_page_or_by_sku(make_site: Callable[..., Any]) -> None:
    site = make_site(stock_page_size=2)

    def reads() -> list[Any]:
        return [
            site.caller.call("GET", f"http://wms-east/stock?{asked}")
            for asked in ("page=1&page_size=2", "page=2&page_size=2", "sku=MUG", "sku=CUP", "page_size=3")
        ]

    first, second, one, none, refused = site.caller.run(reads)
    assert first.json == {
        "as_of_sequence": 0,
        "items": [{"sku": "BAG", "on_hand": 10, "held": 0}, {"sku": "MUG", "on_hand": 1000, "held": 0}],
        "next_page": 2,
    }
    assert (second.json["items"], second.json["next_page"]) == ([{"sku": "TIN", "on_hand": 100, "held": 0}], None)
    assert [item["sku"] for item in one.json["items"]] == ["MUG"]
    assert none.json["items"] == []
    assert problem(refused)[1] in {"invalid-request", "page-size-exceeded"}


def test_an_adjustment_below_zero_available_is_refused(site: Any) -> None:
    def tries() -> list[Any]:
        base = {"reason": "cycle_count"}
        return [
            problem(site.post("/adjustments", adjustment_id="a1", sku="BAG", quantity_delta=-11, **base))[:2],
            problem(site.post("/adjustments", adjustment_id="a2", sku="CUP", quantity_delta=-1, **base))[:2],
            problem(site.post("/adjustments", adjustment_id="a3", sku="BAG", quantity_delta=0, **base))[:2],
            problem(site.post("/receipts", receipt_id="r1", sku="CUP", quantity=1, **base))[:2],
            problem(site.post("/receipts", receipt_id="r2", sku="BAG", quantity=100_000_000, **base))[:2],
        ]

    assert site.caller.run(tries) == [
        (409, "insufficient-stock"),
        (422, "unknown-sku"),
        (422, "invalid-request"),
        (422, "unknown-sku"),
        (422, "invalid-request"),
    ]
    assert site.caller.ledger("adjustment", "receipt") == []
