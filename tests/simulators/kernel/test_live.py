"""A world in real time: it keeps the order and the business times of a virtual one, and protocol time stays the wall's.

These worlds run in the test's own process, on gevent's hub, without sockets; tests/peakproof/live has real ones.
"""

from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any
from wsgiref.types import WSGIEnvironment

import gevent
import pytest
import simpy
from gevent.event import AsyncResult

from contracts.evidence import open_run
from simulators.kernel import MINUTE, SECOND, EvidenceWriter, Fault, TaskFailed
from simulators.kernel.doors import Ingress, Watchman
from simulators.kernel.live import BusinessClock, LiveWorld
from tests.simulators.kernel.conftest import STARTS_AT_US, application

SPEED = 600.0
WITHIN_S = 10.0
Call = Callable[..., int]


class Wall:
    """A wall's clock that is set by hand."""

    def __init__(self) -> None:
        self.at_us = 5_000_000

    def __call__(self) -> int:
        return self.at_us


class Stand:
    """A live world with one host, `site`, and a way to call it."""

    def __init__(self, directory: Path, *faults: Fault) -> None:
        self._directory = directory
        self.world = LiveWorld(1, STARTS_AT_US, EvidenceWriter(directory), faults, SPEED)
        self._watchman = Watchman()

    def serve(self, handler: Callable[[WSGIEnvironment], tuple[int, bytes]]) -> Call:
        """Put the handler's host up and start; what is given back calls it and returns the status, 0 for no answer."""
        self.world.network.attach("site", lambda: application(handler), [("GET", "/{name}")])
        door = Ingress(self.world, "site", lambda _environ, _body: "client", self._watchman)
        self.world.start()

        def call(path: str = "/x") -> int:
            environ: Any = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "wsgi.input": BytesIO()}
            status: list[str] = []
            try:
                list(door(environ, lambda line, _headers, _info=None: status.append(line)))  # type: ignore[arg-type]
            except ConnectionResetError:
                return 0
            return int(status[0][:3])

        return call

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        self.close()
        return open_run(self._directory).execute(sql).fetchall()

    def close(self) -> None:
        self.world.close()
        self._watchman.close()


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Callable[..., Stand]]:
    stands: list[Stand] = []

    def make(*faults: Fault) -> Stand:
        stands.append(Stand(tmp_path / f"run-{len(stands)}", *faults))
        return stands[-1]

    yield make
    for one in stands:
        one.close()


def joined(*calls: gevent.Greenlet) -> list[Any]:
    """What each greenlet returned; fails when one takes too long."""
    assert len(gevent.joinall(calls, timeout=WITHIN_S)) == len(calls), f"not over within {WITHIN_S} s"
    return [call.get() for call in calls]


def until(condition: Callable[[], object]) -> None:
    """Let the world go on until this is so."""
    with gevent.Timeout(WITHIN_S):
        while not condition():
            gevent.sleep(0)


def test_six_requests_on_two_pickers_end_two_by_two(stand: Callable[..., Stand]) -> None:
    made = stand()
    world = made.world
    pickers = simpy.Resource(world.env, 2)

    def pick() -> Iterator[Any]:
        with pickers.request() as turn:
            yield turn
            yield world.env.timeout(60 * SECOND)

    def handler(_environ: WSGIEnvironment) -> tuple[int, bytes]:
        world.wait(world.process("pick", pick()))  # type: ignore[arg-type]
        return 200, b""

    call = made.serve(handler)
    assert joined(*[gevent.spawn(call, f"/{number}") for number in range(6)]) == [200] * 6
    rounds = (
        "SELECT path, (handled_at_us - min(sent_at_us) OVER ()) // 60000000 FROM exchanges ORDER BY handled_at_us, seq"
    )
    assert made.rows(rounds) == [("/0", 1), ("/1", 1), ("/2", 2), ("/3", 2), ("/4", 3), ("/5", 3)]


def test_a_call_arrives_at_the_present_moment_however_long_nothing_happened(stand: Callable[..., Stand]) -> None:
    made = stand()
    call = made.serve(lambda _environ: (200, b""))
    until(lambda: made.world.clock.now_us() >= STARTS_AT_US + 30 * SECOND)
    before_us = made.world.clock.now_us()
    assert joined(gevent.spawn(call)) == [200]
    ((sent_at_us, completed_at_us),) = made.rows("SELECT sent_at_us, completed_at_us FROM exchanges")
    assert before_us <= sent_at_us <= completed_at_us


def test_protocol_time_goes_on_at_its_own_pace_while_business_time_stands_still(stand: Callable[..., Stand]) -> None:
    made = stand()
    world = made.world
    slept: list[tuple[int, int]] = []

    def handler(_environ: WSGIEnvironment) -> tuple[int, bytes]:
        business_us, protocol_us = world.now_us(), world.protocol.now_us()
        world.wait(world.protocol.timeout(50_000))
        slept.append((world.now_us() - business_us, world.protocol.now_us() - protocol_us))
        return 200, b""

    call = made.serve(handler)
    world.change_clock(frozen=True)
    assert joined(gevent.spawn(call)) == [200]
    ((business_us, protocol_us),) = slept
    assert business_us == 0
    assert protocol_us >= 50_000


def test_what_is_due_happens_in_order_when_the_clock_is_set_forward(stand: Callable[..., Stand]) -> None:
    made = stand()
    world, seen = made.world, []
    made.serve(lambda _environ: (200, b""))
    done: AsyncResult = AsyncResult()
    world.change_clock(frozen=True)

    def note(name: str) -> None:
        seen.append((name, world.now_us() - STARTS_AT_US - at_us))
        if name == "late":
            done.set()

    at_us = world.do(world.now_us) - STARTS_AT_US
    world.do(lambda: world.spawn("late", note, "late", delay_us=90 * MINUTE))
    world.do(lambda: world.spawn("early", note, "early", delay_us=30 * MINUTE))
    world.change_clock(advance_us=120 * MINUTE)
    done.get(timeout=WITHIN_S)
    assert seen == [("early", 30 * MINUTE), ("late", 90 * MINUTE)]


