"""A world to put partners into, and a caller that talks to them in a task and hands the answers back."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

import orjson
import pytest

from simulators.kernel import EvidenceWriter, Fault, World

STARTS_AT_US = 1_795_766_400_000_000  # 2026-11-27T08:00:00Z
TRACE = "0af7651916cd43dd8448eb211c80319c"


@dataclass
class Told:
    """One answer, parsed."""

    status: int
    headers: dict[str, str]
    json: Any
    at_us: int


@dataclass
class Caller:
    """A client host in the world; `call` must be used inside a task, `run` runs one to its end."""

    world: World
    directory: Path
    name: str = "integration"
    token: str = ""

    def call(self, method: str, url: str, body: object = None, key: str = "", timeout_us: int = 60_000_000) -> Told:
        """One exchange; without a `key` the same request has the same one, and another request another."""
        headers = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01", "authorization": f"Bearer {self.token}"}
        raw = b"" if body is None else orjson.dumps(body)
        if method == "POST":
            own_key = f"key-{crc32(url.encode() + raw)}"
            headers |= {"content-type": "application/json", "idempotency-key": key or own_key}
        answer = self.world.network.send(self.name, method, url, headers, raw, timeout_us)
        parsed = orjson.loads(answer.body) if answer.body else None
        return Told(answer.status, answer.headers, parsed, self.world.now_us())

    def run(self, function: Callable[[], Any], for_us: int = 3_600_000_000) -> Any:
        """What `function` returns, run as a task; then the world goes on until `for_us` are over."""
        result: list[Any] = []
        self.world.spawn("test", lambda: result.append(function()))
        self.world.run(self.world.now_us() + for_us)
        assert result, f"the test's task did not end within {for_us} us"
        return result[0]

    def later(self, delay_us: int, function: Callable[[], Any], into: list[Any]) -> None:
        """Run `function` as a task after a delay and put what it returns into a list."""
        self.world.spawn("later", lambda: into.append(function()), delay_us=delay_us)

    def ledger(self, *kinds: str) -> list[dict[str, Any]]:
        """The ledger rows written so far, of these kinds or of all."""
        self.world.evidence.flush()
        lines = (self.directory / "ledger.ndjson").read_bytes().splitlines()
        rows = [orjson.loads(line) for line in lines]
        return [row for row in rows if not kinds or row["kind"] in kinds]


@pytest.fixture
def make_caller(tmp_path: Path) -> Iterator[Callable[..., Caller]]:
    """Makes a caller in a fresh world, with a plan of faults if wanted."""
    worlds: list[World] = []

    def make(*faults: Fault, seed: int = 7) -> Caller:
        directory = tmp_path / f"run-{len(worlds)}"
        world = World(seed, STARTS_AT_US, EvidenceWriter(directory), faults)
        worlds.append(world)
        return Caller(world, directory)

    yield make
    for world in worlds:
        world.evidence.close()


@pytest.fixture
def caller(make_caller: Callable[..., Caller]) -> Caller:
    return make_caller()
