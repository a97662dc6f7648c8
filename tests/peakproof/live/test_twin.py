"""Facts of a run in real time: protocol time is told in business time, and nothing but facts is written."""

from pathlib import Path
from typing import Any

import pytest

from loadtests.plan import EDGE_KINDS
from peakproof.live.afflictions import not_played
from peakproof.live.collected import rows_of
from peakproof.live.twin import Twin
from scenarios.demand import Demand
from scenarios.facts import Moments
from scenarios.spec import Scenario, load
from simulators.kernel import EvidenceWriter

END_TO_END = Path(__file__).parents[2] / "end_to_end"
SECOND_US = 1_000_000


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return load(str(END_TO_END / "parity-day.yaml"))


def facts(scenario: Scenario, speed: float, directory: Path) -> dict[tuple[str, str], dict[str, Any]]:
    demand = Demand.load(scenario, 1)
    with EvidenceWriter(directory) as evidence:
        twin = Twin.of(scenario, demand, 1, speed, evidence)
        moments = Moments(demand.ends_at_us, demand.ends_at_us, demand.ends_at_us, None)
        twin.write(moments, 3, 7, {"fault:shipped-twice"}, {"no_storm": "nobody knows"})
        assert evidence.rows("ledger") == evidence.rows("faults") == 0
    rows = list(rows_of(directory / "facts.ndjson"))
    assert "fault:shipped-twice" not in [row.get("text") for row in rows]
    return {(row["fact"], row.get("subject") or ""): row for row in rows}


def test_at_speed_one_the_two_clocks_are_one(scenario: Scenario, tmp_path: Path) -> None:
    told = facts(scenario, 1.0, tmp_path)
    assert told["freshness_us", "wms-east"]["value"] == 120 * SECOND_US + 7, "clocks may differ by 7 us"
    assert told["protocol_second_us", ""]["value"] == SECOND_US
    assert told["clock_skew_us", ""]["value"] == 7
    assert told["unobservable", "no_storm"]["text"] == "nobody knows"


def test_at_a_higher_speed_a_retry_takes_more_of_business_time(scenario: Scenario, tmp_path: Path) -> None:
    told = facts(scenario, 60.0, tmp_path)
    # 15 s until a lost webhook comes again: 10 s of time-out and 5 s of pause
    assert told["freshness_us", "wms-east"]["value"] == (120 + 59 * 15) * SECOND_US + 7
    assert told["retry_budget", "erp"]["value_to"] == 60 * SECOND_US
    assert told["protocol_second_us", ""]["value"] == 60 * SECOND_US


def test_faults_that_nobody_can_play_are_named(scenario: Scenario) -> None:
    assert not_played(scenario, EDGE_KINDS, is_foreign=False) == []
    rough = load(str(END_TO_END / "rough-day.yaml"))
    assert not_played(rough, EDGE_KINDS, is_foreign=False) == []
    assert not_played(rough, EDGE_KINDS, is_foreign=True) == ["crash-1", "crash-2", "crash-3", "crash-4"]
