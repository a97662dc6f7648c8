"""Fakes of the ports, and a database on a file of its own, for every test of the integration."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from integration.runtime import SILENT, Abroad, Duty, Guard, Stream, Telemetry, always
from integration.storage import Database

# 2026-11-27T09:00:00Z
START_US = 1_795_770_000_000_000


class FakeClock:
    """Stands still until it is told otherwise; a sleep moves it on. `wrong_us`: how far somebody set it ahead."""

    def __init__(self) -> None:
        self.at_us = START_US
        self.wrong_us = 0

    def now_us(self) -> int:
        return self.at_us + self.wrong_us

    def steady_us(self) -> int:
        return self.at_us

    def sleep(self, duration_us: int) -> None:
        self.at_us += duration_us


class FakeSignal:
    def set(self) -> None:
        pass

    def wait(self, timeout_us: int | None) -> bool:
        del timeout_us
        return True


@dataclass
class FakeTasks:
    """Notes what would be spawned."""

    spawned: list[str] = field(default_factory=list)

    def spawn(self, name: str, function: Callable[..., object], *args: object) -> None:
        del function, args
        self.spawned.append(name)

    def signal(self) -> FakeSignal:
        return FakeSignal()


class FakeIds:
    """Counts per kind."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def new(self, kind: str) -> str:
        self._counts[kind] = self._counts.get(kind, 0) + 1
        return f"{kind}-{self._counts[kind]}x"


class OpenGate:
    """Lets everybody through; `at_begin` is called before each write transaction, as another task would come in."""

    def __init__(self) -> None:
        self.at_begin: Callable[[], None] = lambda: None

    def begin(self, write: bool) -> None:
        if write:
            at_begin, self.at_begin = self.at_begin, lambda: None
            at_begin()

    def commit(self) -> None:
        pass

    def end(self) -> None:
        pass

    def on_crash(self, callback: Callable[[], None]) -> None:
        pass


@dataclass(frozen=True)
class FakePorts:
    clock: FakeClock
    http: Any
    tasks: FakeTasks
    ids: FakeIds
    gate: OpenGate
    guard: Guard = nullcontext
    on_duty: Duty = always
    stream: Stream | None = None
    abroad: Abroad | None = None
    telemetry: Telemetry = SILENT

    @property
    def business_clock(self) -> FakeClock:
        return self.clock


class NoHttp:
    """A network on which nobody answers."""

    def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes, timeout_us: int) -> Any:
        raise ConnectionRefusedError(f"{method} {url}")


@pytest.fixture
def ports() -> FakePorts:
    return FakePorts(FakeClock(), NoHttp(), FakeTasks(), FakeIds(), OpenGate())


@pytest.fixture
def clock(ports: FakePorts) -> FakeClock:
    return ports.clock


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Every test of the integration that keeps anything runs on both databases."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres_url"))
    return f"sqlite:///{tmp_path}/integration.db"


@pytest.fixture
def database(database_url: str, ports: FakePorts) -> Iterator[Database]:
    database = Database(database_url, ports.gate, synchronous="OFF")
    if database.is_sqlite:
        database.create()
    yield database
    database.close()
