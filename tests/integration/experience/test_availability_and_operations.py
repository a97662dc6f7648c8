"""What can be ordered, and what the people who run the integration see."""

from typing import Any


def test_availability_is_told_per_node_and_as_a_sum(shop: Any) -> None:
    answer = shop.get("/availability?sku=A&sku=Z").json
    assert answer["items"] == [
        {
            "sku": "A",
            "available": 14,
            "nodes": [{"node": "wms-east", "available": 10}, {"node": "wms-west", "available": 4}],
        },
        {"sku": "Z", "available": 0, "nodes": []},
    ]
    assert answer["next_page"] is None
    assert answer["as_of"] == "2026-11-27T09:00:00.000000Z"


def test_all_skus_are_told_page_by_page(shop: Any) -> None:
    first = shop.get("/availability?page=1&page_size=1").json
    assert ([item["sku"] for item in first["items"]], first["next_page"]) == (["A"], 2)
    last = shop.get("/availability?page=3&page_size=1").json
    assert (last["items"], last["next_page"]) == ([], None)


def test_a_reservation_lowers_what_is_available_at_once(shop: Any) -> None:
    shop.post("/orders", shop.order({"sku": "A", "quantity": 12}))
    assert shop.get("/availability?sku=A").json["items"][0]["available"] == 2


def test_queues_show_what_waits(shop: Any, ports: Any) -> None:
    shop.post("/orders", shop.order({"sku": "A", "quantity": 1}))
    ports.clock.sleep(2_000_000)
    lanes = {lane["lane"]: lane for lane in shop.get("/operations/queues", "ops-token").json["lanes"]}
    assert lanes["erp"] == {"lane": "erp", "ready": 1, "oldest_age_ms": 2000, "dead": 0, "breaker": "closed"}
    assert lanes["carrier"] == {"lane": "carrier", "ready": 0, "oldest_age_ms": None, "dead": 0, "breaker": "closed"}


def test_there_are_no_dead_letters_and_none_to_redrive(shop: Any) -> None:
    assert shop.get("/operations/dead-letters", "ops-token").json == {"items": [], "next_page": None}
    answer = shop.post("/operations/dead-letters/1/redrive", {}, Authorization="Bearer ops-token")
    assert answer.status_code == 409


def test_health_is_degraded_until_everything_was_read(bare_shop: Any, shop: Any) -> None:
    assert shop.get("/operations/health", "ops-token").json["status"] == "ok"


def test_health_says_what_is_missing(bare_shop: Any) -> None:
    health = bare_shop.get("/operations/health", "ops-token").json
    assert health["status"] == "degraded"
    assert [check["detail"] for check in health["checks"][:2]] == [
        "never loaded",
        "never read from wms-east, wms-west, threepl",
    ]


def test_the_background_work_is_begun(shop: Any, ports: Any) -> None:
    shop.application.start()
    names = ports.tasks.spawned
    assert names[:5] == [
        "reference data",
        "stock of wms-east",
        "stock of wms-west",
        "stock of threepl",
        "subscription at carrier",
    ]
    assert "erp poller" in names
    assert names[-1].startswith("3pl poll")
