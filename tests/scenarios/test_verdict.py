"""The verdict: three values and a broken one, exit codes in order of precedence, and a large run judged to the unit."""

from pathlib import Path

import duckdb
import pytest

from scenarios import verdict as engine
from scenarios.thresholds import ThresholdError
from scenarios.verdict import (
    CheckResult,
    Outcome,
    ThresholdResult,
    Verdict,
    VerdictError,
    judge,
    list_checks,
    list_metrics,
)
from tests.scenarios.evidence import Evidence, at
from tests.scenarios.synthetic import HOT, write_run

LINE = (1, "S1", 3)


def clean(directory: Path) -> Evidence:
    evidence = Evidence(directory)
    evidence.quiet(900)
    evidence.fact("label_by_carrier", subject="wms-east")
    evidence.move("opening", "S1", 50, -10)
    evidence.order("A", [LINE], 100)
    evidence.chain("A", LINE, 110)
    evidence.published("S1", 47)
    evidence.contract("S1")
    evidence.limits()
    evidence.call("A", 110)
    evidence.subscriber("shop", "order.accepted")
    evidence.take("shop", "order.accepted", "A", 101)
    return evidence


def result(outcome: Outcome, judges: str = "target") -> CheckResult:
    return CheckResult("some", "it holds", outcome, 1, 0, (), 0.0, judges)


def limit(holds: bool | None) -> ThresholdResult:
    return ThresholdResult("order_ack_ms", "avg<1", 1.0, holds)


def test_a_clean_run_holds_in_every_check(tmp_path: Path) -> None:
    verdict = judge(clean(tmp_path).write(), [("order_ack_ms", "p(95)<200"), ("order_ack_ms{portal}", "count==1")])
    found = {check.name: check.outcome for check in verdict.checks}
    assert found == {c.name: "holds" for c in list_checks()} | {"poison_is_parked": "inconclusive"}
    assert (verdict.outcome, verdict.exit_code) == ("holds", 0)
    assert [(t.metric, t.observed, t.holds) for t in verdict.thresholds] == [
        ("order_ack_ms", 100.0, True),
        ("order_ack_ms{portal}", 1.0, True),
    ]


def test_a_breached_threshold_alone_ends_with_99(tmp_path: Path) -> None:
    verdict = judge(clean(tmp_path).write(), [("order_ack_ms", "p(97.5)<100")])
    assert (verdict.thresholds[0].observed, verdict.thresholds[0].holds) == (100.0, False)
    assert (verdict.outcome, verdict.exit_code) == ("holds", 99)


def test_a_threshold_on_nothing_is_inconclusive(tmp_path: Path) -> None:
    verdict = judge(clean(tmp_path).write(), [("dead_letters", "count==0")])
    assert (verdict.thresholds[0].observed, verdict.thresholds[0].holds) == (None, None)
    assert (verdict.outcome, verdict.exit_code) == ("inconclusive", 4)


def test_a_threshold_on_a_statistic_that_a_metric_does_not_offer_is_inconclusive(tmp_path: Path) -> None:
    assert judge(clean(tmp_path).write(), [("fill_rate", "p(95)>0.5")]).exit_code == 4


@pytest.mark.parametrize(
    ("checks", "limits", "outcome", "exit_code"),
    [
        ([result("holds")], [limit(True)], "holds", 0),
        ([result("holds")], [limit(False)], "holds", 99),
        ([result("inconclusive")], [limit(False)], "inconclusive", 4),
        ([result("holds")], [limit(False), limit(None)], "inconclusive", 4),
        ([result("violated"), result("inconclusive")], [limit(False)], "violated", 1),
        ([result("broken"), result("violated")], [limit(False)], "broken", 3),
        ([result("violated", "simulators"), result("violated")], [], "broken", 3),
    ],
)
def test_exit_codes_in_order_of_precedence(
    checks: list[CheckResult], limits: list[ThresholdResult], outcome: str, exit_code: int
) -> None:
    verdict = Verdict(tuple(checks), (), tuple(limits))
    assert (verdict.outcome, verdict.exit_code) == (outcome, exit_code)


