"""The ports of a live process: wall clock, threads, random identifiers, and the gate of its kind of database.

Protocol time (leases, time-outs, retries, tokens, signatures) is always the wall clock's. Business time (what is in
force, how old an order or a copy is) runs at a chosen speed from a chosen instant, as the partners' does.
"""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

import orjson

from integration.runtime import Clock, Gate, Signal
from integration.settings import SettingsError

log = logging.getLogger(__name__)

# A task that failed is begun again after this long.
_RESTART_US = 1_000_000
_LONGEST_KIND = 6
_LOOK_S = 0.1


# How far the wall clock was ahead of the one that nobody sets when this process began.
_AHEAD_US = (time.time_ns() - time.monotonic_ns()) // 1_000


class WallClock:
    """The machine's own clock."""

    def now_us(self) -> int:
        """Microseconds since the Unix epoch."""
        return time.time_ns() // 1_000

    def steady_us(self) -> int:
        """Microseconds since this process began to count."""
        return _steady_us()

    def sleep(self, duration_us: int) -> None:
        """Park the thread."""
        if duration_us > 0:
            time.sleep(duration_us / 1_000_000)


@dataclass(frozen=True)
class BusinessClock:
    """A clock that showed `shown_us` when the wall clock showed `wall_us`, and has run at `speed` since."""

    speed: float = 1.0
    shown_us: int = 0
    wall_us: int = 0

    def now_us(self) -> int:
        """Microseconds since the Unix epoch, as the business counts them."""
        return self._shows_us(time.time_ns() // 1_000)

    def steady_us(self) -> int:
        """The same, had nobody set the wall clock since this process began."""
        return self._shows_us(_steady_us())

    def sleep(self, duration_us: int) -> None:
        """Park the thread for a duration of business time."""
        if duration_us > 0:
            time.sleep(duration_us / 1_000_000 / self.speed)

    def _shows_us(self, wall_us: int) -> int:
        return self.shown_us + round((wall_us - self.wall_us) * self.speed)


class ToldClock:
    """A clock that goes as a JSON file tells, which whoever sets the pace replaces at each change of it.

    `clock` in it lists stretches of steady pace, the latest last: what the business clock showed (`business_us`) when
    the wall clock showed `wall_us`, and how fast it has run since (`speed`), 0 while it stands still. When the file is
    taken away the last that was told holds. Raises SettingsError when it can't be read at the beginning.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._held = self._read()
        except (OSError, orjson.JSONDecodeError, LookupError, TypeError) as error:
            raise SettingsError(f"{path} does not tell how business time goes: {error!r}") from error

    def now_us(self) -> int:
        """Microseconds since the Unix epoch, as the business counts them."""
        return self._told().now_us()

    def steady_us(self) -> int:
        """The same, had nobody set the wall clock since this process began."""
        return self._told().steady_us()

    def sleep(self, duration_us: int) -> None:
        """Park the thread for a duration of business time, however its pace changes meanwhile."""
        ends_us = self.steady_us() + duration_us
        while (left_us := ends_us - self.steady_us()) > 0:
            speed = self._told().speed
            time.sleep(min(_LOOK_S, left_us / 1_000_000 / speed) if speed else _LOOK_S)

    def _told(self) -> BusinessClock:
        held, clock = self._held
        try:
            if _version_of(self._path) != held:
                self._held = _, clock = self._read()
        except FileNotFoundError:
            pass
        return clock

    def _read(self) -> tuple[tuple[int, int], BusinessClock]:
        version = _version_of(self._path)
        latest = orjson.loads(self._path.read_bytes())["clock"][-1]
        return version, BusinessClock(latest["speed"], latest["business_us"], latest["wall_us"])


def _steady_us() -> int:
    return _AHEAD_US + time.monotonic_ns() // 1_000


def _version_of(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_ino, found.st_mtime_ns


class ThreadSignal:
    """A wake-up call between threads that resets itself."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        """Wake who waits, or the next to wait."""
        self._event.set()

    def wait(self, timeout_us: int | None) -> bool:
        """True when woken, False when the time was up."""
        woken = self._event.wait(None if timeout_us is None else timeout_us / 1_000_000)
        if woken:
            self._event.clear()
        return woken


class ThreadTasks:
    """Every task is a daemon thread. One that raises is logged and begun again: what it had in hand is leased, and
    comes up again by itself."""

    def spawn(self, name: str, function: Callable[..., object], *args: object) -> None:
        """Start a task."""
        threading.Thread(target=_kept_alive, args=(name, function, args), name=name, daemon=True).start()

    def signal(self) -> Signal:
        """A new signal between tasks of this process."""
        return ThreadSignal()


def _kept_alive(name: str, function: Callable[..., object], args: tuple[object, ...]) -> None:
    while True:
        try:
            function(*args)
        except Exception:
            log.exception("task %s failed and is begun again", name)
            time.sleep(_RESTART_US / 1_000_000)
        else:
            return


class RandomIds:
    """Identifiers that sort roughly by time, which keeps indexes dense: 48 bits of milliseconds, 80 of chance.

    They end in a letter that is no digit: some 3PLs cut off a tail of a dash and digits.
    """

    def new(self, kind: str) -> str:
        """An identifier such as `ord-0198f2a1c3d4<20 hexadecimal digits>x`, of at most 40 characters."""
        assert len(kind) <= _LONGEST_KIND, f"the identifier of a {kind!r} would be longer than 40 characters"
        return f"{kind}-{time.time_ns() // 1_000_000:012x}{token_hex(10)}x"


class OpenGate:
    """For a database that does its own locking."""

    def begin(self, write: bool) -> None:
        """Nobody has to wait here."""

    def commit(self) -> None:
        """Nothing to do."""

    def end(self) -> None:
        """Nothing to give back."""

    def on_crash(self, callback: Callable[[], None]) -> None:
        """A live process that dies needs nobody to undo anything: its connections close."""


class OneWriter(OpenGate):
    """For SQLite: the threads of this process write one at a time; other processes wait in SQLite's busy time-out."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def begin(self, write: bool) -> None:
        """Take the write lock."""
        if write:
            self._lock.acquire()

    def end(self) -> None:
        """Give it back."""
        self._lock.release()


def gate_for(database_url: str) -> Gate:
    """The gate of the kind of database that this URL names."""
    return OneWriter() if database_url.startswith("sqlite") else OpenGate()


def guard() -> AbstractContextManager[object]:
    """Keeps threads out of each other's way where they share state in memory."""
    return threading.RLock()


def business_clock(speed: float, shown_us: int | None, wall_us: int | None) -> Clock:
    """The wall clock itself at speed 1 with nothing else said; else one that has shown `shown_us` at `wall_us`."""
    if speed == 1 and shown_us is None:
        return WallClock()
    now_us = time.time_ns() // 1_000
    since_us = now_us if wall_us is None else wall_us
    return BusinessClock(speed, since_us if shown_us is None else shown_us, since_us)
