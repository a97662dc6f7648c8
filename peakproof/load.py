"""`peakproof load`: play a scenario over real HTTP with Locust as the crowd, judge it, and write its reports."""

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from peakproof.console import say, stdout
from peakproof.interrupts import interruptible
from peakproof.live import limit
from peakproof.live.crowd import Muster
from peakproof.live.errors import LiveError
from peakproof.live.recipe import Recipe
from peakproof.load_worker import check_hosts, crowd_options, crowd_words, say_how_to_join
from peakproof.run import (
    RUNS,
    claim,
    free_directory,
    leaving_a_partial_run,
    note,
    parse_overrides,
    progress_bar,
    show_run,
)
from peakproof.serve import PORT_BASE
from reports import write_all
from scenarios import thresholds
from scenarios.errors import ScenarioError, nearest
from scenarios.mutants import MUTANTS, Mutant
from scenarios.mutants.racing import RACES
from scenarios.runner import run_scenario
from scenarios.spec import Scenario
from scenarios.verdict import Verdict

if TYPE_CHECKING:
    from peakproof.live.play import Wanted
    from peakproof.live.target import Size

NEEDED = ("gevent", "locust", "granian", "psycopg", "urllib3")
DATABASES = ("postgres", "sqlite")
SHAPES = ("peak", "soak", "ramp", "spike")


@click.command()
@click.argument("scenario")
@click.option(
    "--speed", type=float, default=60.0, show_default=True, help="Business seconds in a second of the wall's."
)
@crowd_options
@click.option(
    "--shape", type=click.Choice(SHAPES), default="peak", show_default=True, help="How the orders are spread."
)
@click.option("--database", default="postgres", show_default=True, help="postgres or sqlite, started here; or a URL.")
@click.option("--api-processes", type=click.IntRange(1, 64), default=1, show_default=True, help="Of the integration.")
@click.option("--dispatchers", type=click.IntRange(1, 64), default=1, show_default=True, help="Of the integration.")
@click.option("--target", metavar="URL", default="", help="Another order API in place of the reference integration.")
@click.option(
    "--adapter", metavar="MODULE:CLASS", default="", help="How that API is spoken; docs/another-order-api.md."
)
@click.option(
    "--start", metavar="COMMAND", default="", help="Starts the target, once the partners' addresses are known."
)
@click.option(
    "--port-base",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help=f"Ports of the partners count from here, as {PORT_BASE} in serve; 0 takes free ones.",
)
@click.option("--mutant", metavar="NAME", help="Play the integration with this race put in: for who develops checks.")
@click.option("--parity", is_flag=True, help="Play it in virtual time too, and tell what differs.")
@click.option(
    "--find-limit",
    type=click.IntRange(1, 20),
    metavar="RUNS",
    help="Search the highest demand that keeps all limits, in at most so many runs.",
)
@click.option("--seed", type=click.IntRange(min=0), help="Fixes demand and faults.  [default: the scenario's]")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a setting; repeatable.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Directory of the run.")
@click.option("--quiet", is_flag=True, help="Print nothing but errors.")
def load(
    scenario: str,
    speed: float,
    muster: Muster,
    host: str,
    public_host: str,
    shape: str,
    database: str,
    api_processes: int,
    dispatchers: int,
    target: str,
    adapter: str,
    start: str,
    port_base: int,
    mutant: str | None,
    parity: bool,
    find_limit: int | None,
    seed: int | None,
    overrides: tuple[str, ...],
    out: Path | None,
    quiet: bool,
) -> int:
    """Play SCENARIO over real HTTP, in real time at --speed, and judge what came of it.

    Orders come when the scenario says, whatever became of those before: the crowd does not slow down with the target.
    Protocol time (latency, time-outs, back-off) is the wall's; business time runs at --speed.
    """
    _check(speed, target, adapter, start, database)
    check_hosts(muster, host, public_host)
    if parity and (target or shape != "peak" or find_limit):
        raise click.UsageError("--parity compares the reference integration under the scenario's own demand")
    from loadtests.adapters import load as load_adapter  # noqa: PLC0415 - an extra
    from peakproof.live.play import Wanted  # noqa: PLC0415 - an extra
    from peakproof.live.target import Size  # noqa: PLC0415 - an extra

    console = Console(quiet=True) if quiet else stdout()
    recipe = Recipe(scenario, tuple(parse_overrides(overrides).items()), seed, speed)
    loaded = recipe.load()
    _check_limits(loaded)
    size = Size(api_processes, 8, dispatchers)
    wanted = Wanted(
        recipe, shape, muster, database, size, adapter, load_adapter(adapter), target, start, port_base, host,
        public_host, _race(mutant, target),
    )  # fmt: skip
    command = _command(scenario, overrides, seed, speed, shape, database, target, adapter, start)
    command += [*crowd_words(muster, host, public_host), *_integration_words(size, mutant)]
    if find_limit:
        return _find_limit(console, wanted, out, command, find_limit)
    directory = claim((out or free_directory(RUNS, f"load-{loaded.name}")).resolve())
    say(console, f"{loaded.name} in real time, {speed:g} times as fast: {loaded.summary}")
    say_how_to_join(console, muster, public_host or host)
    verdict = _played(console, wanted, directory, command + (["--parity"] if parity else []), parity)
    show_run(console, directory)
    return verdict.exit_code


