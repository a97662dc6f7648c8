"""Faults of a host and its database: frozen, paused, skewed, and failing or crashing at a transaction boundary."""

import sqlite3
from collections.abc import Callable
from typing import Any
from wsgiref.types import WSGIEnvironment

import pytest

from simulators.kernel import MINUTE, SECOND, Fault, World
from simulators.kernel.ports import Gate
from tests.simulators.kernel.conftest import STARTS_AT_US, Bench, application

MS = 1_000


def on_host(kind: str, from_us: int = 0, to_us: int = 10 * MINUTE, **settings: Any) -> Fault:
    window: dict[str, Any] = {"from_us": STARTS_AT_US + from_us, "to_us": STARTS_AT_US + to_us}
    return Fault(id="it", kind=kind, host="wms", **window, **settings)


def strikes(bench: Bench, world: World) -> list[tuple[Any, ...]]:
    return bench.rows(world, f"SELECT from_us - {STARTS_AT_US}, detail FROM faults WHERE event = 'strike'")


class Shop:
    """Calls the wms at given times and notes what came, and when."""

    def __init__(self, world: World, timeout_us: int = 5 * SECOND) -> None:
        self.world = world
        self.timeout_us = timeout_us
        self.seen: list[tuple[object, int]] = []

    def call(self, at_us: int) -> None:
        self.world.spawn(f"call {at_us}", self._call, delay_us=at_us)

    def _call(self) -> None:
        try:
            answer = self.world.network.send("shop", "POST", "http://wms/x", {}, b"", self.timeout_us)
            self.seen.append((answer.status, self.world.now_us() - STARTS_AT_US))
        except OSError as error:
            self.seen.append((type(error).__name__, self.world.now_us() - STARTS_AT_US))


def attach(world: World, busy_us: int = 0) -> list[int]:
    """A wms that is busy for a while before its effect; the times of its effects."""
    effects: list[int] = []

    def handle(_environ: WSGIEnvironment) -> tuple[int, bytes]:
        if busy_us:
            world.sleep(busy_us)
        effects.append(world.now_us() - STARTS_AT_US)
        return 201, b""

    world.network.attach("wms", lambda: application(handle))
    return effects


def test_a_frozen_host_answers_nobody_and_does_the_work_when_its_window_ends(bench: Bench) -> None:
    world = bench.world(on_host("frozen", SECOND, MINUTE))
    effects = attach(world, busy_us=500 * MS)
    shop = Shop(world)
    for at_us in (700 * MS, 2 * SECOND, 3 * SECOND, 2 * MINUTE):
        shop.call(at_us)
    world.run(STARTS_AT_US + 10 * MINUTE)

    assert effects == [1_210 * MS, MINUTE + 500 * MS, MINUTE + 500 * MS, 2 * MINUTE + 510 * MS]
    assert [outcome for outcome, _ in shop.seen] == ["TimeoutError", "TimeoutError", "TimeoutError", 201]
    assert [detail for _, detail in strikes(bench, world)] == [
        "POST /x not answered", "POST /x kept waiting", "POST /x kept waiting"
    ]  # fmt: skip


