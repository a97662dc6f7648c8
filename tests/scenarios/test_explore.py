"""Exploring: what many seeds show together, told once and the same in any order; and a journal that survives."""

import gc
import shlex
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from scenarios.executors import Processes
from scenarios.explore import (
    Exploration,
    ExplorationError,
    Finding,
    Journal,
    Plan,
    SeedResult,
    SeedTask,
    Witness,
    play_seed,
    play_seeds,
    replay,
)
from scenarios.spec import load
from simulators.kernel import World

SMALL = {"demand.orders": "5", "swarm": "false", "expects": "[]"}


def plan_of(mutant: str | None = None, **changes: str) -> Plan:
    return Plan(load("exploration", {**SMALL, **changes}), "exploration", ("demand.orders=5",), mutant)


def expecting(*expected: str) -> Plan:
    plan = plan_of()
    return replace(plan, scenario=plan.scenario.model_copy(update={"expects": expected}))


def passed(seed: int, plan: Plan, **more: object) -> SeedResult:
    checks = plan.each.checks or ()
    return replace(SeedResult(seed, digest=f"digest-{seed}", orders=5, examined=checks), **more)  # type: ignore[arg-type]


def failed(seed: int, plan: Plan, check: str, kind: str) -> SeedResult:
    witness = Witness(check, kind, {"kind": kind, "at_us": seed, "badness": 1})
    return passed(seed, plan, witnesses=(witness,))


def test_findings_are_told_once_per_check_and_kind_by_their_first_seed_in_whatever_order_they_came() -> None:
    plan = plan_of()
    results = [
        failed(7, plan, "no_oversell", "oversold"),
        failed(5, plan, "no_oversell", "oversold"),
        passed(4, plan),
        passed(9, plan),
        failed(6, plan, "at_most_once", "shipped_twice"),
        failed(8, plan, "at_most_once", "released_twice"),
    ]
    forth, back = Exploration(plan), Exploration(plan)
    for result in results:
        forth.add(result)
    for result in reversed(results):
        back.add(result)
    assert forth.findings() == back.findings()
    assert forth.to_json(forth.findings()) == back.to_json(back.findings())
    assert [(found.check, found.kind, found.seed, found.count, found.seeds) for found in forth.findings()] == [
        ("at_most_once", "released_twice", 8, 1, (8,)),
        ("at_most_once", "shipped_twice", 6, 1, (6,)),
        ("no_oversell", "oversold", 5, 2, (5, 7)),
    ]
    assert forth.findings()[2].counterexample["at_us"] == 5
    assert [found.passing_seed for found in forth.findings()] == [9, 4, 4]


def test_what_was_never_seen_or_never_examined_makes_a_batch_inconclusive() -> None:
    plan = expecting("seen:cancel", "seen:backorder", "fault:swarm-outage")
    exploration = Exploration(plan)
    idle = tuple(name for name in plan.each.checks or () if name != "no_oversell")
    exploration.add(passed(1, plan, examined=idle, seen=("cancel",), planned=("outage swarm-outage",)))
    assert exploration.vacuous() == [
        "seen:backorder was never seen",
        "fault:swarm-outage was never seen",
        "no_oversell examined nothing",
    ]
    assert exploration.outcome == "inconclusive"
    exploration.add(passed(2, plan, seen=("backorder",), struck=("outage swarm-outage",)))
    assert exploration.vacuous() == []
    assert exploration.outcome == "holds"
    assert exploration.struck() == {"outage": (1, 1)}
    assert exploration.seen() == {"backorder": 1, "cancel": 1}


def test_a_seed_in_which_the_tool_broke_counts_for_nothing_and_comes_before_findings() -> None:
    plan = plan_of()
    exploration = Exploration(plan)
    assert exploration.vacuous() == ["no seed was played to its end"]
    exploration.add(failed(1, plan, "no_oversell", "oversold"))
    assert exploration.outcome == "violated"
    exploration.add(SeedResult(2, error="Traceback: ZeroDivisionError"))
    assert exploration.outcome == "broken"
    assert [result.seed for result in exploration.errors] == [2]
    assert [found.passing_seed for found in exploration.findings()] == [None]


def test_each_seed_is_judged_by_promises_and_the_batch_by_what_it_saw() -> None:
    plan = Plan(load("exploration", {"thresholds": "[{metric: dead_letters, limits: ['count==0']}]"}), "exploration")
    assert plan.scenario.expects
    assert plan.scenario.thresholds
    assert plan.each.thresholds == ()
    assert "it_happened" not in (plan.each.checks or ())
    assert "no_oversell" in (plan.each.checks or ())


