"""One run: load under faults, heal, drain, read back, judge. Everything that it learns is in the run directory.

RunError      the run can't begin or can't go on for a reason outside of the target: the tool's own failure
"""

import platform
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson

from contracts.evidence import COLUMNS
from integration.bootstrap import Parts
from scenarios import thresholds
from scenarios.application import ApplicationError, ForeignApp
from scenarios.crowd import Crowd, InWorld
from scenarios.demand import Demand
from scenarios.facts import Moments, drain_bound_us, freshness_us, stillness_us, write_facts
from scenarios.monitor import Monitor, Placed
from scenarios.spec import Scenario
from scenarios.stage import THREEPL, WAREHOUSES, Stage, check_cast, set_stage
from scenarios.swarm import resolved
from scenarios.verdict import THOROUGH, Effort, Verdict, judge
from simulators.kernel import MINUTE, EscapedWorld, EvidenceWriter

STEP_US = 15 * MINUTE
VERSIONED = ("peakproof", "simpy", "flask", "sqlalchemy", "duckdb")


class RunError(Exception):
    """The run can't begin or go on, and it is not the target's fault."""


@dataclass(frozen=True)
class Progress:
    """How far a run is. `share` (0 to 1) is of this phase: load, drain, read back, judge."""

    phase: str
    share: float
    at_us: int
    orders: int


@dataclass(frozen=True)
class RunResult:
    """Where a run's evidence lies and what came of it."""

    directory: Path
    outcome: str
    exit_code: int
    verdict: Verdict


Watcher = Callable[[Progress], None]


def run_scenario(
    scenario: Scenario,
    seed: int | None,
    out: Path,
    progress: Watcher | None = None,
    parts: Parts | None = None,
    effort: Effort = THOROUGH,
    app: str | None = None,
    mutant: str | None = None,
) -> RunResult:
    """Play a scenario in virtual time and judge it. `parts` may hold a mutant's; `out` must not hold a run already.

    `mutant` names whose parts they are, for the record. `app` is the `module:factory` of an application to stand in
    place of the reference integration. ApplicationError when it can't be used, or did what only works in real time.
    Ctrl-C and a failing task leave a run directory that can be read: evidence so far, and run.json with complete=false.
    """
    limits = [(entry.metric, limit) for entry in scenario.thresholds for limit in entry.limits]
    for metric, limit in limits:
        thresholds.parse(metric, limit)
    check_cast(scenario)
    foreign = ForeignApp.load(app) if app else None
    seed = scenario.seed if seed is None else seed
    scenario = resolved(scenario, seed)
    demand = Demand.load(scenario, seed)
    if (out / "run.json").exists():
        raise RunError(f"{out} holds a run already: name another directory with --out")
    with tempfile.TemporaryDirectory(prefix="peakproof-") as scratch, EvidenceWriter(out) as evidence:
        database = Path(scratch) / "integration.db"
        run = _Run(scenario, demand, seed, evidence, database, parts or Parts(), progress, foreign, mutant)
        try:
            run.play()
        except EscapedWorld as error:
            raise ApplicationError(f"--app {app!r} can't be judged in virtual time: {error}") from error
        finally:
            run.close()
            record = run.record()
            write_run_file(out, record)
            run.world.end()
    return _judged(run, record, out, limits, effort)


def _judged(
    run: "_Run", record: Mapping[str, Any], out: Path, limits: list[tuple[str, str]], effort: Effort
) -> RunResult:
    run.tell("judge", 0.0)
    began = time.perf_counter()
    verdict = judge(out, limits, run.scenario.checks, effort)
    run.wall_seconds["judge"] = round(time.perf_counter() - began, 3)
    write_run_file(out, {**record, "wall_seconds": run.wall_seconds, "verdict": verdict.to_json()})
    run.tell("judge", 1.0)
    return RunResult(out, verdict.outcome, verdict.exit_code, verdict)


def write_run_file(directory: Path, record: Mapping[str, Any]) -> None:
    """Write run.json whole or not at all."""
    unfinished = directory / "run.json.part"
    unfinished.write_bytes(orjson.dumps(record, option=orjson.OPT_INDENT_2))
    unfinished.replace(directory / "run.json")


