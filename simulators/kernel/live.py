"""The same world, stepped as real time goes by.

A driver, one gevent greenlet, is the hub of all tasks and the only one that steps SimPy: up to the present moment of
the business clock, then what came from outside (calls, answers of real servers, requests of an operator), then it
sleeps until something is due. Tasks stay plain greenlets and never block on gevent themselves.

Business time runs at `speed` and can be frozen or set forward; protocol time is the wall's, whatever business does.
"""

import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from heapq import heappop, heappush
from typing import TypeVar

import gevent
import greenlet
import simpy
from gevent.event import AsyncResult, Event

from simulators.kernel.evidence import EvidenceWriter
from simulators.kernel.faults import Fault
from simulators.kernel.protocol import ProtocolClock
from simulators.kernel.tasks import KernelError
from simulators.kernel.world import World

LONGEST_TURN_S = 0.005
"""The driver lets sockets have their turn after so long, however far business time is ahead of it."""
LONGEST_SLEEP_S = 3_600.0
_EVENTS_BETWEEN_LOOKS = 50

ResultT = TypeVar("ResultT")


def _monotonic_us() -> int:
    return time.monotonic_ns() // 1_000


class BusinessClock:
    """Business time: `speed` times as fast as the wall's, unless frozen. Microseconds since the Unix epoch."""

    def __init__(self, starts_at_us: int, speed: float, monotonic_us: Callable[[], int] = _monotonic_us) -> None:
        self._monotonic_us = monotonic_us
        self._anchor_us = (monotonic_us(), starts_at_us)
        self.speed = speed
        self.frozen = False
        self.segments: list[dict[str, float | int]] = []
        """Each stretch of steady pace: where wall and business time were when it began, and how fast it ran."""
        self._begin()

    def now_us(self) -> int:
        real_us, business_us = self._anchor_us
        return business_us if self.frozen else business_us + int((self._monotonic_us() - real_us) * self.speed)

    def seconds_until(self, at_us: float) -> float:
        """Real seconds until a moment of business time; infinite while it stands still."""
        left_us = at_us - self.now_us()
        if left_us <= 0:
            return 0.0
        return float("inf") if self.frozen else left_us / self.speed / 1_000_000

    def change(self, speed: float | None = None, frozen: bool | None = None, advance_us: int = 0) -> None:
        """Run on at another pace, stand still or go on, or be so much later. ValueError for what no clock can do."""
        if speed is not None and not 0 < speed <= 1_000_000:
            raise ValueError(f"speed {speed:g} is not above 0 and at most 1000000; to stand still, freeze the clock")
        if advance_us < 0:
            raise ValueError(f"business time can't go back by {-advance_us} us: it can be set forward only")
        self._anchor_us = (self._monotonic_us(), self.now_us() + advance_us)
        self.speed = self.speed if speed is None else speed
        self.frozen = self.frozen if frozen is None else frozen
        self._begin()

    def _begin(self) -> None:
        pace = 0 if self.frozen else self.speed
        self.segments.append({"wall_us": time.time_ns() // 1_000, "business_us": self._anchor_us[1], "speed": pace})


class WallProtocol(ProtocolClock):
    """Protocol time of a live world: the wall's at the start, and never set back after."""

    def __init__(self, env: simpy.Environment, business: BusinessClock) -> None:
        super().__init__(env)
        self._business = business
        self._ahead_us = time.time_ns() // 1_000 - _monotonic_us()
        self._due: list[tuple[int, int, simpy.Event]] = []
        self._made = 0

    def now_us(self) -> int:
        return _monotonic_us() + self._ahead_us

    def stamp_s(self) -> int:
        """By the wall's clock of this moment: who checks a signature has had the same corrections of it."""
        return int(time.time())

    def timeout(self, duration_us: int) -> simpy.Event:
        if duration_us <= 0:
            return self._env.timeout(0)
        event = self._env.event()
        self._made += 1
        heappush(self._due, (_monotonic_us() + duration_us, self._made, event))
        return event

    def span_us(self, business_us: int) -> int:
        return int(business_us / self._business.speed)

    def fire(self) -> None:
        """Let happen what is due."""
        due, now_us = self._due, _monotonic_us()
        while due and due[0][0] <= now_us:
            heappop(due)[2].succeed()

    def seconds_left(self) -> float:
        """Real seconds until the next is due; infinite when none is waited for."""
        return max(0, self._due[0][0] - _monotonic_us()) / 1_000_000 if self._due else float("inf")


class LiveWorld(World):
    """A world in real time. Build everything that stands in it, then `start` it.

    The real network's latency counts, so the world's own is none. What is called from outside of the driver and starts
    or resumes tasks goes through `soon` or `do`.
    """

    def __init__(
        self,
        seed: int,
        starts_at_us: int,
        evidence: EvidenceWriter,
        faults: tuple[Fault, ...] = (),
        speed: float = 1.0,
    ) -> None:
        self.clock = BusinessClock(starts_at_us, speed)
        self._wake = Event()
        self._visits: deque[Callable[[], object]] = deque()
        self._driver: gevent.Greenlet | None = None
        super().__init__(seed, starts_at_us, evidence, faults, (0, 0), self._wall_protocol)
        self.network.forgiving = True
        self.ended = Event()

    def _wall_protocol(self, env: simpy.Environment) -> ProtocolClock:
        self._wall = WallProtocol(env, self.clock)
        return self._wall

    def start(self) -> None:
        """Begin to run, in a greenlet of its own."""
        if self._driver is not None:
            raise KernelError("this world has been started already")
        self._driver = gevent.spawn(self._drive)

    def close(self) -> None:
        """Stand still for good: hang up on whoever is still being served, and complete the evidence."""
        self._stopped = True
        self._wake.set()
        if self._driver is not None:
            self._driver.join()

    @property
    def failure(self) -> Exception | None:
        """Why the world stands still before its time."""
        return self._failure

    def run(self, until_us: int) -> None:
        """A live world can't be made to run: it does."""
        raise KernelError(f"a live world goes on by itself: start it, and set its clock forward to {until_us} us")

    def soon(self, action: Callable[[], object]) -> None:
        """Have `action` called by the driver at the present moment. It must not block and not raise."""
        self._visits.append(action)
        self._wake.set()

    def do(self, function: Callable[[], ResultT]) -> ResultT:
        """What `function` returns when the driver calls it at the present moment; raises what it raises."""
        if self.ended.is_set():
            raise KernelError("this world stands still: nothing more can be done in it")
        answer: AsyncResult = AsyncResult()

        def call() -> None:
            try:
                answer.set(function())
            except Exception as error:
                answer.set_exception(error)

        self.soon(call)
        result: ResultT = answer.get()
        return result

    def change_clock(self, speed: float | None = None, frozen: bool | None = None, advance_us: int = 0) -> None:
        """Change the pace of business time; see BusinessClock.change."""
        self.clock.change(speed, frozen, advance_us)
        self._wake.set()

    def _drive(self) -> None:
        self.tasks.hub = greenlet.getcurrent()
        try:
            with ExitStack() as entered:
                for enclose in self.around:
                    entered.enter_context(enclose())
                while not self._stopped:
                    self._turn()
        except Exception as error:
            self._failure = self._failure or error
        finally:
            self._end()

    def _end(self) -> None:
        """In the driver, for only there tasks can be unwound."""
        self.ended.set()
        while self._visits:
            self._visits.popleft()()
        self.network.hang_up()
        self.network.close()
        self.evidence.close()
        self.end()

    def _turn(self) -> None:
        """Come up to the present, let in what waits, and sleep until something is due."""
        self._wake.clear()
        if not self._catch_up():
            gevent.sleep(0)
            return
        env = self.env
        ahead_us = self.clock.now_us() - env.now
        if ahead_us > 0:
            env.timeout(ahead_us)
            env.step()
        self._wall.fire()
        visits = self._visits
        while visits:
            visits.popleft()()
        self._wall.fire()  # what takes no more than a moment is over by now
        if self._catch_up():
            self._sleep()
        else:
            gevent.sleep(0)

    def _catch_up(self) -> bool:
        """Step to the present of business time; False when there is more to do than fits into one turn."""
        env, peek, step = self.env, self.env.peek, self.env.step
        until_us = max(self.clock.now_us(), env.now)
        ends_s = time.monotonic() + LONGEST_TURN_S
        while peek() <= until_us:
            for _ in range(_EVENTS_BETWEEN_LOOKS):
                step()
                if peek() > until_us:
                    break
            if time.monotonic() > ends_s and peek() <= until_us:
                return False
        return True

    def _sleep(self) -> None:
        seconds = min(self._wall.seconds_left(), self.clock.seconds_until(self.env.peek()), LONGEST_SLEEP_S)
        if seconds > 0 and not self._wake.is_set():
            self._wake.wait(seconds)
        else:
            gevent.sleep(0)
