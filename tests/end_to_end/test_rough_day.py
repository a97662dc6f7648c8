"""Crashes, lost replies, short picks and late webhooks all on one day, on well-behaved and on careless partners."""

from pathlib import Path
from typing import Any

import pytest

from scenarios.runner import run_scenario
from scenarios.spec import Scenario, load

SCENARIO = Path(__file__).parent / "rough-day.yaml"
CARELESS = {
    "erp": {"profile": "strict"},
    "wms-east": {"profile": "careless"},
    "wms-west": {"profile": "strict"},
    "threepl": {"profile": "careless"},
    "carrier": {"profile": "double-label"},
}
CASTS: list[Any] = [pytest.param({}, id="usual"), pytest.param(CARELESS, id="careless")]


def with_cast(cast: dict[str, Any]) -> Scenario:
    return Scenario.from_plain({**load(str(SCENARIO)).plain(), "cast": cast})


def must_hold(cast: dict[str, Any], seed: int, directory: Path) -> None:
    verdict = run_scenario(with_cast(cast), seed, directory).verdict
    assert {check.name: check.outcome for check in verdict.checks if check.decides and check.outcome != "holds"} == {}


@pytest.mark.parametrize("cast", CASTS)
def test_a_rough_day_loses_and_doubles_nothing(cast: dict[str, Any], tmp_path: Path) -> None:
    must_hold(cast, 1, tmp_path / "run")


@pytest.mark.long
@pytest.mark.parametrize("cast", CASTS)
@pytest.mark.parametrize("seed", range(2, 14))
def test_many_rough_days_lose_and_double_nothing(cast: dict[str, Any], seed: int, tmp_path: Path) -> None:
    must_hold(cast, seed, tmp_path / "run")
