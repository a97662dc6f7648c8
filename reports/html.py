"""The report for people: one page that needs no network, with the verdict first.

The page is a Jinja template over a context of plain values; all words and numbers are made here or in reports.words.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup
from plotly.offline import get_plotlyjs  # type: ignore[import-untyped]

from reports import words
from reports.capsule import told_capsule
from reports.plots import FaultBand, charts, fault_bands
from reports.rundir import Check, Run
from reports.sequence import Diagram, diagram
from reports.story import Story, UnknownOrder, find, tell

_TEMPLATES = Path(__file__).parent / "templates"
MOST_EVENTS = 80
MOST_SHOWN = 10
LONG_VALUE = 48

BLIND_SPOTS = (
    "In virtual time the integration writes through one database writer. Anomalies that only several writers at once "
    "can cause, as on PostgreSQL, do not show here: play the scenario in real time on PostgreSQL to look for them.",
    "Orders and faults come from generators, and a generator never makes what nobody thought of. That the expected "
    "faults struck, and that known bugs are caught, says more than the number of seeds that passed.",
    "Partners are simulated after public descriptions. A real partner may behave in ways that no profile here has.",
    "Numbers of queue depth and dead letters are the integration's own word: they are shown, but they prove nothing.",
    "Under real load a run repeats statistically, not exactly. Only runs in virtual time replay to the last event.",
)


@dataclass(frozen=True)
class ShownCounterexample:
    """One row that breaks a promise, with the story of its order when it names one, and for few of them a diagram."""

    columns: dict[str, str]
    pick: str
    story: Story | None
    diagram: Diagram | None


def write(run: Run, path: Path) -> None:
    path.write_text(render(run), encoding="utf-8")


def render(run: Run) -> str:
    """The whole page as text."""
    return _environment().get_template("report.html").render(_context(run))


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": words.number, "spoken": words.spoken, "measured": words.measured}
    return environment


def _context(run: Run) -> dict[str, Any]:
    file = run.file
    bands = fault_bands(run)

    def clock(at_us: int | None, seconds: bool = False) -> str:
        return words.clock(at_us, file.started_at_us, seconds)

    return {
        "run": file,
        "verdict": file.verdict,
        "standing": words.standing(run),
        "badge": words.BADGES[words.standing(run)],
        "headline": words.headline(run),
        "summary": file.scenario.get("summary", ""),
        "facts": _facts(run),
        "demand": statement(file.demand),
        "bands": bands,
        "when": lambda band: _when(band, clock),
        "capsule": told_capsule(run),
        "checks": _ordered_checks(run),
        "counterexamples": _counterexamples(run),
        "observed": words.observed,
        "threshold_word": words.threshold_word,
        "metric_cells": metric_cells,
        "charts": charts(run, bands),
        "blind_spots": BLIND_SPOTS,
        "reproduce": run.reproduce,
        "clock": clock,
        "most_events": MOST_EVENTS,
        "long_value": LONG_VALUE,
        "plotly": Markup(get_plotlyjs()),
        "explain": f"peakproof explain {run.directory}",
    }


def _facts(run: Run) -> list[tuple[str, str]]:
    """What was played and when, as label and value. Lengths are simulated time."""
    file = run.file
    counted = run.rows(_PLAYED)[0]
    start_us = file.started_at_us

    def moment(at_us: int | None) -> str:
        return words.clock(at_us, start_us)

    return [
        ("Scenario", file.name),
        ("Seed", str(file.seed)),
        ("Orders asked for", words.number(counted["orders"])),
        ("Orders accepted", words.number(counted["accepted"])),
        ("Order lines", words.number(counted["lines"])),
        ("HTTP exchanges", words.number(counted["exchanges"])),
        ("Load", f"{moment(start_us)} to {moment(file.load_ended_at_us)}"),
        ("Faults healed", moment(file.healed_at_us)),
        ("Quiet", moment(file.quiet_at_us) if file.quiet_at_us else "never came"),
        ("Simulated", words.duration(run.ended_at_us - start_us)),
    ]


_PLAYED = """
WITH placed AS (
  SELECT customer_id, order_reference, max(len(lines)) AS lines, bool_or(outcome = 'ok') AS accepted
  FROM operations WHERE operation = 'place_order' GROUP BY ALL
)
SELECT count(*) AS orders, count(*) FILTER (accepted) AS accepted, coalesce(sum(lines), 0)::BIGINT AS lines,
  (SELECT count(*) FROM exchanges) AS exchanges FROM placed
