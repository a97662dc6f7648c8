"""`peakproof explain`: the story of one order, across all partners."""

from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from peakproof import exits
from peakproof.console import say, stdout
from reports import open_directory
from reports.story import Event, Story, find, tell
from reports.words import clock

_STYLES = {"client": "cyan", "booked": "green", "exchange": "dim", "warn": "yellow", "fault": "red"}


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("order")
def explain(run: Path, order: str) -> int:
    """Tell the story of one ORDER in the run in directory RUN.

    ORDER is an order id, an order reference, customer/reference, or a tracking, shipment or release number.
    """
    with open_directory(run) as opened:
        story = tell(opened, find(opened, order))
    console = stdout()
    _head(console, story)
    if console.is_terminal:
        console.print(_table(story, opened.file.started_at_us))
    else:
        for event in story.events:
            _print_plainly(console, event, opened.file.started_at_us)
    return exits.HOLDS


def _head(console: Console, story: Story) -> None:
    order_id = f" ({story.order_id})" if story.order_id else ""
    lines = [f"{story.key}{order_id}", f"{story.summary}. At the end: {story.ending}."]
    lines += [f"Fault: {fault}" for fault in story.faults]
    for line in [*lines, ""]:
        say(console, line)


def _print_plainly(console: Console, event: Event, started_at_us: int) -> None:
    """One event as one line with tabs between its parts, so that other programs can cut it."""
    line = "\t".join((clock(event.at_us, started_at_us, seconds=True), event.who, _said(event)))
    say(console, line)


def _table(story: Story, started_at_us: int) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column()
    for event in story.events:
        style = _STYLES[event.tone]
        at = clock(event.at_us, started_at_us, seconds=True)
        table.add_row(at, Text(event.who, style=f"bold {style}"), Text(_said(event), style=style))
    return table


def _said(event: Event) -> str:
    return f"{event.text} [{event.fault}]" if event.fault else event.text
