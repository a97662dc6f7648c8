"""One run in real time: partners, target and crowd as processes, then heal, drain, read back, merge and judge.

The phases are those of scenarios/runner.py, and so are the evidence and the verdict. Every process writes into
`parts/` of the run directory; the runner merges that at the end, also when the run was interrupted.
"""

import platform
import shlex
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import urllib3

from contracts.evidence import COLUMNS
from loadtests.adapters import Adapter, unobservable
from loadtests.plan import EDGE_KINDS, Pace, Plan
from loadtests.shapes import shaped
from peakproof.live.admin_client import Admin
from peakproof.live.afflictions import Afflictions, not_played
from peakproof.live.child import Simulators
from peakproof.live.children import Child
from peakproof.live.collected import Counter, merge, rows_of
from peakproof.live.crowd import CrowdLost, Crowds, Muster, crowd
from peakproof.live.errors import LiveError
from peakproof.live.order import Order, ports_from
from peakproof.live.parity import compare
from peakproof.live.reading import Reader
from peakproof.live.recipe import Recipe
from peakproof.live.target import LOOPBACK, Size, clock_of_pace, database, environment_of, free_port, integration
from peakproof.live.twin import Twin
from scenarios.demand import Demand, files_of
from scenarios.events import CancelEvent
from scenarios.facts import Moments
from scenarios.monitor import Placed
from scenarios.mutants.mutant import Mutant
from scenarios.mutants.racing import place_of
from scenarios.runner import Progress, RunError, Watcher, write_run_file
from scenarios.spec import PARTNERS, Scenario
from scenarios.stage import MONITOR
from scenarios.verdict import THOROUGH, Verdict, judge
from simulators.kernel import EvidenceWriter

BOOT_S = (12.0, 30.0, 80.0)
"""How long until business begins after the target was started; the next when it was not ready by then."""
LEAD_US = 200_000_000
LOOK_EVERY_S = 0.25
ROWS_REACH_FILES_S = 1.5
PARTS = "parts"
VERSIONED = ("peakproof", "simpy", "flask", "sqlalchemy", "duckdb", "locust", "granian", "gevent")


@dataclass(frozen=True)
class Wanted:
    """What is to be played. `target` is the URL of another order API, `start` the command that starts it.

    Partners and integration listen on `host`; workers of other machines call them by `public_host`, if it is another.
    `mutant` is the deliberate bug that the reference integration is to have.
    """

    recipe: Recipe
    shape: str
    muster: Muster
    database: str
    size: Size
    adapter_name: str
    adapter: Adapter
    target: str = ""
    start: str = ""
    port_base: int = 0
    host: str = LOOPBACK
    public_host: str = ""
    mutant: Mutant | None = None


@dataclass
class _House:
    """Everything that runs during a load."""

    simulators: Simulators
    admin: Admin
    pace: Pace
    url: str
    crowd: Crowds
    reader: Reader
    afflictions: Afflictions
    skew_us: int = 0


