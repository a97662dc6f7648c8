"""A rolling deployment: two versions of the integration work over one database, and every promise is kept."""

from pathlib import Path

from contracts.evidence import open_run
from scenarios.runner import run_scenario
from scenarios.spec import Scenario, load

SMALL = Path(__file__).parent / "small-day.yaml"
# Bookings that fail at first come up again beside the other version's.
FAULTS = (
    {"id": "deployed", "kind": "overlap", "host": "integration", "version": "next",
     "window": {"from": "1h", "for": "30m"}},
    {"id": "away", "kind": "error_before", "edge": ["integration", "erp"], "route": "POST /sales-orders",
     "select": {"share": 0.5}, "window": {"from": "50m", "for": "30m"}},
    {"id": "down", "kind": "crash", "host": "integration", "window": {"from": "2h", "for": "1m"}},
)  # fmt: skip


def deployed() -> Scenario:
    played = {"faults": FAULTS, "expects": ["fault:deployed"], "subscribers": {"shop": {"fails": 0.2}}}
    return Scenario.from_plain({**load(str(SMALL)).plain(), **played})


_RELEASED = """
    SELECT count(*) FILTER (WHERE target = 'threepl'), count(*)
    FROM exchanges WHERE source = 'integration' AND route IN ('/releases', '/fulfillment-orders') AND method = 'POST'
    GROUP BY sent_at_us >= (SELECT min(from_us) FROM faults WHERE fault = 'deployed') ORDER BY min(sent_at_us)
"""


def test_both_versions_work_side_by_side_and_keep_every_promise(tmp_path: Path) -> None:
    """The next version asks the 3PL first, which the present one asks last; it stays after a crash."""
    result = run_scenario(deployed(), 3, tmp_path / "run")
    judged = {check.name: check.outcome for check in result.verdict.checks}
    assert {name: outcome for name, outcome in judged.items() if outcome != "holds"} == {
        "poison_is_parked": "inconclusive"
    }
    assert result.exit_code == 0
    (before, of_before), (after, of_after) = open_run(tmp_path / "run").execute(_RELEASED).fetchall()
    assert before < of_before * 0.1
    assert after > of_after * 0.2
