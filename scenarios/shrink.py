"""Shrinking: from a finding to the smallest plan that still shows the same check violated by the same kind of row.

First the empty fault plan; then few orders, beginning with the counterexample's own and those that share its skus; then
fewer faults, strike by strike; then the rest is made plainer: narrower windows, smaller quantities, default latency.
A selector by share or by count is replaced by the exchanges that it struck, so that leaving an order out keeps the
strike on the same business thing; a crash that counts transactions, by crashes at the moments at which it came. What
shows another check or another kind of row has slipped to another bug: refused.

NotReproduced(ScenarioError)   the finding is not found again, so there is nothing to shrink
"""

import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import orjson

from contracts.evidence import open_run
from scenarios.capsule import (
    RUN_COPY,
    Capsule,
    Neighbour,
    Told,
    digest_of,
    is_found,
    kept_evidence,
    play,
    play_neighbour,
    replay_command,
    run_file,
    summary_of,
    versions,
    write_capsule,
)
from scenarios.demand import Demand
from scenarios.durations import format_duration
from scenarios.errors import ScenarioError
from scenarios.events import OrderEvent
from scenarios.executors import Executor
from scenarios.runner import RunError
from scenarios.spec import FaultSpec, Scenario, Window
from scenarios.verdict import BRISK
from simulators.kernel.faults import DOWN_US, TRANSACTION_KINDS
from simulators.kernel.tasks import KernelError

MOST_EXECUTIONS = 200
SELF_CHECK = "stock_conserved"
NARROWEST_US = 1_000_000
MOST_SINGLE_ORDERS = 3
"""How many counterexamples' orders are tried alone."""
SCARCE_SIZES = (2, 4, 8)
SCARCE_UNITS = (2, 4, 6, 8, 12)
"""Opening stock per node and sku that lets a few orders compete as all of them did for more."""
FEW_FAULTS = 2
_NEED_WINDOW = frozenset({"hold", "partition"})
RESERVED = 3
"""Executions kept for the neighbour."""
_EXCHANGE = re.compile(r"(GET|POST|PUT|PATCH|DELETE) /")

Item = TypeVar("Item")
Watcher = Callable[[str, int], None]
"""Is told what is being tried and how many executions there were."""
Teller = Callable[[Path, Mapping[str, Any]], Told]
"""Tells the story of a run directory and one counterexample of it."""


class NotReproduced(ScenarioError):
    """The finding is not found again when its run is repeated."""


@dataclass(frozen=True)
class Case:
    """A finding to be shrunk: the scenario as run (explicit faults), its seed, and what was found."""

    scenario: Scenario
    seed: int
    check: str
    kind: str
    mutant: str | None = None
    app: str | None = None


@dataclass(frozen=True)
class Trial:
    """One execution, to be made anywhere: plain values only. `look` asks which orders the counterexamples name."""

    number: int
    scenario: dict[str, Any]
    seed: int
    check: str
    kind: str
    mutant: str | None
    app: str | None
    look: bool = False


@dataclass(frozen=True)
class Tried:
    """What came of a trial. `broke` says why it could not be played; `struck` holds, per fault, what it struck, and
    `struck_at` when it did, in microseconds after the start."""

    number: int
    found: bool
    broke: str = ""
    struck: dict[str, tuple[str, ...]] = field(default_factory=dict)
    struck_at: dict[str, tuple[int, ...]] = field(default_factory=dict)
    rows: tuple[dict[str, Any], ...] = ()
    named: tuple[str, ...] = ()

    @property
    def strikes(self) -> int:
        """How many times faults struck."""
        return sum(map(len, self.struck.values()))


@dataclass(frozen=True)
class Shrunk:
    """The smallest plan that was found, and how it was come by. `strikes` count single hits of faults."""

    scenario: Scenario
    orders: tuple[str, ...]
    strikes: int
    counterexample: dict[str, Any]
    neighbour: Neighbour | None
    executions: int
    orders_before: int
    strikes_before: int