def _played(console: Console, wanted: "Wanted", directory: Path, command: list[str], parity: bool = False) -> Verdict:
    """Play it into a directory, judge it, and write its reports there."""
    from peakproof.live.play import LoadRun  # noqa: PLC0415 - an extra

    with leaving_a_partial_run(directory, command), progress_bar(console) as show, interruptible():
        virtual = directory / "virtual" if parity else None
        if virtual is not None:
            run_scenario(wanted.recipe.load(), wanted.recipe.seed, virtual, show)
        verdict = LoadRun(wanted, directory, show, virtual).play()
    note(directory, command)
    write_all(directory)
    return verdict


def _find_limit(console: Console, wanted: "Wanted", out: Path | None, command: list[str], most: int) -> int:
    """Play it with more or less demand until the limit is known, and show every run's figures."""
    scenario, speed = wanted.recipe.load(), wanted.recipe.speed
    if scenario.demand.source == "file":
        raise click.UsageError("--find-limit takes a multiple of the demand, and a file of orders is what it is")
    if wanted.muster.expect_workers:
        raise click.UsageError("--find-limit plays several runs, and workers from other machines join one")
    parent = claim((out or free_directory(RUNS, f"limit-{scenario.name}")).resolve())
    played: list[limit.Step] = []

    def play(factor: float) -> limit.Step:
        key, value = limit.demand_at(scenario, factor)
        recipe = replace(wanted.recipe, overrides=(*wanted.recipe.overrides, (key, value)))
        directory = claim(parent / f"run-{len(played) + 1}")
        say(console, f"Run {len(played) + 1} of at most {most}: {factor:.3g} times the demand")
        _played(console, replace(wanted, recipe=recipe), directory, [*command, "--set", f"{key}={value}"])
        played.append(limit.measured(directory, factor, speed))
        limit.write(parent, played)
        return played[-1]

    limit.search(play, most)
    limit.show(console, parent, played)
    return limit.exit_code_of(played)


def _check(speed: float, target: str, adapter: str, start: str, database: str) -> None:
    if not 0 < speed <= 10_000:
        raise click.BadParameter(f"{speed:g} is not above 0 and at most 10000", param_hint="--speed")
    if target and not target.startswith(("http://", "https://")):
        raise click.BadParameter(f"{target!r} is not an http address", param_hint="--target")
    if (adapter or start) and not target:
        raise click.UsageError("--adapter and --start go with --target, the address of your own order API")
    if database not in DATABASES and "://" not in database:
        raise click.BadParameter(
            f"{database!r} is neither {' nor '.join(DATABASES)} nor a URL", param_hint="--database"
        )
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise LiveError(f'load needs {", ".join(missing)}: pip install "peakproof[live]"')


def _check_limits(loaded: Scenario) -> None:
    for entry in loaded.thresholds:
        for text in entry.limits:
            thresholds.parse(entry.metric, text)


def _command(
    scenario: str,
    overrides: tuple[str, ...],
    seed: int | None,
    speed: float,
    shape: str,
    database: str,
    target: str,
    adapter: str,
    start: str,
) -> list[str]:
    """The command line that plays this run again; a database's address may hold a password and is left out."""
    words = ["peakproof", "load", scenario, "--speed", f"{speed:g}", "--shape", shape]
    words += ["--database", database] if "://" not in database else []
    for option, value in (("--target", target), ("--adapter", adapter), ("--start", start)):
        words += [option, value] if value else []
    words += ["--seed", str(seed)] if seed is not None else []
    return words + [word for override in overrides for word in ("--set", override)]


def _integration_words(size: "Size", mutant: str | None) -> list[str]:
    """Options about the integration that are not those of everybody."""
    words = ["--api-processes", str(size.api_processes)] if size.api_processes != 1 else []
    words += ["--dispatchers", str(size.dispatchers)] if size.dispatchers != 1 else []
    return words + (["--mutant", mutant] if mutant else [])


def _race(name: str | None, target: str) -> Mutant | None:
    """The mutant of that name. ScenarioError for one that is none of those for real time."""
    if name is None:
        return None
    if target:
        raise click.UsageError("a mutant is a bug of the reference integration: give --mutant or --target, not both")
    if name not in RACES:
        others = "; `peakproof mutants` plays the others in virtual time" if name in MUTANTS else ""
        raise ScenarioError(f"no race '{name}'{nearest(name, RACES)}{others}")
    return RACES[name]
