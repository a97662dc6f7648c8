"""`peakproof serve`: every simulator on a port of its own, in real time."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from peakproof import exits
from peakproof.console import say, shown_path, stdout
from peakproof.interrupts import interruptible, no_more_interrupts
from peakproof.live.child import Simulators
from peakproof.live.errors import LiveError
from peakproof.live.order import Order, ports_from
from peakproof.live.recipe import Recipe
from peakproof.live.target import (
    DATABASE,
    Integration,
    Size,
    check_port,
    clock_of_record,
    database,
    environment_of,
    free_port,
    integration,
)
from peakproof.run import RUNS, claim, free_directory, parse_overrides
from scenarios.errors import nearest
from scenarios.spec import HOSTS, PARTNERS
from scenarios.stage import MONITOR

ROLES = {"erp": ("erp",), "wms": ("wms-east", "wms-west"), "threepl": ("threepl",), "carrier": ("carrier",)}
INTEGRATION = "integration"
PORT_BASE = 18080
LOOK_EVERY_S = 0.2
HIGHEST_BASE = 65_529


@click.command()
@click.argument("scenario", required=False)
@click.option("--speed", type=float, default=1.0, show_default=True, help="Business seconds in a second of the wall's.")
@click.option("--only", metavar="ROLES", help=f"Serve only these, e.g. wms,carrier: {', '.join(ROLES)}, or hosts.")
@click.option(
    "--port-base",
    type=click.IntRange(0, HIGHEST_BASE),
    default=PORT_BASE,
    show_default=True,
    help="Ports count from here; 0 takes free ones.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--seed", type=click.IntRange(min=0), help="Fixes every decision of chance.  [default: the scenario's]")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a setting; repeatable.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Directory of the evidence.")
@click.option("--json", "as_json", is_flag=True, help="Tell ports and tokens as one line of JSON.")
def serve(
    scenario: str | None,
    speed: float,
    only: str | None,
    port_base: int,
    host: str,
    seed: int | None,
    overrides: tuple[str, ...],
    out: Path | None,
    as_json: bool,
) -> int:
    """Serve the partners of SCENARIO, or of a small test house, and the reference integration, on real ports until
    told to end (Ctrl-C)."""
    if not 0 < speed <= 1_000_000:
        raise click.BadParameter(f"{speed:g} is not above 0 and at most 1000000", param_hint="--speed")
    hosts = chosen_hosts(only)
    recipe = Recipe(scenario, tuple(parse_overrides(overrides).items()), seed, speed)
    loaded = recipe.load()
    port = _integration_port(host, port_base) if INTEGRATION in hosts else 0
    url = f"http://{host}:{port}" if port else None
    directory = claim(out or free_directory(RUNS, f"serve-{loaded.name}"))
    ports = ports_from(port_base, [one for one in hosts if one != INTEGRATION])
    with interruptible(), _started(Order(recipe, host, ports, str(directory), url), directory) as simulators:
        if url is None:
            code = _serve(simulators, None, as_json)
        else:
            with _integrated(simulators, url, directory, loaded.integration) as made:
                code = _serve(simulators, made, as_json)
    if not as_json:
        say(stdout(), f"Ended; the evidence is in {shown_path(directory)}")
    return exits.HOLDS if code == 0 else exits.BROKEN


@contextmanager
def _integrated(
    simulators: Simulators, url: str, directory: Path, settings: Mapping[str, Any]
) -> Iterator[Integration]:
    """The integration beside them once it answers, on the database that the environment names or on one of its own."""
    ready, size = simulators.ready, Size()
    with database(os.environ.get(DATABASE) or "sqlite", directory) as database_url:
        told = environment_of(ready, database_url, url, clock_of_record(ready), settings, size)
        with integration(told, url, size, directory) as made:
            made.wait_until_ready(ready["channels"][MONITOR], lambda: None, degraded=True)
            yield made


def _serve(simulators: Simulators, made: Integration | None, as_json: bool) -> int:
    """Tell what is served, and wait for the end: the exit code of simulators that ended by themselves, else 0."""
    ready = dict(simulators.ready)
    if made is not None:
        ready["integration"] = made.url
    _tell(ready, as_json)
    try:
        while True:
            code = simulators.wait(LOOK_EVERY_S)
            if code is not None:
                return code
            ended = made.ended() if made is not None else None
            if ended is not None:
                raise RuntimeError(f"{ended.name} of the integration ended with code {ended.code}: {ended.said()}")
    except KeyboardInterrupt:
        no_more_interrupts()
        return 0


@contextmanager
def _started(order: Order, directory: Path) -> Iterator[Simulators]:
    """The simulators of an order; a directory in which nothing came to be is taken away again."""
    try:
        simulators = Simulators(order)
    except LiveError:
        if not any(directory.iterdir()):
            directory.rmdir()
        raise
    with simulators:
        yield simulators


def _integration_port(host: str, port_base: int) -> int:
    if not port_base:
        return free_port(host)
    check_port(host, port_base)
    return port_base


def chosen_hosts(only: str | None) -> tuple[str, ...]:
    """The hosts that `--only` names, in their fixed order; all without, or where the integration is among them, which
    can't do without its partners. Raises click.BadParameter."""
    if only is None:
        return HOSTS
    chosen: list[str] = []
    for word in (word.strip() for word in only.split(",")):
        if word not in ROLES and word not in HOSTS:
            hint = nearest(word, (*ROLES, *HOSTS))
            raise click.BadParameter(f"there is no simulator {word!r}{hint}", param_hint="--only")
        chosen += ROLES.get(word, (word,))
    return HOSTS if INTEGRATION in chosen else tuple(host for host in PARTNERS if host in chosen)


def _tell(ready: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(ready))
        return
    console = stdout()
    rows = [("simulator", "URL", "pages", "contract", "token")]
    for name, host in ready["hosts"].items():
        rows.append((name, host["url"], f"{host['url']}/__docs", host["contract"], host["token"]))
    if "integration" in ready:
        url, channels = ready["integration"], ready["channels"]
        rows.append((INTEGRATION, url, "", "orders", " ".join(f"{name}={token}" for name, token in channels.items())))
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    for row in rows:
        say(console, "  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip())
    say(console, f"Admin      /__admin on every port, with the token {ready['admin_token']}")
    say(
        console,
        "Callers    send Authorization: Bearer TOKEN; at erp, POST /oauth/token takes client_id integration and",
    )
    say(console, "           the token as client_secret")
    say(console, f"Evidence   {shown_path(Path(ready['evidence']))}; Ctrl-C ends all and completes it")