def test_a_paused_host_stands_still_and_then_goes_on_as_if_nothing_had_been(bench: Bench) -> None:
    world = bench.world(on_host("pause", 10 * SECOND, MINUTE))
    effects = attach(world, busy_us=5 * SECOND)
    ticks: list[int] = []
    shop = Shop(world, timeout_us=20 * SECOND)

    def tick() -> None:
        for _ in range(4):
            world.sleep(9 * SECOND)
            ticks.append((world.now_us() - STARTS_AT_US) // SECOND)

    world.spawn("tick", tick, host="wms")
    world.spawn("late", lambda: ticks.append(-1), host="wms", delay_us=30 * SECOND)
    shop.call(8 * SECOND)
    shop.call(15 * SECOND)
    world.run(STARTS_AT_US + 10 * MINUTE)

    assert ticks == [9, 60, -1, 69, 78], "what came due in the pause goes on at its end, in order"
    assert effects == [MINUTE, MINUTE + 5 * SECOND]
    assert shop.seen == [("TimeoutError", 28 * SECOND), ("TimeoutError", 35 * SECOND)]
    assert strikes(bench, world) == [(10 * SECOND, "pause")]


def test_a_crash_in_a_pause_leaves_nothing_to_go_on(bench: Bench) -> None:
    crash = Fault("crash", "crash", host="wms", from_us=STARTS_AT_US + 20 * SECOND, to_us=STARTS_AT_US + 30 * SECOND)
    world = bench.world(on_host("pause", 10 * SECOND, MINUTE), crash)
    effects = attach(world, busy_us=5 * SECOND)
    shop = Shop(world, timeout_us=5 * MINUTE)
    shop.call(8 * SECOND)
    shop.call(40 * SECOND)
    world.run(STARTS_AT_US + 10 * MINUTE)
    assert effects == [45 * SECOND + 10 * MS]
    assert shop.seen == [("ConnectionResetError", 20 * SECOND), (201, 45 * SECOND + 20 * MS)]


@pytest.mark.parametrize("skew_us", [3 * SECOND, -3 * SECOND])
def test_a_skewed_clock_is_off_for_its_window_and_its_sleep_is_not(bench: Bench, skew_us: int) -> None:
    world = bench.world(on_host("clock_skew", 10 * SECOND, 20 * SECOND, delay_us=skew_us))
    attach(world)
    clock = world.ports("wms").clock
    shown: list[int] = []

    def look() -> None:
        for _ in range(3):
            shown.append(clock.now_us() - world.now_us())
            clock.sleep(12 * SECOND)

    world.spawn("look", look, host="wms")
    world.run(STARTS_AT_US + MINUTE)
    assert shown == [0, skew_us, 0]
    assert world.ports("shop").clock.now_us() == world.now_us()
    assert strikes(bench, world) == [(12 * SECOND, "clock_skew 1")]


class Books:
    """A database behind a gate, as far as a gate can tell: what each write transaction came to."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.lives = 0
        self.stands: list[int] = []
        self.outcomes: list[tuple[int, str]] = []
        world.network.attach("wms", self._begin_life)

    def _begin_life(self) -> Callable[..., Any]:
        self.lives += 1
        gate = self.world.ports("wms").gate
        self.world.spawn(f"life {self.lives}", self._work, gate, host="wms")
        return application(lambda _environ: (200, b""))

    def _work(self, gate: Gate) -> None:
        while len(self.outcomes) < 4:
            number = len(self.outcomes) + 1
            try:
                self._write(gate, number)
                self.outcomes.append((number, "ok"))
            except sqlite3.OperationalError as error:
                self.outcomes.append((number, str(error)))
            self.world.sleep(SECOND)

    def _write(self, gate: Gate, number: int) -> None:
        gate.begin(write=True)
        try:
            gate.commit()
            self.stands.append(number)
        finally:
            gate.end()


@pytest.mark.parametrize(
    ("kind", "said", "stands"),
    [
        ("db_locked", "database is locked", [1, 3, 4]),
        ("db_serialization", "could not serialize access due to concurrent update", [1, 3, 4]),
        ("db_ack_lost", "the connection was lost while COMMIT was under way", [1, 2, 3, 4]),
    ],
)
def test_a_database_fails_at_a_boundary_and_gives_its_lock_back(
    bench: Bench, kind: str, said: str, stands: list[int]
) -> None:
    world = bench.world(on_host(kind, nth=(2,)))
    books = Books(world)
    world.run(STARTS_AT_US + MINUTE)
    assert books.outcomes == [(1, "ok"), (2, said), (3, "ok"), (4, "ok")]
    assert books.stands == stands
    assert len(strikes(bench, world)) == 1


@pytest.mark.parametrize(
    ("at", "stands"), [("begin", [1, 2, 3, 4]), ("commit", [1, 2, 3, 4]), ("after_commit", [1, 2, 2, 3, 4])]
)
def test_a_host_crashes_at_the_second_boundary_and_starts_again(bench: Bench, at: str, stands: list[int]) -> None:
    """The new life writes number two again: only after the commit it stood already."""
    world = bench.world(on_host("crash", nth=(2,), at=at, delay_us=20 * SECOND))
    books = Books(world)
    shop = Shop(world)
    shop.call(10 * SECOND)
    shop.call(30 * SECOND)
    world.run(STARTS_AT_US + MINUTE)
    assert (books.lives, books.stands) == (2, stands)
    assert [outcome for _, outcome in books.outcomes] == ["ok"] * 4, "the task that crashed never came to its outcome"
    assert [outcome for outcome, _ in shop.seen] == ["ConnectionRefusedError", 200]
    ((_, detail),) = strikes(bench, world)
    assert detail.startswith(f"{at} life 1")


def test_a_signal_that_comes_as_the_time_is_up_still_wakes(bench: Bench) -> None:
    world = bench.world()
    signal = world.ports("wms").tasks.signal()
    seen: list[bool] = []
    world.spawn("wait", lambda: seen.append(signal.wait(SECOND)))
    world.env.timeout(SECOND).callbacks.append(lambda _event: signal.set())
    world.run(STARTS_AT_US + MINUTE)
    assert len(seen) == 1


def test_two_lives_overlap_until_the_older_one_is_retired(bench: Bench) -> None:
    """As in a deployment: the second answers what comes new, and the first works on for a while with its own tasks."""
    world = bench.world(on_host("overlap", 10 * SECOND, 40 * SECOND))
    ticks: list[tuple[int, int]] = []
    answered: list[int] = []

    def start() -> Any:
        ports = world.ports("wms")
        life = len(answered_by)
        answered_by.append(life)

        def tick() -> None:
            ticks.append((life, (world.now_us() - STARTS_AT_US) // SECOND))
            ports.clock.sleep(20 * SECOND)
            ports.tasks.spawn("tick", tick)

        def handle(_environ: WSGIEnvironment) -> tuple[int, bytes]:
            answered.append(life)
            return 200, b""

        ports.tasks.spawn("tick", tick)
        return application(handle)

    answered_by: list[int] = []
    world.network.attach("wms", start)
    shop = Shop(world)
    for at_us in (5 * SECOND, 15 * SECOND, 45 * SECOND):
        shop.call(at_us)
    world.run(STARTS_AT_US + MINUTE + SECOND)
    assert answered == [0, 1, 1]
    assert ticks == [(0, 0), (1, 10), (0, 20), (1, 30), (1, 50)]
    assert [outcome for outcome, _ in shop.seen] == [200, 200, 200]
    assert strikes(bench, world) == [(10 * SECOND, "overlap")]


def test_a_crash_ends_both_lives_of_a_host(bench: Bench) -> None:
    crash = Fault(id="down", kind="crash", host="wms", from_us=STARTS_AT_US + 20 * SECOND, to_us=STARTS_AT_US + MINUTE)
    world = bench.world(on_host("overlap", 10 * SECOND, 40 * SECOND), crash)
    ticks: list[int] = []
    lives: list[int] = []

    def start() -> Any:
        ports = world.ports("wms")
        lives.append(len(lives))

        def tick(life: int) -> None:
            while True:
                ticks.append(life)
                ports.clock.sleep(8 * SECOND)

        ports.tasks.spawn("tick", tick, lives[-1])
        return application(lambda _environ: (200, b""))

    world.network.attach("wms", start)
    world.run(STARTS_AT_US + MINUTE + SECOND)
    assert lives == [0, 1, 2]
    assert ticks == [0, 0, 1, 0, 1, 2]