def test_a_fault_can_come_and_go_while_the_world_runs(stand: Callable[..., Stand]) -> None:
    made = stand()
    call = made.serve(lambda _environ: (200, b""))
    cut = Fault("f", "cut", source="client", target="site", clock="protocol")
    made.world.do(lambda: made.world.faults.add(cut))
    with pytest.raises(ValueError, match="there is a fault 'f' already"):
        made.world.do(lambda: made.world.faults.add(cut))
    assert joined(gevent.spawn(call, "/1")) == [0]
    made.world.do(lambda: made.world.faults.remove("f"))
    assert joined(gevent.spawn(call, "/2")) == [200]
    assert made.rows("SELECT event, count(*) FROM faults GROUP BY ALL ORDER BY ALL") == [("strike", 1), ("window", 1)]


def test_a_crash_that_comes_at_run_time_ends_at_its_time(stand: Callable[..., Stand]) -> None:
    made = stand()
    call = made.serve(lambda _environ: (200, b""))
    world = made.world
    now_us = world.protocol.now_us()
    crash = Fault("f", "crash", host="site", from_us=now_us, to_us=now_us + 200_000, clock="protocol")
    world.do(lambda: world.faults.add(crash))
    assert joined(gevent.spawn(call)) == [0]
    until(lambda: call() == 200)
    assert world.protocol.now_us() >= now_us + 200_000


def test_a_planned_window_is_business_time_unless_it_says_otherwise(stand: Callable[..., Stand]) -> None:
    ends_us = STARTS_AT_US + MINUTE
    business = Fault("b", "cut", source="client", target="site", to_us=ends_us)
    made = stand(business)
    call = made.serve(lambda _environ: (200, b""))
    assert joined(gevent.spawn(call, "/1")) == [0]
    made.world.change_clock(advance_us=2 * MINUTE)
    assert joined(gevent.spawn(call, "/2")) == [200]


def test_a_crash_of_a_host_that_runs_elsewhere_is_left_to_whoever_runs_it(stand: Callable[..., Stand]) -> None:
    ends_us = STARTS_AT_US + MINUTE
    crash = Fault("f", "crash", host="integration", from_us=STARTS_AT_US, to_us=ends_us)
    made = stand(crash)
    call = made.serve(lambda _environ: (200, b""))
    made.world.change_clock(advance_us=2 * MINUTE)
    assert joined(gevent.spawn(call)) == [200]
    made.world.do(lambda: made.world.faults.remove("f"))
    assert made.world.failure is None
    assert made.rows("SELECT event FROM faults") == [("window",)]


def test_a_handler_that_fails_is_answered_500_and_logged(stand: Callable[..., Stand], tmp_path: Path) -> None:
    made = stand()

    def handler(_environ: WSGIEnvironment) -> tuple[int, bytes]:
        raise ZeroDivisionError("in the handler")

    call = made.serve(handler)
    assert joined(gevent.spawn(call)) == [500]
    assert made.world.failure is None
    assert "in the handler" in (tmp_path / "run-0" / "site.log").read_text()


def test_a_process_that_fails_stops_the_world_and_hangs_up(stand: Callable[..., Stand]) -> None:
    made = stand()
    world = made.world

    def fall() -> Iterator[Any]:
        yield world.env.timeout(SECOND)
        raise ZeroDivisionError("in the process")

    def handler(_environ: WSGIEnvironment) -> tuple[int, bytes]:
        world.process("falling", fall())  # type: ignore[arg-type]
        world.sleep(100 * MINUTE)
        return 200, b""

    call = made.serve(handler)
    assert joined(gevent.spawn(call)) == [0]
    assert isinstance(world.failure, TaskFailed)
    assert "in the process" in str(world.failure)
    assert joined(gevent.spawn(call)) == [0], "a world that stands still takes no call"


def test_closing_completes_the_evidence_of_calls_in_work(stand: Callable[..., Stand]) -> None:
    made = stand()

    def handler(_environ: WSGIEnvironment) -> tuple[int, bytes]:
        made.world.sleep(10_000 * MINUTE)
        return 200, b""

    call = made.serve(handler)
    waiting = gevent.spawn(call)
    until(made.world.network.visits)
    assert made.rows("SELECT outcome, handled_at_us FROM exchanges") == [("reset", None)]
    assert joined(waiting) == [0]


def test_business_time_runs_at_its_speed_stands_still_and_is_set_forward() -> None:
    wall = Wall()
    clock = BusinessClock(1_000, 60.0, wall)
    wall.at_us += 10
    assert (clock.now_us(), clock.seconds_until(1_600 + 60_000_000)) == (1_600, 1.0)
    clock.change(frozen=True)
    wall.at_us += 10
    assert (clock.now_us(), clock.seconds_until(1_601)) == (1_600, float("inf"))
    clock.change(advance_us=400)
    assert clock.now_us() == 2_000
    clock.change(speed=2.0, frozen=False)
    wall.at_us += 10
    assert clock.now_us() == 2_020
    assert [segment["speed"] for segment in clock.segments] == [60.0, 0, 0, 2.0]


@pytest.mark.parametrize("change", [{"speed": 0.0}, {"speed": -1.0}, {"advance_us": -1}])
def test_what_no_clock_can_do_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"speed|back"):
        BusinessClock(0, 1.0, Wall()).change(**change)