def test_what_a_run_lacks_evidence_for_is_not_observable_and_decides_only_where_it_is_named(tmp_path: Path) -> None:
    evidence = clean(tmp_path)
    evidence.rows["facts"] = [row for row in evidence.rows["facts"] if row["fact"] != "retry_budget"]
    (evidence.write() / "master.ndjson").unlink()
    verdict = judge(tmp_path)
    lacking = [check for check in verdict.checks if not check.observable]
    assert [(check.name, check.outcome, check.reason) for check in lacking] == [
        ("money_adds_up", "inconclusive", "not observable: the run has no master"),
        ("no_storm", "inconclusive", "not observable: the run has no facts.retry_budget"),
        ("poison_is_parked", "inconclusive", "not observable: the run has no facts.retry_budget"),
    ]
    assert verdict.to_json()["not_observable"] == ["money_adds_up", "no_storm", "poison_is_parked"]
    assert (verdict.outcome, verdict.exit_code) == ("holds", 0)
    assert judge(tmp_path, checks=["no_storm"]).exit_code == 4


def test_a_check_of_a_rare_thing_that_never_came_decides_only_where_it_is_named(tmp_path: Path) -> None:
    clean(tmp_path).write()
    assert judge(tmp_path).exit_code == 0
    named = judge(tmp_path, checks=["poison_is_parked"])
    assert (named.exit_code, named.checks[0].observable) == (4, True)
    assert named.checks[0].reason.startswith("nothing to examine: it applies when a call of the integration was tried")


def test_a_harness_that_loses_stock_breaks_the_verdict(tmp_path: Path) -> None:
    evidence = clean(tmp_path)
    evidence.balances["wms-east", "S1"][0] += 1
    evidence.move("receipt", "S1", 1, 500)
    evidence.published("S1", 49)
    verdict = judge(evidence.write(), checks=["stock_conserved", "availability_agrees"])
    assert [(check.name, check.outcome) for check in verdict.checks] == [
        ("stock_conserved", "violated"),
        ("availability_agrees", "holds"),
    ]
    assert (verdict.outcome, verdict.exit_code) == ("broken", 3)


def test_a_query_that_fails_is_the_tools_own_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    header = "-- name: {}\n-- holds when: never\n-- requires: ledger\n-- needs quiet: no\n"
    body = "\n-- examined\nSELECT 1 FROM ledger;\n\n-- counterexamples\nSELECT missing FROM ledger;\n"
    (tmp_path / "typo.sql").write_text(header.format("typo") + body)
    monkeypatch.setattr(engine, "CHECKS", tmp_path)
    verdict = judge(clean(tmp_path).write(), checks=["typo"])
    assert (verdict.checks[0].outcome, verdict.exit_code) == ("broken", 3)
    assert 'Referenced column "missing" not found' in verdict.checks[0].reason


def test_counterexamples_are_first_worst_last_then_the_next_worst(tmp_path: Path) -> None:
    database = duckdb.connect(":memory:")
    query = "SELECT 'k' AS kind, i AS at_us, (i * 7) % 100 AS badness FROM range(1, 21) AS r(i)"
    count, rows = engine._find(database, query)
    assert (count, len(rows)) == (20, 10)
    assert [(row["pick"], row["at_us"], row["badness"]) for row in rows[:4]] == [
        ("first", 1, 7),
        ("worst", 14, 98),
        ("last", 20, 40),
        ("", 13, 91),
    ]


def test_the_json_has_the_shape_of_run_json(tmp_path: Path) -> None:
    evidence = clean(tmp_path)
    evidence.erp("order_booked", "A", 200, business_key="SO-2")
    verdict = judge(evidence.write(), [("order_ack_ms", "avg<1")], ["at_most_once"])
    told = verdict.to_json()
    assert list(told) == ["outcome", "exit_code", "not_observable", "checks", "metrics", "thresholds"]
    assert (told["outcome"], told["exit_code"]) == ("violated", 1)
    check = told["checks"][0]
    assert isinstance(check.pop("seconds"), float)
    assert check == {
        "name": "at_most_once", "holds_when": list_checks()[0].holds_when, "outcome": "violated", "examined": 1,
        "violations": 1, "judges": "target", "reason": "", "observable": True, "decides": True,
        "counterexamples": [{
            "pick": "first", "kind": "booked_twice", "at_us": at(200), "badness": 1, "customer_id": "C1",
            "order_reference": "A", "line_no": None, "subject": "", "happened": 2, "allowed": 1,
        }],
    }  # fmt: skip
    assert told["thresholds"] == [{"metric": "order_ack_ms", "expression": "avg<1", "observed": 100.0, "holds": False}]
    assert {"name", "clock", "unit", "summary", "values", "groups"} == set(told["metrics"][0])


