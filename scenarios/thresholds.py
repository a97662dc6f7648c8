"""Thresholds on metrics, in k6's grammar: `p(95)<800`, `rate<0.01`, `count==0`, `queue_depth{erp}` with `max<=5000`.

A threshold is a metric, optionally one group of it in braces, and an expression `<statistic> <operator> <number>`.
Statistics: `p(N)` with N from 0 to 100, avg, min, max, med, count, rate, value, area. Which of them a metric offers is
for the metric to say: a metric of samples offers all but value and area, an already aggregated one what it yields.

Errors: `ThresholdError` names the offending text, and for an unknown metric the nearest known one.
"""

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from scenarios.errors import ScenarioError, nearest

METRICS = Path(__file__).parent / "metrics"
STATISTICS = ("avg", "min", "max", "med", "count", "rate", "value", "area")

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "===": operator.eq,
    "!=": operator.ne,
}
_EXPRESSION = re.compile(
    r"\s*(?P<statistic>p\(\s*(?P<percentile>\d+(\.\d+)?)\s*\)|[a-z]+)\s*"
    r"(?P<operator><=|>=|===|==|!=|<|>)\s*(?P<limit>[+-]?\d+(\.\d+)?([eE][+-]?\d+)?)\s*"
)
_METRIC = re.compile(r"(?P<name>[^{}\s]+)(\{(?P<group>[^{}]+)\})?")


class ThresholdError(ScenarioError):
    """A threshold that cannot be read, or that names a metric which does not exist."""


@dataclass(frozen=True)
class Threshold:
    """One limit. `group` is empty for the metric as a whole; `percentile` is set when `statistic` is a p(N)."""

    metric: str
    group: str
    expression: str
    statistic: str
    percentile: float | None
    operator: str
    limit: float

    def holds(self, observed: float) -> bool:
        return _OPERATORS[self.operator](observed, self.limit)

    @property
    def label(self) -> str:
        return f"{self.metric}{{{self.group}}}" if self.group else self.metric


def known_metrics() -> tuple[str, ...]:
    """The names of all metrics: one file each."""
    return tuple(sorted(file.stem for file in METRICS.glob("[!_]*.sql")))


def percentile_name(percentile: float) -> str:
    """`p(95)`, `p(99.9)`: how a percentile is called in expressions and in results."""
    return f"p({percentile:g})"


def parse(metric: str, expression: str) -> Threshold:
    """Read one threshold, or raise `ThresholdError`."""
    named = _METRIC.fullmatch(metric.strip())
    if named is None:
        raise ThresholdError(f"threshold on {metric!r}: write a metric's name, or name{{group}}")
    if named["name"] not in known_metrics():
        raise ThresholdError(f"threshold on unknown metric {named['name']!r}{nearest(named['name'], known_metrics())}")
    found = _EXPRESSION.fullmatch(expression)
    if found is None:
        raise ThresholdError(
            f"threshold {expression!r} on {metric!r}: write <statistic><operator><number>, as in p(95)<800"
        )
    statistic, percentile = found["statistic"], None
    if found["percentile"] is not None:
        percentile = float(found["percentile"])
        if percentile > 100:
            raise ThresholdError(f"threshold {expression!r} on {metric!r}: a percentile lies between 0 and 100")
        statistic = percentile_name(percentile)
    elif statistic not in STATISTICS:
        raise ThresholdError(
            f"threshold {expression!r} on {metric!r}: unknown statistic {statistic!r}{nearest(statistic, STATISTICS)}"
        )
    return Threshold(
        metric=named["name"],
        group=named["group"] or "",
        expression=expression.strip(),
        statistic=statistic,
        percentile=percentile,
        operator=found["operator"],
        limit=float(found["limit"]),
    )
