"""Many seeds of one scenario: what each one shows, what they show together, and a journal that survives an interrupt.

A seed is played and judged in a worker, in a directory that is gone afterwards; what comes back is small. A finding is
played again where it is wanted: the seed alone makes the same evidence, and the digest proves it.

Promises are judged per seed. What is expected to be *seen* (`expects`) and that every check found something to examine
are judged over the whole batch, because one small run can't show everything. Thresholds speak of one long run and are
left out.

ExplorationError (a ScenarioError)  a journal can't be used
"""

import hashlib
import shlex
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

from scenarios.application import ForeignApp
from scenarios.capsule import play
from scenarios.errors import ScenarioError
from scenarios.executors import Executor
from scenarios.runner import RunResult
from scenarios.spec import Scenario
from scenarios.verdict import BRISK, CheckResult, Verdict, list_checks

FORMAT = "peakproof-exploration/1"
BATCH_CHECK = "it_happened"
MOST_SEEDS = 20
_EVENTS = ("window", "strike")
_ROOMS = ("contracts", "simulators", "integration", "scenarios")
_SOURCES = ("*.py", "*.sql", "*.yaml", "*.json", "*.csv")


class ExplorationError(ScenarioError):
    """A journal can't be used; the message says which file and why."""


@dataclass(frozen=True)
class SeedTask:
    """One seed to be played. A `mutant` and an `app` are named, not carried: they need not be picklable."""

    scenario: Scenario
    seed: int
    mutant: str | None = None
    app: str | None = None


@dataclass(frozen=True)
class Witness:
    """One kind of counterexample that a check found in a seed, by its first row."""

    check: str
    kind: str
    counterexample: dict[str, Any]


@dataclass(frozen=True)
class SeedResult:
    """What one seed showed. `error` says why the tool itself broke, if it did, and then nothing else counts.

    `examined` names the checks that had something to examine, `seen` what an expectation `seen:NAME` would find,
    `planned` and `struck` the faults of this seed's plan as `kind id`.
    """

    seed: int
    digest: str = ""
    orders: int = 0
    witnesses: tuple[Witness, ...] = ()
    examined: tuple[str, ...] = ()
    seen: tuple[str, ...] = ()
    planned: tuple[str, ...] = ()
    struck: tuple[str, ...] = ()
    cpu_seconds: float = 0.0
    error: str = ""

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> "SeedResult":
        """The result that `asdict` wrote as JSON."""
        names = ("examined", "seen", "planned", "struck")
        witnesses = tuple(Witness(**witness) for witness in plain["witnesses"])
        return cls(**{**plain, **{name: tuple(plain[name]) for name in names}, "witnesses": witnesses})


@dataclass(frozen=True)
class Finding:
    """What is wrong, told once: a check and a kind of counterexample, with the first seed that shows it.

    `directory` is the run of that seed, once it was played again; `passing_seed` the nearest one without a finding.
    """

    check: str
    kind: str
    seed: int
    counterexample: dict[str, Any]
    directory: Path | None = None
    count: int = 1
    seeds: tuple[int, ...] = ()
    passing_seed: int | None = None


