"""Seeds that once found a bug of the integration: they must hold for good."""

from pathlib import Path

import pytest

from scenarios.runner import run_scenario
from scenarios.spec import load

THEN = {
    "demand.adjustments_per_day": "80",
    "cast.wms-east.settings.stock_report_every": "0s",
    "cast.wms-west.settings.stock_report_every": "0s",
    "expects": "[]",
}
"""The exploration scenario as it was when these seeds found what they found."""


@pytest.mark.parametrize(
    "seed",
    [
        pytest.param(3175, id="part cancelled before the release, part by the node"),
        pytest.param(10943, id="a batch out of sequence, and the database failed in its midst"),
    ],
)
def test_a_mended_bug_stays_mended(seed: int, tmp_path: Path) -> None:
    verdict = run_scenario(load("exploration", THEN), seed, tmp_path / "run").verdict
    assert {check.name: check.outcome for check in verdict.checks if check.decides and check.outcome != "holds"} == {}
