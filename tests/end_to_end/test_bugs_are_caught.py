"""The checks fail on bugs made for them: each is put in at the composition root and reported by its own check.

The unmutated integration holds under the same scenario and seeds.
"""

import os
from pathlib import Path

import pytest

from integration.bootstrap import Parts
from scenarios.executors import Processes
from scenarios.matrix import Asked, Matrix, play_matrix
from scenarios.mutants import MUTANTS
from scenarios.runner import run_scenario
from scenarios.spec import load
from scenarios.verdict import Verdict

SCENARIO = str(Path(__file__).parent / "bugs.yaml")


def verdict_of(parts: Parts, directory: Path) -> Verdict:
    return run_scenario(load(SCENARIO), None, directory, parts=parts).verdict


def violated(verdict: Verdict) -> list[str]:
    return [check.name for check in verdict.checks if check.outcome == "violated"]


def test_without_a_bug_everything_holds(tmp_path: Path) -> None:
    verdict = verdict_of(Parts(), tmp_path / "run")
    # No call of the integration fails for long in this scenario, so nothing can be held up behind one; and nobody is to
    # be told of events.
    others = {check.name: check.outcome for check in verdict.checks if check.outcome != "holds"}
    assert others == {"everyone_is_told": "inconclusive", "poison_is_parked": "inconclusive"}
    assert verdict.exit_code == 0


@pytest.mark.parametrize(
    ("mutant", "check"),
    [
        ("check-then-act", "no_oversell"),
        ("key-per-attempt", "at_most_once"),
        ("no-dedupe", "availability_agrees"),
    ],
)
def test_a_bug_is_reported_by_its_own_check(mutant: str, check: str, tmp_path: Path) -> None:
    assert check in MUTANTS[mutant].caught_by
    verdict = verdict_of(MUTANTS[mutant].parts(), tmp_path / "run")
    assert check in violated(verdict)
    assert "stock_conserved" not in violated(verdict)
    assert verdict.exit_code == 1


@pytest.mark.long
def test_every_mutant_is_killed_by_its_own_check_and_nothing_is_found_without_one() -> None:
    with Processes(len(os.sched_getaffinity(0))) as executor:
        matrix = Matrix.begun(Asked())
        play_matrix(matrix, executor)
    assert matrix.survivors == []
    assert matrix.alarms == []
    assert matrix.control_errors == []
