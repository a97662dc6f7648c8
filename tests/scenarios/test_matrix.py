"""The kill matrix: the first seed that kills counts, whatever order results come in; blame falls on what is needed.

The runs here are real and small: few orders, and of faults only the mutant's own.
"""

from collections.abc import Callable, Generator, Iterable
from types import TracebackType
from typing import Self, TypeVar

import pytest

from scenarios.explore import SeedResult, Witness
from scenarios.matrix import Asked, Hunted, Matrix, MatrixError, Step, play_matrix
from scenarios.mutants import MUTANTS

CALM = {"swarm": "false", "demand.orders": "10"}
Task = TypeVar("Task")
Result = TypeVar("Result")


class Here:
    """Plays tasks in this process, one after the other."""

    workers = 1

    def map_unordered(self, function: Callable[[Task], Result], tasks: Iterable[Task]) -> Generator[Result, None, None]:
        yield from map(function, tasks)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def result(seed: int, *checks: str, error: str = "") -> SeedResult:
    return SeedResult(seed, witnesses=tuple(Witness(check, "kind", {"n": seed}) for check in checks), error=error)


def hunted(name: str, *results: SeedResult) -> Hunted:
    asked = Asked.of([name], 5, "exploration", CALM)
    return Hunted(MUTANTS[name], asked.plan(MUTANTS[name]), {entry.seed: entry for entry in results})


def test_the_first_killing_seed_counts_and_later_ones_do_not() -> None:
    late_first = hunted(
        "key-alone", result(3, "idempotent_reply"), result(2, "idempotent_reply", "causality"), result(1, "causality")
    )
    assert late_first.killed_by_seed == 2
    assert [entry.seed for entry in late_first.played] == [1, 2]
    assert late_first.checks() == {
        "causality": {"seeds": 2, "kinds": ["kind"]},
        "idempotent_reply": {"seeds": 1, "kinds": ["kind"]},
    }
    told = late_first.to_json()
    assert (told["killed"], told["seed"], told["seeds_to_kill"]) == (True, 2, 2)
    assert told["by"] == [{"check": "idempotent_reply", "kind": "kind", "counterexample": {"n": 2}}]
    assert told["command"][:5] == ["peakproof", "explore", "exploration", "--mutant", "key-alone"]


def test_a_check_that_is_not_its_own_kills_nothing_and_neither_does_a_broken_run() -> None:
    alive = hunted("key-alone", result(1, "causality"), result(2, "idempotent_reply", error="Traceback\nKeyError: 1"))
    assert alive.killed_by_seed is None
    told = alive.to_json()
    assert (told["killed"], told["seeds_to_kill"], told["seeds_played"]) == (False, None, 2)
    assert told["errors"] == [{"seed": 2, "error": "Traceback\nKeyError: 1"}]
    matrix = Matrix(Asked.of(["key-alone"], 2, "exploration", CALM), {"key-alone": alive})
    assert matrix.survivors == ["key-alone"]
    assert not matrix.holds


def test_an_unknown_mutant_is_named_with_the_nearest() -> None:
    with pytest.raises(MatrixError, match=r"no mutant 'no-fense'.*no-fence"):
        Asked.of(["no-fense"], 1, "exploration", {})


def test_hunt_control_and_blame() -> None:
    steps: list[Step] = []
    asked = Asked.of(["no-fence", "refuse-everything"], 3, "exploration", {"swarm": "false"})
    matrix = Matrix.begun(asked)
    play_matrix(matrix, Here(), steps.append)
    assert matrix.survivors == []
    assert matrix.alarms == []
    assert matrix.control_errors == []
    assert matrix.holds
    assert matrix.hunted["no-fence"].blamed == ("pause",)
    assert matrix.hunted["refuse-everything"].blamed == ()
    played = sum(len(entry.played) for entry in matrix.hunted.values())
    assert matrix.control_seeds == played, "two scenarios: one has the mutant's own faults"
    assert list(dict.fromkeys(step.phase for step in steps)) == ["hunt", "control", "blame"]
    assert (steps[-1].done, steps[-1].total) == (2, 2)


def test_a_bug_that_takes_two_orders_survives_one() -> None:
    asked = Asked.of(["check-then-act"], 1, "exploration", {"swarm": "false", "demand.orders": "1"})
    matrix = Matrix.begun(asked)
    play_matrix(matrix, Here())
    assert matrix.survivors == ["check-then-act"]
    assert matrix.hunted["check-then-act"].blamed is None
    assert matrix.control_seeds == 1