def shrink(case: Case, executor: Executor, budget: int = MOST_EXECUTIONS, watch: Watcher | None = None) -> Shrunk:
    """Shrink a finding in at most `budget` executions. Raises NotReproduced when its run does not show it again."""
    search = _Search(case, executor, budget, watch)
    before = search.begin()
    try:
        search.without_faults()
        search.fewer_orders()
        search.fewer_faults()
        search.fewer_orders_again()
        search.plainer()
    except _BudgetSpent:
        pass  # the best so far stands, though less might do
    search.neighbour()
    tried = search.tried
    return Shrunk(
        scenario=Scenario.from_plain(search.best.plain() | {"checks": case.scenario.plain().get("checks")}),
        orders=search.orders,
        strikes=tried.strikes,
        counterexample=tried.rows[0],
        neighbour=search.beside,
        executions=search.executions,
        orders_before=len(search.events),
        strikes_before=before.strikes,
    )


def encapsulate(case: Case, shrunk: Shrunk, path: Path, out: Path, tell: Teller) -> Capsule:
    """Play what was shrunk once more into `out`, with its neighbour beside it, and write the capsule to `path`."""
    result = play(shrunk.scenario, case.seed, out, case.mutant, case.app)
    assert is_found(result.verdict, case.check, case.kind), f"seed {case.seed}: {case.check} came only while shrinking"
    play_neighbour(shrunk.neighbour, case.seed, out, case.app)
    capsule = Capsule(
        story=tell(out, shrunk.counterexample),
        command=replay_command(path),
        check=case.check,
        kind=case.kind,
        counterexample=shrunk.counterexample,
        seed=case.seed,
        mutant=case.mutant,
        app=case.app,
        only_orders=shrunk.orders,
        scenario=shrunk.scenario.plain(),
        neighbour=shrunk.neighbour,
        executions=shrunk.executions,
        orders_before=shrunk.orders_before,
        faults_before=shrunk.strikes_before,
        version=versions()["peakproof"],
        versions=versions(),
        verdict=summary_of(run_file(out)["verdict"]),
        digest=digest_of(out),
        evidence=kept_evidence(out),
    )
    write_capsule(capsule, path)
    write_capsule(capsule, out / RUN_COPY)
    return capsule


# One execution.


def attempt(trial: Trial) -> Tried:
    """Make one trial, here. A run that can't be played, or breaks, shows nothing."""
    with tempfile.TemporaryDirectory(prefix="peakproof-shrink-") as scratch:
        directory = Path(scratch) / "run"
        try:
            plan = Scenario.from_plain(trial.scenario)
            result = play(plan, trial.seed, directory, trial.mutant, trial.app, BRISK)
        except (ScenarioError, RunError, KernelError) as error:
            return Tried(trial.number, found=False, broke=str(error))
        rows = tuple(
            row
            for check in result.verdict.checks
            for row in check.counterexamples
            if check.name == trial.check and row["kind"] == trial.kind
        )
        found = is_found(result.verdict, trial.check, trial.kind)
        named = _orders_named(directory, rows) if trial.look else ()
        return Tried(trial.number, found, "", *_strikes(directory), rows, named)


def _strikes(directory: Path) -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[int, ...]]]:
    """Per fault what it struck, each once, and when it struck, in microseconds after the start."""
    struck: dict[str, list[str]] = {}
    struck_at: dict[str, list[int]] = {}
    starts_at_us = run_file(directory)["started_at_us"]
    with (directory / "faults.ndjson").open("rb") as lines:
        for row in map(orjson.loads, lines):
            if row["event"] == "strike":
                struck.setdefault(row["fault"], []).append(row.get("detail") or "")
                struck_at.setdefault(row["fault"], []).append(row["from_us"] - starts_at_us)
    what = {fault: tuple(dict.fromkeys(details)) for fault, details in struck.items()}
    return what, {fault: tuple(moments) for fault, moments in struck_at.items()}


