"""An order's story as a sequence diagram: who told whom what, what was lost on the way, and what partners booked.

Plain values for a template, which draws them as SVG: no script, no network, both themes.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from reports.rundir import Run
from reports.story import OrderKey, booked_events, exchanges_of, operations_of
from reports.words import clock, duration

MOST_STEPS = 48
MOST_STRUCK = 12
_ORDER = ("integration", "erp", "wms-east", "wms-west", "threepl", "carrier")
_LANE = 104
_LEFT = 92
_TOP = 46
_STEP = 30
_LONGEST = 46
"""Characters of a note that are drawn; the story in words has it whole."""

Tone = Literal["plain", "lost", "copy", "warn", "note"]


@dataclass(frozen=True)
class Step:
    """One line of the drawing: an arrow from one lifeline to another, or a note on one (`target` is then empty)."""

    at_us: int
    source: str
    target: str
    text: str
    tone: Tone
    back: bool = False
    fault: str = ""


@dataclass(frozen=True)
class Mark:
    """A step with its place in the drawing, in pixels. `lost_x` is where a lost message ends."""

    step: Step
    time: str
    y: int
    from_x: int
    to_x: int
    text_x: int
    anchor: str

    @property
    def lost_x(self) -> int:
        """Two thirds of the way: a lost message does not arrive."""
        return self.from_x + (self.to_x - self.from_x) * 2 // 3

    @property
    def head(self) -> int:
        """The direction of an arrow's head: 1 to the right, -1 to the left."""
        return 1 if self.to_x > self.from_x else -1


@dataclass(frozen=True)
class Diagram:
    """A drawing: lifelines by name and place, and what happens on them from top to bottom."""

    title: str
    lanes: list[tuple[str, int]]
    marks: list[Mark]
    width: int
    height: int
    left_out: int


def diagram(run: Run, key: OrderKey, title: str = "") -> Diagram:
    """The order's diagram; at most MOST_STEPS steps, and how many were left out."""
    steps = sorted(_steps(run, key), key=lambda step: step.at_us)
    shown = steps[:MOST_STEPS]
    lanes = _lanes(shown)
    marks = [_mark(step, place, lanes, run.file.started_at_us) for place, step in enumerate(shown)]
    width, height = max([x for _, x in lanes], default=_LEFT) + _LANE // 2, _TOP + _STEP * len(shown) + 24
    return Diagram(title or f"Order {key}", lanes, marks, width, height, len(steps) - len(shown))


def _steps(run: Run, key: OrderKey) -> Iterable[Step]:
    operations = operations_of(run, key)
    clients = _clients(operations)
    for row in operations:
        if row["operation"] != "read_order":
            yield from _asked(row)
    for row in (*exchanges_of(run, key), *_struck_besides(run, key)):
        if row["source"] not in clients or row["fault"]:
            yield from _exchanged(row)
    for event in booked_events(run, key):
        text = event.text if len(event.text) <= _LONGEST else f"{event.text[: _LONGEST - 1]}…"
        yield Step(event.at_us, event.who, "", text, "warn" if event.tone == "warn" else "note")


def _struck_besides(run: Run, key: OrderKey) -> list[dict[str, Any]]:
    """In a run with few strikes, the exchanges that were struck and belong to no order, such as news of stock."""
    known = {row["seq"] for row in exchanges_of(run, key)}
    struck = run.rows("SELECT * FROM exchanges WHERE coalesce(fault, '') <> '' ORDER BY sent_at_us, seq LIMIT 13")
    return [row for row in struck if row["seq"] not in known] if len(struck) <= MOST_STRUCK else []


def _clients(operations: list[dict[str, Any]]) -> frozenset[str]:
    return frozenset(str(row["channel"] or row["client"]) for row in operations) | {"monitor", "clerk"}


