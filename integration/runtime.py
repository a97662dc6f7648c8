"""The ports: what the integration asks of the place where it runs.

All are structural. A virtual world, a threaded server or a test supplies them; nothing here knows which one it is.
Times are integer microseconds since the Unix epoch, durations integer microseconds.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol


class IntegrationError(Exception):
    """Base of every error that the integration raises itself.

    IntegrationError
    +-- SettingsError        settings name something unknown or unusable
    +-- StorageError         the database can't be used as asked
    |   +-- DatabaseFailed   the database could not do it now
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
    """Everything that the integration is given by its host."""

    clock: Clock
    http: Http
    tasks: Tasks
    ids: Ids
    gate: Gate
