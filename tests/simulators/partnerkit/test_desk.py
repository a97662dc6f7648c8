"""A desk serves so many at once, lets a bounded queue wait, and sends the rest away without effect."""

from collections.abc import Callable
from typing import Any

from contracts.edge import ProblemError
from simulators.kernel import Fault
from simulators.partnerkit import Desk, DeskSettings, Pace, service_time_us

SECOND = 1_000_000


def visit(desk: Desk, world: Any, effects: list[Any], name: str) -> str:
    try:
        with desk.served(10 * SECOND):
            effects.append((name, (world.now_us() - world.starts_at_us) // SECOND))
    except ProblemError as refused:
        return f"{name} {refused.key} {refused.headers['Retry-After']}"
    return f"{name} served"


def test_the_queue_is_bounded_in_length_and_in_patience(caller: Any) -> None:
    world = caller.world
    desk = Desk(world, "erp", DeskSettings(capacity=1, queue_limit=2, queue_timeout=15 * SECOND, retry_after_s=4))
    effects: list[Any] = []
    ends: list[Any] = []
    for number, name in enumerate("abcd"):
        caller.later(number * 1_000, lambda name=name: visit(desk, world, effects, name), ends)
    caller.run(lambda: True, for_us=60 * SECOND)
    assert effects == [("a", 10), ("b", 20)], "effects come at the end of the service time"
    assert ends == ["d rate-limited 4", "a served", "c overloaded 4", "b served"]
    assert (desk.busy, desk.waiting, desk.turned_away) == (0, 0, 2)


def test_a_caller_that_gave_up_in_the_queue_leaves_its_place_free(caller: Any) -> None:
    world = caller.world
    desk = Desk(world, "erp", DeskSettings(capacity=1, queue_limit=1, queue_timeout=5 * SECOND))
    effects: list[Any] = []
    ends: list[Any] = []
    for name, delay_us in (("a", 0), ("b", 1), ("c", 6 * SECOND)):
        caller.later(delay_us, lambda name=name: visit(desk, world, effects, name), ends)
    caller.run(lambda: True, for_us=60 * SECOND)
    assert ends == ["b overloaded 5", "a served", "c served"]


def test_a_restart_gives_back_the_workers_of_those_who_died(caller: Any) -> None:
    world = caller.world
    desk = Desk(world, "erp", DeskSettings(capacity=1, queue_limit=0, queue_timeout=SECOND))
    effects: list[Any] = []
    ends: list[Any] = []
    caller.later(0, lambda: visit(desk, world, effects, "before"), ends)
    caller.later(SECOND, desk.restart, [])
    caller.later(2 * SECOND, lambda: visit(desk, world, effects, "after"), ends)
    caller.run(desk.gauges, for_us=5 * SECOND)
    assert desk.busy == 1
    caller.run(lambda: True, for_us=60 * SECOND)
    assert ends == ["before served", "after served"]
    assert desk.busy == 0


def test_service_times_are_bounded_keyed_and_slowed_by_faults(make_caller: Callable[..., Any]) -> None:
    pace = Pace(median=SECOND, sigma=0.8, per_line=10_000, at_most=3 * SECOND)
    plain, slow = make_caller().world, make_caller(Fault("f", "slowdown", host="erp", strength=3.0)).world
    times = [service_time_us(plain, "erp", pace, "create", number, lines=10) for number in range(500)]
    assert max(times) == 3 * SECOND
    assert 950_000 < sorted(times)[250] < 1_250_000, "the median is a second and ten lines"
    assert times[3] == service_time_us(plain, "erp", pace, "create", 3, lines=10)
    assert service_time_us(slow, "erp", pace, "create", 3, lines=10) == times[3] * 3
    assert service_time_us(slow, "carrier", pace, "create", 3, lines=10) == times[3]
