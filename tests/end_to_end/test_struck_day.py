"""Faults on the integration's own processes, as `load` plays them: gone, standing still, killed."""

from collections import Counter
from pathlib import Path

import pytest

from peakproof.live.collected import rows_of
from tests.end_to_end.test_load import left_running, play, run_file

SCENARIO = str(Path(__file__).parent / "struck-day.yaml")
SPEED = 120


@pytest.mark.long
def test_an_outage_a_pause_and_a_crash_lose_and_double_nothing(tmp_path: Path) -> None:
    out = tmp_path / "run"
    size = ["--api-processes", "2", "--dispatchers", "2"]
    code, said = play(SCENARIO, "--speed", str(SPEED), "--database", "postgres", *size, out=out)
    assert code == 0, said
    struck = Counter((row["fault"], row["kind"]) for row in rows_of(out / "faults.ndjson") if row["event"] == "strike")
    assert struck == {("away", "outage"): 1, ("standing-still", "pause"): 1, ("killed", "crash"): 1}
    assert run_file(out)["live"]["faults_not_played"] == "none"
    verdict = run_file(out)["verdict"]
    outcomes = {check["name"]: check["outcome"] for check in verdict["checks"]}
    judged = ("at_most_once", "it_happened", "no_oversell", "nothing_lost")
    assert {name: outcomes[name] for name in judged} == dict.fromkeys(judged, "holds")
    told = Counter(row["outcome"] for row in rows_of(out / "operations.ndjson") if row["operation"] == "place_order")
    assert told["ok"] > 50
    assert told.total() > told["ok"], "no order met a fault: the test shows nothing"
    answered = [row for row in rows_of(out / "exchanges.ndjson") if row["target"] == "integration"]
    longest_s = max(row["completed_at_us"] - row["sent_at_us"] for row in answered) / SPEED / 1e6
    assert longest_s > 4, "nobody waited while it stood still"
    assert left_running(out) == []
