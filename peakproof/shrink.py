"""`peakproof shrink`: from a run with a violated check to a capsule, the smallest plan that still shows it."""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from peakproof import exits
from peakproof.console import say, shown_path, stdout
from peakproof.run import claim, note
from reports import write_all
from reports.capsule import tell_run
from scenarios.capsule import Capsule, CapsuleError, Told, run_file
from scenarios.errors import nearest
from scenarios.executors import Dask, Executor, Processes
from scenarios.shrink import MOST_EXECUTIONS, Case, encapsulate
from scenarios.shrink import shrink as shrink_case
from scenarios.spec import Scenario


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--check", help="The violated check to keep.  [default: the run's first violated one]")
@click.option("--mutant", metavar="NAME", help="The mutant that the run was made with.  [default: as run.json says]")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="The capsule.  [default: RUN.capsule.json]"
)
@click.option("--jobs", type=click.IntRange(min=1), help="Processes of this machine.  [default: one per processor]")
@click.option("--dask", metavar="ADDRESS", help="Play on a Dask cluster instead: its scheduler, tcp://host:8786.")
def shrink(
    run: Path, check: str | None, mutant: str | None, out: Path | None, jobs: int | None, dask: str | None
) -> int:
    """Shrink what the run in directory RUN found to the smallest plan that still shows it, as a capsule to replay."""
    if dask and jobs:
        raise click.UsageError("give --jobs for processes here or --dask for a cluster, not both")
    console = stdout()
    case = case_of(run, check, mutant)
    path = out or run.with_name(f"{run.resolve().name}.capsule.json")
    with Dask(dask) if dask else Processes(jobs or len(os.sched_getaffinity(0))) as executor:
        capsule = to_capsule(case, executor, path, console)
    show_capsule(console, capsule, path)
    return exits.HOLDS


def case_of(run: Path, check: str | None, mutant: str | None) -> Case:
    """What a run found, of this check or of its first violated one. Raises CapsuleError when it found nothing."""
    record = run_file(run)
    checks = (record.get("verdict") or {}).get("checks", [])
    violated = {found["name"]: found for found in checks if found["outcome"] == "violated"}
    if not violated:
        raise CapsuleError("no check is violated in this run, so there is nothing to shrink", file=str(run))
    name = check or next(iter(violated))
    if name not in violated:
        raise CapsuleError(f"check '{name}' is not violated in this run{nearest(name, violated)}", file=str(run))
    kind = violated[name]["counterexamples"][0]["kind"]
    scenario = Scenario.from_plain(record["scenario"])
    return Case(scenario, record["seed"], name, kind, mutant or record.get("mutant"), record.get("app"))


def to_capsule(case: Case, executor: Executor, path: Path, console: Console) -> Capsule:
    """Shrink a case and write its capsule, with the run of it in a directory beside, named as the capsule."""
    directory = claim(path.with_name(path.name.removesuffix(".json").removesuffix(".capsule") + ".story"))
    with _progress(console) as watch:
        shrunk = shrink_case(case, executor, watch=watch)
    capsule = encapsulate(case, shrunk, path, directory, _told)
    note(directory, ["peakproof", "replay", str(path)])
    write_all(directory)
    return capsule


def show_capsule(console: Console, capsule: Capsule, path: Path) -> None:
    """What a capsule tells, what it took, and how to see it again."""
    say(console, f"{capsule.story.headline} ({capsule.check}: {capsule.kind})")
    say(
        console,
        f"  shrunk from {capsule.orders_before} orders and {capsule.faults_before} strikes of faults"
        f" in {capsule.executions} executions",
    )
    say(console, f"Capsule    {shown_path(path)}")
    say(console, f"Replay     {capsule.command}")


def _told(directory: Path, row: Mapping[str, Any]) -> Told:
    headline, lines = tell_run(directory, row)
    return Told(headline=headline, lines=lines)


@contextlib.contextmanager
def _progress(console: Console) -> Iterator[Callable[[str, int], None] | None]:
    """A bar on a terminal; nothing at all elsewhere."""
    if not console.is_terminal or console.quiet:
        yield None
        return
    columns = (TextColumn("{task.description:<18}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("shrink", total=MOST_EXECUTIONS)
        yield lambda phase, executions: bar.update(task, description=phase, completed=executions)
