"""One fuzzing run: rounds of generated cases against a role of the house or a live endpoint, then the driven scenes.

Each round has a seed of its own and, in the house, a house of its own, so any of them can be played again by itself.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass, field, replace

from contracts.validation import Contract
from peakproof.fuzzing.coverage import Answered, Coverage, documented_in
from peakproof.fuzzing.door import Door, Target
from peakproof.fuzzing.driven import PHASE as DRIVEN
from peakproof.fuzzing.driven import drive, everywhere
from peakproof.fuzzing.engine import PHASES, STATEFUL_STEPS, Plan, play
from peakproof.fuzzing.findings import Finding, Findings
from peakproof.fuzzing.house import HOST_OF, house_of, known_of_house
from peakproof.fuzzing.known import Known
from scenarios.stage import CONTRACT_OF
from simulators.kernel.chance import Chance

ALL_PHASES = (*PHASES, DRIVEN)
ROLES = tuple(HOST_OF)
_ROUND_CASES = 2_500
_COVERAGE_CASES = 90
"""About what the coverage phase sends per operation; a run with fewer cases takes a sample of it."""


@dataclass(frozen=True, slots=True)
class Job:
    """What to play: at least `cases` generated cases (a phase is played to its end) unless `minutes` are over before.

    `round` plays that one alone.
    """

    role: str
    cases: int
    seed: int = 1
    phases: tuple[str, ...] = ALL_PHASES
    minutes: float | None = None
    round: int | None = None

    @property
    def generates(self) -> tuple[str, ...]:
        """The phases that Schemathesis plays."""
        return tuple(phase for phase in self.phases if phase in PHASES)

    @property
    def is_whole(self) -> bool:
        """Every phase is played, so every documented answer must have been seen."""
        return set(self.phases) == set(ALL_PHASES) and self.round is None


@dataclass
class Outcome:
    """What a run did and found. `cases` by phase; `seen` by source, as coverage wants it."""

    job: Job
    document: str
    documented: tuple[Answered, ...]
    cases: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    seen: dict[str, Set[Answered]] = field(default_factory=dict)
    findings: Findings = field(default_factory=Findings)
    troubles: list[tuple[str, str]] = field(default_factory=list)
    elapsed_s: float = 0.0

    @property
    def coverage(self) -> Coverage:
        """Which documented answers were seen."""
        return Coverage(self.document, self.documented, self.seen)

    def note_unseen(self) -> None:
        """Every documented answer that nothing saw becomes a finding: nobody gives it, or nobody knows how."""
        for method, path, status in self.coverage.missing:
            told = f"{status} is documented, and nothing that was tried is answered so"
            where = f"{method} {path}"
            self.findings.add(Finding(self.job.role, where, f"reachable-{status}", told, DRIVEN, 0, "", "", 0))


Tell = Callable[[str], None]


def fuzz_house(job: Job, tell: Tell = lambda _line: None) -> Outcome:
    """Fuzz a role of the test house."""
    contract = Contract.load(CONTRACT_OF[HOST_OF[job.role]])
    tally = _Tally(job, contract, tell)
    for plan in tally.plans():
        with house_of(job.role, plan.seed) as target:
            tally.play(Door(target, known_of_house(plan.seed, target.box), plan.seed, tally.done.findings), plan)
    if tally.drives:
        for door in drive(job.role, job.seed, tally.done.findings):
            tally.take(door, DRIVEN)
    return tally.finished()


def fuzz_live(job: Job, target: Target, known: Known | None = None, tell: Tell = lambda _line: None) -> Outcome:
    """Fuzz a live endpoint; `cases` bounds what is generated. Probes of repetition come on top, one third at most."""
    tally = _Tally(job, target.contract, tell)
    for plan in tally.plans():
        values = known or Known({}, Chance(plan.seed))
        tally.play(Door(target, values, plan.seed, tally.done.findings), replace(plan, at_most=tally.left))
    if tally.drives:
        door = Door(target, known or Known({}, Chance(job.seed)), job.seed, tally.done.findings)
        everywhere(door)
        tally.take(door, DRIVEN)
    return tally.finished()


class _Tally:
    """The sums of a run under way."""

    def __init__(self, job: Job, contract: Contract, tell: Tell) -> None:
        self._job = job
        self._tell = tell
        self._seen: dict[str, set[Answered]] = {"fuzz": set(), DRIVEN: set()}
        self._troubles: set[tuple[str, str]] = set()
        self._started_s = time.monotonic()
        self._operations = len(contract.operations)
        self.done = Outcome(job, contract.name, documented_in(contract))

    @property
    def left(self) -> int:
        """Cases that are still to be generated."""
        return max(0, self._job.cases - self.done.cases.total())

    @property
    def drives(self) -> bool:
        """The driven scenes belong to this run."""
        return DRIVEN in self._job.phases and not self._job.round

    def plans(self) -> Iterator[Plan]:
        """The plans of the rounds, one after another, until the cases or the minutes are used up."""
        number = self._job.round or 0
        while self.left and not self._is_late():
            plan = _plan(self._job, number, self._operations)
            before = self.left
            if not plan.phases:
                return
            yield plan
            if self.left == before or self._job.round is not None:
                return
            number += 1

    def play(self, door: Door, plan: Plan) -> None:
        """Play one round."""
        door.round = plan.round
        done = play(door, plan)
        self.done.cases.update(done.cases)
        self._troubles.update(done.troubles)
        self.take(door, "fuzz")
        cases, findings = self.done.cases.total(), len(self.done.findings)
        self._tell(f"{self._job.role}: round {plan.round}, {cases:,} cases, {findings} findings")

    def take(self, door: Door, source: str) -> None:
        """Add what a door saw."""
        self.done.requests += door.statuses.total()
        self._seen[source] |= set(door.statuses)

    def finished(self) -> Outcome:
        """The sums."""
        self.done.seen = {source: frozenset(answers) for source, answers in self._seen.items()}
        self.done.troubles = sorted(self._troubles)
        self.done.elapsed_s = time.monotonic() - self._started_s
        return self.done

    def _is_late(self) -> bool:
        minutes = self._job.minutes
        return minutes is not None and time.monotonic() - self._started_s > minutes * 60


def _plan(job: Job, number: int, operations: int) -> Plan:
    """What a round generates. Examples and coverage say the same each time, so only the first round has them."""
    phases = tuple(phase for phase in job.generates if number == 0 or phase in ("fuzzing", "stateful"))
    cases = min(job.cases, _ROUND_CASES)
    covered = min(cases // 2, operations * _COVERAGE_CASES) if "coverage" in phases else 0
    is_sampled = covered < operations * _COVERAGE_CASES
    rest = cases - covered
    return Plan(
        seed=job.seed + number,
        round=number,
        phases=phases,
        most_examples=max(1, min(200, round(rest * 0.85 / operations))),
        stateful_runs=max(1, min(300, round(rest * 0.15 / STATEFUL_STEPS))),
        coverage_at_most=max(2, covered // operations) if is_sampled else 1_000_000,
    )