_NAMED = """
SELECT order_reference FROM (
    SELECT order_reference, unnest([order_reference, order_id, key]) AS name FROM operations
    UNION ALL
    SELECT order_reference, unnest([business_key, shipment_id, parcel_id, tracking_number]) FROM ledger
)
WHERE name = ? AND coalesce(order_reference, '') <> ''
GROUP BY order_reference ORDER BY order_reference LIMIT 3
"""


def _orders_named(directory: Path, rows: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """References of the orders that counterexamples name, by whatever name, in the order of the counterexamples."""
    named: list[str] = []
    with open_run(directory) as database:
        for row in rows:
            if row.get("order_reference"):
                named.append(str(row["order_reference"]))
                continue
            for value in row.values():
                if isinstance(value, str) and value:
                    named += [found for (found,) in database.execute(_NAMED, [value]).fetchall()]
    return tuple(dict.fromkeys(named))


# The search.


class _BudgetSpent(Exception):
    """No execution is left."""


class _Search:
    """`best` is the smallest plan so far that shows the finding, `tried` what its execution left."""

    def __init__(self, case: Case, executor: Executor, budget: int, watch: Watcher | None) -> None:
        self._case = case
        self._executor = executor
        self._budget = budget
        self._reserve = min(RESERVED, budget - 1)
        self._watch = watch
        self._known: dict[bytes, Tried] = {}
        self._phase = "repeat the finding"
        self.executions = 0
        self.best = _briskly(case)
        self.tried = Tried(0, found=False)
        self.beside: Neighbour | None = None
        demand = Demand.load(case.scenario, case.seed)
        self.events: list[OrderEvent] = list(demand.orders())
        self.orders: tuple[str, ...] = tuple(dict.fromkeys(event.order_reference for event in self.events))

    def begin(self) -> Tried:
        """Repeat the finding and learn which orders it is about."""
        case = self._case
        tried = self._try([self.best], case.mutant, look=True)[0]
        if not tried.found:
            raise NotReproduced(
                f"{case.check} is not violated by '{case.kind}' when seed {case.seed} is played again; "
                f"{tried.broke or 'was the run made with other code, or another mutant?'}"
            )
        self.tried = tried
        self.orders = _by_relevance(self.events, self.tried)
        return self.tried

    def without_faults(self) -> None:
        """The empty plan comes first: a bug that needs no fault should be told without one."""
        self._phase = "no faults"
        if self.best.faults:
            self._first([_with_faults(self.best, ())])

    def fewer_orders(self) -> None:
        """Alone the orders that are named, then the 2, 4, 8... that matter most, then delta debugging among those."""
        self._phase = "fewer orders"
        plans = _variants(self.best, self.tried)
        size = 1
        while size < len(self.orders):
            heads = [(order,) for order in self.orders[:MOST_SINGLE_ORDERS]] if size == 1 else [self.orders[:size]]
            scarce = _scarcer(self.best) if size in SCARCE_SIZES else []
            options = [(head, plan) for head in heads for plan in (*plans, *scarce)]
            found = self._first([_with_orders(plan, head) for head, plan in options])
            if found is not None:
                self.orders = options[found][0]
                break
            size *= 2
        self.fewer_orders_again()

    def fewer_orders_again(self) -> None:
        """Delta debugging over the orders that are left."""
        self._phase = "fewer orders"
        self.orders = self._fewer(self.orders, partial(_with_orders, self.best))

    def fewer_faults(self) -> None:
        """First one fault alone, then only what struck, then fewer faults, then fewer strikes of each."""
        self._phase = "fewer faults"
        self._first([_with_faults(self.best, ())])
        if not self.best.faults:
            return
        if len(self.best.faults) > FEW_FAULTS:
            self._first([_with_faults(self.best, (fault,)) for fault in _alone(self.best)])
        self._first([_explicit(self.best, self.tried)])
        kept = self._fewer(self.best.faults, partial(_with_faults, self.best))
        strikes = tuple((fault.id, key) for fault in kept for key in _keys(fault))
        self._fewer(strikes, partial(_with_strikes, self.best))

    def plainer(self) -> None:
        """Default latency and partners, quantities of one, faults that hold for less time."""
        self._phase = "plainer"
        for part in ("network", "cast"):
            self._first([Scenario.from_plain(self.best.plain() | {part: {}})])
        for most in (1, 2, 5):
            if self._first([_with_demand(self.best, {"quantity_limit": most})]) is not None:
                break
        for place in range(len(self.best.faults)):
            while (halves := _narrower(self.best, place)) and self._first(halves) is not None:
                pass

    def neighbour(self) -> None:
        """The nearest plan that passes: without the last fault, else the last order, else the mutation."""
        self._phase = "neighbour"
        self._reserve = 0
        for said, plan, mutant in self._neighbours():
            tried = self._try([plan], mutant)[0]
            if not tried.broke and not tried.found:
                self.beside = Neighbour(said=said, scenario=_thoroughly(plan, self._case), mutant=mutant)
                return

    def _neighbours(self) -> list[tuple[str, Scenario, str | None]]:
        mutant, best = self._case.mutant, self.best
        found: list[tuple[str, Scenario, str | None]] = []
        if best.faults:
            said = f"without the fault {best.faults[-1].id}"
            found.append((said, _with_faults(best, best.faults[:-1]), mutant))
        named = [str(row.get("order_reference")) for row in self.tried.rows]
        others = [order for order in self.orders if order not in named]
        if others and len(self.orders) > 1:
            kept = tuple(order for order in self.orders if order != others[-1])
            found.append((f"without the order {others[-1]}", _with_orders(best, kept), mutant))
        if mutant is not None:
            found.append(("with the integration unchanged", best, None))
        return found

    def _fewer(self, items: tuple[Item, ...], plan: Callable[[tuple[Item, ...]], Scenario]) -> tuple[Item, ...]:
        """Delta debugging (Zeller and Hildebrandt's ddmin): a part alone, all without a part, then finer parts."""
        parts = 2
        while len(items) >= 2:
            chunks = _split(items, parts)
            rests = [tuple(item for item in items if item not in chunk) for chunk in chunks] if parts > 2 else []
            candidates = [*chunks, *rests]
            found = self._first([plan(candidate) for candidate in candidates])
            if found is not None:
                items = candidates[found]
                parts = 2 if found < len(chunks) else max(parts - 1, 2)
            elif parts < len(items):
                parts = min(len(items), parts * 2)
            else:
                break
        return items

    def _first(self, plans: Sequence[Scenario], look: bool = False) -> int | None:
        """The first of these plans that shows the finding becomes the best; its place, or None.

        As many are tried at once as there are workers, yet the choice is the same for any number of them.
        """
        width = max(1, self._executor.workers)
        for start in range(0, len(plans), width):
            batch = plans[start : start + width]
            for place, tried in enumerate(self._try(batch, self._case.mutant, look)):
                if tried.found:
                    self.best, self.tried = batch[place], tried
                    return start + place
        return None

    def _try(self, plans: Sequence[Scenario], mutant: str | None, look: bool = False) -> list[Tried]:
        """What comes of each plan, in order; one that was tried before is not tried again."""
        case = self._case
        names = [orjson.dumps([mutant, plan.plain()]) for plan in plans]
        todo: dict[bytes, Trial] = {}
        for name, plan in zip(names, plans, strict=True):
            if name not in self._known and name not in todo:
                number = self.executions + len(todo) + 1
                todo[name] = Trial(number, plan.plain(), case.seed, case.check, case.kind, mutant, case.app, look)
        if self.executions + len(todo) > self._budget - self._reserve:
            raise _BudgetSpent
        names_by_number = {trial.number: name for name, trial in todo.items()}
        for tried in self._executor.map_unordered(attempt, todo.values()):
            self._known[names_by_number[tried.number]] = tried
            self.executions += 1
            if self._watch is not None:
                self._watch(self._phase, self.executions)
        return [self._known[name] for name in names]


def _split(items: tuple[Item, ...], parts: int) -> list[tuple[Item, ...]]:
    bounds = [len(items) * place // parts for place in range(parts + 1)]
    return [items[low:high] for low, high in pairwise(bounds) if low < high]


def _by_relevance(events: Sequence[OrderEvent], tried: Tried) -> tuple[str, ...]:
    """All orders: those named, those that share a named sku, those that share a sku with a named order, the others.

    Among alike, the nearest in time to the first counterexample comes first.
    """
    named = {reference: place for place, reference in enumerate(tried.named)}
    skus = {value for value in tried.rows[0].values() if isinstance(value, str)}
    shared = {line.sku for event in events if event.order_reference in named for line in event.lines}
    at_us = int(tried.rows[0].get("at_us") or 0)

    def rank(event: OrderEvent) -> tuple[int, int, int, str]:
        own = {line.sku for line in event.lines}
        group = 0 if event.order_reference in named else 1 if own & skus else 2 if own & shared else 3
        place = named.get(event.order_reference, 0)
        return group, place, abs(event.at_us - at_us), event.order_reference

    return tuple(dict.fromkeys(event.order_reference for event in sorted(events, key=rank)))


# Plans: each function gives a plan with one thing changed.


def _briskly(case: Case) -> Scenario:
    """The case's scenario without what only costs time: samples, limits, other checks, what is expected to be seen."""
    keeps = {} if case.check == "it_happened" else {"expects": ()}
    checks = (case.check,) if case.check == SELF_CHECK else (case.check, SELF_CHECK)
    return Scenario.from_plain(case.scenario.plain() | {"gauges_every": 0, "thresholds": (), "checks": checks} | keeps)


def _thoroughly(plan: Scenario, case: Case) -> dict[str, Any]:
    """A plan as it is to be judged in the end, by all checks of the case."""
    return Scenario.from_plain(plan.plain() | {"checks": case.scenario.plain().get("checks")}).plain()


def _with_demand(plan: Scenario, change: Mapping[str, Any]) -> Scenario:
    plain = plan.plain()
    return Scenario.from_plain(plain | {"demand": plain["demand"] | change})


def _with_orders(plan: Scenario, orders: Sequence[str]) -> Scenario:
    return _with_demand(plan, {"only_orders": sorted(orders)})


def _with_faults(plan: Scenario, faults: Sequence[FaultSpec]) -> Scenario:
    kept = [fault.model_dump(mode="json", by_alias=True, exclude_none=True) for fault in faults]
    ids = [fault.id for fault in faults]
    expects = [name for name in plan.expects if not name.startswith("fault:") or name.removeprefix("fault:") in ids]
    return Scenario.from_plain(plan.plain() | {"faults": kept, "expects": expects})


def _with_strikes(plan: Scenario, strikes: Sequence[tuple[str, str]]) -> Scenario:
    """Only these strikes of faults that have keys; a fault that has none is left as it is."""
    kept: dict[str, list[str]] = {}
    for fault_id, key in strikes:
        kept.setdefault(fault_id, []).append(key)
    faults = [
        _selecting(fault, {"keys": kept[fault.id]}) if _keys(fault) else fault
        for fault in plan.faults
        if not _keys(fault) or fault.id in kept
    ]
    return _with_faults(plan, faults)


def _variants(plan: Scenario, tried: Tried) -> list[Scenario]:
    """Plans that may show the finding with fewer orders: what struck, as it was, every exchange, the first one."""
    if not plan.faults:
        return [plan]
    explicit = _explicit(plan, tried)
    timed = _timed(explicit, tried)
    every = [_selecting(fault, {"every": 1}) if fault.edge else fault for fault in explicit.faults]
    first = [_selecting(fault, {"nth": [1]}) if fault.edge else fault for fault in explicit.faults]
    others = [plan, _with_faults(plan, every), _with_faults(plan, first)]
    return [explicit, *([timed] if timed is not None else []), *others]


def _scarcer(plan: Scenario) -> list[Scenario]:
    """The plan with less stock to begin with."""
    opening = plan.plain()["demand"]["opening"]
    return [_with_demand(plan, {"opening": opening | {"limit": units}}) for units in SCARCE_UNITS]


def _alone(plan: Scenario) -> list[FaultSpec]:
    """Each fault as it is, and then so that it can't miss what is left: on the first exchange or all, at any time.

    Many faults together may be in the story only because they bring two moments together.
    """
    loose = []
    for fault in plan.faults:
        if fault.edge is not None and fault.kind not in _NEED_WINDOW:
            plain = fault.model_dump(mode="json", by_alias=True, exclude_none=True)
            plain.pop("window", None)
            loose += [FaultSpec.model_validate(plain | {"select": select}) for select in ({"nth": [1]}, {"every": 1})]
    return [*plan.faults, *loose]


def _explicit(plan: Scenario, tried: Tried) -> Scenario:
    """The faults that struck, each aimed at exactly what it struck."""
    faults = []
    for fault in plan.faults:
        struck = tried.struck.get(fault.id, ())
        if struck and (_is_at_boundary(fault) or (fault.edge and all(map(_EXCHANGE.match, struck)))):
            faults.append(_selecting(fault, {"keys": list(struck)}))
        elif struck:
            faults.append(fault)
    return _with_faults(plan, faults)


def _timed(plan: Scenario, tried: Tried) -> Scenario | None:
    """The plan with crashes at the moments at which those at transaction boundaries came, whatever is under way then;
    None where there are none."""
    faults: list[FaultSpec] = []
    for fault in plan.faults:
        if not fault.at:
            faults.append(fault)
            continue
        for number, at_us in enumerate(tried.struck_at.get(fault.id, ()), 1):
            window = {"from": format_duration(at_us), "for": format_duration(fault.delay_us or DOWN_US)}
            crash = {"id": f"{fault.id}-{number}", "kind": fault.kind, "host": fault.host, "window": window}
            faults.append(FaultSpec.model_validate(crash))
    return _with_faults(plan, faults) if any(fault.at for fault in plan.faults) else None


def _is_at_boundary(fault: FaultSpec) -> bool:
    """Whether a fault strikes at transaction boundaries: each is named by its task and how far that is."""
    return bool(fault.at) or fault.kind in TRANSACTION_KINDS


def _selecting(fault: FaultSpec, select: Mapping[str, Any]) -> FaultSpec:
    plain = fault.model_dump(mode="json", by_alias=True, exclude_none=True)
    return FaultSpec.model_validate(plain | {"select": select})


def _keys(fault: FaultSpec) -> tuple[str, ...]:
    return (fault.select.keys or ()) if fault.select is not None else ()


def _narrower(plan: Scenario, place: int) -> list[Scenario]:
    """The fault at this place for the first half of its window, or for the second; none when it has no window."""
    if place >= len(plan.faults):
        return []
    fault = plan.faults[place]
    window = fault.window
    if window is None or _keys(fault) or window.ends_us - window.from_us <= NARROWEST_US:
        return []
    middle_us = (window.from_us + window.ends_us) // 2
    halves = [(window.from_us, middle_us), (middle_us, window.ends_us)]
    faults = list(plan.faults)
    found = []
    for from_us, to_us in halves:
        narrow = Window.model_validate({"from": format_duration(from_us), "to": format_duration(to_us)})
        faults[place] = fault.model_copy(update={"window": narrow})
        found.append(_with_faults(plan, faults))
    return found
