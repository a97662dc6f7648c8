"""What the processes of a crowd agree on: its plan, how business time runs, and how it stands.

The runner leaves PLAN_FILE and BEGIN_FILE in a directory for the lead of the crowd, who leaves STANDING_FILE there.
"""

import time
from base64 import b64decode, b64encode
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson

DIRECTORY = "PEAKPROOF_LOAD_DIRECTORY"
"""The directory of the plan, told to the lead alone."""
TOKENS = "PEAKPROOF_LOAD_TOKENS"
"""JSON: `channels`, bearer token per channel, and `clerks`, per node; told to the lead alone."""
SECRET = "PEAKPROOF_LOAD_SECRET"
"""What lets a worker in, and what the talk between lead and workers is enciphered with."""
SECRET_AT_LEAST = 16
PLAN_FILE, BEGIN_FILE, STANDING_FILE = "plan.json", "begin.json", "crowd.json"

EDGE_KINDS = ("request_lost", "reply_lost", "delay", "duplicate", "partition")
"""Faults of an edge from a channel that the crowd can play."""

_BOOT, _TIME_NAMESPACE = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/time")


def monotonic_us() -> int:
    """The monotonic clock of this process, in microseconds since some moment."""
    return time.monotonic_ns() // 1_000


def clock_name() -> str:
    """Tells monotonic clocks apart: processes that have the same name for theirs share one. Empty: nobody knows."""
    with suppress(OSError):
        return f"{_BOOT.read_text().strip()} {_TIME_NAMESPACE.readlink()}"
    return ""


@dataclass(frozen=True)
class Pace:
    """Business time: it is `business_us` when the monotonic clock is at `monotonic_us`, and the wall's, which other
    programs go by, at `wall_us`; it runs `speed` times as fast."""

    business_us: int
    monotonic_us: int
    wall_us: int
    speed: float

    @classmethod
    def beginning(cls, business_us: int, in_s: float, speed: float) -> "Pace":
        """Shows `business_us` in so many seconds from now."""
        later_us = round(in_s * 1e6)
        return cls(business_us, monotonic_us() + later_us, time.time_ns() // 1_000 + later_us, speed)

    def seen_from(self, ahead_us: int) -> "Pace":
        """The same for one over whose monotonic clock this one's is so far ahead."""
        return replace(self, monotonic_us=self.monotonic_us - ahead_us)

    def now_us(self) -> int:
        """Business time now, in microseconds since the Unix epoch."""
        return self.business_us + round((monotonic_us() - self.monotonic_us) * self.speed)

    def seconds(self, business_us: int) -> float:
        """Real seconds that so much business time lasts."""
        return business_us / self.speed / 1e6

    def seconds_until(self, business_us: int) -> float:
        """Real seconds until a moment of business time; negative when it is past."""
        return self.seconds(business_us - self.now_us())


@dataclass(frozen=True)
class Plan:
    """`scenario` as Scenario.plain has it; `urls` per host; `crowds` is how many processes share the demand.

    `files` holds, in base 64, what settings of the demand name files for, which other machines have not.
    """

    scenario: Mapping[str, Any]
    seed: int
    shape: str
    urls: Mapping[str, str]
    crowds: int
    adapter: str
    files: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> bytes:
        return orjson.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: bytes) -> "Plan":
        return cls(**orjson.loads(text))

    def with_files(self, paths: Mapping[str, Path]) -> "Plan":
        """With the files that settings of the demand name, e.g. `file`."""
        return replace(self, files={name: b64encode(path.read_bytes()).decode() for name, path in paths.items()})

    def unpacked(self, directory: Path) -> dict[str, Any]:
        """The scenario, its demand pointing to files that are written into a directory."""
        demand = dict(self.scenario["demand"])
        for name, content in self.files.items():
            file = directory / Path(demand[name]).name
            file.write_bytes(b64decode(content))
            demand[name] = str(file)
        return {**self.scenario, "demand": demand}


@dataclass
class Standing:
    """How a crowd stands, as its lead tells the runner.

    `workers` per place: who it is, and `ready`, `ended`; `refused` are those who were not let in; `trouble` ends the
    run, and `lost` says that it is because a worker is gone. `skew_us` is by how much the clocks of workers may
    differ from the lead's, in real time.
    """

    workers: dict[int, dict[str, Any]] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    trouble: str = ""
    lost: bool = False
    skew_us: int = 0

    @property
    def ready(self) -> int:
        """How many workers have what they need."""
        return sum(worker["ready"] for worker in self.workers.values())

    @property
    def ended(self) -> int:
        """How many workers have done their part and delivered all evidence of it."""
        return sum(worker["ended"] for worker in self.workers.values())

    def write(self, directory: Path) -> None:
        """Leave it for the runner."""
        text = orjson.dumps(asdict(self), option=orjson.OPT_NON_STR_KEYS | orjson.OPT_INDENT_2)
        leave(directory / STANDING_FILE, text)

    @classmethod
    def read(cls, directory: Path) -> "Standing":
        """What the lead last left; that of an empty crowd before it has."""
        try:
            raw = orjson.loads((directory / STANDING_FILE).read_bytes())
        except FileNotFoundError:
            return cls()
        raw["workers"] = {int(place): worker for place, worker in raw["workers"].items()}
        return cls(**raw)


def leave(file: Path, text: bytes) -> None:
    """Write a file that others look for: they find it whole or not at all."""
    unfinished = file.with_suffix(".part")
    unfinished.write_bytes(text)
    unfinished.replace(file)
