"""The world: one clock, one network, one plan of faults, one book of evidence, under one seed."""

import signal
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, ExitStack
from types import FrameType
from typing import Any

import greenlet
import simpy

from simulators.kernel.chance import Chance
from simulators.kernel.evidence import EvidenceWriter
from simulators.kernel.faults import Fault, Faults
from simulators.kernel.network import Network
from simulators.kernel.ports import Ports
from simulators.kernel.protocol import ProtocolClock
from simulators.kernel.tasks import KernelError, TaskFailed, TaskPool


class World:
    """Everything that a simulated partner or an application under test can reach.

    Time starts at `starts_at_us` (Unix microseconds) and moves only from event to event. `latency_us` bounds the
    ordinary latency of one leg of an exchange; anything slower is a fault and belongs in `faults`.
    """

    def __init__(
        self,
        seed: int,
        starts_at_us: int,
        evidence: EvidenceWriter,
        faults: tuple[Fault, ...] = (),
        latency_us: tuple[int, int] = (5_000, 40_000),
        protocol: Callable[[simpy.Environment], ProtocolClock] = ProtocolClock,
    ) -> None:
        self.seed = seed
        self.starts_at_us = starts_at_us
        self.env = simpy.Environment(initial_time=starts_at_us)
        self.protocol = protocol(self.env)
        self.chance = Chance(seed)
        self.evidence = evidence
        self.tasks = TaskPool(self.env)
        self.faults = Faults(self, faults)
        self.network = Network(self, latency_us)
        self._stopped = False
        self._interrupted = False
        self._failure: Exception | None = None
        self.around: list[Callable[[], AbstractContextManager[object]]] = []
        """Made and entered whenever the world runs, left when it stands still."""
        self.faults.arm()

    def now_us(self) -> int:
        """The virtual time, in microseconds since the Unix epoch."""
        return int(self.env.now)

    def sleep(self, duration_us: int) -> None:
        """Park the running task for a while of business time."""
        task = self.tasks.running()
        self.env.timeout(duration_us).callbacks.append(task.resume)
        self.tasks.park()

    def event(self) -> simpy.Event:
        """A bare event, to be waited for by tasks or processes."""
        return self.env.event()

    def wait(self, event: simpy.Event, timeout_us: int | None = None) -> object:
        """Park the running task until the event happens; its value, or its exception raised. TimeoutError when too
        late, in protocol time."""
        task = self.tasks.running()
        if event.callbacks is None:
            return _value_of(event)
        if timeout_us is None:
            event.callbacks.append(task.resume)
            self.tasks.park()
            return _value_of(event)
        first = _First(task.resume)
        event.callbacks.append(first)
        timer = self.protocol.timeout(timeout_us)
        timer.callbacks.append(first)
        if self.tasks.park() is timer:
            raise TimeoutError(f"no event within {timeout_us} us")
        return _value_of(event)

    def spawn(
        self,
        name: str,
        function: Callable[..., object],
        *arguments: object,
        host: str = "",
        delay_us: int = 0,
        after: simpy.Event | None = None,
    ) -> None:
        """Start a task of blocking code, `delay_us` of business time from now or `after` an event. With a `host`, a
        crash of that host ends it where it stands."""
        running = self.tasks.current
        own = running.life if running is not None and running.life is not None and running.life.host == host else None
        life = own or (self.network.life(host) if host else None)

        def start(_event: object) -> None:
            if life is not None and life.paused and not life.ended:
                life.stalled.append(lambda: start(None))
            elif life is None or not life.ended:
                self.tasks.start(name, life, function, arguments)

        (after or self.env.timeout(delay_us)).callbacks.append(start)

    def process(self, name: str, generator: Generator[simpy.Event, Any, Any], host: str = "") -> simpy.Process:
        """Start a SimPy process. An exception in it fails the run, with the process's name and the virtual time."""
        return self.env.process(self._named(f"{host} {name}".strip(), generator))

    def ports(self, host: str) -> Ports:
        """What an application that lives on `host` is given: clock, http, tasks, ids and the transaction gate."""
        return Ports.of(self, host)

    def run(self, until_us: int) -> None:
        """Step until virtual time `until_us`, or until nothing is left to happen. Ctrl-C ends it between two events."""
        if self.tasks.current is not None:
            raise KernelError("the world is already running: call run from outside of any task")
        self.tasks.hub = greenlet.getcurrent()
        self._stopped = False
        stop = self.env.timeout(max(0, until_us - self.now_us()))
        stop.callbacks.append(self._stop)
        step = self.env.step
        restore = _on_interrupt(self._interrupt)
        try:
            with ExitStack() as entered:
                for enclose in self.around:
                    entered.enter_context(enclose())
                while not self._stopped:
                    step()
        finally:
            restore()
            if stop.callbacks:
                stop.callbacks.clear()  # ended early: a later run must not end at this one's time
        if self._failure is not None:
            raise self._failure
        if self._interrupted:
            self._interrupted = False
            raise KeyboardInterrupt

    def stop(self) -> None:
        """End the present `run` once this step is over, as when what it was for has come."""
        self._stopped = True

    def fail(self, error: Exception) -> None:
        """End the run: `run` raises this error once the present step is over, whatever a task makes of it. The first
        one counts."""
        self._failure = self._failure or error
        self._stopped = True

    def end(self) -> None:
        """Unwind whatever still waits, so that this world's memory is given back. Call when its evidence is closed."""
        self.tasks.end()

    def _stop(self, _event: simpy.Event) -> None:
        self._stopped = True

    def _interrupt(self) -> None:
        self._interrupted = True
        self._stopped = True

    def _named(self, name: str, generator: Generator[simpy.Event, Any, Any]) -> Generator[simpy.Event, Any, Any]:
        try:
            return (yield from generator)
        except TaskFailed:
            raise
        except Exception as error:
            raise TaskFailed(name, self.now_us(), error) from error


class _First:
    """Passes on the first of two events that calls it, and drops the second."""

    __slots__ = ("_done", "_resume")

    def __init__(self, resume: Callable[[simpy.Event], None]) -> None:
        self._resume = resume
        self._done = False

    def __call__(self, event: simpy.Event) -> None:
        if not self._done:
            self._done = True
            self._resume(event)
        elif not event.ok:
            event.defused = True


def _value_of(event: simpy.Event) -> object:
    if event.ok:
        return event.value
    event.defused = True
    error = event.value
    assert isinstance(error, BaseException)
    raise error


def _on_interrupt(interrupt: Callable[[], None]) -> Callable[[], None]:
    """Have Ctrl-C end the loop between two events: raised inside a task it could be swallowed there."""
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        return lambda: None

    def handle(_number: int, _frame: FrameType | None) -> None:
        interrupt()

    try:
        previous = signal.signal(signal.SIGINT, handle)
    except ValueError:  # not in the main thread: whoever runs the thread takes the interrupt
        return lambda: None
    return lambda: void(signal.signal(signal.SIGINT, previous))


def void(_value: object) -> None:
    """Drop a value where a callable must return nothing."""