@dataclass(frozen=True)
class Plan:
    """What is explored: a scenario, perhaps with a mutant or an application of one's own (`module:factory`).

    `asked` and `overrides` are how it was asked for, for the commands in reports.
    """

    scenario: Scenario
    asked: str
    overrides: tuple[str, ...] = ()
    mutant: str | None = None
    app: str | None = None

    @cached_property
    def each(self) -> Scenario:
        """The scenario as a seed is played: what is judged over the batch is left out."""
        checks = self.scenario.checks or tuple(check.name for check in list_checks())
        kept = tuple(name for name in checks if name != BATCH_CHECK)
        return self.scenario.model_copy(update={"thresholds": (), "checks": kept})

    @cached_property
    def header(self) -> dict[str, Any]:
        """What the journal of this plan begins with: results of another scenario or of other code are not its own."""
        return {
            "format": FORMAT,
            "name": self.scenario.name,
            "asked": self.asked,
            "overrides": list(self.overrides),
            "mutant": self.mutant,
            "app": self.app,
            "app_code": ForeignApp.load(self.app).fingerprint() if self.app else None,
            "scenario": self.scenario.plain(),
            "code": code_fingerprint(),
        }

    def tasks(self, seeds: Iterable[int]) -> Iterator[SeedTask]:
        """One task per seed."""
        return (SeedTask(self.each, seed, self.mutant, self.app) for seed in seeds)

    def command(self, seed: int) -> list[str]:
        """The command line that plays one seed again: as a run, or for a mutant as an exploration of this seed."""
        words = [word for override in self.overrides for word in ("--set", override)]
        words += ["--app", self.app] if self.app else []
        if self.mutant:
            own = ["--mutant", self.mutant, "--from", str(seed), "--seeds", "1"]
            return ["peakproof", "explore", self.asked, *own, *words]
        expects = ["--set", "expects=[]"] if self.scenario.expects else []
        return ["peakproof", "run", self.asked, "--seed", str(seed), *words, *expects]


def play_seed(task: SeedTask) -> SeedResult:
    """Play and judge one seed, in a worker. What broke the tool is in the result; what a user can mend is raised."""
    began = time.process_time()
    try:
        with tempfile.TemporaryDirectory(prefix="peakproof-seed-") as scratch:
            directory = Path(scratch) / "run"
            run = play(task.scenario, task.seed, directory, task.mutant, task.app, BRISK)
            return _result(task.seed, run, time.process_time() - began)
    except ScenarioError:
        raise
    except Exception:
        return SeedResult(task.seed, cpu_seconds=time.process_time() - began, error=traceback.format_exc())


def replay(plan: Plan, finding: Finding, digest: str, directory: Path) -> str:
    """Play a finding's seed again, into a directory that stays. A text is returned when it did not replay."""
    play(plan.each, finding.seed, directory, plan.mutant, plan.app)
    again = orjson.loads((directory / "run.json").read_bytes())["digest"]
    return "" if again == digest else f"seed {finding.seed} did not replay: its digest was {digest}, now it is {again}"


def _result(seed: int, run: RunResult, cpu_seconds: float) -> SeedResult:
    record = orjson.loads((run.directory / "run.json").read_bytes())
    planned, struck = _faults(run.directory)
    checks = run.verdict.checks
    return SeedResult(
        seed=seed,
        digest=record["digest"],
        orders=record["clients"].get("orders_ok", 0),
        witnesses=tuple(witness for check in checks if _is_finding(check) for witness in _witnesses(check)),
        examined=tuple(check.name for check in checks if check.outcome in ("holds", "violated")),
        seen=run.verdict.seen,
        planned=planned,
        struck=struck,
        cpu_seconds=round(cpu_seconds, 3),
        error=_broken(run.verdict),
    )


def _is_finding(check: CheckResult) -> bool:
    return check.outcome == "violated" and check.judges == "target"


def _broken(verdict: Verdict) -> str:
    """Why the verdict is none: a query failed, or the simulators broke a promise of their own."""
    if verdict.outcome != "broken":
        return ""
    failed = [check.reason for check in verdict.checks if check.outcome == "broken"]
    own = [
        f"the simulators broke their own {check.name}: {check.counterexamples[0]}"
        for check in verdict.checks
        if check.judges == "simulators" and check.outcome == "violated"
    ]
    return "; ".join(failed + own)


def _witnesses(check: CheckResult) -> Iterator[Witness]:
    """The first counterexample of each kind."""
    told: dict[str, dict[str, Any]] = {}
    for row in check.counterexamples:
        told.setdefault(str(row.get("kind") or ""), {name: value for name, value in row.items() if name != "pick"})
    return (Witness(check.name, kind, orjson.loads(orjson.dumps(row))) for kind, row in told.items())


