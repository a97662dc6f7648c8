"""The checks fail on bugs made for them: each is put in at the composition root and reported by its own check.

The unmutated integration holds under the same scenario and seed.
"""

from pathlib import Path

import pytest

from integration.bootstrap import Parts
from scenarios.runner import run_scenario
from scenarios.spec import load
from scenarios.verdict import Verdict
from tests.end_to_end.mutants import CHECK_THEN_ACT, NO_BUSINESS_KEY, NO_DEDUPE

SCENARIO = str(Path(__file__).parent / "bugs.yaml")


def verdict_of(parts: Parts, directory: Path) -> Verdict:
    return run_scenario(load(SCENARIO), None, directory, parts=parts).verdict


def violated(verdict: Verdict) -> list[str]:
    return [check.name for check in verdict.checks if check.outcome == "violated"]


def test_without_a_bug_everything_holds(tmp_path: Path) -> None:
    verdict = verdict_of(Parts(), tmp_path / "run")
    assert {check.name: check.outcome for check in verdict.checks if check.outcome != "holds"} == {}
    assert verdict.exit_code == 0


@pytest.mark.parametrize(
    ("parts", "check"),
    [
        pytest.param(CHECK_THEN_ACT, "no_oversell", id="reserve by check-then-act"),
        pytest.param(NO_BUSINESS_KEY, "at_most_once", id="retry without a business key"),
        pytest.param(NO_DEDUPE, "availability_agrees", id="inbox without dedupe"),
    ],
)
def test_a_bug_is_reported_by_its_own_check(parts: Parts, check: str, tmp_path: Path) -> None:
    verdict = verdict_of(parts, tmp_path / "run")
    assert check in violated(verdict)
    assert "stock_conserved" not in violated(verdict)
    assert verdict.exit_code == 1
