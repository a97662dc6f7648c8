"""The backoff doubles to its ceiling, never undercuts what the partner asked for, and is the same in every run."""

import pytest

from integration.messaging.retry import RetryPolicy

PLAIN = RetryPolicy(first_delay_us=1_000_000, factor=2.0, ceiling_us=60_000_000, jitter_share=0.0, max_attempts=5)


@pytest.mark.parametrize(
    ("attempts", "delay_us"),
    [(1, 1_000_000), (2, 2_000_000), (3, 4_000_000), (6, 32_000_000), (7, 60_000_000), (500, 60_000_000)],
)
def test_backoff_doubles_up_to_the_ceiling(attempts: int, delay_us: int) -> None:
    assert PLAIN.delay_us("17", attempts) == delay_us


def test_retry_after_is_kept_when_it_is_longer_than_the_backoff() -> None:
    assert PLAIN.delay_us("17", 1, retry_after_us=7_000_000) == 7_000_000
    assert PLAIN.delay_us("17", 4, retry_after_us=7_000_000) == 8_000_000


def test_jitter_only_lengthens_and_is_keyed_by_message_and_attempt() -> None:
    policy = RetryPolicy(jitter_share=0.2)
    assert policy.delay_us("17", 1) == 1_001_200
    assert policy.delay_us("17", 1) == 1_001_200
    assert policy.delay_us("18", 1) == 1_155_800
    assert all(1_000_000 <= policy.delay_us(str(key), 1) < 1_200_000 for key in range(500))


def test_a_message_is_given_up_after_the_last_attempt() -> None:
    assert [PLAIN.exhausted(attempts) for attempts in (1, 4, 5, 6)] == [False, False, True, True]
