"""What a warehouse did and never told is found by asking: without that, orders stay open for ever."""

from pathlib import Path

from scenarios.runner import run_scenario
from scenarios.spec import Scenario, load
from scenarios.verdict import Verdict

TYPES = ("release.picked", "release.packed", "release.shipped")


def untold(check_after: str) -> Scenario:
    """An ordinary two dozen orders; a third of what wms-east has to tell of its releases is never sent."""
    faults = [
        {"id": f"untold-{type_.partition('.')[2]}", "kind": "never_sent", "edge": ["wms-east", "integration"],
         "event": type_, "select": {"share": 0.3}}
        for type_ in TYPES
    ]  # fmt: skip
    told = {"integration.release_check_after": check_after, "expects": "[]"}
    # Last night's report of stock could not make up for what was not told since.
    plain = load("exploration", {**told, "cast.wms-east.settings.stock_report_every": "0s"}).plain()
    return Scenario.from_plain(plain | {"swarm": None, "faults": faults})


def verdict_of(check_after: str, directory: Path) -> Verdict:
    return run_scenario(untold(check_after), 4, directory).verdict


def violated(verdict: Verdict) -> list[str]:
    return [check.name for check in verdict.checks if check.outcome == "violated"]


def test_what_was_never_told_is_found_by_asking(tmp_path: Path) -> None:
    assert violated(verdict_of("1h", tmp_path / "run")) == []


def test_without_asking_it_is_lost(tmp_path: Path) -> None:
    assert {"nothing_lost", "everything_ends"} <= set(violated(verdict_of("0s", tmp_path / "run")))