def test_the_command_of_a_seed_names_all_that_decides_it() -> None:
    changes = ("demand.orders=5",)
    scenario = load("exploration", {"demand.orders": "5"})
    run = Plan(scenario, "exploration", changes)
    assert shlex.join(run.command(7)) == ("peakproof run exploration --seed 7 --set demand.orders=5 --set 'expects=[]'")
    mutant = Plan(scenario, "exploration", changes, "no-dedupe")
    assert shlex.join(mutant.command(7)) == (
        "peakproof explore exploration --mutant no-dedupe --from 7 --seeds 1 --set demand.orders=5"
    )


def test_a_journal_goes_on_where_it_was_cut_short(tmp_path: Path) -> None:
    plan, file = plan_of(), tmp_path / "journal.ndjson"
    first, second = failed(1, plan, "no_oversell", "oversold"), passed(2, plan)
    with Journal(file, plan) as journal:
        journal.add(first)
        journal.add(SeedResult(3, error="broke"))
        journal.add(second)
    file.write_bytes(file.read_bytes()[:-20])
    with Journal(file, plan) as journal:
        assert journal.results == [first]
        journal.add(second)
    with Journal(file, plan) as journal:
        assert journal.results == [first, second]


def test_a_journal_of_another_plan_or_of_something_else_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "journal.ndjson"
    Journal(file, plan_of()).__exit__(None, None, None)
    with pytest.raises(ExplorationError, match="another scenario, mutant or state of the code"):
        Journal(file, plan_of(mutant="no-dedupe"))
    file.write_bytes(b'{"format": "something"}\n[]\n')
    with pytest.raises(ExplorationError, match="no journal of an exploration"):
        Journal(file, plan_of())


def test_results_survive_being_written() -> None:
    plan = plan_of()
    result = passed(3, plan, witnesses=(Witness("no_oversell", "oversold", {"kind": "oversold"}),), seen=("cancel",))
    as_written = orjson.loads(orjson.dumps(result))
    assert SeedResult.from_plain(as_written) == result


def test_a_bug_is_found_in_workers_and_its_seed_replays_to_the_same_evidence(tmp_path: Path) -> None:
    plan = plan_of(mutant="refuse-everything")
    exploration = Exploration(plan, {2: passed(2, plan)})
    with Processes(2) as executor:
        played = [result.seed for result in play_seeds(exploration, [1, 2, 3], executor)]
    assert sorted(played) == [1, 3], "what has a result is not played again"
    assert exploration.outcome == "violated"
    (finding,) = exploration.findings()
    assert (finding.check, finding.seed, finding.count) == ("no_false_rejection", 1, 2)
    result = exploration.results[1]
    assert replay(plan, finding, result.digest, tmp_path / "run") == ""
    assert (tmp_path / "run" / "run.json").exists()
    assert play_seed(SeedTask(plan.each, 1, "refuse-everything")).digest == result.digest
    assert "did not replay" in replay(plan, finding, "another digest", tmp_path / "again")


def test_without_a_bug_the_same_seeds_show_nothing() -> None:
    plan = plan_of()
    result = play_seed(SeedTask(plan.each, 1))
    assert (result.error, result.witnesses) == ("", ())
    assert result.orders > 0
    assert result.seen
    assert set(result.examined) <= set(plan.each.checks or ())


def test_what_broke_the_tool_is_in_the_result_of_its_seed() -> None:
    unchecked = plan_of().each.model_copy(update={"duration_us": None})
    result = play_seed(SeedTask(unchecked, 4))
    assert result.seed == 4
    assert "AssertionError" in result.error


def test_a_finding_that_no_seed_passed_beside_has_no_neighbour() -> None:
    plan = plan_of()
    exploration = Exploration(plan)
    exploration.add(failed(1, plan, "no_oversell", "oversold"))
    assert exploration.findings() == [
        Finding("no_oversell", "oversold", 1, {"kind": "oversold", "at_us": 1, "badness": 1}, None, 1, (1,), None)
    ]


def test_a_worker_that_plays_many_seeds_keeps_none_of_their_worlds() -> None:
    """Parked tasks and open connections hold on to everything: a leak of megabytes per seed if they are not ended."""

    def worlds() -> int:
        gc.collect()
        return sum(isinstance(found, World) for found in gc.get_objects())

    before = worlds()
    plan = plan_of()
    for seed in (1, 2):
        assert play_seed(SeedTask(plan.each, seed)).error == ""
    assert worlds() == before
