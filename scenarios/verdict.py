"""The verdict on a run, computed from its evidence and nothing else.

Every check is a file in `checks/`, every metric one in `metrics/`: a header of `-- key: value` lines (a value's further
lines are indented by three blanks), then SQL. A check has two queries, what it `examined` and the `counterexamples`
(columns kind, at_us and badness first, then whatever tells the story). No counterexample: it holds. Nothing examined:
inconclusive, which is never a pass. Files whose names begin with an underscore prepare the tables that the others
share; they run once per database, in order of name.

A metric yields samples (columns value and, if it has groups, "group"), or statistics it has aggregated itself (columns
statistic, value and "group"; a null group is the whole).

Errors: `VerdictError` for a check, metric file or threshold that cannot be used. A query that fails is no error of the
caller: the check's outcome, and the verdict's, is then `broken`.
"""

import time
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any, Literal, TypeAlias

import duckdb

from contracts.evidence import COLUMNS, open_run
from scenarios.errors import ScenarioError, nearest
from scenarios.thresholds import METRICS, Threshold, parse, percentile_name

CHECKS = Path(__file__).parent / "checks"
MOST_COUNTEREXAMPLES = 10
_FACT = "facts."
PERCENTILES = (50.0, 90.0, 95.0, 99.0)
QUIET_NEEDS = ("yes", "no", "or still")

Outcome: TypeAlias = Literal["holds", "violated", "inconclusive", "broken"]
Value: TypeAlias = float | None

EXIT_CODES = {"holds": 0, "violated": 1, "broken": 3, "inconclusive": 4}
THRESHOLDS_BREACHED = 99


class VerdictError(ScenarioError):
    """A check or metric that does not exist or whose file cannot be read; the message names the nearest one."""


@dataclass(frozen=True)
class CheckFile:
    """A check as written. `requires` are kinds of evidence, or facts as `facts.NAME`; `judges` is `target`, or
    `simulators` for a self-check; `applies_when` says of a rare thing that a run may well lack, else empty. One that
    `needs_rest` can't judge while things move: quiet, or a world that stands still with orders open, will do.
    """

    name: str
    holds_when: str
    requires: tuple[str, ...]
    needs_quiet: bool
    needs_rest: bool
    judges: str
    examined: str
    counterexamples: str
    applies_when: str = ""
    notes: str = ""


@dataclass(frozen=True)
class MetricFile:
    """A metric as written. `clock` is protocol, business or count; `yields` is samples or statistics."""

    name: str
    summary: str
    clock: str
    unit: str
    requires: tuple[str, ...]
    yields: str
    query: str
    notes: str = ""


@dataclass(frozen=True)
class CheckResult:
    """What a check found. Counterexamples are the first, the worst and the last, then the next worst, at most ten.

    `observable` is False where the run lacks evidence that the check needs. Where `decides` is False the check, being
    inconclusive, does not tell on the verdict: nobody asked for it by name, and what it needs was never promised.
    """

    name: str
    holds_when: str
    outcome: Outcome
    examined: int
    violations: int
    counterexamples: tuple[dict[str, Any], ...]
    seconds: float
    judges: str = "target"
    reason: str = ""
    observable: bool = True
    decides: bool = True


@dataclass(frozen=True)
class MetricResult:
    """A metric's statistics over all and per group; both are empty where there was nothing to measure."""

    name: str
    clock: str
    unit: str
    summary: str
    values: dict[str, Value]
    groups: dict[str, dict[str, Value]] = field(default_factory=dict)


@dataclass(frozen=True)
class ThresholdResult:
    """`holds` is None when the metric had nothing to examine, or does not offer that statistic."""

    metric: str
    expression: str
    observed: Value
    holds: bool | None


@dataclass(frozen=True)
class Effort:
    """How a verdict is come by, which never changes what a check finds.

    `metrics` are measured or left out; `threads` None takes all processors; without `optimizer` the database runs each
    query as written, which is quicker where rows are few; `seen` also asks for all that an expectation may name.
    """

    metrics: bool = True
    threads: int | None = None
    optimizer: bool = True
    seen: bool = False


