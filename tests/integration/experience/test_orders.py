"""Placing orders over HTTP: what is promised, what is refused, and that a key has one effect."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from sqlalchemy import func, insert, select

from contracts.wire import problem_type
from integration.storage.tables import fulfillment_lines, order_lines, orders, shipments, stock

A5 = {"sku": "A", "quantity": 5}


def count_orders(shop: Any) -> int:
    with shop.application.database.read() as tx:
        return int(tx.one(select(func.count().label("n")).select_from(orders)).n)


def reserved(shop: Any) -> dict[tuple[str, str], int]:
    with shop.application.database.read() as tx:
        return {(row.node, row.sku): row.reserved for row in tx.rows(select(stock)) if row.reserved}


def problem(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json["type"].removeprefix(problem_type(""))


def test_an_order_is_priced_reserved_and_queued_in_one_go(shop: Any) -> None:
    asked = shop.order(A5, {"sku": "B", "quantity": 1}, {"sku": "A", "quantity": 1, "unit": "CS"})
    trace = "0af7651916cd43dd8448eb211c80319c"
    answer = shop.post("/orders", asked, traceparent=f"00-{trace}-b7ad6b7169203331-01")
    assert answer.status_code == 201
    assert answer.headers["Location"] == "/orders/ord-1x"
    assert "Idempotent-Replayed" not in answer.headers
    order = answer.json
    assert (order["status"], order["version"]) == ("accepted", 1)
    assert (order["net_minor"], order["tax_minor"], order["total_minor"]) == (4338, 868, 5206)
    amounts = [(line["line_no"], line["ordered"], line["confirmed"], line["backordered"]) for line in order["lines"]]
    assert amounts == [(1, 5, 5, 0), (2, 1, 1, 0), (3, 12, 9, 3)]
    assert reserved(shop) == {("wms-east", "A"): 10, ("wms-east", "B"): 1, ("wms-west", "A"): 4}
    assert shop.messages() == [("erp", "book_order", "book_order:ord-1x")]
    with shop.application.database.read() as tx:
        assert tx.one(select(orders.c.correlation_id)).correlation_id == trace
        assert sum(row.quantity for row in tx.rows(select(fulfillment_lines))) == 15
        assert all(row.reserved == row.quantity for row in tx.rows(select(fulfillment_lines)))
        assert len(tx.rows(select(order_lines))) == 3


def test_the_same_key_gives_the_same_answer_word_for_word(shop: Any) -> None:
    first = shop.post("/orders", shop.order(A5))
    reserved_once = reserved(shop)
    second = shop.post("/orders", dict(reversed(shop.order(A5).items())))
    assert second.status_code == 201
    assert second.data == first.data
    assert second.headers["Location"] == first.headers["Location"]
    assert second.headers["Idempotent-Replayed"] == "true"
    assert (count_orders(shop), reserved(shop)) == (1, reserved_once)


def test_a_key_with_another_payload_is_refused_and_has_no_effect(shop: Any) -> None:
    shop.post("/orders", shop.order(A5))
    answer = shop.post("/orders", shop.order(A5, order_reference="PO-2"))
    assert problem(answer) == (422, "idempotency-key-reused")
    assert count_orders(shop) == 1


def test_keys_of_two_channels_do_not_meet(shop: Any) -> None:
    shop.post("/orders", shop.order(A5))
    other = shop.post("/orders", shop.order(A5, order_reference="PO-2"), Authorization="Bearer edi-token")
    assert other.status_code == 201
    assert count_orders(shop) == 2


def test_an_attempt_during_another_with_the_same_key_is_turned_away(shop: Any, ports: Any) -> None:
    seen: list[Any] = []
    ports.gate.at_begin = lambda: seen.append(shop.post("/orders", shop.order(A5)))
    assert shop.post("/orders", shop.order(A5)).status_code == 201
    assert problem(seen[0]) == (409, "request-in-flight")
    assert shop.post("/orders", shop.order(A5)).headers["Idempotent-Replayed"] == "true"
    assert count_orders(shop) == 1


def test_a_used_reference_names_the_order_that_has_it(shop: Any) -> None:
    shop.post("/orders", shop.order(A5))
    answer = shop.post("/orders", shop.order(A5), key="k2")
    assert problem(answer) == (409, "order-reference-used")
    assert answer.json["existing_order_id"] == "ord-1x"
    assert answer.headers["Location"] == "/orders/ord-1x"
    assert count_orders(shop) == 1


@pytest.mark.parametrize(
    ("line", "changes", "expected"),
    [
        (A5, {"customer_id": "C9"}, "unknown-customer"),
        (A5, {"customer_id": "BLOCKED"}, "customer-blocked"),
        (A5, {"customer_id": "NOWHERE"}, "unknown-tax"),
        (A5, {"currency": "EUR"}, "currency-mismatch"),
        ({"sku": "Z", "quantity": 1}, {}, "unknown-sku"),
        ({"sku": "GONE", "quantity": 1}, {}, "unknown-sku"),
        ({"sku": "B", "quantity": 1, "unit": "CS"}, {}, "unknown-unit"),
        ({"sku": "UNPRICED", "quantity": 1}, {}, "no-contract-price"),
        ({**A5, "unit_price_minor": 254}, {}, "price-mismatch"),
        ({"sku": "A", "quantity": 1000}, {}, "credit-exceeded"),
    ],
)
def test_refusals_leave_nothing_and_are_repeated_for_their_key(
    shop: Any, line: dict[str, Any], changes: dict[str, Any], expected: str
) -> None:
    asked = shop.order(line, **changes)
    first = shop.post("/orders", asked)
    assert problem(first) == (422, expected)
    second = shop.post("/orders", asked)
    assert second.data == first.data
    assert second.headers["Idempotent-Replayed"] == "true"
    assert (count_orders(shop), reserved(shop), shop.messages()) == (0, {}, [])


def test_the_contract_price_may_be_named(shop: Any) -> None:
    assert shop.post("/orders", shop.order({**A5, "unit_price_minor": 255})).status_code == 201


def test_own_open_orders_count_against_the_credit(shop: Any) -> None:
    """100,000 of credit; each order is 306 * 200 = 61,200 with tax."""
    line = {"sku": "A", "quantity": 200}
    assert shop.post("/orders", shop.order(line)).status_code == 201
    answer = shop.post("/orders", shop.order(line, order_reference="PO-2"), key="k2")
    assert problem(answer) == (422, "credit-exceeded")
    assert "has 38800 of credit left" in answer.json["detail"]


def test_fill_or_kill_says_what_there_would_have_been_and_reserves_nothing(shop: Any) -> None:
    lines = [{"sku": "A", "quantity": 10}, {"sku": "B", "quantity": 1}, {"sku": "A", "quantity": 5}]
    asked = shop.order(*lines, fill_policy="fill_or_kill")
    answer = shop.post("/orders", asked)
    assert problem(answer) == (409, "out-of-stock")
    assert answer.json["lines"] == [{"line_no": 3, "sku": "A", "requested": 5, "available": 4}]
    assert (count_orders(shop), reserved(shop)) == (0, {})
    assert shop.post("/orders", shop.order(*lines[:2], fill_policy="fill_or_kill"), key="k2").status_code == 201


def test_nothing_there_is_still_accepted_as_backordered(shop: Any) -> None:
    shop.stock("wms-east", 2, A=0, B=0)
    shop.stock("wms-west", 2, A=0)
    order = shop.post("/orders", shop.order(A5)).json
    assert (order["lines"][0]["confirmed"], order["lines"][0]["backordered"]) == (0, 5)
    assert shop.messages() == [("erp", "book_order", "book_order:ord-1x")]


def test_out_of_stock_is_not_said_while_a_node_was_never_heard(bare_shop: Any) -> None:
    bare_shop.load_reference()
    bare_shop.stock("wms-east", 1, A=1)
    asked = bare_shop.order(A5, fill_policy="fill_or_kill")
    answer = bare_shop.post("/orders", asked)
    assert problem(answer) == (503, "stale-reference-data")
    assert answer.headers["Retry-After"] == "60"
    bare_shop.stock("wms-west", 1, A=9)
    bare_shop.stock("threepl", 1)
    assert bare_shop.post("/orders", asked).status_code == 201


def test_before_the_first_load_orders_are_put_off(bare_shop: Any) -> None:
    answer = bare_shop.post("/orders", bare_shop.order(A5))
    assert problem(answer) == (503, "stale-reference-data")
    assert "never loaded" in answer.json["detail"]


def test_with_stale_reference_data_orders_wait_on_hold_until_it_is_fresh(shop: Any, ports: Any) -> None:
    ports.clock.sleep(5 * 3600 * 1_000_000)
    order = shop.post("/orders", shop.order(A5)).json
    assert order["status"] == "on_hold"
    assert shop.messages() == []
    assert reserved(shop) == {("wms-east", "A"): 5}
    shop.load_reference(lambda: shop.application.intake.release_held(shop.application.database))
    assert shop.messages() == [("erp", "book_order", "book_order:ord-1x")]
    detail = shop.get("/orders/ord-1x").json
    assert (detail["status"], detail["version"]) == ("accepted", 2)
    assert [entry["event"] for entry in detail["timeline"]] == ["order_accepted", "hold_released", "status_changed"]


def test_by_policy_stale_reference_data_refuse_and_the_key_stays_free(
    open_shop: Callable[..., Any], ports: Any
) -> None:
    shop = open_shop(stale_policy="refuse")
    ports.clock.sleep(5 * 3600 * 1_000_000)
    assert problem(shop.post("/orders", shop.order(A5))) == (503, "stale-reference-data")
    shop.load_reference()
    answer = shop.post("/orders", shop.order(A5))
    assert answer.status_code == 201
    assert "Idempotent-Replayed" not in answer.headers


def test_reading_an_order_shows_its_parts(shop: Any) -> None:
    shop.post("/orders", shop.order(A5))
    detail = shop.get("/orders/ord-1x").json
    line = {"line_no": 1, "sku": "A", "quantity": 5, "picked": 0, "short": 0, "shipped": 0, "cancelled": 0}
    assert detail["fulfillments"] == [
        {"fulfillment_id": "ful-1x", "node": "wms-east", "status": "planned", "lines": [line]}
    ]
    assert (detail["parcels"], detail["invoices"]) == ([], [])
    (moment,) = detail["timeline"]
    assert (moment["event"], moment["to"]) == ("order_accepted", "accepted")
    assert moment["detail"] == "5 confirmed at wms-east, 0 backordered"
    found = shop.get("/orders?customer_id=C1&order_reference=PO-1").json
    assert [order["order_id"] for order in found["items"]] == ["ord-1x"]
    assert shop.get("/orders?customer_id=C1&order_reference=PO-9").json == {"items": []}
    assert problem(shop.get("/orders/ord-9x")) == (404, "not-found")


def test_invoices_say_what_they_bill(shop: Any) -> None:
    shop.post("/orders", shop.order(A5, {"sku": "B", "quantity": 2}))
    empty = {"order_id": "ord-1x", "currency": "GBP", "items": []}
    assert shop.get("/orders/ord-1x/invoices").json == empty
    row = {"fulfillment_id": "ful-1x", "order_id": "ord-1x", "node": "wms-east", "tracking_numbers": "[]"}
    first = [{"line_no": 1, "sku": "A", "quantity": 3}]
    rest = [{"line_no": 1, "sku": "A", "quantity": 2}, {"line_no": 2, "sku": "B", "quantity": 2}]
    left = [("S1", 1_000_000, first, "I1"), ("S2", 2_000_000, rest, "I2"), ("S3", 3_000_000, rest, None)]
    with shop.application.database.write() as tx:
        for shipment_id, at_us, lines, invoice_id in left:
            told = {"shipment_id": shipment_id, "shipped_at_us": at_us, "invoice_id": invoice_id}
            tx.execute(insert(shipments), {**row, **told, "lines": orjson.dumps(lines).decode()})
    items = shop.get("/orders/ord-1x/invoices").json["items"]
    assert [(one["invoice_id"], one["shipment_id"], one["shipped_at"], one["net_minor"]) for one in items] == [
        ("I1", "S1", "1970-01-01T00:00:01.000000Z", 765),
        ("I2", "S2", "1970-01-01T00:00:02.000000Z", 516),
    ]
    assert items[1]["lines"] == [{**rest[0], "unit_price_minor": 255}, {**rest[1], "unit_price_minor": 3}]
    assert shop.get("/orders/ord-1x").json["invoices"] == ["I1", "I2"]
    assert problem(shop.get("/orders/ord-9x/invoices")) == (404, "not-found")


def test_the_edge_refuses_before_anything_is_done(shop: Any) -> None:
    order = shop.order(A5)
    assert problem(shop.post("/orders", order, key="")) == (400, "idempotency-key-missing")
    assert problem(shop.post("/orders", order, Authorization="")) == (401, "bad-token")
    assert problem(shop.post("/orders", order, Authorization="Bearer wrong")) == (401, "bad-token")
    assert problem(shop.post("/orders", {**order, "color": "red"})) == (422, "invalid-request")
    twice = shop.order(A5, {**A5, "line_no": 1})
    answer = shop.post("/orders", twice)
    assert problem(answer) == (422, "invalid-request")
    assert answer.json["pointer"] == "/lines/1/line_no"
    assert problem(shop.get("/operations/queues")) == (403, "forbidden")
    assert count_orders(shop) == 0


def test_a_channel_that_calls_too_often_is_slowed_down(open_shop: Callable[..., Any], ports: Any) -> None:
    shop = open_shop(channel_rate_per_second=1.0)
    statuses = [shop.get("/orders?customer_id=C1&order_reference=X").status_code for _ in range(4)]
    assert statuses == [200, 200, 429, 429]
    ports.clock.sleep(1_000_000)
    assert shop.get("/orders?customer_id=C1&order_reference=X").status_code == 200


def test_a_cancel_has_one_effect_per_key(shop: Any) -> None:
    shop.post("/orders", shop.order(A5))
    first = shop.post("/orders/ord-1x/cancel", {"reason": "changed my mind"}, key="c1")
    assert first.status_code in {200, 202}
    second = shop.post("/orders/ord-1x/cancel", {"reason": "changed my mind"}, key="c1")
    assert (second.data, second.headers["Idempotent-Replayed"]) == (first.data, "true")
    assert problem(shop.post("/orders/ord-9x/cancel", {"reason": "x"}, key="c2")) == (404, "not-found")


def test_two_thousand_lines_are_taken_at_once(shop: Any) -> None:
    lines = [{"sku": "B", "quantity": 1} for _ in range(2000)]
    order = shop.post("/orders", shop.order(*lines)).json
    assert sum(line["confirmed"] for line in order["lines"]) == 100
    assert sum(line["backordered"] for line in order["lines"]) == 1900
    assert reserved(shop) == {("wms-east", "B"): 100}
