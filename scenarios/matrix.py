"""The kill matrix: which check catches which deliberate bug, after how many seeds, and under which fault.

Three passes, each over an executor. Hunt: each mutant is played seed after seed until one of its own checks is
violated. Control: the unmutated integration plays the same scenario under the same seeds, where everything must hold.
Blame: the seed that killed a mutant is played again without any fault, then with the mutant's own, and then with fewer
and fewer kinds of faults, until none can be left out.

Results do not depend on the order in which workers give them: of a mutant only the seeds up to the first that kills it
count.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from scenarios.errors import ScenarioError, nearest
from scenarios.executors import Executor
from scenarios.explore import Plan, SeedResult, SeedTask, play_seed
from scenarios.mutants import MUTANTS, Mutant
from scenarios.spec import Scenario
from scenarios.swarm import resolved
from scenarios.verdict import list_checks

FORMAT = "peakproof-matrix/1"


class MatrixError(ScenarioError):
    """A mutant that does not exist was asked for; the message names the nearest one."""


@dataclass(frozen=True)
class Asked:
    """What is to be played: mutants by name, at most so many seeds each of a scenario with the caller's changes."""

    mutants: tuple[str, ...] = tuple(MUTANTS)
    seeds: int = 50
    scenario: str = "exploration"
    overrides: tuple[str, ...] = ()

    @classmethod
    def of(cls, names: Sequence[str], seeds: int, scenario: str, overrides: Mapping[str, str]) -> "Asked":
        """Every mutant where no name is given. Raises MatrixError for an unknown one."""
        for name in names:
            if name not in MUTANTS:
                raise MatrixError(f"no mutant '{name}'{nearest(name, MUTANTS)}")
        changes = tuple(f"{key}={value}" for key, value in overrides.items())
        return cls(tuple(dict.fromkeys(names)) or tuple(MUTANTS), seeds, scenario, changes)

    def plan(self, mutant: Mutant) -> Plan:
        """What exploring this mutant means."""
        changes = dict(change.partition("=")[::2] for change in self.overrides)
        return Plan(mutant.scenario(self.scenario, changes), self.scenario, self.overrides, mutant.name)


@dataclass(frozen=True)
class Step:
    """How far the matrix is: `phase` hunt, control or blame; `done` of at most `total` runs or searches."""

    phase: str
    done: int
    total: int
    said: str = ""


@dataclass(frozen=True)
class Alarm:
    """A finding in the unmutated integration: a defect of the harness, or a bug of the reference integration."""

    seed: int
    check: str
    kind: str
    like: str
    command: tuple[str, ...]


@dataclass
class Hunted:
    """What became of one mutant. `blamed` are the kinds of faults that it takes; None where it was not killed."""

    mutant: Mutant
    plan: Plan
    results: dict[int, SeedResult] = field(default_factory=dict)
    blamed: tuple[str, ...] | None = None

    @property
    def killed_by_seed(self) -> int | None:
        """The first seed in which one of its own checks was violated."""
        return min((seed for seed, result in self.results.items() if self.is_kill(result)), default=None)

    @property
    def played(self) -> list[SeedResult]:
        """Seeds that count: up to the killing one."""
        last = self.killed_by_seed
        return [result for seed, result in sorted(self.results.items()) if last is None or seed <= last]

    def is_kill(self, result: SeedResult) -> bool:
        """Whether one of the mutant's own checks caught it in this seed."""
        return not result.error and any(witness.check in self.mutant.caught_by for witness in result.witnesses)

    def checks(self) -> dict[str, dict[str, Any]]:
        """Check -> in how many of the seeds played it was violated, and by which kinds of counterexample."""
        found: dict[str, dict[str, Any]] = {}
        for result in self.played:
            for check in dict.fromkeys(witness.check for witness in result.witnesses):
                entry = found.setdefault(check, {"seeds": 0, "kinds": []})
                kinds = [witness.kind for witness in result.witnesses if witness.check == check]
                entry["seeds"] += 1
                entry["kinds"] = list(dict.fromkeys([*entry["kinds"], *kinds]))
        return dict(sorted(found.items()))

    def to_json(self) -> dict[str, Any]:
        """One row of matrix.json."""
        mutant, seed = self.mutant, self.killed_by_seed
        killer = self.results[seed] if seed is not None else None
        by = [w for w in killer.witnesses if w.check in mutant.caught_by] if killer else []
        return {
            "name": mutant.name,
            "bug": mutant.bug,
            "needs": list(mutant.needs),
            "caught_by": list(mutant.caught_by),
            "shows_with_one_order": mutant.shows_with_one_order,
            "overrides": dict(mutant.overrides),
            "faults": [dict(fault) for fault in mutant.faults],
            "killed": seed is not None,
            "seeds_to_kill": len(self.played) if killer else None,
            "seed": seed,
            "seeds_played": len(self.played),
            "by": [{"check": w.check, "kind": w.kind, "counterexample": w.counterexample} for w in by],
            "checks": self.checks(),
            "struck": list(killer.struck) if killer else [],
            "blamed": list(self.blamed) if self.blamed is not None else None,
            "command": self.plan.command(seed) if seed is not None else None,
            "errors": [{"seed": r.seed, "error": r.error} for r in self.played if r.error],
        }


