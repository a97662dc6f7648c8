"""A channel's quota is told with every answer, and beyond it calls are refused until it is there again."""

from collections.abc import Callable
from typing import Any

import pytest

from contracts.wire import problem_type

QUOTA = ("RateLimit-Policy", "RateLimit")


@pytest.fixture
def busy(open_shop: Callable[..., Any]) -> Any:
    """A shop whose channels may call twice a second, four times at once."""
    return open_shop(channel_rate_per_second=2)


def told(answer: Any) -> tuple[int, str | None, str | None]:
    return answer.status_code, *(answer.headers.get(name) for name in QUOTA)


def test_the_quota_is_told_with_every_answer_and_counts_per_channel(busy: Any) -> None:
    policy = '"default";q=4;w=2'
    assert told(busy.get("/availability")) == (200, policy, '"default";r=3;t=1')
    assert told(busy.get("/orders/ord-9")) == (404, policy, '"default";r=2;t=1')
    assert told(busy.get("/availability", token="edi-token")) == (200, policy, '"default";r=3;t=1')


def test_beyond_the_quota_calls_wait_as_long_as_they_are_told(busy: Any, ports: Any) -> None:
    for _ in range(4):
        assert busy.get("/availability").status_code == 200
    refused = busy.get("/availability")
    assert told(refused) == (429, '"default";q=4;w=2', '"default";r=0;t=1')
    assert (refused.json["type"], refused.headers["Retry-After"]) == (problem_type("rate-limited"), "1")
    ports.clock.sleep(1_000_000)
    assert busy.get("/availability").status_code == 200


def test_operations_are_shown_however_often_channels_call(busy: Any) -> None:
    for _ in range(5):
        answer = busy.get("/operations/health", token="ops-token")
        assert told(answer) == (200, None, None)


@pytest.mark.parametrize("wrong_us", [3_600 * 1_000_000, -3_600 * 1_000_000])
def test_a_clock_that_is_set_changes_nobodys_quota(busy: Any, ports: Any, wrong_us: int) -> None:
    assert busy.get("/availability").status_code == 200
    ports.clock.wrong_us = wrong_us
    assert [busy.get("/availability").status_code for _ in range(4)] == [200, 200, 200, 429]
    ports.clock.sleep(1_000_000)
    assert busy.get("/availability").status_code == 200


def test_a_body_beyond_the_limit_is_refused_and_has_no_effect(shop: Any) -> None:
    order = shop.order({"sku": "A", "quantity": 1})
    refused = shop.post("/orders", {**order, "padding": "x" * 2_000_000})
    assert (refused.status_code, refused.json["type"]) == (413, problem_type("body-too-large"))
    assert "2000000 bytes" in refused.json["detail"]
    assert shop.messages() == []


def test_without_a_quota_nothing_is_told(shop: Any) -> None:
    assert told(shop.get("/availability")) == (200, None, None)


def test_a_refused_token_is_told_how_to_authenticate(shop: Any) -> None:
    refused = shop.get("/availability", token="guess")
    assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, "Bearer")
