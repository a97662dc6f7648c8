"""kill -9 of every process of the integration, again and again, beside partners that keep books of their own."""

from collections import Counter
from pathlib import Path

import pytest

from peakproof.live.collected import rows_of
from tests.end_to_end.test_load import left_running, play, run_file

SCENARIO = str(Path(__file__).parent / "killed-day.yaml")
KILLS = 10


@pytest.mark.long
def test_ten_kills_lose_and_double_nothing_in_the_books_of_the_partners(tmp_path: Path) -> None:
    out = tmp_path / "run"
    code, said = play(SCENARIO, "--speed", "120", "--database", "postgres", out=out)
    assert code == 0, said
    struck = Counter(row["fault"] for row in rows_of(out / "faults.ndjson") if row["event"] == "strike")
    assert struck == {f"killed-{number}": 1 for number in range(1, KILLS + 1)}
    outcomes = {check["name"]: check["outcome"] for check in run_file(out)["verdict"]["checks"]}
    judged = ("at_most_once", "nothing_lost", "no_oversell")
    assert {name: outcomes[name] for name in judged} == dict.fromkeys(judged, "holds")
    told = Counter(row["outcome"] for row in rows_of(out / "operations.ndjson") if row["operation"] == "place_order")
    assert told["ok"] > 100
    assert told.total() > told["ok"], "no order met a killed process: the test shows nothing"
    assert left_running(out) == []
