"""A correct integration survives what a swarm throws at it, a crash at every transaction, and awkward dates."""

from pathlib import Path
from typing import Any

import pytest

from contracts.evidence import open_run
from scenarios.runner import run_scenario
from scenarios.spec import Scenario, load
from scenarios.swarm import crash_sweep

SMALL = Path(__file__).parent / "small-day.yaml"
TINY = {"demand.orders": "16", "demand.skus": "3", "demand.most_lines": "2", "demand.adjustments_per_day": "0"}


def small(**more: Any) -> Scenario:
    return Scenario.from_plain({**load(str(SMALL)).plain(), **more})


def must_hold(scenario: Scenario, seed: int, directory: Path) -> None:
    result = run_scenario(scenario, seed, directory)
    judged = {check.name: check.outcome for check in result.verdict.checks}
    assert {name: outcome for name, outcome in judged.items() if outcome not in ("holds", "inconclusive")} == {}
    assert result.exit_code == 0


def strikes(directory: Path) -> dict[str, int]:
    rows = open_run(directory).execute("SELECT kind, count(*) FROM faults WHERE event = 'strike' GROUP BY kind")
    return dict(rows.fetchall())


@pytest.mark.parametrize("seed", [1, 2])
def test_a_swarm_is_survived(seed: int, tmp_path: Path) -> None:
    must_hold(small(swarm=True), seed, tmp_path / "run")
    assert sum(strikes(tmp_path / "run").values()) > 10


@pytest.mark.long
@pytest.mark.parametrize("seed", range(3, 23))
def test_many_swarms_are_survived(seed: int, tmp_path: Path) -> None:
    must_hold(small(swarm={"share": 0.3}), seed, tmp_path / "run")


@pytest.mark.parametrize("kind", ["db_locked", "db_serialization", "db_ack_lost"])
def test_a_failing_database_loses_and_doubles_nothing(kind: str, tmp_path: Path) -> None:
    fault = {"id": "db", "kind": kind, "host": "integration", "select": {"share": 0.2}}
    must_hold(small(faults=[fault], expects=["fault:db"]), 1, tmp_path / "run")
    assert strikes(tmp_path / "run")[kind] > 20


def sweep(transactions: range, directory: Path) -> None:
    tiny = load(str(SMALL), TINY)
    for number, scenario in enumerate(crash_sweep(tiny, transactions)):
        must_hold(scenario, 1, directory / str(number))


def test_a_crash_around_one_transaction_loses_and_doubles_nothing(tmp_path: Path) -> None:
    sweep(range(40, 41), tmp_path)


@pytest.mark.long
def test_a_crash_at_every_transaction_in_turn_loses_and_doubles_nothing(tmp_path: Path) -> None:
    sweep(range(1, 101), tmp_path)


@pytest.mark.parametrize(
    "starts_at",
    [
        pytest.param("2026-10-24T23:30:00Z", id="clocks go back in Europe"),
        pytest.param("2027-03-28T00:00:00Z", id="clocks go forward in Europe"),
        pytest.param("2026-12-31T22:30:00Z", id="end of the month and the year"),
    ],
)
def test_awkward_dates_change_nothing(starts_at: str, tmp_path: Path) -> None:
    must_hold(small(starts_at=starts_at), 1, tmp_path / "run")
