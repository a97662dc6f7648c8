"""The registry of deliberate bugs: what each names exists, and each changes the scenario only where it says."""

import re

import pytest

from scenarios.mutants import MUTANTS
from scenarios.spec import load
from scenarios.verdict import list_checks

CHECKS = {check.name for check in list_checks() if check.judges == "target"}
# it_happened judges the scenario, not the target.
WITHOUT_MUTANT = {"it_happened"}


def test_every_bug_of_the_list_is_there() -> None:
    assert len(MUTANTS) == 31
    assert all(name == mutant.name for name, mutant in MUTANTS.items())


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_says_what_it_is_and_who_catches_it(name: str) -> None:
    mutant = MUTANTS[name]
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", name)
    assert re.fullmatch(r"[A-Z][^.]*\.", mutant.bug), "one sentence"
    assert mutant.needs
    assert mutant.caught_by
    assert set(mutant.caught_by) <= CHECKS


def test_every_check_can_be_failed_by_a_mutant() -> None:
    assert {check for mutant in MUTANTS.values() for check in mutant.caught_by} == CHECKS - WITHOUT_MUTANT


@pytest.mark.parametrize("name", MUTANTS)
def test_parts_are_made_anew_for_each_run_and_are_not_the_products(name: str) -> None:
    made = MUTANTS[name].parts()
    assert made is not MUTANTS[name].parts()
    rooms = {
        type(part).__module__ if not hasattr(part, "__module__") else part.__module__ for part in vars(made).values()
    }
    assert any(room.startswith("scenarios.mutants.") for room in rooms)


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutants_scenario_is_the_base_with_its_own_changes(name: str) -> None:
    mutant, base = MUTANTS[name], load("exploration")
    scenario = mutant.scenario("exploration", {})
    assert [fault.id for fault in scenario.faults] == [fault["id"] for fault in mutant.faults]
    assert all(fault.id.startswith("own-") for fault in scenario.faults)
    assert (scenario == base) == (not mutant.faults and not mutant.overrides)
    assert scenario.swarm == (None if name == "no-fence" else base.swarm)


def test_what_the_caller_sets_comes_last() -> None:
    scenario = MUTANTS["no-fence"].scenario("exploration", {"swarm": "true", "demand.orders": "3"})
    assert scenario.swarm is not None
    assert scenario.demand.orders == 3
    assert scenario.cast["wms-east"].profile == "careless"


def test_aids_are_there_only_for_who_asks() -> None:
    mutant = MUTANTS["key-per-attempt"]
    assert mutant.scenario("exploration", {}).faults == ()
    aided = mutant.scenario("exploration", {}, aided=True)
    assert [fault.id for fault in aided.faults] == ["own-reply-lost-wms-east", "own-reply-lost-wms-west"]