THOROUGH = Effort()
BRISK = Effort(metrics=False, threads=1, optimizer=False, seen=True)
"""For one of many small runs, of which the checks alone are wanted."""


@dataclass(frozen=True)
class Verdict:
    """`seen` are the names that an expectation `seen:NAME` would find, where they were asked for."""

    checks: tuple[CheckResult, ...]
    metrics: tuple[MetricResult, ...]
    thresholds: tuple[ThresholdResult, ...]
    seen: tuple[str, ...] = ()

    @property
    def outcome(self) -> Outcome:
        """`broken` when a query failed or the simulators did; else violated, inconclusive, holds, in that order."""
        if any(c.outcome == "broken" or (c.judges == "simulators" and c.outcome == "violated") for c in self.checks):
            return "broken"
        if any(check.outcome == "violated" for check in self.checks):
            return "violated"
        unknown = [check for check in self.checks if check.outcome == "inconclusive" and check.decides]
        if unknown or any(threshold.holds is None for threshold in self.thresholds):
            return "inconclusive"
        return "holds"

    @property
    def exit_code(self) -> int:
        """0 holds, 1 violated, 3 broken, 4 inconclusive, 99 when only thresholds were breached."""
        if self.outcome == "holds" and any(threshold.holds is False for threshold in self.thresholds):
            return THRESHOLDS_BREACHED
        return EXIT_CODES[self.outcome]

    def to_json(self) -> dict[str, Any]:
        """The shape of `verdict` in run.json; plain dicts, lists, text and numbers."""
        return {
            "outcome": self.outcome,
            "exit_code": self.exit_code,
            "not_observable": [check.name for check in self.checks if not check.observable],
            "checks": [asdict(check) | {"counterexamples": list(check.counterexamples)} for check in self.checks],
            "metrics": [asdict(metric) for metric in self.metrics],
            "thresholds": [asdict(threshold) for threshold in self.thresholds],
        }


def judge(
    directory: Path,
    thresholds: Sequence[tuple[str, str]] = (),
    checks: Sequence[str] | None = None,
    effort: Effort = THOROUGH,
) -> Verdict:
    """The verdict on the run in `directory`. `thresholds` are (metric, expression); `checks` None means all of them.

    Raises `VerdictError` or `ThresholdError` before any evidence is read when one of them does not exist.
    """
    assert effort.metrics or not thresholds, "thresholds need metrics"
    limits = [parse(metric, expression) for metric, expression in thresholds]
    chosen = _choose(checks)
    metrics = list_metrics() if effort.metrics else ()
    database = open_run(directory, effort.threads)
    try:
        if not effort.optimizer:
            database.execute("PRAGMA disable_optimizer")
        prepare(database)
        missing = missing_evidence(directory, database)
        hidden = _hidden(database)
        results = tuple(
            _unobservable(check, hidden[check.name], checks is not None)
            if check.name in hidden
            else run_check(database, check, missing, checks is not None)
            for check in chosen
        )
        measured, failed = _measure_all(database, metrics, limits)
        seen = _seen(database) if effort.seen else ()
    except duckdb.Error as error:
        return Verdict((_broken("prepare", "the shared tables can be made", error),), (), ())
    finally:
        database.close()
    return Verdict(results + failed, measured, tuple(_compare(limit, measured) for limit in limits), seen)


def list_checks() -> tuple[CheckFile, ...]:
    """All checks with their headers, by name."""
    return tuple(_read_check(file) for file in sorted(CHECKS.glob("[!_]*.sql")))


def list_metrics() -> tuple[MetricFile, ...]:
    """All metrics with their headers, by name."""
    return tuple(_read_metric(file) for file in sorted(METRICS.glob("[!_]*.sql")))


def prepare(database: duckdb.DuckDBPyConnection) -> None:
    """Make the tables that checks and metrics share, once per database."""
    for file in sorted(CHECKS.glob("_*.sql")):
        database.execute(file.read_text("utf-8"))