@dataclass
class LoadRun:
    """A run in the making. `play` once."""

    wanted: Wanted
    directory: Path
    progress: Watcher | None = None
    virtual: Path | None = None
    """The same scenario as played in virtual time, to be compared with."""
    moments: Moments | None = None
    complete: bool = False
    skew_us: int = 0
    pace: Pace | None = None
    bounds: dict[str, Any] = field(default_factory=dict)
    wall_seconds: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.scenario = _fitted(self.wanted.recipe.load(), self.wanted.adapter)
        recipe = self.wanted.recipe
        self.seed = self.scenario.seed if recipe.seed is None else recipe.seed
        demand = shaped(Demand.load(self.scenario, self.seed), self.wanted.shape)
        self.demand = demand if "cancel" in self.wanted.adapter.provides else _without_cancels(demand)
        self.parts = self.directory / PARTS
        self.left_out = not_played(self.scenario, EDGE_KINDS, self.wanted.target != "")

    def play(self) -> Verdict:
        """All phases; the verdict. LiveError for what the user can mend, RunError when the run can't go on. A run that
        was interrupted or can't go on is merged, not judged."""
        began = time.monotonic()
        self.parts.mkdir()
        try:
            with EvidenceWriter(self.parts / "runner") as own, ExitStack() as house:
                twin = Twin.of(self.scenario, self.demand, self.seed, self.wanted.recipe.speed, own)
                opened = self._opened(house, own)
                with _needing(opened.simulators):
                    self._played(opened, twin, own)
        finally:
            record = self._merged(round(time.monotonic() - began, 3))
        self._tell("judge", 0.0)
        began = time.monotonic()
        limits = [(entry.metric, limit) for entry in self.scenario.thresholds for limit in entry.limits]
        verdict = judge(self.directory, limits, self.scenario.checks, THOROUGH)
        self.wall_seconds["judge"] = round(time.monotonic() - began, 3)
        record |= {"wall_seconds": self.wall_seconds, "verdict": verdict.to_json()}
        write_run_file(self.directory, record)
        if self.virtual is not None:
            told = {one.what: str(one) for one in compare(self.virtual, self.directory)}
            record["parity"] = told
            record["demand"] = {**record["demand"], "parity_with_virtual_time": told or {"differences": "none"}}
            write_run_file(self.directory, record)
        return verdict

    # Setting up

    def _opened(self, house: ExitStack, own: EvidenceWriter) -> _House:
        self._tell("prepare", 0.0)
        wanted = self.wanted
        scratch = Path(house.enter_context(tempfile.TemporaryDirectory(prefix="peakproof-load-")))
        url = wanted.target or f"http://{wanted.host}:{free_port(wanted.host)}"
        database_url = "" if wanted.target else house.enter_context(database(wanted.database, scratch))
        slow = Recipe(wanted.recipe.scenario, wanted.recipe.overrides, self.seed, 1.0, LEAD_US)
        ports = ports_from(wanted.port_base, PARTNERS)
        order = Order(slow, wanted.host, ports, str(self.parts / "simulators"))
        simulators = house.enter_context(Simulators(order))
        ready = simulators.ready
        admin = Admin(ready)
        admin.call("POST", "settings", {"integrationUrl": url})
        crowds = house.enter_context(self._crowd(ready, url))
        crowds.wait_until_ready(lambda: _check_simulators(simulators, 0.0))
        target = self._target(house, ready, database_url, url, lambda: _check_simulators(simulators, 0.0))
        pace = target.pace
        crowds.begin(pace)
        reader = Reader(url, wanted.adapter, ready["channels"][MONITOR], pace.now_us)
        house.callback(reader.close)
        plan = self.scenario.fault_plan(self.demand.starts_at_us, self.demand.ends_at_us)
        afflictions = Afflictions(plan, target.children, own, pace)
        self.pace = pace
        return _House(simulators, admin, pace, url, crowds, reader, afflictions)

    def _target(
        self, house: ExitStack, ready: Mapping[str, Any], database_url: str, url: str, still: Callable[[], None]
    ) -> "_Target":
        """Start the target with the clock that it is to go by, and wait until it is ready before that begins."""
        wanted, token = self.wanted, ready["channels"][MONITOR]
        for boot_s in BOOT_S:
            pace = Pace.beginning(self.demand.starts_at_us, boot_s, wanted.recipe.speed)
            told = environment_of(
                ready,
                database_url,
                url,
                clock_of_pace(pace),
                self.scenario.integration,
                wanted.size,
                place_of(wanted.mutant) if wanted.mutant else "",
            )
            with ExitStack() as attempt:
                if wanted.target:
                    children = attempt.enter_context(_started(wanted.start, told, self.parts))
                    _wait_for_answer(url, children)
                else:
                    made = attempt.enter_context(integration(told, url, wanted.size, self.parts))
                    made.wait_until_ready(token, still)
                    children = made.children
                if pace.seconds_until(pace.business_us) > CROWD_STARTS_WITHIN_S or boot_s == BOOT_S[-1]:
                    house.enter_context(attempt.pop_all())
                    return _Target(pace, children)
        raise AssertionError("the last attempt returns")

    def _crowd(self, ready: Mapping[str, Any], url: str) -> AbstractContextManager[Crowds]:
        wanted = self.wanted
        urls = {name: _called_by(wanted.public_host, host["url"]) for name, host in ready["hosts"].items()}
        urls["integration"] = wanted.target or _called_by(wanted.public_host, url)
        plan = Plan(self.scenario.plain(), self.seed, wanted.shape, urls, wanted.muster.size, wanted.adapter_name)
        plan = plan.with_files(files_of(self.scenario))
        clerks = {name: host["clerk_token"] for name, host in ready["hosts"].items() if host["clerk_token"]}
        channels = {name: token for name, token in ready["channels"].items() if name != MONITOR}
        return crowd(wanted.muster, plan, {"channels": channels, "clerks": clerks}, url, self.parts)

    # Playing

    def _played(self, house: _House, twin: Twin, own: EvidenceWriter) -> None:
        self.skew_us = house.skew_us = house.admin.set_pace(house.pace)
        loaded_at_us = self._load(house)
        house.admin.call("POST", "faults/heal")
        house.afflictions.heal()
        healed_at_us = house.pace.now_us()
        placed = self._placed()
        quiet_at_us, still_at_us = self._drain(house, twin, placed, healed_at_us)
        self.moments = Moments(loaded_at_us, healed_at_us, quiet_at_us, still_at_us)
        self._tell("read back", 0.0)
        reads = house.reader.read_back(placed, own)
        left_out = {f"fault:{name}" for name in self.left_out}
        self.skew_us += round(house.crowd.standing.skew_us * house.pace.speed)
        twin.write(self.moments, reads, self.skew_us, left_out, unobservable(self.wanted.adapter))
        self.bounds = {"drain_bound_us": twin.drain_bound_us, "freshness_us": twin.freshness_us()}
        self.complete = True

    def _load(self, house: _House) -> int:
        """Until every client has its answer, or the drain limit is met."""
        starts_at_us, ends_at_us = self.demand.starts_at_us, self.demand.ends_at_us
        limit_us = ends_at_us + self.scenario.drain_limit_us
        while not self._is_over(house.crowd) and house.pace.now_us() < limit_us:
            now_us = house.pace.now_us()
            house.afflictions.strike(now_us)
            self._tell("load", min(1.0, max(0.0, (now_us - starts_at_us) / (ends_at_us - starts_at_us))))
            _wait(house)
        while house.pace.now_us() < ends_at_us:
            house.afflictions.strike(house.pace.now_us())
            _wait(house)
        return house.pace.now_us()

    def _is_over(self, crowds: Crowds) -> bool:
        """Whether every client has its answer. CrowdLost tells how many orders nobody knows anything of."""
        try:
            return crowds.is_over()
        except CrowdLost as error:
            orders = sum(1 for _ in self.demand.orders())
            raise CrowdLost(
                f"{error}; {self._not_begun():,} of {orders:,} orders had not begun, as far as evidence tells"
            ) from error

    def _not_begun(self) -> int:
        """Orders of the demand of which no attempt is on record."""
        begun = {
            (row["customer_id"], row["order_reference"])
            for directory in self.parts.glob("crowd-*/")
            for row in rows_of(directory / "operations.ndjson")
            if row["operation"] == "place_order"
        }
        return sum((order.customer_id, order.order_reference) not in begun for order in self.demand.orders())

    def _drain(
        self, house: _House, twin: Twin, placed: list[Placed], healed_at_us: int
    ) -> tuple[int | None, int | None]:
        """Until quiet, as scenarios/runner.py has it; since when, and since when nothing was booked any more."""
        now_us, limit_us, settle_us = house.pace.now_us, twin.drain_bound_us, twin.longest_poll_us
        settle_us = max(settle_us, round(ROWS_REACH_FILES_S * 2e6 * house.pace.speed))
        ledger = Counter(self.parts / "simulators" / "ledger.ndjson")
        entries, booked_us, unchanged_since_us = -1, healed_at_us, healed_at_us
        while now_us() - healed_at_us < limit_us:
            if ledger.look() != entries:
                entries, booked_us, unchanged_since_us = ledger.entries, now_us(), now_us()
            elif not house.admin.quiet():
                unchanged_since_us = now_us()
            elif now_us() - unchanged_since_us >= settle_us:
                if "read" not in self.wanted.adapter.provides or house.reader.open_orders(placed) == 0:
                    return unchanged_since_us, booked_us
                unchanged_since_us = now_us()
            self._tell("drain", (now_us() - healed_at_us) / limit_us)
            _wait(house)
        return None, booked_us if now_us() - booked_us >= twin.stillness_us else None

    def _placed(self) -> list[Placed]:
        """Every order of the demand, with the id that a client was told."""
        told: dict[tuple[str, str], str] = {}
        for directory in sorted(self.parts.glob("crowd-*/")):
            for row in rows_of(directory / "operations.ndjson"):
                if row["operation"] in ("place_order", "read_order") and row["outcome"] == "ok" and row["order_id"]:
                    told[row["customer_id"], row["order_reference"]] = row["order_id"]
        keys = [(order.customer_id, order.order_reference) for order in self.demand.orders()]
        return [Placed(customer, reference, told.get((customer, reference))) for customer, reference in keys]

    # Afterwards

    def _merged(self, seconds: float) -> dict[str, Any]:
        """Make one book of all parts, and write run.json without a verdict."""
        self.wall_seconds["run"] = seconds
        with EvidenceWriter(self.directory) as evidence:
            merge(self.parts, evidence)
        record = self._record(evidence)
        write_run_file(self.directory, record)
        return record

    def _counts(self) -> dict[str, int]:
        counts: dict[str, int] = {}
        for file in sorted(self.parts.glob("crowd-*/counts.json")):
            with suppress(orjson.JSONDecodeError):
                for name, count in orjson.loads(file.read_bytes()).items():
                    counts[name] = counts.get(name, 0) + count
        return dict(sorted(counts.items()))

    def _record(self, evidence: EvidenceWriter) -> dict[str, Any]:
        moments, wanted = self.moments, self.wanted
        now_us = self.pace.now_us() if self.pace else self.demand.starts_at_us
        return {
            "name": self.scenario.name,
            "summary": self.scenario.summary,
            "seed": self.seed,
            "scenario": self.scenario.plain(),
            "app": wanted.target or None,
            "mutant": wanted.mutant.name if wanted.mutant else None,
            "versions": {"python": platform.python_version(), **{name: version(name) for name in VERSIONED}},
            "started_at_us": self.demand.starts_at_us,
            "load_ended_at_us": moments.loaded_at_us if moments else None,
            "healed_at_us": moments.healed_at_us if moments else None,
            "quiet_at_us": moments.quiet_at_us if moments else None,
            "still_at_us": moments.still_at_us if moments else None,
            "ended_at_us": now_us,
            "complete": self.complete,
            "columns": COLUMNS,
            "evidence": evidence.summary(),
            "digest": evidence.digest(),
            "demand": {**self.demand.statement, "in_real_time": self._pace_told()},
            "clients": self._counts() | ({} if self.complete else {"orders_not_begun": self._not_begun()}),
            "bounds": self.bounds,
            "live": self._pace_told(),
            "verdict": None,
            "wall_seconds": self.wall_seconds,
        }

    def _pace_told(self) -> dict[str, Any]:
        """How the two clocks went, for run.json and the report."""
        wanted = self.wanted
        return {
            "speed": wanted.recipe.speed,
            "shape": wanted.shape,
            "crowd_processes": wanted.muster.size,
            "database": wanted.database.partition("://")[0].partition("+")[0] if not wanted.target else "the target's",
            "clocks_differ_by_at_most": f"{self.skew_us / 1_000:,.0f} ms of business time",
            "faults_not_played": ", ".join(self.left_out) or "none",
            "latency": "counted from the moment at which the schedule meant a call to be sent (order wait), so that a"
            " target that slows the crowd down hides nothing; order ack counts each call from its own sending",
        }

    def _tell(self, phase: str, share: float) -> None:
        if self.progress is not None:
            at_us = self.pace.now_us() if self.pace else self.demand.starts_at_us
            self.progress(Progress(phase, share, at_us, self._counts().get("orders_ok", 0)))


