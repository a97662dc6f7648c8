"""What a replayed capsule's run says of it: the headline, and the same order in the nearest run that passed."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from reports.headline import headline
from reports.rundir import ReportError, Run, open_directory
from reports.sequence import Diagram, diagram
from reports.story import OrderKey, Story, find, tell
from reports.words import clock, count, order_named

CAPSULE_FILE = "capsule.json"
NEIGHBOUR = "neighbour"
MOST_ORDERS = 3


@dataclass(frozen=True)
class ToldOrder:
    """One order of the capsule: its story, its diagram and, if there is a neighbour, its diagram there."""

    story: Story
    diagram: Diagram
    beside: Diagram | None


@dataclass(frozen=True)
class ToldCapsule:
    headline: str
    found: str
    shrunk: str
    neighbour: str
    orders: list[ToldOrder]


def told_capsule(run: Run) -> ToldCapsule | None:
    """The capsule beside a run, told; None for a run that replayed none."""
    try:
        content = orjson.loads((run.directory / CAPSULE_FILE).read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return None
    beside = content.get("neighbour") or {}
    with ExitStack() as opened:
        neighbour = _neighbour(run.directory, opened)
        orders = [_told(run, neighbour, key) for key in _keys(run, content)]
    return ToldCapsule(
        headline=content["story"]["headline"],
        found=f"{content['check']}: {content['kind']}",
        shrunk=f"Shrunk from {count(content['orders_before'], 'order')} and {count(content['faults_before'], 'strike')}"
        f" of faults in {count(content['executions'], 'execution')}",
        neighbour=f"{beside['said']}, no violation" if beside else "",
        orders=orders,
    )


def tell_run(directory: Path, row: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """The headline of a small run with its counterexample `row`, and its orders' events, one line each."""
    with open_directory(directory) as run:
        stories = [tell(run, key) for key in _keys(run, {"counterexample": row})]
        lines = [
            f"{clock(event.at_us, run.file.started_at_us, seconds=True)} {event.who} {event.text}"
            + (f" [{event.fault}]" if event.fault else "")
            for story in stories
            for event in story.events
        ]
        return headline(run, row), tuple(lines)


def _neighbour(directory: Path, opened: ExitStack) -> Run | None:
    try:
        return opened.enter_context(open_directory(directory / NEIGHBOUR))
    except ReportError:
        return None


def _keys(run: Run, content: Mapping[str, Any]) -> list[OrderKey]:
    """The counterexample's order first, then the others, few in all."""
    placed = run.rows(
        "SELECT customer_id, order_reference, min(invoked_at_us) AS at_us FROM operations"
        " WHERE operation = 'place_order' GROUP BY ALL ORDER BY at_us, order_reference LIMIT 20"
    )
    keys = [OrderKey(row["customer_id"] or "", row["order_reference"]) for row in placed]
    asked = order_named(content.get("counterexample") or {})
    try:
        first = [find(run, asked)] if asked else []
    except ReportError:
        first = []
    return list(dict.fromkeys([*first, *keys]))[:MOST_ORDERS]


def _told(run: Run, neighbour: Run | None, key: OrderKey) -> ToldOrder:
    beside = diagram(neighbour, key) if neighbour is not None else None
    return ToldOrder(tell(run, key), diagram(run, key), beside)