def missing_evidence(directory: Path, database: duckdb.DuckDBPyConnection) -> frozenset[str]:
    """What checks require and the run in `directory` does not have: kinds without a file, facts that were not told."""
    kinds = {kind for kind in COLUMNS if not (directory / f"{kind}.ndjson").exists()}
    told = {name for (name,) in database.execute("SELECT DISTINCT fact FROM facts").fetchall()}
    needed = {name for check in list_checks() for name in check.requires if name.startswith(_FACT)}
    return frozenset(kinds | {name for name in needed if name.removeprefix(_FACT) not in told})


def run_check(
    database: duckdb.DuckDBPyConnection, check: CheckFile, missing: Collection[str] = (), demanded: bool = True
) -> CheckResult:
    """Judge one check on a prepared database. `missing` is evidence that the run lacks; a check that is not `demanded`
    by name may be not observable, or find that its rare thing never came, without telling on the verdict.
    """
    lacks = [name for name in check.requires if name in missing]
    if lacks:
        return _unobservable(check, f"the run has no {', '.join(lacks)}", demanded)
    started = time.perf_counter()
    examined, violations = 0, 0
    rows: tuple[dict[str, Any], ...] = ()
    outcome: Outcome = "inconclusive"
    reason = f"nothing to examine: it applies when {check.applies_when}" if check.applies_when else "nothing to examine"
    try:
        if check.needs_quiet and not _is_quiet(database):
            reason = "quiet never came"
        elif check.needs_rest and not (_is_quiet(database) or _is_still(database)):
            reason = "quiet never came, and things still moved"
        else:
            examined = _count(database, check.examined)
            if examined or not check.applies_when:
                violations, rows = _find(database, check.counterexamples)
            if violations:
                outcome, reason = "violated", ""
            elif examined:
                outcome, reason = "holds", ""
    except duckdb.Error as error:
        outcome, reason = "broken", f"{check.name}: {error}"
    seconds = round(time.perf_counter() - started, 6)
    decides = outcome != "inconclusive" or demanded or not check.applies_when
    return CheckResult(
        check.name, check.holds_when, outcome, examined, violations, rows, seconds, check.judges, reason, True, decides
    )