"""


def statement(demand: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """The demand statement as groups of label and value: first what stands alone, then each part under its name."""
    alone = {name: value for name, value in demand.items() if not isinstance(value, Mapping)}
    parts = [(words.spoken(name), value) for name, value in demand.items() if isinstance(value, Mapping)]
    groups = [("", _pairs(alone)), *((name, _pairs(part)) for name, part in parts)]
    return [(name, pairs) for name, pairs in groups if pairs]


def _pairs(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Label and value, the long ones last; parts within parts get their name in front."""
    pairs: list[tuple[str, str]] = []
    for name, value in values.items():
        label = f"{prefix}{words.spoken(str(name))}"
        if isinstance(value, Mapping):
            pairs += _pairs(value, f"{label}: ")
        else:
            pairs.append((label, words.plain(value)))
    return sorted(pairs, key=lambda pair: len(pair[1]) > LONG_VALUE)


def _when(band: FaultBand, clock: Any) -> str:
    if not band.number:
        return "all the time"
    return f"{clock(band.from_us)} to {clock(band.to_us)}"


def _ordered_checks(run: Run) -> list[Check]:
    """What failed first, then what proved nothing, then what holds."""
    verdict = run.file.verdict
    rank = {"broken": 0, "violated": 1, "inconclusive": 2, "holds": 3}
    return sorted(verdict.checks, key=lambda check: rank[check.outcome]) if verdict else []


def _counterexamples(run: Run) -> dict[str, list[ShownCounterexample]]:
    verdict = run.file.verdict
    shown: dict[str, list[ShownCounterexample]] = {}
    stories: dict[str, Story | None] = {}
    for check in verdict.checks if verdict else []:
        rows = check.counterexamples[:MOST_SHOWN]
        shown[check.name] = [_shown(run, row, stories, place == 0) for place, row in enumerate(rows)]
    return shown


def _shown(run: Run, row: dict[str, Any], stories: dict[str, Story | None], drawn: bool) -> ShownCounterexample:
    asked = words.order_named(row)
    if asked and asked not in stories:
        stories[asked] = _story(run, asked)
    columns = words.shown_columns(row, run.file.started_at_us)
    story = stories.get(asked)
    drawing = diagram(run, story.key) if drawn and story is not None else None
    return ShownCounterexample(columns, str(row.get("pick") or ""), story, drawing)


def _story(run: Run, asked: str) -> Story | None:
    try:
        return tell(run, find(run, asked))
    except UnknownOrder:
        return None


_STATISTICS = ("value", "count", "rate", "min", "avg", "med", "p(50)", "p(90)", "p(95)", "p(99)", "max", "area")


def metric_cells(values: Mapping[str, float | None], unit: str) -> list[tuple[str, str]]:
    """Statistic and value in readable units, in one order for all metrics."""
    known = [name for name in _STATISTICS if name in values and not _says_nothing(name, values, unit)]
    others = [name for name in values if name not in _STATISTICS]
    return [(name, _measured(name, values[name], unit)) for name in (*known, *others)]


def _says_nothing(statistic: str, values: Mapping[str, float | None], unit: str) -> bool:
    """The median is told as p(50); yes-or-no samples have a rate and no percentiles, all others the reverse."""
    if unit in words.RATIOS:
        return statistic not in {"value", "count", "rate"} and "rate" in values
    return statistic == "rate" or (statistic == "med" and "p(50)" in values)


def _measured(statistic: str, value: float | None, unit: str) -> str:
    if statistic == "rate":
        return words.quantity(value, "ratio")
    return words.number(value) if statistic == "count" else words.quantity(value, unit)
