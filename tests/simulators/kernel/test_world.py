"""Time, tasks and waiting: blocking code moves only with virtual time, and no failure is swallowed."""

from collections.abc import Generator

import pytest
import simpy

from simulators.kernel import HOUR, MINUTE, SECOND, KernelError, TaskFailed
from tests.simulators.kernel.conftest import STARTS_AT_US, Bench


def test_a_task_sleeps_in_virtual_time(bench: Bench) -> None:
    world = bench.world()
    woke: list[int] = []

    def nap() -> None:
        world.sleep(90 * MINUTE)
        woke.append(world.now_us() - STARTS_AT_US)

    world.spawn("nap", nap)
    world.run(STARTS_AT_US + 2 * HOUR)

    assert woke == [90 * MINUTE]
    assert world.now_us() == STARTS_AT_US + 2 * HOUR


def test_a_run_stops_at_its_time_and_goes_on_later(bench: Bench) -> None:
    world = bench.world()
    woke: list[int] = []

    def nap() -> None:
        world.sleep(2 * HOUR)
        woke.append(world.now_us() - STARTS_AT_US)

    world.spawn("nap", nap)
    world.run(STARTS_AT_US + HOUR)
    assert woke == []
    world.run(STARTS_AT_US + 3 * HOUR)
    assert woke == [2 * HOUR]


def test_tasks_and_processes_share_a_resource_in_turn(bench: Bench) -> None:
    world = bench.world()
    desk = simpy.Resource(world.env, capacity=1)
    seen: list[tuple[str, int]] = []

    def process() -> Generator[simpy.Event, object, None]:
        with desk.request() as turn:
            yield turn
            yield world.env.timeout(10 * SECOND)
            seen.append(("process", world.now_us() - STARTS_AT_US))

    def task() -> None:
        with desk.request() as turn:
            world.wait(turn)
            world.sleep(5 * SECOND)
            seen.append(("task", world.now_us() - STARTS_AT_US))

    world.process("process", process())
    world.spawn("task", task)
    world.run(STARTS_AT_US + MINUTE)

    assert seen == [("process", 10 * SECOND), ("task", 15 * SECOND)]


def test_waiting_with_a_timeout_raises_when_the_event_is_late_and_not_when_in_time(bench: Bench) -> None:
    world = bench.world()
    outcomes: list[object] = []

    def wait_for(event: simpy.Event) -> None:
        try:
            outcomes.append(world.wait(event, timeout_us=10 * SECOND))
        except TimeoutError:
            outcomes.append("late")

    world.spawn("early", wait_for, world.env.timeout(9 * SECOND, "in time"))
    world.spawn("late", wait_for, world.env.timeout(11 * SECOND, "too late"))
    world.run(STARTS_AT_US + MINUTE)

    assert outcomes == ["in time", "late"]


def test_an_event_that_failed_raises_its_error_in_the_waiting_task(bench: Bench) -> None:
    world = bench.world()
    event = world.event()
    caught: list[str] = []

    def wait() -> None:
        try:
            world.wait(event)
        except ValueError as error:
            caught.append(str(error))

    world.spawn("wait", wait)
    world.spawn("fail", event.fail, ValueError("broken pallet"), delay_us=SECOND)
    world.run(STARTS_AT_US + MINUTE)

    assert caught == ["broken pallet"]


def test_an_exception_in_a_task_fails_the_run_with_its_name_and_time(bench: Bench) -> None:
    world = bench.world()

    def fail() -> None:
        world.sleep(7 * SECOND)
        raise ZeroDivisionError("no pickers")

    world.spawn("release wave", fail)
    with pytest.raises(
        TaskFailed, match=r"'release wave' failed at virtual time .*ZeroDivisionError: no pickers"
    ) as caught:
        world.run(STARTS_AT_US + MINUTE)

    assert (caught.value.name, caught.value.at_us) == ("release wave", STARTS_AT_US + 7 * SECOND)


def test_an_exception_in_a_process_fails_the_run_with_its_name_and_time(bench: Bench) -> None:
    world = bench.world()

    def fail() -> Generator[simpy.Event, object, None]:
        yield world.env.timeout(3 * SECOND)
        raise ZeroDivisionError("no packers")

    world.process("packing", fail(), host="wms-east")
    with pytest.raises(TaskFailed) as caught:
        world.run(STARTS_AT_US + MINUTE)

    assert (caught.value.name, caught.value.at_us) == ("wms-east packing", STARTS_AT_US + 3 * SECOND)


def test_only_a_task_can_wait(bench: Bench) -> None:
    world = bench.world()
    with pytest.raises(KernelError, match="only a task can wait"):
        world.sleep(SECOND)


def test_pooled_greenlets_do_not_mix_their_tasks_up(bench: Bench) -> None:
    world = bench.world()
    names: list[str] = []

    def remember() -> None:
        world.sleep(SECOND)
        names.append(world.tasks.running().name)

    for number in range(3):
        world.spawn(f"first {number}", remember)
    world.run(STARTS_AT_US + MINUTE)
    for number in range(3):
        world.spawn(f"second {number}", remember)
    world.run(STARTS_AT_US + 2 * MINUTE)

    assert names == ["first 0", "first 1", "first 2", "second 0", "second 1", "second 2"]


def test_a_world_that_has_ended_unwinds_its_tasks_and_writes_no_more_evidence(bench: Bench) -> None:
    world = bench.world()
    unwound: list[str] = []

    def wait_for_ever() -> None:
        try:
            world.sleep(HOUR)
        finally:
            unwound.append("waits")
            world.evidence.row("gauges", at_us=world.now_us(), source="late", name="late", value=1.0)

    def refuse_to_end() -> None:
        while True:
            try:
                world.sleep(HOUR)
            except BaseException:
                unwound.append("refused")

    world.spawn("waits", wait_for_ever)
    world.spawn("refuses", refuse_to_end)
    world.run(STARTS_AT_US + MINUTE)
    world.evidence.close()
    world.end()

    assert unwound == ["waits", "refused", "refused", "refused"]
    assert world.evidence.rows("gauges") == 0