@dataclass
class _Run:
    """A run in the making."""

    scenario: Scenario
    demand: Demand
    seed: int
    evidence: EvidenceWriter
    database: Path
    parts: Parts
    progress: Watcher | None
    app: ForeignApp | None = None
    mutant: str | None = None
    moments: Moments | None = None
    complete: bool = False
    wall_seconds: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.began = time.perf_counter()
        self.stage: Stage = set_stage(
            self.scenario, self.demand, self.seed, self.evidence, self.database, self.parts, self.app
        )
        self.world = self.stage.world
        keys = self.stage.keys
        clients = self.scenario.demand.clients
        self.crowd = Crowd(InWorld(self.world), self.demand, clients, keys.channels, keys.clerk_at)
        self.monitor = Monitor(self.stage, self.demand.watched_skus, self.scenario.gauges_every_us)
        orders = list(self.demand.orders())
        self.lines = sum(len(order.lines) for order in orders)
        self.orders = [(order.customer_id, order.order_reference) for order in orders]

    def play(self) -> None:
        """All phases up to the last row of evidence."""
        self.crowd.start()
        self.monitor.start()
        loaded_at_us = self._load()
        self.world.faults.heal()
        healed_at_us = self.world.now_us()
        quiet_at_us, still_at_us = self._drain(healed_at_us)
        self.moments = Moments(loaded_at_us, healed_at_us, quiet_at_us, still_at_us)
        self.tell("read back", 0.0)
        reads = self.monitor.read_back(self._placed())
        write_facts(self.scenario, self.stage, self.moments, self.lines, reads)
        self.complete = True

    def close(self) -> None:
        """Complete the evidence of what was played, however it ended."""
        self.world.network.close()
        self.evidence.close()
        self.wall_seconds["run"] = round(time.perf_counter() - self.began, 3)

    def tell(self, phase: str, share: float) -> None:
        """Tell the watcher how far the run is."""
        if self.progress is not None:
            self.progress(Progress(phase, share, self.world.now_us(), self.crowd.counts["orders_ok"]))

    def _load(self) -> int:
        """Run until demand and faults are over and every client has its answer, or the drain limit is met."""
        starts_at_us, ends_at_us = self.demand.starts_at_us, self.demand.ends_at_us
        while self.world.now_us() < ends_at_us:
            self.world.run(min(self.world.now_us() + STEP_US, ends_at_us))
            self.tell("load", (self.world.now_us() - starts_at_us) / (ends_at_us - starts_at_us))
        limit_us = ends_at_us + self.scenario.drain_limit_us
        while not self.crowd.finished and self.world.now_us() < limit_us:
            self.world.run(self.world.now_us() + MINUTE)
        return self.world.now_us()

    def _drain(self, healed_at_us: int) -> tuple[int | None, int | None]:
        """Run until quiet: partners idle, books unchanged for the longest poll, and no order open when read.

        Since when it was quiet, and since when nothing was booked any more though it never became so: None if not.
        """
        limit_us = drain_bound_us(self.scenario, self.stage, self.lines)
        settle_us = self._longest_poll_us()
        entries, booked_us, unchanged_since_us = -1, healed_at_us, healed_at_us
        while self.world.now_us() - healed_at_us < limit_us:
            if self._entries() != entries:
                entries, booked_us, unchanged_since_us = self._entries(), self.world.now_us(), self.world.now_us()
            elif not all(partner.quiet() for partner in self.stage.partners):
                unchanged_since_us = self.world.now_us()
            elif self.world.now_us() - unchanged_since_us >= settle_us:
                if self.monitor.open_orders(self._placed()) == 0:
                    return unchanged_since_us, booked_us
                unchanged_since_us = self.world.now_us()
            self.world.run(self.world.now_us() + MINUTE)
            self.tell("drain", (self.world.now_us() - healed_at_us) / limit_us)
        is_still = self.world.now_us() - booked_us >= stillness_us(self.stage)
        return None, booked_us if is_still else None

    def _entries(self) -> int:
        """Entries in the partners' books, without the carrier's scans on the road."""
        return self.evidence.rows("ledger") - self.stage.carrier.scans

    def _longest_poll_us(self) -> int:
        settings = self.stage.settings
        polls = [settings.threepl_poll_every_us, settings.threepl_stock_every_us]
        if self.stage.subscribers:  # who was ill is told after the longest backoff, jitter and all
            polls.append(2 * settings.retry_longest_us)
        return max(polls) + MINUTE

    def _placed(self) -> list[Placed]:
        return [
            Placed(customer, reference, self.crowd.order_id(customer, reference)) for customer, reference in self.orders
        ]

    def record(self) -> dict[str, Any]:
        """run.json without the verdict."""
        moments = self.moments
        nodes = (*WAREHOUSES, THREEPL)
        return {
            "name": self.scenario.name,
            "summary": self.scenario.summary,
            "seed": self.seed,
            "scenario": self.scenario.plain(),
            "app": self.app.name if self.app else None,
            "mutant": self.mutant,
            "versions": {"python": platform.python_version(), **{name: version(name) for name in VERSIONED}},
            "started_at_us": self.demand.starts_at_us,
            "load_ended_at_us": moments.loaded_at_us if moments else None,
            "healed_at_us": moments.healed_at_us if moments else None,
            "quiet_at_us": moments.quiet_at_us if moments else None,
            "still_at_us": moments.still_at_us if moments else None,
            "ended_at_us": self.world.now_us(),
            "complete": self.complete,
            "columns": COLUMNS,
            "evidence": self.evidence.summary(),
            "digest": self.evidence.digest(),
            "demand": self.demand.statement,
            "clients": dict(sorted(self.crowd.counts.items())),
            "bounds": {
                "drain_bound_us": drain_bound_us(self.scenario, self.stage, self.lines),
                "freshness_us": {node: freshness_us(self.scenario, self.stage, node) for node in nodes},
            },
            "verdict": None,
            "wall_seconds": self.wall_seconds,
        }
