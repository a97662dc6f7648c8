"""The plan of a crowd: what is written is what is read, and business time runs at its pace."""

from dataclasses import replace
from pathlib import Path

import pytest

from loadtests.plan import Pace, Plan

HOUR_US = 3_600_000_000


def test_a_plan_is_read_as_it_was_written(tmp_path: Path) -> None:
    pace = Pace(1, 2, 3, 60.0, "here")
    plan = Plan({"name": "x"}, 5, "peak", pace, {"integration": "http://127.0.0.1:1"}, "/run", 2, "")
    plan.write(tmp_path / "plan.json")
    assert Plan.read(tmp_path / "plan.json") == plan


def test_business_time_runs_at_its_pace() -> None:
    pace = Pace.beginning(HOUR_US, 10.0, 3_600.0)
    assert pace.seconds(HOUR_US) == 1.0
    assert pace.seconds_until(HOUR_US) == pytest.approx(10.0, abs=0.5)
    assert pace.now_us() < HOUR_US


def test_another_machine_goes_by_the_wall_clock() -> None:
    pace = Pace.beginning(HOUR_US, 0.0, 1.0)
    elsewhere = replace(pace, machine="elsewhere", monotonic_us=0)
    assert elsewhere.now_us() == pytest.approx(pace.now_us(), abs=500_000)
