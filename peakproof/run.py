"""`peakproof run`: play a scenario in virtual time, judge it, and write its reports."""

import contextlib
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import click
import orjson
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from peakproof.audit import play_twice
from peakproof.console import say, show_verdict, shown_path, stdout
from reports import ReportError, open_directory, write_all
from reports.capsule import CAPSULE_FILE
from reports.rundir import COMMAND_FILE, RUN_FILE
from reports.words import clock
from reports.words import count as count_of
from scenarios.application import ForeignApp
from scenarios.runner import Progress as Step
from scenarios.runner import run_scenario
from scenarios.spec import load

RUNS = Path("reports/runs")
PAGE_FILE = "report.html"


@click.command()
@click.argument("scenario")
@click.option("--seed", type=click.IntRange(min=0), help="Fixes every event of the run.  [default: the scenario's]")
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change a setting, e.g. demand.orders=500; repeatable.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help=f"Directory of the run.  [default: {RUNS}/SCENARIO-seedN]",
)
@click.option(
    "--app",
    metavar="MODULE:FACTORY",
    help="Your own WSGI application in place of the reference integration; see docs/your-own-integration.md.",
)
@click.option("--twice", is_flag=True, help="Audit determinism: play it in two fresh processes and compare them.")
@click.option("--quiet", is_flag=True, help="Print nothing but errors.")
def run(
    scenario: str,
    seed: int | None,
    overrides: tuple[str, ...],
    out: Path | None,
    app: str | None,
    twice: bool,
    quiet: bool,
) -> int:
    """Play SCENARIO, a name of the catalog or a YAML file, in virtual time and judge what came of it."""
    console = Console(quiet=True) if quiet else stdout()
    loaded = load(scenario, parse_overrides(overrides))
    seed = loaded.seed if seed is None else seed
    if app is not None:
        ForeignApp.load(app)  # before a directory is claimed: most mistakes are in the name
    directory = claim(out or free_directory(RUNS, f"{loaded.name}-seed{seed}"))
    command = ["peakproof", "run", scenario, "--seed", str(seed)]
    command += [word for override in overrides for word in ("--set", override)]
    command += ["--app", app] if app else []
    say(console, f"{loaded.name}, seed {seed}: {loaded.summary}")
    if twice:
        code = play_twice(console, command[1:], directory)
        show_run(console, directory)
        return code
    with leaving_a_partial_run(directory, command), progress_bar(console) as show:
        result = run_scenario(loaded, seed, directory, show, app=app)
    note(directory, command)
    write_all(directory)
    show_run(console, directory)
    return result.exit_code


def show_run(console: Console, directory: Path) -> None:
    with open_directory(directory) as played:
        show_verdict(console, played, directory / PAGE_FILE)
    log = directory / "integration.log"
    if log.exists():
        say(console, f"Log        {shown_path(log)} has what the application complained of")


def parse_overrides(texts: tuple[str, ...]) -> dict[str, str]:
    """`KEY=VALUE` texts as a mapping; the last one of a key wins. Raises click.BadParameter."""
    overrides: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise click.BadParameter(f"{text!r} is not KEY=VALUE, as in demand.orders=500", param_hint="--set")
        overrides[key.strip()] = value
    return overrides


def free_directory(parent: Path, name: str) -> Path:
    """`parent/name`, or the first of `parent/name-2`, `parent/name-3` and so on that does not exist."""
    numbered = (parent / (name if number == 1 else f"{name}-{number}") for number in count(1))
    return next(path for path in numbered if not path.exists())


def claim(directory: Path) -> Path:
    """Makes the directory. One that holds an earlier run is written over, one that holds anything else is refused."""
    if directory.exists() and not (directory / RUN_FILE).exists() and any(directory.iterdir()):
        raise click.BadParameter(
            f"{directory} holds other files and no earlier run; name a new or an empty directory", param_hint="--out"
        )
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise click.BadParameter(f"{directory} can't be made ({error.strerror})", param_hint="--out") from error
    for file in (RUN_FILE, CAPSULE_FILE):
        (directory / file).unlink(missing_ok=True)
    return directory


def note(directory: Path, command: list[str]) -> None:
    """Leaves the command line beside the run: run.json has the scenario as resolved, not what was changed in it."""
    (directory / COMMAND_FILE).write_bytes(orjson.dumps(command))


@contextlib.contextmanager
def leaving_a_partial_run(directory: Path, command: list[str]) -> Iterator[None]:
    """When the run ends early, reports what was played so far and says where it lies; the cause goes on its way."""
    try:
        yield
    except BaseException:
        if (directory / RUN_FILE).exists():
            note(directory, command)
            with contextlib.suppress(ReportError):
                write_all(directory)
            click.echo(f"peakproof: what was played until now is in {shown_path(directory)}", err=True)
        else:
            _abandon(directory)
        raise


def _abandon(directory: Path) -> None:
    """Takes away what a run that never began has left: empty files, and the directory if nothing else is in it."""
    for file in directory.glob("*.ndjson"):
        if file.stat().st_size == 0:
            file.unlink()
    if not any(directory.iterdir()):
        directory.rmdir()


@contextlib.contextmanager
def progress_bar(console: Console) -> Iterator[Callable[[Step], None] | None]:
    """A bar on a terminal; nothing at all elsewhere."""
    if not console.is_terminal or console.quiet:
        yield None
        return
    said = TextColumn("{task.fields[said]}")
    columns = (TextColumn("{task.description:<9}"), BarColumn(), TaskProgressColumn(), said, TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("prepare", total=1.0, said="")
        first_us: list[int] = []

        def show(step: Step) -> None:
            first_us.append(step.at_us)
            said = f"{clock(step.at_us, first_us[0])}  {count_of(step.orders, 'order')}"
            bar.update(task, description=step.phase, completed=step.share, said=said)

        yield show
