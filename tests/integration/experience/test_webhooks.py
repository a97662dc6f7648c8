"""Events from partners: believed only when signed, taken once, and acknowledged when their effect stands."""

from collections.abc import Callable
from typing import Any

import orjson

from contracts.wire import iso, problem_type, sign_webhook

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


def test_members_that_a_partner_added_block_nothing(shop: Any) -> None:
    stock = {"sequence": 2, "deltas": [{"sku": "A", "on_hand_delta": 500, "held_delta": 0, "lot": "L1"}], "by": "Ann"}
    added = {**RECEIPT, "stock": stock, "x_vendor_extension": {"version": 2}}
    assert shop.webhook("wms-east", "inventory.changed", added, envelope={"dataschema": "v2"}).status_code == 204
    assert available(shop, "A") == 514


def test_while_a_secret_is_replaced_both_hold_and_afterwards_the_new_one_alone(open_shop: Callable[..., Any]) -> None:
    for secrets, statuses in (("new old", [204, 204]), ("new", [204, 401])):
        shop = open_shop(credentials={"webhook:wms-east": secrets})
        answers = [
            shop.webhook(
                "wms-east", "inventory.changed", RECEIPT, f"{secret} of {secrets}".replace(" ", "-"), secret=secret
            )
            for secret in ("new", "old")
        ]
        assert [answer.status_code for answer in answers] == statuses
        assert shop.application.settings.webhook_secret("wms-east") == "new"
        assert shop.webhook("wms-east", "inventory.changed", RECEIPT, "both", secret="new old").status_code == 401


def test_a_captured_event_can_be_sent_again_under_no_other_name_time_or_partner(shop: Any, ports: Any) -> None:
    event = {
        "specversion": "1.0", "id": "e1", "source": "wms-east", "type": "inventory.changed", "time": iso(0),
        "subject": "A", "datacontenttype": "application/json", "data": RECEIPT,
    }  # fmt: skip
    body, at_s = orjson.dumps(event), ports.clock.now_us() // 1_000_000
    captured = {
        "Content-Type": "application/cloudevents+json", "webhook-id": "e1", "webhook-timestamp": str(at_s),
        "webhook-signature": sign_webhook("s-east", "e1", at_s, body),
    }  # fmt: skip

    def sent(path: str = "/webhooks/wms-east", data: bytes = body, **changes: str) -> int:
        headers = captured | {name.replace("_", "-"): value for name, value in changes.items()}
        return int(shop.client.post(path, data=data, headers=headers).status_code)

    assert sent() == 204
    ports.clock.sleep(200 * 1_000_000)
    assert (sent(), available(shop, "A")) == (204, 514), "the same again is acknowledged and has no effect"
    assert sent(webhook_id="e2") == 401
    assert sent(webhook_timestamp=str(at_s + 200)) == 401
    assert sent(data=body.replace(b"500", b"900")) == 401
    assert sent(webhook_signature="") == 401
    assert sent("/webhooks/wms-west") == 404
    ports.clock.sleep(200 * 1_000_000)
    assert sent() == 401, "it is older than the window now"
    assert available(shop, "A") == 514