def test_names_that_do_not_exist_are_refused_before_judging(tmp_path: Path) -> None:
    with pytest.raises(VerdictError, match=r"unknown check 'no_overselling'; did you mean 'no_oversell'\?"):
        judge(tmp_path, checks=["no_overselling"])
    with pytest.raises(ThresholdError, match="unknown metric 'latency'"):
        judge(tmp_path, [("latency", "avg<1")])


def test_every_file_has_a_readable_header() -> None:
    checks = {check.name: check for check in list_checks()}
    assert len(checks) == 17
    assert [name for name, check in checks.items() if check.judges == "simulators"] == ["stock_conserved"]
    assert [name for name, check in checks.items() if check.needs_quiet] == [
        "availability_agrees", "ledgers_agree",
    ]  # fmt: skip
    assert [name for name, check in checks.items() if check.needs_rest] == ["everyone_is_told", "nothing_lost"]
    assert {metric.clock for metric in list_metrics()} == {"protocol", "business", "count"}


def test_a_header_that_lacks_a_key_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bare.sql").write_text("-- name: bare\n\nSELECT 1")
    monkeypatch.setattr(engine, "CHECKS", tmp_path)
    with pytest.raises(VerdictError, match=r"bare\.sql: the header lacks `-- holds when"):
        list_checks()


def test_a_large_run_with_a_hot_sku_is_judged_whole(tmp_path: Path) -> None:
    orders = 6_000
    write_run(tmp_path, orders, lines_per_order=3)
    verdict = judge(tmp_path)
    assert verdict.outcome == "holds", [check for check in verdict.checks if check.outcome != "holds"]
    examined = {check.name: check.examined for check in verdict.checks}
    assert examined["no_oversell"] == 3 * orders
    assert examined["no_false_rejection"] == orders + orders // 100
    assert examined["ledgers_agree"] == 3 * orders
    assert examined["at_most_once"] == orders
    assert examined["money_adds_up"] == 6 * orders
    assert examined["no_storm"] == 12 * orders
    assert examined["fresh_availability"] == 2 * 501


def test_a_hot_sku_that_is_oversold_is_found_to_the_unit(tmp_path: Path) -> None:
    write_run(tmp_path, 3_000, lines_per_order=1, hot_stock=450)
    check = judge(tmp_path, checks=["no_oversell"]).checks[0]
    assert (check.outcome, check.violations, len(check.counterexamples)) == ("violated", 100, 10)
    assert [(row["pick"], row["order_reference"], row["sku"], row["badness"]) for row in check.counterexamples[:3]] == [
        ("first", "PO-2700", HOT, 1),
        ("worst", "PO-2997", HOT, 100),
        ("", "PO-2994", HOT, 99),
    ]


def test_a_check_that_a_target_can_not_be_judged_by_is_named_and_does_not_decide(tmp_path: Path) -> None:
    evidence = clean(tmp_path)
    evidence.fact("unobservable", subject="no_storm", text="the target's adapter does not provide it")
    verdict = judge(evidence.write())
    storm = next(check for check in verdict.checks if check.name == "no_storm")
    told = "not observable: the target's adapter does not provide it"
    assert (storm.outcome, storm.observable, storm.decides, storm.reason) == ("inconclusive", False, False, told)
    assert verdict.outcome != "broken"
    assert verdict.to_json()["not_observable"] == ["no_storm"]
    assert judge(tmp_path, checks=["no_storm"]).outcome == "inconclusive"
