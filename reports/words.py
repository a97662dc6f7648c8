"""How numbers, times and verdicts are said. All reports share these words, so that no two of them disagree."""

from collections.abc import Mapping
from typing import Any

from reports.rundir import Check, Metric, Run, Threshold, Verdict

NOTHING = "\N{EN DASH}"
_MINUTE_US = 60_000_000
_HOUR_US = 60 * _MINUTE_US
_DAY_US = 24 * _HOUR_US
SMALLEST_SHOWN = 0.01


def clock(at_us: int | None, started_at_us: int, seconds: bool = False) -> str:
    """A moment as HH:MM (or HH:MM:SS) of the simulated day in UTC, with (D+1) and so on once that day is over."""
    if at_us is None:
        return NOTHING
    unit_us = 1_000_000 if seconds else _MINUTE_US
    at_us -= at_us % unit_us
    days = at_us // _DAY_US - started_at_us // _DAY_US
    minutes, rest_us = divmod(at_us % _DAY_US, _MINUTE_US)
    text = f"{minutes // 60:02d}:{minutes % 60:02d}" + (f":{rest_us // 1_000_000:02d}" if seconds else "")
    return f"{text} (D{days:+d})" if days else text


def duration(length_us: int | float | None) -> str:
    """A length of time in the two largest units that matter: 640 ms, 4.2 s, 3 min 20 s, 5 h 10 min."""
    if length_us is None:
        return NOTHING
    if length_us < 1_000:
        return f"{round(length_us)} µs"
    if length_us < 1_000_000:
        return f"{round(length_us / 1_000)} ms"
    if length_us < _MINUTE_US:
        return f"{length_us / 1_000_000:.3g} s"
    seconds = round(length_us / 1_000_000)
    if seconds < 3600:
        return _two(seconds // 60, "min", seconds % 60, "s")
    return _two(seconds // 3600, "h", seconds % 3600 // 60, "min")


def _two(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large:,} {large_unit}" + (f" {small} {small_unit}" if small else "")


def number(value: float | int | None) -> str:
    """A number with thousands separators and at most three significant decimals."""
    if value is None:
        return NOTHING
    if isinstance(value, int) or float(value).is_integer():
        return f"{int(value):,}"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    if abs(value) < SMALLEST_SHOWN:
        return f"{value:.2g}"
    return f"{value:,.2f}".rstrip("0").rstrip(".")


def quantity(value: float | None, unit: str) -> str:
    """A number in its unit. Milli- and microseconds become a readable duration, ratios become per cent."""
    if value is None:
        return NOTHING
    if unit in DURATIONS_US:
        return duration(value * DURATIONS_US[unit])
    if unit in RATIOS:
        return f"{number(value * 100)} %"
    return number(value)


RATIOS = frozenset({"ratio", "share", "rate"})
DURATIONS_US = {"us": 1, "ms": 1_000, "s": 1_000_000, "min": _MINUTE_US, "h": _HOUR_US, "hours": _HOUR_US}


def count(value: int, noun: str, plural: str = "") -> str:
    """`1 order`, `2,000 orders`."""
    return f"{value:,} {noun if value == 1 else plural or noun + 's'}"


def listing(words: list[str], most: int = 4) -> str:
    """`a, b and c`; what goes beyond `most` is counted."""
    if len(words) > most:
        words = [*words[: most - 1], f"{len(words) - most + 1:,} more"]
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1] if words else ""


def spoken(name: str) -> str:
    """A name from a file as words: no_oversell -> no oversell."""
    return name.replace("_", " ")


def measured(name: str) -> str:
    """A metric's name as words, without the unit at its end: order_ack_ms -> order ack."""
    stem, _, last = name.rpartition("_")
    return spoken(stem if stem and last in DURATIONS_US else name)


def threshold_word(threshold: Threshold) -> str:
    if threshold.holds is None:
        return "not measured"
    return "kept" if threshold.holds else "breached"


def breached(verdict: Verdict) -> list[Threshold]:
    return [threshold for threshold in verdict.thresholds if threshold.holds is not True]


def of_outcome(verdict: Verdict, outcome: str) -> list[Check]:
    return [check for check in verdict.checks if check.outcome == outcome]


def metric_named(verdict: Verdict, name: str) -> Metric | None:
    """The metric of that name; a group in braces, as in `queue_depth{erp}`, is not part of the name."""
    name = name.partition("{")[0]
    return next((metric for metric in verdict.metrics if metric.name == name), None)


def observed(verdict: Verdict, threshold: Threshold) -> str:
    """What was measured against a limit, in the limit's own unit, precise enough to be compared with it by eye."""
    if threshold.observed is None:
        return "nothing measured"
    metric = metric_named(verdict, threshold.metric)
    unit = metric.unit if metric and metric.unit not in RATIOS else ""
    value = number(threshold.observed) if abs(threshold.observed) >= 1000 else f"{threshold.observed:.4g}"
    return f"{value} {unit}".strip()


BADGES = {
    "holds": "Holds",
    "breached": "Limits breached",
    "violated": "Violated",
    "inconclusive": "Inconclusive",
    "broken": "Harness broken",
    "partial": "Not judged",
}


def standing(run: Run) -> str:
    """One key of BADGES: the verdict's outcome, told apart where only limits were breached or nothing was judged."""
    verdict = run.file.verdict
    if verdict is None:
        return "partial"
    return "breached" if verdict.exit_code == 99 else verdict.outcome


def headline(run: Run) -> str:
    """The verdict in one plain sentence."""
    verdict = run.file.verdict
    if verdict is None:
        at = clock(run.ended_at_us, run.file.started_at_us)
        return f"The run was stopped at {at} of the simulated day, before anything was judged."
    return _SENTENCES[standing(run)](verdict)


def _holds(verdict: Verdict) -> str:
    examined = [check.examined for check in verdict.checks if check.examined]
    limits = f", and {_kept(verdict)}" if verdict.thresholds else ""
    return f"Every promise held: {count(len(examined), 'check')} examined {count(sum(examined), 'fact')}{limits}."


def _kept(verdict: Verdict) -> str:
    total = len(verdict.thresholds)
    return "the one limit was kept" if total == 1 else f"all {total} limits were kept"


def _breached(verdict: Verdict) -> str:
    limits = [f"{measured(limit.metric)} {limit.expression}" for limit in breached(verdict)]
    was = "limit was" if len(limits) == 1 else "limits were"
    return f"Every promise held, but {len(limits)} {was} breached: {listing(limits)}."


def _violated(verdict: Verdict) -> str:
    broken = of_outcome(verdict, "violated")
    names = listing([f"“{spoken(check.name)}”" for check in broken])
    found = count(sum(check.violations for check in broken), "counterexample")
    if len(broken) == 1:
        return f"One promise was broken: {names}, with {found}."
    return f"{len(broken)} promises were broken: {names}, with {found} in all."


def _inconclusive(verdict: Verdict) -> str:
    lacks = []
    idle = [spoken(check.name) for check in of_outcome(verdict, "inconclusive")]
    if idle:
        lacks.append(f"{listing(idle)} had nothing to examine")
    unmeasured = [measured(limit.metric) for limit in verdict.thresholds if limit.holds is None]
    if unmeasured:
        lacks.append(f"there was no measurement of {listing(unmeasured)}")
    because = f": {', and '.join(lacks)}" if lacks else ""
    return f"Nothing was found broken, but the run proves too little{because}."


def _broken(verdict: Verdict) -> str:
    names = [f"“{spoken(check.name)}”" for check in verdict.checks if broke_harness(check)]
    because = f": see {listing(names)}" if names else ""
    return f"The harness itself failed{because}. The rest of this verdict can't be relied on."


def broke_harness(check: Check) -> bool:
    """A query that failed, or simulators that broke their own rules: neither says anything about the integration."""
    return check.outcome == "broken" or (check.judges == "simulators" and check.outcome == "violated")


_SENTENCES = {
    "holds": _holds,
    "breached": _breached,
    "violated": _violated,
    "inconclusive": _inconclusive,
    "broken": _broken,
}


def counterexample(row: Mapping[str, Any], started_at_us: int) -> str:
    """One counterexample on one line: name=value, empty columns left out."""
    return ", ".join(f"{name}={value}" for name, value in shown_columns(row, started_at_us).items())


_FOR_SORTING = frozenset({"badness", "pick"})


def shown_columns(row: Mapping[str, Any], started_at_us: int) -> dict[str, str]:
    """The columns of a counterexample that have something to say, in readable units. A moment of 0 says: at no time."""
    return {
        name: cell(name, value, started_at_us)
        for name, value in row.items()
        if name not in _FOR_SORTING and value not in (None, "", [], {}) and not (name.endswith("at_us") and value == 0)
    }


def cell(name: str, value: object, started_at_us: int) -> str:
    """A value by what its column's name says that it is: a moment, a length of time, or else as it is."""
    if isinstance(value, int) and name.endswith("at_us"):
        return clock(value, started_at_us, seconds=True)
    if isinstance(value, int) and name.endswith("_us"):
        return duration(value)
    return str(value) if name.endswith("line_no") else plain(value)


def plain(value: object) -> str:
    """Any value of a run file as text."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: NOTHING}[value]
    if isinstance(value, int | float):
        return number(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {plain(inner)}" for name, inner in value.items())
    if isinstance(value, list):
        return "; ".join(plain(entry) for entry in value) or "none"
    return str(value)


def order_named(row: Mapping[str, Any]) -> str:
    """What a counterexample calls its order, by the surest name that it carries, or nothing."""
    if row.get("customer_id") and row.get("order_reference"):
        return f"{row['customer_id']}/{row['order_reference']}"
    names = ("order_reference", "order_id", "shipment_id", "tracking_number", "business_key", "release_id")
    return next((str(row[name]) for name in names if row.get(name)), "")
