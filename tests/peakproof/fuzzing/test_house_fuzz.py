"""The APIs of all simulators and of the integration stand a short fuzz, and every documented answer is reached."""

import pickle

import pytest

from contracts.validation import Contract
from peakproof import exits
from peakproof.cli import execute
from peakproof.fuzzing.coverage import Coverage, documented_in
from peakproof.fuzzing.run import ROLES, Job, fuzz_house


@pytest.mark.parametrize("role", ROLES)
def test_a_role_stands_a_short_fuzz_and_gives_every_documented_answer(role: str) -> None:
    outcome = fuzz_house(Job(role, cases=60, seed=1))
    outcome.note_unseen()
    assert [(each.operation, each.promise, each.told, each.curl) for each in outcome.findings] == []
    assert outcome.troubles == []
    assert outcome.cases.total() >= 60
    assert outcome.coverage.missing == []
    assert pickle.loads(pickle.dumps(outcome)).coverage == outcome.coverage, "processes hand it to each other"


@pytest.mark.long
@pytest.mark.parametrize("role", ROLES)
def test_a_role_stands_a_long_fuzz(role: str) -> None:
    outcome = fuzz_house(Job(role, cases=4_000, seed=11))
    assert [(each.operation, each.promise, each.told, each.curl) for each in outcome.findings] == []


def test_coverage_names_what_nobody_saw() -> None:
    seen = frozenset({("POST", "/rates", 200), ("POST", "/labels", 201)})
    coverage = Coverage("carrier", documented_in(Contract.load("carrier")), {"fuzz": seen})
    assert ("POST", "/rates", 200) not in coverage.missing
    assert ("POST", "/rates", 422) in coverage.missing
    head, *rows = coverage.lines()
    assert head == "carrier.yaml: 2 of 6 operations, 2 of 59 documented statuses (f fuzz)"
    assert rows[-3].startswith("  POST /rates ")
    assert "200:f  400:-" in rows[-3]


@pytest.mark.long
def test_several_roles_are_fuzzed_in_processes_of_their_own() -> None:
    assert execute(["contracts", "fuzz", "--all", "--cases", "5", "--phases", "examples", "--jobs", "2"]) == exits.HOLDS