def _faults(directory: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The plan of faults and those that struck, as `kind id`."""
    with (directory / "faults.ndjson").open("rb") as lines:
        rows = [orjson.loads(line) for line in lines]
    named = {
        event: dict.fromkeys(f"{r['kind']} {r['fault']}" for r in rows if r["event"] == event) for event in _EVENTS
    }
    return tuple(named["window"]), tuple(named["strike"])


@dataclass
class Exploration:
    """All results so far and what they show together. The order in which they came makes no difference."""

    plan: Plan
    results: dict[int, SeedResult] = field(default_factory=dict)

    def add(self, result: SeedResult) -> None:
        """Take in one seed."""
        self.results[result.seed] = result

    @property
    def sound(self) -> list[SeedResult]:
        """Results by seed, without those in which the tool broke."""
        return [result for _, result in sorted(self.results.items()) if not result.error]

    @property
    def errors(self) -> list[SeedResult]:
        """Seeds in which the tool itself broke."""
        return [result for _, result in sorted(self.results.items()) if result.error]

    def findings(self) -> list[Finding]:
        """One per check and kind, with its first seed; by check and kind."""
        seeds: dict[tuple[str, str], list[int]] = {}
        first: dict[tuple[str, str], Witness] = {}
        for result in self.sound:
            for witness in result.witnesses:
                key = (witness.check, witness.kind)
                seeds.setdefault(key, []).append(result.seed)
                first.setdefault(key, witness)
        return [
            Finding(
                check=check,
                kind=kind,
                seed=found[0],
                counterexample=first[check, kind].counterexample,
                count=len(found),
                seeds=tuple(found[:MOST_SEEDS]),
                passing_seed=self.nearest_passing(found[0]),
            )
            for (check, kind), found in sorted(seeds.items())
        ]

    def nearest_passing(self, seed: int) -> int | None:
        """The seed nearest to this one in which nothing was found; the lower of two."""
        passing = (result.seed for result in self.sound if not result.witnesses)
        return min(passing, key=lambda other: (abs(other - seed), other), default=None)

    def seen(self) -> dict[str, int]:
        """What was seen, and in how many seeds."""
        return _counted(name for result in self.sound for name in result.seen)

    def struck(self) -> dict[str, tuple[int, int]]:
        """Kind of fault -> seeds in which one struck, seeds that had one planned."""
        struck = _counted(kind for result in self.sound for kind in _kinds(result.struck))
        planned = _counted(kind for result in self.sound for kind in _kinds(result.planned))
        return {kind: (struck.get(kind, 0), seeds) for kind, seeds in planned.items()}

    def examined(self) -> dict[str, int]:
        """Check -> seeds in which it had something to examine."""
        counts = _counted(name for result in self.sound for name in result.examined)
        return {name: counts.get(name, 0) for name in self.plan.each.checks or ()}

    def vacuous(self) -> list[str]:
        """What the batch failed to show: expectations that were never seen, and checks that never examined anything."""
        if not self.sound:
            return ["no seed was played to its end"]
        seen = self.seen()
        ids = {name.partition(" ")[2] for result in self.sound for name in result.struck}
        missing = [
            expected
            for expected in self.plan.scenario.expects
            if (expected.removeprefix("seen:") not in seen and expected.removeprefix("fault:") not in ids)
        ]
        idle = [name for name, seeds in self.examined().items() if seeds == 0]
        return [f"{expected} was never seen" for expected in missing] + [f"{name} examined nothing" for name in idle]

    @property
    def outcome(self) -> str:
        """As a verdict's, over the batch: broken before violated before inconclusive."""
        if self.errors:
            return "broken"
        if self.findings():
            return "violated"
        return "inconclusive" if self.vacuous() else "holds"

    def to_json(self, findings: Iterable[Finding]) -> dict[str, Any]:
        """explore.json. Only `cpu_seconds` differs between two explorations of the same seeds."""
        promises = {check.name: check.holds_when for check in list_checks()}
        return {
            **self.plan.header,
            "started_at_us": self.plan.scenario.starts_at_us or 0,
            "outcome": self.outcome,
            "seeds": len(self.results),
            "first_seed": min(self.results, default=None),
            "last_seed": max(self.results, default=None),
            "orders": sum(result.orders for result in self.sound),
            "cpu_seconds": round(sum(result.cpu_seconds for result in self.results.values()), 1),
            "findings": [
                {
                    **asdict(finding),
                    "directory": finding.directory.name if finding.directory else None,
                    "holds_when": promises[finding.check],
                    "command": shlex.join(self.plan.command(finding.seed)),
                }
                for finding in findings
            ],
            "errors": [
                {"seed": result.seed, "error": result.error, "command": shlex.join(self.plan.command(result.seed))}
                for result in self.errors
            ],
            "vacuous": self.vacuous(),
            "seen": self.seen(),
            "faults": {
                kind: {"struck": struck, "planned": planned} for kind, (struck, planned) in self.struck().items()
            },
            "examined": self.examined(),
        }


def play_seeds(exploration: Exploration, seeds: Iterable[int], executor: Executor) -> Generator[SeedResult, None, None]:
    """Play the seeds that have no result yet, and add and give each as it comes. Close the generator to stop early."""
    left = (seed for seed in seeds if seed not in exploration.results)
    with closing(executor.map_unordered(play_seed, exploration.plan.tasks(left))) as results:
        for result in results:
            exploration.add(result)
            yield result


class Journal:
    """Results on disk, one line each, appended as they come: an interrupted exploration goes on where it stopped."""

    def __init__(self, file: Path, plan: Plan) -> None:
        """Open or begin the journal. ExplorationError when it is another plan's."""
        self.results: list[SeedResult] = []
        self._file = file
        whole = self._read(plan) if file.exists() else 0
        self._handle = file.open("r+b" if file.exists() else "wb")
        self._handle.truncate(whole)  # a line that an interrupt cut short
        self._handle.seek(whole)
        if whole == 0:
            self._write(plan.header)

    def add(self, result: SeedResult) -> None:
        """Append one result; it is on disk when this returns. One with an error is not kept: it is tried again."""
        if not result.error:
            self._write(asdict(result))

    def _write(self, row: dict[str, Any]) -> None:
        self._handle.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
        self._handle.flush()

    def _read(self, plan: Plan) -> int:
        """Take in the whole lines; their length in bytes."""
        lines = self._file.read_bytes().splitlines(keepends=True)
        if lines and not lines[-1].endswith(b"\n"):
            lines.pop()
        if not lines:
            return 0
        try:
            header, *rows = (orjson.loads(line) for line in lines)
            self.results = [SeedResult.from_plain(row) for row in rows]
        except (ValueError, TypeError, KeyError) as error:
            raise ExplorationError("is no journal of an exploration; name another --out", file=str(self._file)) from (
                error
            )
        if header != orjson.loads(orjson.dumps(plan.header)):
            raise ExplorationError(
                "holds an exploration of another scenario, mutant or state of the code; name another --out",
                file=str(self._file),
            )
        return sum(map(len, lines))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._handle.close()


def code_fingerprint() -> str:
    """One sha256 over everything that decides what a seed does: a result is worth nothing under other code."""
    whole = hashlib.sha256()
    root = Path(__file__).parents[1]
    for room in _ROOMS:
        for file in sorted(path for pattern in _SOURCES for path in (root / room).rglob(pattern)):
            whole.update(f"{file.relative_to(root)} {hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return whole.hexdigest()


def _kinds(faults: Iterable[str]) -> dict[str, None]:
    return dict.fromkeys(name.partition(" ")[0] for name in faults)


def _counted(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))
