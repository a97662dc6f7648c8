"""`peakproof explore`: play many seeds of a scenario, and tell what they found once each."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from itertools import count
from pathlib import Path

import click
import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from peakproof import exits
from peakproof.console import say, shown_path, stdout
from peakproof.run import RUNS, note, parse_overrides
from peakproof.shrink import show_capsule, to_capsule
from reports import exploration as words
from reports import write_all
from reports.words import count as count_of
from scenarios.application import ForeignApp
from scenarios.capsule import run_file
from scenarios.errors import ScenarioError, nearest
from scenarios.executors import Dask, Executor, Processes
from scenarios.explore import Exploration, ExplorationError, Finding, Journal, Plan, SeedResult, play_seeds, replay
from scenarios.mutants import MUTANTS
from scenarios.shrink import Case, NotReproduced
from scenarios.spec import Scenario, load

JOURNAL_FILE = "journal.ndjson"
CODES = {
    "holds": exits.HOLDS,
    "violated": exits.VIOLATED,
    "broken": exits.BROKEN,
    "inconclusive": exits.INCONCLUSIVE,
}
_COLORS = {"holds": "green", "violated": "red", "broken": "red"}


@click.command("explore")
@click.argument("scenario", default="exploration")
@click.option("--seeds", type=click.IntRange(min=1), default=500, show_default=True, help="How many seeds.")
@click.option("--from", "first", type=click.IntRange(min=0), default=1, show_default=True, help="The first seed.")
@click.option("--jobs", type=click.IntRange(min=1), help="Processes of this machine.  [default: one per processor]")
@click.option("--dask", metavar="ADDRESS", help="Play on a Dask cluster instead: its scheduler, tcp://host:8786.")
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), help="Begin no seed after so many minutes.")
@click.option("--mutant", metavar="NAME", help="Explore the integration with this bug put in.")
@click.option("--app", metavar="MODULE:FACTORY", help="Your own WSGI application in place of the integration.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Directory of the exploration; one that "
              f"was interrupted goes on.  [default: {RUNS}/explore-SCENARIO]")  # fmt: skip
@click.option("--shrink/--no-shrink", default=True, show_default=True, help="Shrink each finding to a capsule.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a setting; repeatable.")
@click.option("--quiet", is_flag=True, help="Print nothing but errors.")
def explore(
    scenario: str,
    seeds: int,
    first: int,
    jobs: int | None,
    dask: str | None,
    minutes: float | None,
    mutant: str | None,
    app: str | None,
    out: Path | None,
    shrink: bool,
    overrides: tuple[str, ...],
    quiet: bool,
) -> int:
    """Play many seeds of SCENARIO and tell each finding once.

    Seeds that this directory's journal has are not played again, so an interrupted exploration goes on where it was.
    """
    if dask and jobs:
        raise click.UsageError("give --jobs for processes here or --dask for a cluster, not both")
    console = Console(quiet=True) if quiet else stdout()
    plan = _plan(scenario, mutant, app, overrides)
    directory, journal = _open(out, plan)
    wanted = range(first, first + seeds)
    exploration = Exploration(plan, {result.seed: result for result in journal.results if result.seed in wanted})
    _say_beginning(console, exploration, wanted, directory)
    with journal, _executor(dask, jobs) as executor:
        try:
            _play(exploration, journal, wanted, executor, console, minutes)
        except KeyboardInterrupt:
            _write(directory, exploration, exploration.findings())
            say(console, f"Interrupted: the same command goes on from {shown_path(directory)}")
            raise
        _write(directory, exploration, exploration.findings())  # whatever comes of playing them again
        findings = _keep(exploration, directory, console)
        if shrink:
            _shrink(findings, plan, executor, console)
    _write(directory, exploration, findings)
    _show(console, directory)
    return CODES[exploration.outcome]


def _plan(scenario: str, mutant: str | None, app: str | None, overrides: tuple[str, ...]) -> Plan:
    """The scenario with what the mutant needs changed in it, and then what the user says."""
    if app is not None:
        ForeignApp.load(app)  # before a directory is made: most mistakes are in the name
    changes = parse_overrides(overrides)
    if mutant is None:
        return Plan(load(scenario, changes), scenario, overrides, None, app)
    if app is not None:
        raise click.UsageError("a mutant is a bug of the reference integration: give --mutant or --app, not both")
    if mutant not in MUTANTS:
        raise ScenarioError(f"no mutant '{mutant}'{nearest(mutant, MUTANTS)}")
    return Plan(MUTANTS[mutant].scenario(scenario, changes), scenario, overrides, mutant)


def _open(out: Path | None, plan: Plan) -> tuple[Path, Journal]:
    """The directory and its journal: the named one, or the first of the usual names that is free or this plan's."""
    if out is not None:
        return out, _journal(out, plan)
    name = "-".join(filter(None, ("explore", plan.scenario.name, plan.mutant)))
    for number in count(1):
        directory = RUNS / (name if number == 1 else f"{name}-{number}")
        with contextlib.suppress(ExplorationError):
            return directory, _journal(directory, plan)
    raise AssertionError("count never ends")


def _journal(directory: Path, plan: Plan) -> Journal:
    if directory.exists() and not (directory / JOURNAL_FILE).exists() and any(directory.iterdir()):
        raise click.BadParameter(
            f"{directory} holds other files and no exploration; name a new or an empty directory", param_hint="--out"
        )
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise click.BadParameter(f"{directory} can't be made ({error.strerror})", param_hint="--out") from error
    return Journal(directory / JOURNAL_FILE, plan)


