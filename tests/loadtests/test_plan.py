"""What a crowd agrees on: what is written is what is read, and business time runs at its pace on every clock."""

from pathlib import Path

import pytest

from loadtests.plan import Pace, Plan, Standing, clock_name, monotonic_us
from scenarios.demand import Demand, files_of
from scenarios.spec import Scenario, load

HOUR_US = 3_600_000_000
SAMPLE = Path(__file__).parents[1] / "end_to_end" / "batches.csv"
PLAN = Plan({"name": "x", "demand": {}}, 5, "peak", {"integration": "http://127.0.0.1:1"}, 2, "")


def test_a_plan_is_read_as_it_was_written() -> None:
    assert Plan.from_json(PLAN.to_json()) == PLAN


def test_a_plan_brings_the_order_file_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    here.mkdir()
    elsewhere.mkdir()
    (here / "orders.csv").write_bytes(SAMPLE.read_bytes())
    monkeypatch.chdir(here)
    scenario = load("order-file", {"demand.file": "orders.csv"})
    plan = Plan(scenario.plain(), 5, "peak", {}, 1, "").with_files(files_of(scenario))
    demand = Demand.load(scenario, 5)
    monkeypatch.chdir(elsewhere)
    unpacked = Scenario.from_plain(Plan.from_json(plan.to_json()).unpacked(elsewhere))
    (here / "orders.csv").unlink()
    assert Demand.load(unpacked, 5).all_events == demand.all_events


def test_a_generated_demand_needs_no_file() -> None:
    scenario = load("ordinary-day", {})
    assert files_of(scenario) == {}
    assert Plan(scenario.plain(), 1, "peak", {}, 1, "").unpacked(Path("none")) == scenario.plain()


def test_business_time_runs_at_its_pace() -> None:
    pace = Pace.beginning(HOUR_US, 10.0, 3_600.0)
    assert pace.seconds(HOUR_US) == 1.0
    assert pace.seconds_until(HOUR_US) == pytest.approx(10.0, abs=0.5)
    assert pace.now_us() < HOUR_US


def test_who_has_another_clock_goes_by_how_far_that_is_ahead() -> None:
    ahead_us = 7 * HOUR_US
    told = Pace(HOUR_US, monotonic_us() + ahead_us, 0, 60.0)
    assert told.seen_from(ahead_us).now_us() == pytest.approx(HOUR_US, abs=60 * 500_000)


def test_processes_of_one_machine_share_a_clock() -> None:
    assert clock_name() == clock_name() != ""


def test_how_a_crowd_stands_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert Standing.read(tmp_path) == Standing()
    standing = Standing({3: {"name": "a", "ready": True, "ended": False}}, ["b: too old"], "gone", True, 42)
    standing.write(tmp_path)
    assert Standing.read(tmp_path) == standing
    assert (standing.ready, standing.ended) == (1, 0)
