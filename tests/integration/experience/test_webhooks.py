"""Events from partners: believed only when signed, taken once, and acknowledged when their effect stands."""

from typing import Any

from contracts.wire import problem_type

RECEIPT = {
    "cause": "receipt",
    "reference": "rcp-1",
    "stock": {"sequence": 2, "deltas": [{"sku": "A", "on_hand_delta": 500, "held_delta": 0}]},
}


def available(shop: Any, sku: str) -> int:
    return int(shop.get(f"/availability?sku={sku}").json["items"][0]["available"])


def test_an_event_takes_effect_once_however_often_it_comes(shop: Any) -> None:
    for _ in range(3):
        answer = shop.webhook("wms-east", "inventory.changed", RECEIPT)
        assert (answer.status_code, answer.data) == (204, b"")
    assert available(shop, "A") == 514
    assert shop.audited().count("stock_changed") == 1


def test_what_is_not_signed_by_the_partner_now_is_not_believed(shop: Any, ports: Any) -> None:
    now_s = ports.clock.now_us() // 1_000_000
    for changes in ({"secret": "other"}, {"at_s": now_s - 301}, {"at_s": now_s + 301}):
        answer = shop.webhook("wms-east", "inventory.changed", RECEIPT, **changes)
        assert (answer.status_code, answer.json["type"]) == (401, problem_type("bad-signature"))
    assert shop.webhook("nobody", "inventory.changed", RECEIPT).status_code == 404
    assert available(shop, "A") == 14
    assert shop.webhook("wms-east", "inventory.changed", RECEIPT, at_s=now_s - 300).status_code == 204


def test_an_event_that_breaks_its_schema_is_refused_and_may_be_sent_again_mended(shop: Any) -> None:
    broken = {**RECEIPT, "stock": {"sequence": "two", "deltas": []}}
    answer = shop.webhook("wms-east", "inventory.changed", broken)
    assert (answer.status_code, answer.json["type"]) == (422, problem_type("invalid-request"))
    assert answer.json["pointer"].startswith("/data/stock")
    assert shop.webhook("wms-east", "inventory.changed", RECEIPT).status_code == 204
    assert available(shop, "A") == 514


def test_an_unknown_type_is_acknowledged_and_noted(shop: Any) -> None:
    assert shop.webhook("wms-east", "worker.yawned", {}).status_code == 204
    assert "event_ignored" in shop.audited()
