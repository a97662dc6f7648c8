"""How late the integration may know of stock follows from the faults that really keep its messages back."""

from pathlib import Path
from typing import Any

import pytest

from contracts.evidence import open_run
from integration.bootstrap import Parts
from scenarios.demand import Demand
from scenarios.facts import Moments, write_facts
from scenarios.spec import Scenario, load
from scenarios.stage import set_stage
from simulators.kernel import HOUR, MINUTE, SECOND, EvidenceWriter

SMALL = Path(__file__).parents[1] / "end_to_end" / "small-day.yaml"
TEN_MINUTES = {"from": "1h", "for": "10m"}
NEXT_RETRY = 30 * MINUTE + 10 * SECOND
"""After ten minutes of the retries 5s, 30s, 5m, 30m of a usual warehouse."""
NEXT_POLL = 15 * MINUTE + 30 * SECOND
NEXT_READ = HOUR + 30 * SECOND


def facts_of(fault: dict[str, Any], directory: Path) -> dict[str, tuple[int, list[tuple[int, int]]]]:
    """Per node: freshness in seconds, and the windows (seconds after the start) in which it is stretched."""
    scenario = Scenario.from_plain({**load(str(SMALL)).plain(), "faults": [{"id": "it", **fault}]})
    demand = Demand.load(scenario, 1)
    with EvidenceWriter(directory) as evidence:
        stage = set_stage(scenario, demand, 1, evidence, directory / "i.db", Parts())
        healed_at_us = demand.starts_at_us + 3 * HOUR
        write_facts(scenario, stage, Moments(healed_at_us, healed_at_us, None, None), 10, 0)
    rows = open_run(directory).execute(
        "SELECT subject, fact, value, value_to FROM facts WHERE fact LIKE 'freshness%' ORDER BY value"
    )
    found: dict[str, tuple[int, list[tuple[int, int]]]] = {}
    windows: dict[str, list[tuple[int, int]]] = {}
    for node, fact, value, value_to in rows.fetchall():
        if fact == "freshness_us":
            found[node] = (value, [])
        else:
            begin, end = value - demand.starts_at_us, value_to - demand.starts_at_us
            windows.setdefault(node, []).append((begin, end))
    return {node: (late_us, windows.get(node, [])) for node, (late_us, _) in found.items()}


def window(late_us: int) -> list[tuple[int, int]]:
    return [(HOUR, HOUR + 10 * MINUTE + late_us)]


ON_WEBHOOKS = {"edge": ["wms-east", "integration"], "window": TEN_MINUTES, "select": {"share": 0.3}}
ON_POLLS = {"edge": ["integration", "threepl"], "window": TEN_MINUTES, "select": {"share": 0.3}}


@pytest.mark.parametrize("kind", ["request_lost", "cut", "garbled", "error_before", "unsigned", "badly_signed"])
def test_a_webhook_that_is_refused_or_lost_is_known_with_its_next_attempt(kind: str, tmp_path: Path) -> None:
    facts = facts_of({"kind": kind, **ON_WEBHOOKS}, tmp_path)
    assert facts["wms-east"] == (120 * SECOND, window(NEXT_RETRY))
    assert facts["wms-west"] == (120 * SECOND, [])
    assert facts["threepl"] == (1_200 * SECOND, [])


@pytest.mark.parametrize("kind", ["never_sent", "error_in_200"])
def test_a_webhook_that_is_swallowed_is_known_with_the_next_reconciliation(kind: str, tmp_path: Path) -> None:
    assert facts_of({"kind": kind, **ON_WEBHOOKS}, tmp_path)["wms-east"] == (120 * SECOND, window(NEXT_READ))


@pytest.mark.parametrize("kind", ["duplicate", "late_copy", "reply_lost"])
def test_a_copy_keeps_nothing_back(kind: str, tmp_path: Path) -> None:
    assert facts_of({"kind": kind, **ON_WEBHOOKS}, tmp_path)["wms-east"] == (120 * SECOND, [])


def test_an_event_without_stock_does_not_matter(tmp_path: Path) -> None:
    fault = {"kind": "request_lost", **ON_WEBHOOKS, "event": "release.packed"}
    assert facts_of(fault, tmp_path)["wms-east"] == (120 * SECOND, [])


