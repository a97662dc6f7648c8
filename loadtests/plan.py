"""What a process of the crowd is told: a file without secrets, and tokens from the environment."""

import json
import platform
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

PLAN = "PEAKPROOF_LOAD_PLAN"
"""Names the plan's file."""
TOKENS = "PEAKPROOF_LOAD_TOKENS"
"""JSON: `channels`, bearer token per channel, and `clerks`, per node."""

EDGE_KINDS = ("request_lost", "reply_lost", "delay", "duplicate", "partition")
"""Faults of an edge from a channel that the crowd can play."""


@dataclass(frozen=True)
class Pace:
    """Business time: it is `business_us` when the monotonic clock of `machine` is at `monotonic_us`, and the wall's,
    which other machines go by, at `wall_us`; it runs `speed` times as fast."""

    business_us: int
    monotonic_us: int
    wall_us: int
    speed: float
    machine: str

    @classmethod
    def beginning(cls, business_us: int, in_s: float, speed: float) -> "Pace":
        """Shows `business_us` in so many seconds from now, on this machine."""
        later_us = round(in_s * 1e6)
        monotonic_us, wall_us = time.monotonic_ns() // 1_000, time.time_ns() // 1_000
        return cls(business_us, monotonic_us + later_us, wall_us + later_us, speed, platform.node())

    def now_us(self) -> int:
        """Business time now, in microseconds since the Unix epoch."""
        if platform.node() == self.machine:
            real_us = time.monotonic_ns() // 1_000 - self.monotonic_us
        else:
            real_us = time.time_ns() // 1_000 - self.wall_us
        return self.business_us + round(real_us * self.speed)

    def seconds(self, business_us: int) -> float:
        """Real seconds that so much business time lasts."""
        return business_us / self.speed / 1e6

    def seconds_until(self, business_us: int) -> float:
        """Real seconds until a moment of business time; negative when it is past."""
        return self.seconds(business_us - self.now_us())


@dataclass(frozen=True)
class Plan:
    """`scenario` as Scenario.plain has it; `urls` per host; `crowds` is how many processes share the demand."""

    scenario: Mapping[str, Any]
    seed: int
    shape: str
    pace: Pace
    urls: Mapping[str, str]
    directory: str
    crowds: int
    adapter: str

    def write(self, file: Path) -> None:
        """Leave it for the processes of the crowd."""
        file.write_text(json.dumps(asdict(self), indent=2) + "\n")

    @classmethod
    def read(cls, file: Path) -> "Plan":
        """The plan that `write` left."""
        raw = json.loads(file.read_text())
        raw["pace"] = Pace(**raw["pace"])
        return cls(**raw)
