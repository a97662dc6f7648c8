"""The highest load that the limits of a scenario allow, found by whole runs of the same day with more or less demand.

Doubled while a run keeps all limits, halved until one does, and then halved in between: each run is judged as any other
and stays in a directory of its own. What was measured comes from its evidence alone.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from peakproof import exits
from peakproof.console import say, shown_path
from reports import Run, open_directory, words
from scenarios.spec import CHANNELS, Scenario

PRECISE_ENOUGH = 1.2
"""The lowest load that broke a limit over the highest that broke none, below which the search ends."""
LIMIT_FILE = "limit.json"
DECISIVE = (exits.HOLDS, exits.VIOLATED, exits.THRESHOLDS)
_REFUSED = f"""
SELECT count(*) AS refused, count(*) FILTER (WHERE coalesce(retry_after_s, 0) = 0) AS endless
FROM exchanges
WHERE source IN {CHANNELS} AND target = 'integration' AND status IN (429, 503) AND coalesce(fault, '') = ''
"""
_OFFERED = """
SELECT count(*) AS orders, count(*) FILTER (WHERE accepted) AS accepted, max(at_us) - min(at_us) AS within_us
FROM (
    SELECT bool_or(outcome = 'ok') AS accepted, min(coalesce(intended_at_us, invoked_at_us)) AS at_us FROM operations
    WHERE operation = 'place_order' GROUP BY customer_id, order_reference
)
"""


@dataclass(frozen=True)
class Step:
    """One run of the search. Rates are orders a second of the wall's: sent, and accepted in business' busiest hour.

    `lost`, `doubled` and `oversold` count counterexamples; None where the check could not say. `refused` are answers
    429 and 503 to channels, `endless` those of them without Retry-After. `broken` names limits, promises first.
    """

    factor: float
    exit_code: int
    directory: str
    orders: int = 0
    accepted: int = 0
    orders_per_second: float = 0.0
    peak_per_second: float = 0.0
    accept_p95_ms: float | None = None
    refused: int = 0
    endless: int = 0
    lost: int | None = None
    doubled: int | None = None
    oversold: int | None = None
    broken: tuple[str, ...] = ()

    @property
    def keeps(self) -> bool:
        """Whether every promise and every limit was kept."""
        return self.exit_code == exits.HOLDS


def search(play: Callable[[float], Step], most: int) -> list[Step]:
    """Play at most `most` runs from the scenario's own demand (factor 1) on; all of them, as played."""
    played: list[Step] = []
    factor: float | None = 1.0
    while factor is not None and len(played) < most:
        played.append(play(factor))
        factor = _next(played)
    return played


def _next(played: Sequence[Step]) -> float | None:
    """The next factor; None when the limit is known well enough, or the last run says nothing of it."""
    if played[-1].exit_code not in DECISIVE:
        return None
    best, worst = best_of(played), worst_of(played)
    if best is None:
        return min(step.factor for step in played) / 2
    if worst is None:
        return best.factor * 2
    return (best.factor + worst.factor) / 2 if worst.factor > best.factor * PRECISE_ENOUGH else None


def best_of(played: Sequence[Step]) -> Step | None:
    """The highest load that kept everything, below every one that did not."""
    worst = worst_of(played)
    kept = [step for step in played if step.keeps and (worst is None or step.factor < worst.factor)]
    return max(kept, key=lambda step: step.factor, default=None)


def worst_of(played: Sequence[Step]) -> Step | None:
    """The lowest load that broke something."""
    broke = [step for step in played if not step.keeps]
    return min(broke, key=lambda step: step.factor, default=None)


def exit_code_of(played: Sequence[Step]) -> int:
    """As a run's: a broken promise or tool tells on the whole; limits only when no load kept them."""
    codes = [step.exit_code for step in played]
    for code in (exits.BROKEN, exits.VIOLATED, exits.INCONCLUSIVE):
        if code in codes:
            return code
    return exits.HOLDS if exits.HOLDS in codes else exits.THRESHOLDS