@pytest.mark.parametrize(
    ("kind", "settings", "late_us"),
    [
        ("delay", {"delay": "90s"}, 90 * SECOND),
        ("latency_tail", {"delay": "2s"}, 200 * SECOND),
        ("latency", {"strength": 10}, 800_000),
        ("hold", {"select": None}, 0),
    ],
)
def test_a_slower_webhook_is_known_so_much_later(
    kind: str, settings: dict[str, Any], late_us: int, tmp_path: Path
) -> None:
    assert facts_of({"kind": kind, **ON_WEBHOOKS, **settings}, tmp_path)["wms-east"] == (
        120 * SECOND, window(late_us)
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["request_lost", "reply_lost", "garbled", "error_after", "error_in_200"])
def test_a_poll_that_fails_either_way_is_made_up_for_by_the_next(kind: str, tmp_path: Path) -> None:
    facts = facts_of({"kind": kind, **ON_POLLS}, tmp_path)
    assert facts["threepl"] == (1_200 * SECOND, window(NEXT_POLL))
    assert facts["wms-east"] == (120 * SECOND, [])


def test_a_partition_hides_what_passes_that_way(tmp_path: Path) -> None:
    from_east = {"kind": "partition", "edge": ["wms-east", "integration"], "window": TEN_MINUTES}
    to_east = {"kind": "partition", "edge": ["integration", "wms-east"], "window": TEN_MINUTES}
    from_threepl = {"kind": "partition", "edge": ["threepl", "integration"], "window": TEN_MINUTES}
    assert facts_of(from_east, tmp_path / "1")["wms-east"][1] == window(NEXT_RETRY)
    assert facts_of(to_east, tmp_path / "2")["wms-east"][1] == []
    assert facts_of(from_threepl, tmp_path / "3")["threepl"][1] == window(NEXT_POLL)


@pytest.mark.parametrize("kind", ["outage", "crash", "frozen", "pause"])
def test_an_integration_that_stands_still_knows_nothing_new(kind: str, tmp_path: Path) -> None:
    facts = facts_of({"kind": kind, "host": "integration", "window": TEN_MINUTES}, tmp_path)
    assert {node: windows for node, (_, windows) in facts.items()} == {
        "wms-east": window(NEXT_RETRY), "wms-west": window(NEXT_RETRY), "threepl": window(NEXT_POLL)
    }  # fmt: skip


def test_a_failing_database_and_a_crash_at_a_boundary_cost_a_retry(tmp_path: Path) -> None:
    busy = {"kind": "db_locked", "host": "integration", "select": {"share": 0.1}}
    assert facts_of(busy, tmp_path / "1")["wms-east"] == (135 * SECOND, [])
    torn = {"kind": "crash", "host": "integration", "at": "commit", "select": {"nth": [3]}, "delay": "10s"}
    assert facts_of(torn, tmp_path / "2")["wms-east"] == (145 * SECOND, [])


@pytest.mark.parametrize(
    ("kind", "host", "settings", "late_us"),
    [
        ("subscription_dropped", "wms-east", {}, NEXT_READ),
        ("backdated_adjustment", "wms-east", {"delay": "20m"}, 20 * MINUTE),
        ("stale_snapshot", "threepl", {}, NEXT_POLL),
        ("rate_limit", "threepl", {"strength": 2}, NEXT_POLL),
    ],
)
def test_a_node_that_tells_late_is_known_late(
    kind: str, host: str, settings: dict[str, Any], late_us: int, tmp_path: Path
) -> None:
    facts = facts_of({"kind": kind, "host": host, "window": TEN_MINUTES, **settings}, tmp_path)
    assert {node for node, (_, windows) in facts.items() if windows} == {host}
    assert facts[host][1] == window(late_us)


def test_a_clock_within_the_tolerance_of_signatures_hides_nothing(tmp_path: Path) -> None:
    skew = {"kind": "clock_skew", "host": "integration", "window": TEN_MINUTES}
    assert facts_of({**skew, "delay": "-4m"}, tmp_path / "1")["wms-east"][1] == []
    assert facts_of({**skew, "delay": "-6m"}, tmp_path / "2")["wms-east"][1] == window(NEXT_RETRY)
