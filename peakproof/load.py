"""`peakproof load`: play a scenario over real HTTP with Locust as the crowd, judge it, and write its reports."""

import importlib.util
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import click
from rich.console import Console

from peakproof.console import say, stdout
from peakproof.live.errors import LiveError
from peakproof.live.recipe import Recipe
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
from scenarios.runner import run_scenario
from scenarios.spec import Scenario

NEEDED = ("gevent", "locust", "granian", "psycopg", "urllib3")
DATABASES = ("postgres", "sqlite")
SHAPES = ("peak", "soak", "ramp", "spike")


@click.command()
@click.argument("scenario")
@click.option(
    "--speed", type=float, default=60.0, show_default=True, help="Business seconds in a second of the wall's."
)
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes of the crowd.")
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
@click.option("--parity", is_flag=True, help="Play it in virtual time too, and tell what differs.")
@click.option("--ui", is_flag=True, help="Show Locust's page on http://127.0.0.1:8089 meanwhile.")
@click.option("--seed", type=click.IntRange(min=0), help="Fixes demand and faults.  [default: the scenario's]")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a setting; repeatable.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Directory of the run.")
@click.option("--quiet", is_flag=True, help="Print nothing but errors.")
def load(
    scenario: str,
    speed: float,
    workers: int,
    shape: str,
    database: str,
    api_processes: int,
    dispatchers: int,
    target: str,
    adapter: str,
    start: str,
    port_base: int,
    parity: bool,
    ui: bool,
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
    if parity and (target or shape != "peak"):
        raise click.UsageError("--parity compares the reference integration under the scenario's own demand")
    from loadtests.adapters import load as load_adapter  # noqa: PLC0415 - an extra
    from peakproof.live.play import LoadRun, Wanted  # noqa: PLC0415 - an extra
    from peakproof.live.target import Size  # noqa: PLC0415 - an extra

    console = Console(quiet=True) if quiet else stdout()
    recipe = Recipe(scenario, tuple(parse_overrides(overrides).items()), seed, speed)
    loaded = recipe.load()
    _check_limits(loaded)
    size = Size(api_processes, 8, dispatchers)
    wanted = Wanted(
        recipe, shape, workers, database, size, adapter, load_adapter(adapter), target, start, port_base, ui
    )
    directory = claim((out or free_directory(RUNS, f"load-{loaded.name}")).resolve())
    command = _command(scenario, overrides, seed, speed, workers, shape, database, target, adapter, start)
    command += ["--parity"] if parity else []
    say(console, f"{loaded.name} in real time, {speed:g} times as fast: {loaded.summary}")
    with leaving_a_partial_run(directory, command), progress_bar(console) as show, _interrupted_by_sigterm():
        virtual = directory / "virtual" if parity else None
        if virtual is not None:
            run_scenario(loaded, seed, virtual, show)
        verdict = LoadRun(wanted, directory, show, virtual).play()
    note(directory, command)
    write_all(directory)
    show_run(console, directory)
    return verdict.exit_code


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
        for limit in entry.limits:
            thresholds.parse(entry.metric, limit)


def _command(
    scenario: str,
    overrides: tuple[str, ...],
    seed: int | None,
    speed: float,
    workers: int,
    shape: str,
    database: str,
    target: str,
    adapter: str,
    start: str,
) -> list[str]:
    """The command line that plays this run again; a database's address may hold a password and is left out."""
    words = ["peakproof", "load", scenario, "--speed", f"{speed:g}", "--workers", str(workers), "--shape", shape]
    words += ["--database", database] if "://" not in database else []
    for option, value in (("--target", target), ("--adapter", adapter), ("--start", start)):
        words += [option, value] if value else []
    words += ["--seed", str(seed)] if seed is not None else []
    return words + [word for override in overrides for word in ("--set", override)]


@contextmanager
def _interrupted_by_sigterm() -> Iterator[None]:
    """SIGTERM ends a run as Ctrl-C does."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