def _executor(dask: str | None, jobs: int | None) -> Executor:
    return Dask(dask) if dask else Processes(jobs or len(os.sched_getaffinity(0)))


def _say_beginning(console: Console, exploration: Exploration, wanted: range, directory: Path) -> None:
    plan = exploration.plan
    mutant = f" with mutant {plan.mutant}" if plan.mutant else ""
    say(console, f"{plan.scenario.name}{mutant}, seeds {wanted[0]} to {wanted[-1]}: {plan.scenario.summary}")
    if exploration.results:
        say(console, f"Goes on: {shown_path(directory)} has {count_of(len(exploration.results), 'seed')} already")


def _play(
    exploration: Exploration,
    journal: Journal,
    wanted: range,
    executor: Executor,
    console: Console,
    minutes: float | None,
) -> None:
    """Play what is left, until it is done or the time is over; what was begun then is still waited for."""
    ends_at = time.monotonic() + minutes * 60 if minutes else None
    began = time.monotonic()

    def in_time() -> Iterator[int]:
        for seed in wanted:
            if ends_at is not None and time.monotonic() >= ends_at:
                return
            yield seed

    with (
        _progress(console, exploration, wanted) as show,
        contextlib.closing(play_seeds(exploration, in_time(), executor)) as results,
    ):
        played = 0
        for result in results:
            journal.add(result)
            played += 1
            show(result)
    if played:
        minutes_taken = (time.monotonic() - began) / 60
        say(console, f"{count_of(played, 'seed')} in {minutes_taken:.1f} min, {played / minutes_taken:.0f} a minute")


@contextlib.contextmanager
def _progress(console: Console, exploration: Exploration, wanted: range) -> Iterator[Callable[[SeedResult], None]]:
    """A bar with the findings so far on a terminal; nothing at all elsewhere."""
    if not console.is_terminal or console.quiet:
        yield lambda _result: None
        return
    columns = (TextColumn("seeds"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn(),
               TextColumn("findings: {task.fields[found]}"))  # fmt: skip
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=len(wanted), completed=len(exploration.results), found=_tallies(exploration))

        def show(result: SeedResult) -> None:
            bar.update(task, completed=len(exploration.results))
            if result.witnesses or result.error:
                bar.update(task, found=_tallies(exploration))

        yield show


def _tallies(exploration: Exploration) -> str:
    broke = len(exploration.errors)
    return words.tallies([asdict(finding) for finding in exploration.findings()]) + (
        f"; broke {broke}" if broke else ""
    )


def _keep(exploration: Exploration, directory: Path, console: Console) -> list[Finding]:
    """Play the first seed of each finding again, into a run directory that stays, and write its reports."""
    kept = []
    for finding in exploration.findings():
        run = directory / f"{finding.check}-{finding.kind}-seed{finding.seed}"
        if not (run / "run.json").exists():
            say(console, f"Playing seed {finding.seed} again for {words.named(asdict(finding))}")
            result = exploration.results[finding.seed]
            trouble = replay(exploration.plan, finding, result.digest, run)
            if trouble:
                exploration.add(replace(result, error=trouble))
            note(run, exploration.plan.command(finding.seed))
            write_all(run)
        kept.append(replace(finding, directory=run))
    return kept


def _shrink(findings: list[Finding], plan: Plan, executor: Executor, console: Console) -> None:
    """Shrink each finding to a capsule beside its run, unless there is one already."""
    for finding in findings:
        assert finding.directory is not None, "findings are kept before they are shrunk"
        path = finding.directory.with_name(f"{finding.directory.name}.capsule.json")
        if path.exists():
            continue
        scenario = Scenario.from_plain(run_file(finding.directory)["scenario"])
        case = Case(scenario, finding.seed, finding.check, finding.kind, plan.mutant, plan.app)
        say(console, f"Shrinking {words.named(asdict(finding))}, seed {finding.seed}")
        try:
            show_capsule(console, to_capsule(case, executor, path, console), path)
        except NotReproduced as error:
            say(console, f"  not shrunk: {error}")


def _write(directory: Path, exploration: Exploration, findings: list[Finding]) -> None:
    record = exploration.to_json(findings)
    (directory / words.EXPLORATION_FILE).write_bytes(orjson.dumps(record, option=orjson.OPT_INDENT_2, default=str))
    words.write_markdown(directory)


def _show(console: Console, directory: Path) -> None:
    """The outcome, each finding with its first counterexample and how to see it again, and what the batch saw."""
    record = words.read(directory)
    outcome = record["outcome"]
    console.print(words.BADGES[outcome], style=f"bold {_COLORS.get(outcome, 'yellow')}", end="  ")
    say(console, words.headline(record))
    for finding in record["findings"]:
        title, promise, example = words.finding_lines(finding, record["started_at_us"])
        say(console, f"  {title}")
        say(console, f"    {promise}")
        say(console, f"    {example}")
        say(console, f"    {finding['command']}")
    for error in record["errors"]:
        say(console, f"  the tool broke in seed {error['seed']}: {error['error'].strip().splitlines()[-1]}")
        say(console, f"    {error['command']}")
    for line in words.coverage_lines(record):
        say(console, line)
    say(console, f"Summary    {shown_path(directory / words.SUMMARY_FILE)}")
