"""The integration crashes in the middle of a batch and loses, doubles and oversells nothing."""

from pathlib import Path

import pytest

from contracts.evidence import open_run
from scenarios.runner import run_scenario
from scenarios.spec import Scenario, load

SCENARIO = Path(__file__).parent / "bugs.yaml"


def with_crash(at: str) -> Scenario:
    plain = load(str(SCENARIO)).plain()
    crash = {"id": "crash", "kind": "crash", "host": "integration", "window": {"from": at, "for": "45s"}}
    return Scenario.from_plain({**plain, "faults": [*plain["faults"], crash], "expects": ["fault:crash"]})


@pytest.mark.parametrize("at", ["32400030ms", "33601s", "36000060ms"])
def test_a_crash_loses_and_doubles_nothing(at: str, tmp_path: Path) -> None:
    verdict = run_scenario(with_crash(at), None, tmp_path / "run").verdict
    assert {check.name: check.outcome for check in verdict.checks if check.decides and check.outcome != "holds"} == {}
    database = open_run(tmp_path / "run")
    assert database.execute("SELECT count(*) FROM faults WHERE fault = 'crash' AND event = 'strike'").fetchone() == (1,)