@dataclass
class Matrix:
    """All of it. It holds when every mutant was killed by its own check and the unmutated integration by none."""

    asked: Asked
    hunted: dict[str, Hunted]
    control_seeds: int = 0
    alarms: list[Alarm] = field(default_factory=list)
    control_errors: list[str] = field(default_factory=list)

    @classmethod
    def begun(cls, asked: Asked) -> "Matrix":
        """Nothing played yet. Raises ScenarioError for a scenario that can't be used."""
        return cls(asked, {name: Hunted(MUTANTS[name], asked.plan(MUTANTS[name])) for name in asked.mutants})

    @property
    def survivors(self) -> list[str]:
        """Mutants that none of their own checks caught."""
        return [name for name, hunted in self.hunted.items() if hunted.killed_by_seed is None]

    @property
    def holds(self) -> bool:
        """No survivor, and no false alarm."""
        return not self.survivors and not self.alarms

    def to_json(self) -> dict[str, Any]:
        """matrix.json."""
        return {
            "format": FORMAT,
            "scenario": self.asked.scenario,
            "overrides": list(self.asked.overrides),
            "most_seeds": self.asked.seeds,
            "checks": {check.name: check.holds_when for check in list_checks()},
            "mutants": [hunted.to_json() for hunted in self.hunted.values()],
            "survivors": self.survivors,
            "control": {
                "seeds": self.control_seeds,
                "alarms": [
                    {"seed": a.seed, "check": a.check, "kind": a.kind, "like": a.like, "command": list(a.command)}
                    for a in self.alarms
                ],
                "errors": self.control_errors,
            },
            "holds": self.holds,
        }


Watcher = Callable[[Step], None]


def play_matrix(matrix: Matrix, executor: Executor, tell: Watcher = lambda _step: None) -> None:
    """Hunt, control and blame. A matrix whose playing is interrupted holds what was found until then."""
    _hunt(matrix, executor, tell)
    _control(matrix, executor, tell)
    _blame(matrix, executor, tell)


@dataclass(frozen=True)
class _Hunt:
    """One seed of one mutant, or of the unmutated integration in the scenario of one."""

    mutant: str
    task: SeedTask


def _play(hunt: _Hunt) -> tuple[str, SeedResult]:
    return hunt.mutant, play_seed(hunt.task)


def _hunt(matrix: Matrix, executor: Executor, tell: Watcher) -> None:
    """Seed by seed over all mutants that still live, so that few runs are wasted on the dead."""

    def tasks() -> Iterator[_Hunt]:
        for seed in range(1, matrix.asked.seeds + 1):
            for name, hunted in matrix.hunted.items():
                if hunted.killed_by_seed is None:
                    yield _Hunt(name, SeedTask(hunted.plan.each, seed, name))

    for name, result in executor.map_unordered(_play, tasks()):
        matrix.hunted[name].results[result.seed] = result
        living = matrix.survivors
        dead = len(matrix.hunted) - len(living)
        tell(Step("hunt", dead, len(matrix.hunted), f"seed {result.seed}, {len(living)} mutants alive"))


def _control(matrix: Matrix, executor: Executor, tell: Watcher) -> None:
    """The unmutated integration, once per seed and scenario that any mutant was played in."""
    scenarios: dict[str, tuple[Hunted, int]] = {}
    for hunted in matrix.hunted.values():
        seeds = len(hunted.played)
        same = repr(hunted.plan.each.plain())
        known = scenarios.get(same)
        scenarios[same] = (known[0] if known else hunted, max(seeds, known[1] if known else 0))
    hunts = [
        _Hunt(hunted.mutant.name, SeedTask(hunted.plan.each, seed))
        for hunted, seeds in scenarios.values()
        for seed in range(1, seeds + 1)
    ]
    results = []
    for like, result in executor.map_unordered(_play, hunts):
        results.append((like, result))
        tell(Step("control", len(results), len(hunts)))
    matrix.control_seeds = len(results)
    for like, result in sorted(results, key=lambda entry: (entry[0], entry[1].seed)):
        if result.error:
            matrix.control_errors.append(
                f"seed {result.seed} in the scenario of {like}: {result.error.strip().splitlines()[-1]}"
            )
        matrix.alarms += _alarms(matrix.hunted[like], result)


def _alarms(hunted: Hunted, result: SeedResult) -> Iterator[Alarm]:
    if result.error:
        return
    command = tuple(replace(hunted.plan, mutant=None).command(result.seed))
    for witness in result.witnesses:
        yield Alarm(result.seed, witness.check, witness.kind, hunted.mutant.name, command)


@dataclass(frozen=True)
class _Suspects:
    """A mutant and the seed that killed it."""

    mutant: str
    scenario: Scenario
    seed: int


def _blame(matrix: Matrix, executor: Executor, tell: Watcher) -> None:
    suspects = [
        _Suspects(name, hunted.plan.each, hunted.killed_by_seed)
        for name, hunted in matrix.hunted.items()
        if hunted.killed_by_seed is not None
    ]
    for done, (name, kinds) in enumerate(executor.map_unordered(_kinds_needed, suspects), 1):
        matrix.hunted[name].blamed = kinds
        tell(Step("blame", done, len(suspects), name))


def _kinds_needed(suspects: _Suspects) -> tuple[str, tuple[str, ...]]:
    """Kinds of faults without each of which the mutant lives; none where it dies without any fault."""
    mutant = MUTANTS[suspects.mutant]
    planned = resolved(suspects.scenario, suspects.seed)

    def dies(kinds: Sequence[str]) -> bool:
        kept = tuple(fault for fault in planned.faults if fault.kind in kinds)
        task = SeedTask(planned.model_copy(update={"faults": kept}), suspects.seed, mutant.name)
        return Hunted(mutant, Plan(planned, "")).is_kill(play_seed(task))

    if dies(()):
        return mutant.name, ()
    own = tuple(dict.fromkeys(str(fault["kind"]) for fault in mutant.faults))
    needed = own if own and dies(own) else tuple(dict.fromkeys(fault.kind for fault in planned.faults))
    for kind in needed if len(needed) > 1 else ():
        fewer = tuple(other for other in needed if other != kind)
        if dies(fewer):
            needed = fewer
    return mutant.name, needed
