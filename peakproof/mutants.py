"""`peakproof mutants`: play deliberate bugs, and show which check catches which."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from peakproof import exits
from peakproof.console import say, shown_path, stdout
from peakproof.run import RUNS, free_directory, parse_overrides
from reports import matrix as page
from scenarios.executors import Dask, Executor, Processes
from scenarios.matrix import Asked, Hunted, Matrix, Step, play_matrix

MATRIX_FILE = "matrix.json"
PAGE_FILE = "matrix.html"


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--seeds", type=click.IntRange(min=1), default=50, show_default=True, help="At most so many per mutant.")
@click.option("--scenario", default="exploration", show_default=True, help="A name of the catalog or a YAML file.")
@click.option("--jobs", type=click.IntRange(min=1), help="Processes of this machine.  [default: one per processor]")
@click.option("--dask", metavar="ADDRESS", help="Play on a Dask cluster instead: its scheduler, tcp://host:8786.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a setting; repeatable.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help=f"Directory.  [default: {RUNS}/mutants]")
@click.option("--quiet", is_flag=True, help="Print nothing but errors.")
def mutants(
    names: tuple[str, ...],
    seeds: int,
    scenario: str,
    jobs: int | None,
    dask: str | None,
    overrides: tuple[str, ...],
    out: Path | None,
    quiet: bool,
) -> int:
    """Play the integration with one deliberate bug after the other, all of them or those NAMEd.

    Each is played seed after seed until its own check catches it. The unmutated integration plays the same seeds and
    must hold. Ends with 1 when a mutant survives or the unmutated integration is found at fault.
    """
    if dask and jobs:
        raise click.UsageError("give --jobs for processes here or --dask for a cluster, not both")
    console = Console(quiet=True) if quiet else stdout()
    asked = Asked.of(names, seeds, scenario, parse_overrides(overrides))
    directory = _directory(out)
    matrix = Matrix.begun(asked)
    try:
        with _executor(dask, jobs) as executor, _progress(console) as show:
            play_matrix(matrix, executor, show)
    finally:  # also after Ctrl-C: what was found until then
        _write(matrix, directory)
    _show(console, matrix)
    say(console, f"Matrix     {shown_path(directory / PAGE_FILE)}")
    if matrix.control_errors:
        return exits.BROKEN
    return exits.HOLDS if matrix.holds else exits.VIOLATED


def _write(matrix: Matrix, directory: Path) -> None:
    told = matrix.to_json()
    (directory / MATRIX_FILE).write_bytes(orjson.dumps(told, option=orjson.OPT_INDENT_2))
    page.write(told, directory / PAGE_FILE)


def _directory(out: Path | None) -> Path:
    directory = out or free_directory(RUNS, "mutants")
    foreign = directory.exists() and not (directory / MATRIX_FILE).exists() and any(directory.iterdir())
    if foreign:
        raise click.BadParameter(
            f"{directory} holds other files and no matrix; name a new or an empty directory", param_hint="--out"
        )
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise click.BadParameter(f"{directory} can't be made ({error.strerror})", param_hint="--out") from error
    return directory


def _executor(dask: str | None, jobs: int | None) -> Executor:
    return Dask(dask) if dask else Processes(jobs or len(os.sched_getaffinity(0)))


def _show(console: Console, matrix: Matrix) -> None:
    """A table on a terminal, else one line per mutant with tabs between; then what does not hold."""
    rows = [(name, *_cells(hunted)) for name, hunted in matrix.hunted.items()]
    if console.is_terminal:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for number, name in enumerate(("mutant", "killed by", "seeds", "faults it takes", "also violated")):
            table.add_column(name, overflow="fold", no_wrap=number == 0)
        for row in rows:
            table.add_row(*row, style=None if matrix.hunted[row[0]].killed_by_seed is not None else "red")
        console.print(table)
    else:
        for row in rows:
            say(console, "\t".join(row))
    dead = len(matrix.hunted) - len(matrix.survivors)
    verdict = f"{dead} of {len(matrix.hunted)} mutants killed by their own check"
    say(console, f"{verdict}; {len(matrix.alarms)} false alarms in {matrix.control_seeds} unmutated runs")
    for name in matrix.survivors:
        wanted = " or ".join(matrix.hunted[name].mutant.caught_by)
        say(console, f"  {name} survived {len(matrix.hunted[name].played)} seeds: {wanted} did not catch it")
    for alarm in matrix.alarms:
        say(console, f"  false alarm: {alarm.check} ({alarm.kind}), seed {alarm.seed}: {' '.join(alarm.command)}")
    for error in matrix.control_errors:
        say(console, f"  the tool broke: {error}")


def _cells(hunted: Hunted) -> tuple[str, str, str, str]:
    row = hunted.to_json()
    own = list(dict.fromkeys(witness["check"] for witness in row["by"]))
    others = ", ".join(check for check in row["checks"] if check not in own)
    if not row["killed"]:
        return "survived", f"{row['seeds_played']}", "", others
    blamed = ", ".join(row["blamed"] or ()) or "none"
    return ", ".join(own), str(row["seeds_to_kill"]), blamed, others


@contextlib.contextmanager
def _progress(console: Console) -> Iterator[Callable[[Step], None]]:
    """A bar on a terminal; nothing at all elsewhere."""
    if not console.is_terminal or console.quiet:
        yield lambda _step: None
        return
    said = TextColumn("{task.fields[said]}")
    columns = (TextColumn("{task.description:<8}"), BarColumn(), MofNCompleteColumn(), said, TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("hunt", total=None, said="")

        def show(step: Step) -> None:
            bar.update(task, description=step.phase, completed=step.done, total=step.total, said=step.said)

        yield show
