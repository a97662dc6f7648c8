"""Subscribers of a scenario: what they are told is evidence, and bugs in telling are found by it."""

from pathlib import Path

import pytest

from contracts.evidence import open_run
from scenarios.errors import ScenarioError
from scenarios.mutants import MUTANTS
from scenarios.runner import RunResult, run_scenario
from scenarios.spec import load
from scenarios.verdict import BRISK, CheckResult

SMALL = {"swarm": "false", "expects": "[]"}
THREE = "{shop: {fails: 0.3}, slow: {answers_in: 4s, channel: edi}, pages: {down: {from: 30m, for: 1h}}}"


def judged(result: RunResult) -> CheckResult:
    return next(check for check in result.verdict.checks if check.name == "everyone_is_told")


def test_slow_failing_and_absent_subscribers_are_all_told(tmp_path: Path) -> None:
    scenario = load("exploration", {**SMALL, "subscribers": THREE})
    result = run_scenario(scenario, 1, tmp_path / "run", effort=BRISK)
    assert (judged(result).outcome, result.outcome) == ("holds", "holds")
    database = open_run(tmp_path / "run")
    booked = dict(
        database.execute(
            "SELECT partner || ' ' || kind, count(*) FROM ledger WHERE kind LIKE 'event_%' GROUP BY ALL"
        ).fetchall()
    )
    assert sorted(booked) == ["pages event_refused", "pages event_taken", "shop event_refused", "shop event_taken",
                              "slow event_taken"]  # fmt: skip
    ids = "SELECT DISTINCT business_key FROM ledger WHERE kind = 'event_taken' AND partner = ? ORDER BY business_key"
    shop, slow, pages = (database.execute(ids, [name]).fetchall() for name in ("shop", "slow", "pages"))
    assert shop == slow == pages
    assert len(shop) > 20


@pytest.mark.parametrize("name", ["tells-once", "events-in-memory"])
def test_a_bug_in_telling_is_found(name: str, tmp_path: Path) -> None:
    mutant = MUTANTS[name]
    scenario = mutant.scenario("exploration", SMALL, aided=True)
    result = judged(run_scenario(scenario, 1, tmp_path / "run", parts=mutant.parts(), effort=BRISK))
    assert (result.outcome, {row["kind"] for row in result.counterexamples}) == ("violated", {"missing"})


def test_an_application_without_subscriptions_is_not_judged_by_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = ("def create(url):", "    def app(environ, start_response):", "        start_response('404 No', [])",
             "        return []", "    return app")  # fmt: skip
    (tmp_path / "knows_nothing.py").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(tmp_path)
    scenario = load("exploration", {**SMALL, "demand.orders": "3", "drain_limit": "1h", "subscribers": "{shop: {}}"})
    result = judged(run_scenario(scenario, 1, tmp_path / "run", effort=BRISK, app="knows_nothing:create"))
    assert (result.observable, result.decides) == (False, False)
    assert result.reason == "not observable: it knows no POST /subscriptions"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("{erp: {}}", "subscriber 'erp' has the name of somebody else in the world; give it its own"),
        ("{shop: {types: [order.shiped]}}", "unknown type of event 'order.shiped'; did you mean 'order.shipped'?"),
        ("{shop: {fails: 2}}", "less than or equal to 1"),
    ],
)
def test_a_subscriber_that_cannot_be_is_refused(given: str, message: str) -> None:
    with pytest.raises(ScenarioError) as failed:
        load("exploration", {"subscribers": given})
    assert message in str(failed.value)
