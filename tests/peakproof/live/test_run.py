"""A run behind real doors, without doors: what its world is made of."""

import time
from pathlib import Path

import gevent
import pytest

from peakproof.live.recipe import Recipe
from peakproof.live.run import LiveRun
from peakproof.live.secrets import secrets_of
from scenarios.errors import ScenarioError
from simulators.kernel.live import LiveWorld

SCENARIO = """
name: two-clocks
summary: Two faults of the same window, each in its own time
starts_at: 2026-06-09T06:00:00Z
duration: 24h
demand: {orders: 0}
faults:
  - {id: business, kind: outage, host: carrier, window: {from: 10m, for: 5m}}
  - {id: protocol, kind: outage, host: erp, window: {from: 10m, for: 5m}, clock: protocol}
"""
MINUTE_US = 60_000_000


def test_a_window_in_protocol_time_counts_from_the_start_by_the_walls_clock(tmp_path: Path) -> None:
    file = tmp_path / "two-clocks.yaml"
    file.write_text(SCENARIO)
    run = LiveRun("", Recipe(str(file), speed=60.0), secrets_of("", "secret", {}), tmp_path / "run")
    before_us = time.time_ns() // 1_000
    run.open()
    business, protocol = run.world.faults.plan
    run.close()
    assert business.from_us == run.world.starts_at_us + 10 * MINUTE_US
    assert before_us + 10 * MINUTE_US <= protocol.from_us <= time.time_ns() // 1_000 + 10 * MINUTE_US
    assert protocol.to_us - protocol.from_us == 5 * MINUTE_US


def test_a_scenario_that_is_not_there_is_said_before_anything_is_made(tmp_path: Path) -> None:
    run = LiveRun("", Recipe("peak-seson"), secrets_of("", "secret", {}), tmp_path / "run")
    with pytest.raises(ScenarioError, match="did you mean 'peak-season'"):
        run.open()
    assert not (tmp_path / "run").exists()


class Noted(LiveRun):
    """Keeps every world that it made."""

    worlds: list[LiveWorld]

    def open(self) -> None:
        super().open()
        self.worlds.append(self.world)


def test_of_the_worlds_of_resets_at_once_only_the_last_goes_on(tmp_path: Path) -> None:
    run = Noted("", Recipe(), secrets_of("", "secret", {}), tmp_path / "run")
    run.worlds = []
    run.open()
    resets = [gevent.spawn(run.reset) for _ in range(3)]
    gevent.joinall(resets, timeout=20, raise_error=True)
    assert [world.ended.is_set() for world in run.worlds] == [True, True, True, False]
    run.close()
