"""What an application that lives on a host is given. Structural: applications declare the shapes that they need
themselves.

Nothing here reaches the wall clock, the global `random`, threads or sockets.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from sqlite3 import OperationalError
from typing import TYPE_CHECKING

import simpy

from simulators.kernel.faults import DOWN_US
from simulators.kernel.network import Answer
from simulators.kernel.tasks import Task

if TYPE_CHECKING:
    from simulators.kernel.world import World

SWITCH_SHARE = 0.2
SWITCH_US = 2_000


class Clock:
    """Virtual time, as this host's clock shows it."""

    __slots__ = ("_host", "_skewed", "_world")

    def __init__(self, world: "World", host: str = "") -> None:
        self._world = world
        self._host = host
        self._skewed = world.faults.has("clock_skew", host)

    def now_us(self) -> int:
        """Microseconds since the Unix epoch."""
        now_us = int(self._world.env.now)
        if not self._skewed:
            return now_us
        skew = self._world.faults.felt("clock_skew", self._host)
        return now_us + skew.delay_us if skew is not None else now_us

    def steady_us(self) -> int:
        """Microseconds of a clock that nobody sets, whatever the host's own clock shows."""
        return int(self._world.env.now)

    def sleep(self, duration_us: int) -> None:
        """Park the running task."""
        self._world.sleep(duration_us)


class Http:
    """Exchanges from this host."""

    __slots__ = ("_host", "_world")

    def __init__(self, world: "World", host: str) -> None:
        self._world = world
        self._host = host

    def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes, timeout_us: int) -> Answer:
        """One exchange; raises TimeoutError, ConnectionRefusedError or another ConnectionError."""
        return self._world.network.send(self._host, method, url, headers, body, timeout_us)


class Signal:
    """Wakes a waiting task. A `set` that nobody waited for is kept for the next `wait`."""

    __slots__ = ("_set", "_waiting", "_world")

    def __init__(self, world: "World") -> None:
        self._world = world
        self._set = False
        self._waiting: deque[simpy.Event] = deque()

    def set(self) -> None:
        """Wake the task that has waited longest, or the next one to come."""
        while self._waiting:
            event = self._waiting.popleft()
            if not event.triggered:
                event.succeed()
                return
        self._set = True

    def wait(self, timeout_us: int | None = None) -> bool:
        """True when woken, False when the time was up. Consumes the `set`."""
        if self._set:
            self._set = False
            return True
        event = self._world.event()
        self._waiting.append(event)
        try:
            self._world.wait(event, timeout_us)
        except TimeoutError:
            if event.triggered:  # woken in the very instant in which the time was up
                return True
            self._waiting.remove(event)
            return False
        return True


class Tasks:
    """Background work of this host."""

    __slots__ = ("_host", "_world")

    def __init__(self, world: "World", host: str) -> None:
        self._world = world
        self._host = host

    def spawn(self, name: str, function: Callable[..., object], *arguments: object) -> None:
        """Start a task; it ends where it stands when the host crashes. An exception in it fails the run, unless the
        host is foreign: then it ends the task and is logged."""
        contained = self._world.network.contain(self._host, function)
        self._world.spawn(f"{self._host} {name}", contained, *arguments, host=self._host)

    def signal(self) -> Signal:
        """A new signal between tasks of this host."""
        return Signal(self._world)


class Ids:
    """Identifiers that replay: a hash of the seed, the running task and how many it drew, so that taking one order out
    of a run leaves the identifiers of the others as they were. Never ends in a dash and digits: some 3PLs cut such
    tails off."""

    __slots__ = ("_host", "_world")

    def __init__(self, world: "World", host: str) -> None:
        self._world = world
        self._host = host

    def new(self, kind: str) -> str:
        """An identifier such as `ord-5c0ffee1a2b3c4d5x`."""
        task = self._world.tasks.running()
        task.decisions += 1
        life = task.life.number if task.life is not None else 1
        again = () if life == 1 else (f"life {life}",)  # a restarted host starts tasks of the same names
        return f"{kind}-{self._world.chance.hex(16, 'id', self._host, task.name, task.decisions, kind, *again)}x"


class Gate:
    """The single write lock of an embedded database, waited for in virtual time, and the switching points of a
    transaction.

    Without switching points a handler that does not wait would never interleave with another, and races would stay
    hidden. Each boundary of a write transaction is also a place where faults strike: the host crashes there, or the
    driver's error is raised that the database would give.
    """

    __slots__ = ("_committing", "_held_by", "_host", "_queue", "_world")

    def __init__(self, world: "World", host: str) -> None:
        self._world = world
        self._host = host
        self._held_by: Task | None = None
        self._queue: deque[simpy.Event] = deque()
        self._committing = False

    def begin(self, write: bool) -> None:
        """Before BEGIN. A writer may be held up here, and waits its turn for the write lock."""
        if not write:
            return
        task = self._world.tasks.running()
        if self._strikes(task, "begin"):
            raise OperationalError("database is locked")
        self._switch(task, "begin")
        if self._held_by is None:
            self._held_by = task
            return
        turn = self._world.event()
        self._queue.append(turn)
        self._world.wait(turn)
        self._held_by = task

    def commit(self) -> None:
        """Just before COMMIT of a write transaction, with the lock held."""
        task = self._world.tasks.running()
        self._switch(task, "commit")
        if self._strikes(task, "commit"):
            raise OperationalError("could not serialize access due to concurrent update")
        self._committing = True

    def end(self) -> None:
        """After COMMIT or ROLLBACK of a write transaction: the next writer's turn."""
        committed, self._committing = self._committing, False
        is_lost = committed and self._strikes(self._world.tasks.running(), "after_commit")
        if self._queue:
            self._queue.popleft().succeed()  # handed over, not let go: nobody can slip in between
        else:
            self._held_by = None
        if is_lost:
            raise OperationalError("the connection was lost while COMMIT was under way")

    def on_crash(self, action: Callable[[], None]) -> None:
        """Have `action` called from outside when this host crashes, to roll back what was open."""
        self._world.network.before_crash(self._host, action)

    def _strikes(self, task: Task, place: str) -> bool:
        """Whether the database fails at this boundary. A crash here does not return."""
        world = self._world
        fails = False
        for fault in world.faults.at_boundary(self._host, place, task.name, task.decisions):
            if fault.kind == "crash":
                world.network.crash_from_within(self._host, fault.delay_us or DOWN_US)
                world.tasks.parked.append(task)
                world.tasks.park()
            fails = True
        return fails

    def _switch(self, task: Task, place: str) -> None:
        world = self._world
        task.decisions += 1
        bits = world.chance.bits(place, task.name, task.decisions)
        if (bits & 0xFFFF) < SWITCH_SHARE * 0x10000:
            world.sleep((bits >> 16) % SWITCH_US)


@dataclass(frozen=True)
class Ports:
    """All ports of one host, in one life of it."""

    clock: Clock
    http: Http
    tasks: Tasks
    ids: Ids
    gate: Gate

    @classmethod
    def of(cls, world: "World", host: str) -> "Ports":
        """The ports of a host. Ask anew after a crash: the write lock of a dead process is nobody's."""
        return cls(Clock(world, host), Http(world, host), Tasks(world, host), Ids(world, host), Gate(world, host))