CROWD_STARTS_WITHIN_S = 5.0


@dataclass(frozen=True)
class _Target:
    pace: Pace
    children: list[Child]


def _called_by(name: str, url: str) -> str:
    """The address as others call it, where this machine has another name for them."""
    if not name:
        return url
    address = urlsplit(url)
    return address._replace(netloc=f"{name}:{address.port}").geturl()


def _fitted(scenario: Scenario, adapter: Adapter) -> Scenario:
    """The scenario without calls that the target has not."""
    changes: dict[str, float] = {}
    if "availability" not in adapter.provides:
        changes["availability_share"] = 0.0
    if "read" not in adapter.provides:
        changes["tracker_share"] = 0.0
    if "keys" not in adapter.provides:
        changes["reused_key_share"] = 0.0
    if not changes:
        return scenario
    clients = scenario.demand.clients.model_copy(update=changes)
    return scenario.model_copy(update={"demand": scenario.demand.model_copy(update={"clients": clients})})


def _without_cancels(demand: Demand) -> Demand:
    kept = tuple(event for event in demand.all_events if not isinstance(event, CancelEvent))
    return Demand(**{**vars(demand), "all_events": kept})


@contextmanager
def _started(command: str, told: Mapping[str, str], logs: Path) -> Iterator[list[Child]]:
    """Another application, started by this command; nothing when there is none, for then it runs already."""
    if not command:
        yield []
        return
    try:
        child = Child("the target", shlex.split(command), told, logs / "target.log")
    except OSError as error:
        raise LiveError(f"--start {command!r} can't be started: {error.strerror}") from error
    try:
        yield [child]
    finally:
        child.end()