def _hidden(database: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Checks by which this target can't be judged, and why."""
    rows = database.execute("SELECT subject, text FROM facts WHERE fact = 'unobservable' ORDER BY seq").fetchall()
    return dict(rows)


def _unobservable(check: CheckFile, reason: str, demanded: bool) -> CheckResult:
    told = f"not observable: {reason}"
    return CheckResult(check.name, check.holds_when, "inconclusive", 0, 0, (), 0.0, check.judges, told, False, demanded)


def _choose(names: Sequence[str] | None) -> tuple[CheckFile, ...]:
    known = {check.name: check for check in list_checks()}
    if names is None:
        return tuple(known.values())
    for name in names:
        if name not in known:
            raise VerdictError(f"unknown check {name!r}{nearest(name, known)}")
    return tuple(known[name] for name in names)


def _seen(database: duckdb.DuckDBPyConnection) -> tuple[str, ...]:
    rows = database.execute("SELECT name FROM seen WHERE was_seen ORDER BY name").fetchall()
    return tuple(name for (name,) in rows)


def _is_quiet(database: duckdb.DuckDBPyConnection) -> bool:
    return _count(database, "SELECT 1 FROM facts WHERE fact = 'quiet_at_us'") > 0


def _is_still(database: duckdb.DuckDBPyConnection) -> bool:
    return _count(database, "SELECT 1 FROM facts WHERE fact = 'still_at_us'") > 0


def _count(database: duckdb.DuckDBPyConnection, query: str) -> int:
    row = database.execute(f"SELECT count(*) FROM (\n{query}\n)").fetchone()
    assert row is not None
    return int(row[0])


def _find(database: duckdb.DuckDBPyConnection, query: str) -> tuple[int, tuple[dict[str, Any], ...]]:
    """How many counterexamples there are, and those worth telling. Ties are broken by the row itself."""
    database.execute(f"CREATE OR REPLACE TEMP TABLE found AS\n{query}")
    count = _count(database, "FROM found")
    if count == 0:
        return 0, ()
    cursor = database.execute(
        """
        WITH told AS (SELECT *, found::VARCHAR AS told FROM found),
        placed AS (
            SELECT *,
                row_number() OVER (ORDER BY at_us, told) AS from_first,
                row_number() OVER (ORDER BY badness DESC, at_us, told) AS from_worst,
                row_number() OVER (ORDER BY at_us DESC, told DESC) AS from_last
            FROM told
        )
        SELECT
            CASE
                WHEN from_first = 1 THEN 'first' WHEN from_worst = 1 THEN 'worst' WHEN from_last = 1 THEN 'last' ELSE ''
            END AS pick,
            * EXCLUDE (told, from_first, from_worst, from_last)
        FROM placed
        ORDER BY from_first > 1, from_worst > 1, from_last > 1, from_worst
        LIMIT ?
        """,
        [MOST_COUNTEREXAMPLES],
    )
    names = [column[0] for column in cursor.description or ()]
    return count, tuple(dict(zip(names, row, strict=True)) for row in cursor.fetchall())


def _measure_all(
    database: duckdb.DuckDBPyConnection, metrics: Sequence[MetricFile], limits: Sequence[Threshold]
) -> tuple[tuple[MetricResult, ...], tuple[CheckResult, ...]]:
    """All metrics, and a broken check for each whose query failed."""
    measured, failed = [], []
    for metric in metrics:
        own = (limit.percentile for limit in limits if limit.metric == metric.name)
        percentiles = sorted({*PERCENTILES, *(percentile for percentile in own if percentile is not None)})
        try:
            measured.append(_measure(database, metric, percentiles))
        except duckdb.Error as error:
            measured.append(MetricResult(metric.name, metric.clock, metric.unit, metric.summary, {}))
            failed.append(_broken(metric.name, "the metric can be computed", error))
    return tuple(measured), tuple(failed)


def _broken(name: str, holds_when: str, error: duckdb.Error) -> CheckResult:
    return CheckResult(name, holds_when, "broken", 0, 0, (), 0.0, reason=str(error))


def _measure(database: duckdb.DuckDBPyConnection, metric: MetricFile, percentiles: Sequence[float]) -> MetricResult:
    """One metric's statistics, over all and per group, in one pass over its rows."""
    values: dict[str, Value] = {}
    groups: dict[str, dict[str, Value]] = {}
    if metric.yields == "statistics":
        rows = database.execute(
            f'SELECT "group", statistic, value::DOUBLE FROM (\n{metric.query}\n) WHERE value IS NOT NULL ORDER BY ALL'
        ).fetchall()
        for group, statistic, value in rows:
            (values if group is None else groups.setdefault(group, {}))[statistic] = value
        return MetricResult(metric.name, metric.clock, metric.unit, metric.summary, values, groups)
    names = ["count", "avg", "min", "max", "med", "rate", *map(percentile_name, percentiles)]
    shares = ", ".join(f"{percentile / 100!r}" for percentile in percentiles)
    database.execute(f"CREATE OR REPLACE TEMP TABLE samples AS\n{metric.query}")
    grouped = any(row[0] == "group" for row in database.execute("DESCRIBE samples").fetchall())
    group_column = '"group"' if grouped else "NULL::VARCHAR"
    rows = database.execute(
        f"""
        SELECT {group_column} AS named, grouping({group_column}) AS whole, count(*), avg(value), min(value), max(value),
            median(value), avg((value <> 0)::INTEGER), quantile_cont(value::DOUBLE, [{shares}])
        FROM samples WHERE value IS NOT NULL
        GROUP BY GROUPING SETS ((), ({group_column})) ORDER BY whole DESC, named
        """
        if grouped
        else f"""
        SELECT NULL, 1, count(*), avg(value), min(value), max(value), median(value), avg((value <> 0)::INTEGER),
            quantile_cont(value::DOUBLE, [{shares}])
        FROM samples WHERE value IS NOT NULL
        """
    ).fetchall()
    for group, whole, count, *single, quantiles in rows:
        if count:
            statistics = dict(zip(names, [float(count), *map(float, single), *quantiles], strict=True))
            if whole:
                values = statistics
            elif group is not None:
                groups[group] = statistics
    return MetricResult(metric.name, metric.clock, metric.unit, metric.summary, values, groups)


def _compare(limit: Threshold, metrics: Sequence[MetricResult]) -> ThresholdResult:
    metric = next(metric for metric in metrics if metric.name == limit.metric)
    values = metric.groups.get(limit.group, {}) if limit.group else metric.values
    observed = values.get(limit.statistic)
    return ThresholdResult(limit.label, limit.expression, observed, None if observed is None else limit.holds(observed))


def _read_check(file: Path) -> CheckFile:
    header, body = _read_header(file, ("name", "holds when", "requires", "needs quiet"))
    before, found, counterexamples = body.partition("-- counterexamples\n")
    notes, marked, examined = before.partition("-- examined\n")
    if not found or not marked:
        raise VerdictError("a check has a query under `-- examined` and one under `-- counterexamples`", file=str(file))
    if header["needs quiet"] not in QUIET_NEEDS:
        raise VerdictError(f"needs quiet {header['needs quiet']!r}: write {', '.join(QUIET_NEEDS)}", file=str(file))
    return CheckFile(
        name=header["name"],
        holds_when=header["holds when"],
        requires=_kinds(file, header["requires"], facts=True),
        needs_quiet=header["needs quiet"] == "yes",
        needs_rest=header["needs quiet"] == "or still",
        judges=header.get("judges", "target"),
        examined=_bare(examined),
        counterexamples=_bare(counterexamples),
        applies_when=header.get("applies when", ""),
        notes=_notes(notes),
    )


def _read_metric(file: Path) -> MetricFile:
    header, body = _read_header(file, ("name", "summary", "clock", "unit", "requires", "yields"))
    if header["clock"] not in ("protocol", "business", "count"):
        raise VerdictError(f"clock {header['clock']!r}: write protocol, business or count", file=str(file))
    if header["yields"] not in ("samples", "statistics"):
        raise VerdictError(f"yields {header['yields']!r}: write samples or statistics", file=str(file))
    return MetricFile(
        name=header["name"],
        summary=header["summary"],
        clock=header["clock"],
        unit=header["unit"],
        requires=_kinds(file, header["requires"]),
        yields=header["yields"],
        query=_bare(body),
        notes=_notes(body),
    )


def _read_header(file: Path, needed: Sequence[str]) -> tuple[dict[str, str], str]:
    """The `-- key: value` lines at the top, and all that follows them."""
    header: dict[str, str] = {}
    key, taken = "", 0
    lines = file.read_text("utf-8").splitlines(keepends=True)
    for line in lines:
        if key and line.startswith("--   "):
            header[key] += " " + line.removeprefix("--").strip()
        else:
            key, colon, value = line.removeprefix("-- ").partition(": ")
            if not line.startswith("-- ") or not colon:
                break
            header[key] = value.strip()
        taken += 1
    for key in needed:
        if key not in header:
            raise VerdictError(f"the header lacks `-- {key}: ...`", file=str(file))
    if header["name"] != file.stem:
        raise VerdictError(f"the header's name {header['name']!r} is not the file's", file=str(file))
    return header, "".join(lines[taken:])


def _notes(text: str) -> str:
    """What a file says between its header and its first query, as one paragraph."""
    comments = takewhile(lambda line: not line or line.startswith("--"), text.splitlines())
    return " ".join(line.removeprefix("--").strip() for line in comments).strip()


def _kinds(file: Path, text: str, facts: bool = False) -> tuple[str, ...]:
    kinds = tuple(part.strip() for part in text.split(","))
    for kind in kinds:
        if kind not in COLUMNS and not (facts and kind.startswith(_FACT)):
            raise VerdictError(f"requires unknown evidence {kind!r}{nearest(kind, COLUMNS)}", file=str(file))
    return kinds


def _bare(query: str) -> str:
    return query.strip().removesuffix(";")