def measured(directory: Path, factor: float, speed: float) -> Step:
    """What a judged run says of its load."""
    with open_directory(directory) as run:
        verdict = run.file.verdict
        assert verdict is not None, "only a judged run is measured"
        offered, turned_away = run.rows(_OFFERED)[0], run.rows(_REFUSED)[0]
        hourly = words.metric_named(verdict, "peak_throughput_per_hour")
        accept = words.metric_named(verdict, "order_ack_ms")
        violated = [words.spoken(check.name) for check in words.of_outcome(verdict, "violated")]
        limits = [
            f"{limit.metric} {limit.expression} ({words.observed(verdict, limit)})" for limit in words.breached(verdict)
        ]
        return Step(
            factor=factor,
            exit_code=verdict.exit_code,
            directory=directory.name,
            orders=offered["orders"],
            accepted=offered["accepted"],
            orders_per_second=round(offered["orders"] / max((offered["within_us"] or 0) / 1e6 / speed, 1e-3), 2),
            peak_per_second=round((hourly.values.get("max") or 0.0) / 3_600 * speed if hourly else 0.0, 2),
            accept_p95_ms=accept.values.get("p(95)") if accept else None,
            refused=turned_away["refused"],
            endless=turned_away["endless"],
            lost=_counterexamples(run, "nothing_lost"),
            doubled=_counterexamples(run, "at_most_once", "idempotent_reply"),
            oversold=_counterexamples(run, "no_oversell"),
            broken=(*violated, *limits),
        )


def _counterexamples(run: Run, *names: str) -> int | None:
    assert run.file.verdict is not None
    found = [check for check in run.file.verdict.checks if check.name in names]
    decided = [check.violations for check in found if check.outcome in ("holds", "violated")]
    return sum(decided) if decided else None


def demand_at(scenario: Scenario, factor: float) -> tuple[str, str]:
    """The override that gives a scenario `factor` times its demand."""
    return ("demand.multiplier", f"{scenario.demand.multiplier * factor:.6g}")


def write(directory: Path, played: Sequence[Step]) -> None:
    """Leave what is known so far as JSON: the runs, and which of them is the limit."""
    best, worst = best_of(played), worst_of(played)
    text = {
        "highest_within_limits": best.directory if best else None,
        "lowest_beyond": worst.directory if worst else None,
        "breaks_first": list(worst.broken) if worst else [],
        "runs": [asdict(step) for step in played],
    }
    (directory / LIMIT_FILE).write_text(json.dumps(text, indent=2) + "\n")


def told(played: Sequence[Step]) -> list[str]:
    """The limit in words."""
    best, worst = best_of(played), worst_of(played)
    lines = []
    if best is not None:
        lines.append(f"Kept       {_rate(best)}: every promise and every limit")
    else:
        lines.append("Kept       no load that was played")
    if worst is not None:
        first = "; ".join(worst.broken) or f"exit code {worst.exit_code}"
        lines.append(f"Breaks     {_rate(worst)}: {first}")
    else:
        lines.append("Breaks     nothing up to there: more steps would double it further")
    safe = [step for step in played if step.lost == step.doubled == step.oversold == 0]
    if len(safe) == len(played):
        lines.append("Safe       nothing lost, doubled or oversold at any load played")
    return lines


HEADINGS = (
    "run", "load", "orders", "accepted", "sent a second", "at peak", "accept p95", "429, 503", "lost", "doubled",
    "oversold", "broken",
)  # fmt: skip


def show(console: Console, directory: Path, played: Sequence[Step]) -> None:
    """A row for each run by its load (off a terminal, tabs between), and the limit in words."""
    rows = [_cells(step) for step in sorted(played, key=lambda step: step.factor)]
    if console.is_terminal:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for name in HEADINGS:
            table.add_column(name, justify="left" if name in ("run", "broken") else "right", no_wrap=name != "broken")
        for row in rows:
            table.add_row(*row)
        console.print(table)
    else:
        for cells in (HEADINGS, *rows):
            say(console, "\t".join(cells))
    for line in told(played):
        say(console, line)
    say(console, f"Figures    {shown_path(directory / LIMIT_FILE)}; each run has its report beside it")


def _cells(step: Step) -> list[str]:
    return [
        step.directory,
        f"x{step.factor:.3g}",
        f"{step.orders:,}",
        f"{step.accepted:,}",
        f"{step.orders_per_second:g}",
        f"{step.peak_per_second:g}",
        words.quantity(step.accept_p95_ms, "ms"),
        f"{step.refused:,}" + (f" ({step.endless:,} without Retry-After)" if step.endless else ""),
        *(words.number(count) for count in (step.lost, step.doubled, step.oversold)),
        "; ".join(step.broken) or "nothing",
    ]


def _rate(step: Step) -> str:
    return f"{step.orders:,} orders ({step.orders_per_second:g} a second, {step.peak_per_second:g} accepted at peak)"