def _asked(row: dict[str, Any]) -> Iterable[Step]:
    client = str(row["channel"] or row["client"] or "client")
    again = f" (attempt {row['attempt']})" if (row["attempt"] or 1) > 1 else ""
    verb = {"place_order": "order", "cancel_order": "cancel"}.get(row["operation"], row["operation"])
    units = sum(line["quantity"] or 0 for line in row["lines"] or [])
    amount = f" {units} units" if units else ""
    yield Step(row["invoked_at_us"], client, "integration", f"{verb}{amount}{again}", "plain")
    if row["completed_at_us"] is None:
        return
    if row["status"]:
        problem = (row["problem"] or "").rpartition(":")[2]
        said = f"{row['status']} {problem or row['order_status'] or ''}".strip()
        tone: Tone = "plain" if row["outcome"] == "ok" else "warn"
        yield Step(row["completed_at_us"], "integration", client, said, tone, back=True)
    else:
        took = duration(row["completed_at_us"] - row["invoked_at_us"])
        yield Step(row["completed_at_us"], client, "", f"no answer after {took}", "warn")


def _exchanged(row: dict[str, Any]) -> Iterable[Step]:
    """The request, and its answer where it is worth a line: lost, refused, or not a success."""
    source, target, fault = row["source"], row["target"], row["fault"] or ""
    what = row["event_type"] or f"{row['method']} {row['route'] or row['path']}"
    again = f" (attempt {row['attempt']})" if (row["attempt"] or 1) > 1 else ""
    arrived = row["arrived_at_us"] is not None
    ok = row["outcome"] == "answered" and (row["status"] or 0) < 400
    told = f" → {row['status']}" if ok else ""
    tone: Tone = "copy" if row["copy"] else "plain" if arrived else "lost"
    copied = " (a copy)" if row["copy"] else ""
    sent_us = row["arrived_at_us"] if row["copy"] and arrived else row["sent_at_us"]
    struck_here = ok or bool(row["copy"]) or not arrived or row["handled_at_us"] is None
    yield Step(sent_us, source, target, f"{what}{copied or again}{told}", tone, fault=fault if struck_here else "")
    if ok or row["copy"]:
        return
    if row["status"] and row["outcome"] == "answered":
        problem = (row["problem"] or "").rpartition(":")[2]
        yield Step(row["completed_at_us"], target, source, f"{row['status']} {problem}".strip(), "warn", back=True)
        return
    if row["handled_at_us"] is not None:
        yield Step(row["handled_at_us"], target, source, str(row["status"] or "answer"), "lost", back=True, fault=fault)
    if row["completed_at_us"] is not None:
        took = duration(row["completed_at_us"] - row["sent_at_us"])
        said = {"timeout": "no answer", "refused": "refused", "reset": "connection broken"}.get(row["outcome"], "")
        yield Step(row["completed_at_us"], source, "", f"{said or row['outcome']} after {took}", "warn")


def _lanes(steps: list[Step]) -> list[tuple[str, int]]:
    """Clients first, then the integration, then partners, each with its place."""
    names = list(dict.fromkeys(name for step in steps for name in (step.source, step.target) if name))
    clients = [name for name in names if name not in _ORDER]
    ordered = [*clients, *(name for name in _ORDER if name in names)]
    return [(name, _LEFT + _LANE * place) for place, name in enumerate(ordered)]


def _mark(step: Step, place: int, lanes: list[tuple[str, int]], started_at_us: int) -> Mark:
    x_of = dict(lanes)
    from_x = x_of[step.source]
    to_x = x_of[step.target] if step.target else from_x
    y = _TOP + _STEP * place + 22
    time = clock(step.at_us, started_at_us, seconds=True)
    if step.target:
        return Mark(step, time, y, from_x, to_x, min(from_x, to_x) + 8, "start")
    on_the_right = from_x > lanes[len(lanes) // 2][1] or from_x == lanes[-1][1]
    return Mark(step, time, y, from_x, to_x, from_x + (-8 if on_the_right else 8), "end" if on_the_right else "start")
