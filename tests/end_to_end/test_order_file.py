"""Real orders run through the whole flow, and every row of the file is accounted for."""

import json
from pathlib import Path

import pytest

from scenarios.runner import run_scenario
from scenarios.spec import load

DATA = Path(__file__).parents[3] / "shared" / "data"
PEAK_DAY = DATA / "peak_day_2011-11-17.csv.gz"
FORTNIGHT = DATA / "peak_fortnight_2011-11-11_24.csv.gz"


def play(file: Path, directory: Path) -> dict[str, object]:
    """The run file of `order-file` with this file; every check must hold."""
    result = run_scenario(load("order-file", {"demand.file": str(file)}), None, directory)
    assert {
        check.name: check.outcome for check in result.verdict.checks if check.decides and check.outcome != "holds"
    } == {}
    assert result.exit_code == 0
    record: dict[str, object] = json.loads((directory / "run.json").read_text())
    return record


@pytest.mark.skipif(not PEAK_DAY.exists(), reason=f"real orders are not here: {PEAK_DAY.name}")
def test_a_real_peak_day_holds(tmp_path: Path) -> None:
    counts = play(PEAK_DAY, tmp_path / "run")["demand"]["counts"]  # type: ignore[index]
    assert (counts["orders"], counts["lines"], counts["adjustments"]) == (136, 3_555, 16)
    assert counts["cancelled_lines"] + counts["cancel_rows_unmatched"] == 28


@pytest.mark.long
@pytest.mark.skipif(not FORTNIGHT.exists(), reason=f"real orders are not here: {FORTNIGHT.name}")
def test_the_real_peak_fortnight_holds(tmp_path: Path) -> None:
    counts = play(FORTNIGHT, tmp_path / "run")["demand"]["counts"]  # type: ignore[index]
    assert (counts["orders"], counts["lines"], counts["adjustments"]) == (1_352, 41_709, 142)
    assert counts["cancelled_lines"] + counts["cancel_rows_unmatched"] == 462
