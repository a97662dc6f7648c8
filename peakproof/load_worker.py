"""`peakproof load-worker`: take part in a load that another machine leads; and the options of `load` about workers."""

import functools
import importlib.util
import os
import socket
import time
from collections.abc import Callable
from typing import Any

import click
from rich.console import Console

from loadtests.plan import SECRET, SECRET_AT_LEAST
from peakproof.console import say
from peakproof.live.children import python
from peakproof.live.crowd import ANY, MASTER_PORT, WEB_PORT, Muster, import_path, worker_options
from peakproof.live.errors import LiveError
from peakproof.live.target import LOOPBACK

LOOK_EVERY_S = 0.5
Verb = Callable[..., int]

_OPTIONS = (
    click.option("--workers", type=click.IntRange(0, 64), default=1, show_default=True, help="Processes of the crowd."),
    click.option(
        "--expect-workers",
        type=click.IntRange(0, 64),
        default=0,
        show_default=True,
        help="How many more are to join by `peakproof load-worker`, from other machines.",
    ),
    click.option(
        "--expect-workers-max-wait",
        "max_wait_s",
        type=click.FloatRange(1.0, 3600.0),
        default=60.0,
        show_default=True,
        metavar="SECONDS",
        help="How long to wait for them.",
    ),
    click.option(
        "--master-bind-host", "bind_host", default=LOOPBACK, show_default=True, help="Address where workers join."
    ),
    click.option(
        "--master-bind-port",
        "bind_port",
        type=click.IntRange(0, 65_535),
        help=f"Port where workers join.  [default: {MASTER_PORT} with --expect-workers, else a free one]",
    ),
    click.option(
        "--host",
        default=LOOPBACK,
        show_default=True,
        help="Address on which partners and integration listen, and workers of other machines call them.",
    ),
    click.option(
        "--public-host",
        default="",
        metavar="NAME",
        help="What workers of other machines call this one by.  [default: --host]",
    ),
    click.option("--ui", is_flag=True, help="Show Locust's page on the loopback while orders are sent."),
    click.option(
        "--web-port", type=click.IntRange(1, 65_535), default=WEB_PORT, show_default=True, help="Port of that page."
    ),
)


def crowd_options(verb: Verb) -> Verb:
    """Give a verb the options about its crowd: it is called with a `muster`, a `host` and a `public_host`."""

    @functools.wraps(verb)
    def collected(
        *arguments: Any,
        workers: int,
        expect_workers: int,
        max_wait_s: float,
        bind_host: str,
        bind_port: int | None,
        ui: bool,
        web_port: int,
        **others: Any,
    ) -> int:
        if bind_port is None:
            bind_port = MASTER_PORT if expect_workers else 0
        bind_host, others["host"] = (ANY if one == "*" else one for one in (bind_host, others["host"]))
        secret = os.environ.get(SECRET, "")
        muster = Muster(workers, expect_workers, max_wait_s, bind_host, bind_port, web_port if ui else 0, secret)
        return verb(*arguments, muster=muster, **others)

    return functools.reduce(lambda made, option: option(made), reversed(_OPTIONS), collected)


def check_hosts(muster: Muster, host: str, public_host: str) -> None:
    """UsageError or LiveError for a crowd that could not meet, or not call."""
    if host == ANY and not public_host and muster.expect_workers:
        raise click.UsageError(
            f"--host {host} is no address to call: tell what others call this machine, --public-host"
        )
    muster.check()


def crowd_words(muster: Muster, host: str, public_host: str) -> list[str]:
    """The options that make this crowd again."""
    words = ["--workers", str(muster.workers)]
    if muster.expect_workers:
        words += ["--expect-workers", str(muster.expect_workers), "--master-bind-host", muster.bind_host]
        words += ["--master-bind-port", str(muster.bind_port)]
    words += ["--host", host] if host != LOOPBACK else []
    return words + (["--public-host", public_host] if public_host else [])


def say_how_to_join(console: Console, muster: Muster, host: str) -> None:
    """What others have to do, and where Locust's page is."""
    if muster.expect_workers:
        options = f"--master-host {host} --master-port {muster.bind_port}"
        say(console, f"Waits {muster.max_wait_s:g} s for {muster.expect_workers} more to join: with the same {SECRET},")
        say(console, f"    peakproof load-worker {options}")
    if muster.web_port:
        say(console, f"Locust's page is http://{LOOPBACK}:{muster.web_port}")


@click.command("load-worker")
@click.option("--master-host", default=LOOPBACK, show_default=True, help="Where `peakproof load` runs.")
@click.option(
    "--master-port",
    type=click.IntRange(1, 65_535),
    default=MASTER_PORT,
    show_default=True,
    help="Its port for workers.",
)
@click.option(
    "--max-wait",
    type=click.FloatRange(0.0, 3600.0),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for it to be there.",
)
def load_worker(master_host: str, master_port: int, max_wait: float) -> None:
    """Send a part of the orders of a `peakproof load --expect-workers` on another machine.

    What is to be sent comes from there, and evidence goes there. PEAKPROOF_LOAD_SECRET must be the same on both.
    """
    if importlib.util.find_spec("locust") is None:
        raise LiveError('load-worker needs locust: pip install "peakproof[live]"')
    if len(os.environ.get(SECRET, "")) < SECRET_AT_LEAST:
        raise LiveError(f"set {SECRET} to the secret of the run to join, of {SECRET_AT_LEAST} characters or more")
    _wait_for(master_host, master_port, max_wait)
    command = python("locust", *worker_options(master_host, master_port))
    os.execve(command[0], command, {**os.environ, "PYTHONPATH": import_path()})


def _wait_for(host: str, port: int, max_wait_s: float) -> None:
    """Until somebody listens there. LiveError when nobody does in time."""
    ends_at = time.monotonic() + max_wait_s
    while True:
        try:
            socket.create_connection((host, port), timeout=max(1.0, min(5.0, max_wait_s))).close()
        except OSError as error:
            if time.monotonic() >= ends_at:
                raise LiveError(
                    f"no master answers at {host}:{port} ({error.strerror or error}): start `peakproof load` there with"
                    " --expect-workers and --master-bind-host, or mend the address"
                ) from error
            time.sleep(LOOK_EVERY_S)
        else:
            return
