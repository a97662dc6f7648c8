"""The rate budget hands out turns: a burst at once, then one per interval, and none while the partner wants quiet."""

from integration.messaging.budget import RateBudget

SECOND_US = 1_000_000
START_US = 1_000 * SECOND_US


def test_a_burst_goes_at_once_and_the_rest_one_by_one() -> None:
    budget = RateBudget(per_second=2.0, burst=3)
    waits = [budget.reserve(START_US) for _ in range(5)]
    assert waits == [0, 0, 0, 500_000, 1_000_000]


def test_unused_turns_are_saved_up_to_the_burst_only() -> None:
    budget = RateBudget(per_second=2.0, burst=3)
    for _ in range(3):
        budget.reserve(START_US)
    later_us = START_US + 3_600 * SECOND_US
    assert [budget.reserve(later_us) for _ in range(4)] == [0, 0, 0, 500_000]


def test_no_rate_is_no_limit() -> None:
    budget = RateBudget()
    assert [budget.reserve(START_US) for _ in range(100)] == [0] * 100


def test_a_pause_ends_when_the_longest_one_asked_for_ends() -> None:
    budget = RateBudget()
    budget.pause(START_US + 9 * SECOND_US)
    budget.pause(START_US + 4 * SECOND_US)
    assert budget.paused_us(START_US) == 9 * SECOND_US
    assert budget.paused_us(START_US + 9 * SECOND_US) == 0
