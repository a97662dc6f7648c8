"""The breaker opens after failures of different messages, lets one probe through, and closes on the first success."""

from integration.messaging.breaker import Breaker, BreakerState

SECOND_US = 1_000_000


def opened_at(now_us: int) -> Breaker:
    breaker = Breaker(threshold=3, cooldown_us=5 * SECOND_US, ceiling_us=15 * SECOND_US)
    for key in ("a", "b", "c"):
        breaker.failed(now_us, key)
    return breaker


def test_three_different_messages_open_it() -> None:
    breaker = opened_at(0)
    assert breaker.state is BreakerState.OPEN
    assert breaker.admit(1 * SECOND_US) == 4 * SECOND_US
    assert breaker.closed_for_us(1 * SECOND_US) == 4 * SECOND_US


def test_one_message_that_fails_for_ever_does_not_open_it() -> None:
    breaker = Breaker(threshold=3)
    for _ in range(50):
        breaker.failed(0, "poison")
    assert breaker.state is BreakerState.CLOSED
    assert breaker.admit(0) == 0


def test_a_success_in_between_starts_the_count_anew() -> None:
    breaker = Breaker(threshold=3)
    breaker.failed(0, "a")
    breaker.failed(0, "b")
    breaker.succeeded()
    breaker.failed(0, "c")
    assert breaker.state is BreakerState.CLOSED


def test_after_the_cooldown_one_probe_goes_and_the_others_wait() -> None:
    breaker = opened_at(0)
    assert breaker.admit(5 * SECOND_US) == 0
    assert breaker.state is BreakerState.HALF_OPEN
    assert breaker.admit(5 * SECOND_US) == 1 * SECOND_US
    breaker.succeeded()
    assert breaker.admit(5 * SECOND_US) == 0


def test_each_failed_probe_doubles_the_cooldown_up_to_the_ceiling() -> None:
    breaker, now_us, cooldowns = opened_at(0), 0, []
    for _ in range(4):
        cooldowns.append(breaker.closed_for_us(now_us))
        now_us += cooldowns[-1]
        assert breaker.admit(now_us) == 0
        breaker.failed(now_us, "probe")
    assert cooldowns == [5 * SECOND_US, 10 * SECOND_US, 15 * SECOND_US, 15 * SECOND_US]


def test_an_abandoned_probe_makes_room_for_another_at_once() -> None:
    breaker = opened_at(0)
    assert breaker.admit(5 * SECOND_US) == 0
    breaker.abandon(5 * SECOND_US)
    assert breaker.state is BreakerState.OPEN
    assert breaker.admit(5 * SECOND_US) == 0
