"""Races that SQLite hides, under Locust: on PostgreSQL the check that judges every run catches them."""

from pathlib import Path
from typing import Any

import pytest

from peakproof import exits
from scenarios.mutants.racing import RACES
from tests.end_to_end.test_load import left_running, play, run_file

SCENARIO = str(Path(__file__).parent / "contended-day.yaml")
SIZE = ("--speed", "900", "--api-processes", "2", "--dispatchers", "2")
SEEDS = (1, 2, 3)
pytestmark = pytest.mark.long


def played(database: str, seed: int, out: Path, *further: str) -> tuple[int, dict[str, Any]]:
    """The exit code of one run, and each check's result by its name."""
    code, said = play(SCENARIO, *SIZE, "--database", database, "--seed", str(seed), *further, out=out)
    assert code in (exits.HOLDS, exits.VIOLATED), said
    assert left_running(out) == []
    return code, {check["name"]: check for check in run_file(out)["verdict"]["checks"]}


@pytest.mark.parametrize("race", RACES)
def test_a_race_is_caught_on_postgresql_by_its_own_check(race: str, tmp_path: Path) -> None:
    """Whether two transactions meet is up to the machine, so one run of several may miss it."""
    caught = []
    for seed in SEEDS:
        out = tmp_path / f"run-{seed}"
        code, checks = played("postgres", seed, out, "--mutant", race)
        assert run_file(out)["mutant"] == race
        violated = [name for name in RACES[race].caught_by if checks[name]["outcome"] == "violated"]
        caught.append(bool(violated))
        if violated:
            kinds = {example["kind"] for name in violated for example in checks[name]["counterexamples"]}
            assert (code, kinds) == (exits.VIOLATED, {"oversold"})
    assert sum(caught) >= len(SEEDS) - 1, f"caught in {sum(caught)} of {len(SEEDS)} runs"


@pytest.mark.parametrize("race", RACES)
def test_the_same_run_on_sqlite_hides_it(race: str, tmp_path: Path) -> None:
    code, checks = played("sqlite", SEEDS[0], tmp_path / "run", "--mutant", race)
    assert (code, checks["no_oversell"]["outcome"]) == (exits.HOLDS, "holds")
    assert checks["no_oversell"]["examined"] > 0


def test_the_product_holds_on_postgresql_under_the_same_crowd(tmp_path: Path) -> None:
    code, checks = played("postgres", SEEDS[0], tmp_path / "run")
    assert code == exits.HOLDS
    assert checks["no_oversell"]["outcome"] == "holds"