def _wait(house: _House) -> None:
    """Until the next look; RunError when the partners are no more, for nothing could be judged any longer."""
    _check_simulators(house.simulators, LOOK_EVERY_S)


def _check_simulators(simulators: Simulators, wait_s: float) -> None:
    code = simulators.wait(wait_s)
    if code is not None:
        how = f"was killed by signal {-code}" if code < 0 else f"ended by itself with code {code}"
        raise RunError(
            f"the process of the simulators {how}, so that nothing can be judged any more; what it said is above"
        )


@contextmanager
def _needing(simulators: Simulators) -> Iterator[None]:
    """Whatever can't be asked of simulators that are no more is not the user's to mend."""
    try:
        yield
    except LiveError:
        _check_simulators(simulators, LOOK_EVERY_S)
        raise


def _wait_for_answer(url: str, children: list[Child], patience_s: float = 60.0) -> None:
    """Until the target answers anything at all. LiveError when it does not."""
    http = urllib3.PoolManager(retries=False)
    ends_at = time.monotonic() + patience_s
    while time.monotonic() < ends_at:
        with suppress(urllib3.exceptions.HTTPError, OSError):
            http.request("GET", url, timeout=2.0, redirect=False)
            return
        for child in children:
            if child.code is not None:
                raise LiveError(f"the target ended with code {child.code}: {child.said()}")
        time.sleep(LOOK_EVERY_S)
    raise LiveError(f"nothing answers at {url} after {patience_s:g} s: start your application, or have --start do it")
