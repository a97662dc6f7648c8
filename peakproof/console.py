"""What the verbs print with: rich on a terminal, plain text elsewhere; and the verdict in a few lines."""

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.segment import Segment, Segments
from rich.table import Table

from reports import Run, words
from reports.rundir import Check, Verdict

_COLORS = {"holds": "green", "violated": "red", "broken": "red"}


class _Stdout(Console):
    """Falls silent when its reader has gone (`peakproof run ... | head`): the exit code still tells the verdict."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def stdout() -> Console:
    return _Stdout(highlight=False)


def shown_path(path: Path) -> str:
    """A path as the user would type it: relative when it lies under the working directory."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def show_verdict(console: Console, run: Run, page: Path | None) -> None:
    """The verdict, each failing check with its first counterexample, each breached limit, and what to do next."""
    standing = words.standing(run)
    console.print(words.BADGES[standing], style=f"bold {_COLORS.get(standing, 'yellow')}", end="  ")
    say(console, words.headline(run))
    verdict = run.file.verdict
    for line in _failing(verdict, run.file.started_at_us) if verdict else []:
        say(console, line)
    if page:
        say(console, f"Report     {shown_path(page)}")
    order = _first_order(verdict) if verdict else ""
    if order:
        say(console, f"Explain    {shlex.join(['peakproof', 'explain', shown_path(run.directory), order])}")
    say(console, f"Reproduce  {run.reproduce}")


def show_pairs(head: tuple[str, str], pairs: Sequence[tuple[str, str]]) -> None:
    """Names with their meanings: a table on a terminal, else one line each with a tab between."""
    console = stdout()
    if not console.is_terminal:
        for name, meaning in pairs:
            say(console, f"{name}\t{meaning}")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(head[0], no_wrap=True)
    table.add_column(head[1])
    for name, meaning in pairs:
        table.add_row(name, meaning)
    console.print(table)


def say(console: Console, line: str) -> None:
    """One line as it is, tabs too: neither wrapped nor read as markup, so that it can be copied or cut."""
    console.print(Segments([Segment(line), Segment.line()]), soft_wrap=True, end="")


def _failing(verdict: Verdict, started_at_us: int) -> list[str]:
    lines = [line for check in verdict.checks if check.outcome != "holds" for line in _not_held(check, started_at_us)]
    for limit in words.breached(verdict):
        said = words.observed(verdict, limit)
        lines.append(
            f"  {limit.metric} {limit.expression}: {'breached, ' + said if limit.observed is not None else said}"
        )
    return lines


def _not_held(check: Check, started_at_us: int) -> list[str]:
    if check.outcome != "violated":
        return [f"  {check.name}: {check.outcome}, {check.reason or 'nothing to examine'}"]
    found = words.count(check.violations, "counterexample")
    first = [f"    {words.counterexample(row, started_at_us)}" for row in check.counterexamples[:1]]
    return [f"  {check.name}: {found}; it holds when {check.holds_when}", *first]


def _first_order(verdict: Verdict) -> str:
    violated: list[Check] = words.of_outcome(verdict, "violated")
    rows: list[dict[str, Any]] = [row for check in violated for row in check.counterexamples]
    return next((name for name in map(words.order_named, rows) if name), "")
