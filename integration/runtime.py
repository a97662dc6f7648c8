"""The ports: what the integration asks of the place where it runs.

All are structural. A virtual world, a threaded server or a test supplies them; nothing here knows which one it is.
Times are integer microseconds since the Unix epoch, durations integer microseconds.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol, TypeAlias


class IntegrationError(Exception):
    """Base of every error that the integration raises itself.

    IntegrationError
    +-- SettingsError        settings name something unknown or unusable
    +-- StorageError         the database can't be used as asked
    |   +-- DatabaseFailed   the database could not do it now
    |       +-- TransactionLost  another transaction won
    +-- ReadFailed           a partner could not be read now
    """


class ReadFailed(IntegrationError):
    """A partner could not be read; `after_us` is how long it asked to be left alone (0: it did not say)."""

    def __init__(self, what: str, reason: str, after_us: int = 0) -> None:
        super().__init__(f"{what} could not be read: {reason}")
        self.after_us = after_us


class Clock(Protocol):
    """Time as the host sees it."""

    def now_us(self) -> int: ...

    def steady_us(self) -> int:
        """Time since some moment of this process's choosing: nobody sets this clock, so waits are counted by it."""
        ...

    def sleep(self, duration_us: int) -> None: ...


class Answer(Protocol):
    """What came back from an exchange; header names are in lower case."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]: ...

    @property
    def body(self) -> bytes: ...


class Http(Protocol):
    """One exchange over the network.

    Raises TimeoutError (the outcome is uncertain), ConnectionRefusedError (certainly not received) or another
    ConnectionError (uncertain).
    """

    def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes, timeout_us: int) -> Answer: ...


class Abroad(Http, Protocol):
    """The way to places that callers name, which is not open to every place."""

    def refusal(self, host: str) -> str:
        """Why nothing is sent to a host, in a sentence; "" where something may be."""
        ...


class Signal(Protocol):
    """A wake-up call that resets itself: a wait that returns True has consumed it."""

    def set(self) -> None: ...

    def wait(self, timeout_us: int | None) -> bool: ...


class Tasks(Protocol):
    """Background work on this host."""

    def spawn(self, name: str, function: Callable[..., object], *args: object) -> None: ...

    def signal(self) -> Signal: ...


class Ids(Protocol):
    """Opaque ids of at most 40 characters, unique per installation, that never end in a dash and digits."""

    def new(self, kind: str) -> str: ...


class Stream(Protocol):
    """Where events go that many may read, each from where he left off."""

    def publish(self, place: str, event_id: str, headers: Mapping[str, str], body: bytes, timeout_us: int) -> None:
        """Keep an event; once, however often it is published. Raises TimeoutError or ConnectionError."""
        ...


class Telemetry(Protocol):
    """What is told of one's own work while it is done: spans and counts."""

    def span_id(self) -> str:
        """The span that is being worked in; "" where there is none."""
        ...

    def attempt(
        self, lane: str, kind: str, correlation_id: str, span_id: str, number: int
    ) -> AbstractContextManager[Callable[[str], None]]:
        """Around attempt `number` at a message that was put in the span `span_id` of a trace. What it gives is to be
        called with how the attempt ended."""
        ...


class Silent:
    """Tells nobody anything."""

    def span_id(self) -> str:
        """No span is kept."""
        return ""

    def attempt(
        self, lane: str, kind: str, correlation_id: str, span_id: str, number: int
    ) -> AbstractContextManager[Callable[[str], None]]:
        """Nothing is noted."""
        del lane, kind, correlation_id, span_id, number
        return nullcontext(_ignore)


def _ignore(_outcome: str) -> None:
    pass


SILENT = Silent()

Guard: TypeAlias = Callable[[], AbstractContextManager[object]]
Duty: TypeAlias = Callable[[], None]


def always() -> None:
    """The duty of a process that has no other of its kind beside it."""


class Gate(Protocol):
    """The boundaries of a transaction, where other tasks may come in between.

    `begin(True)` takes the single write lock and may wait for it; `commit()` comes just before COMMIT; `end()` always
    follows a `begin(True)`, after commit or rollback, and gives the lock back. `begin(False)` announces a read, which
    needs no lock and has no end. `on_crash` registers what undoes an open transaction when the host crashes.
    """

    def begin(self, write: bool) -> None: ...

    def commit(self) -> None: ...

    def end(self) -> None: ...

    def on_crash(self, callback: Callable[[], None]) -> None: ...


@dataclass(frozen=True)
class Ports:
    """Everything that the integration is given by its host.

    `clock` is protocol time: leases, time-outs, retries, tokens, signatures. `business` is the clock by which prices
    are in force and copies and orders grow old; the same unless given, as in virtual time. `guard()` makes what keeps
    tasks out of each other's way where they share state in memory; nothing is needed where a task switches only when it
    waits. `on_duty()` returns once the periodic work falls to this process: at once where there is no other. `stream`:
    where events go beside those who subscribed, if anywhere. `abroad`: the way to those; that to the partners unless
    given, as where all hosts are the world's own.
    """

    clock: Clock
    http: Http
    tasks: Tasks
    ids: Ids
    gate: Gate
    business: Clock | None = None
    guard: Guard = nullcontext
    on_duty: Duty = always
    stream: Stream | None = None
    abroad: Abroad | None = None
    telemetry: Telemetry = SILENT

    @property
    def business_clock(self) -> Clock:
        """The clock of the business."""
        return self.business or self.clock
