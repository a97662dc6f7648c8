"""Serves the API on granian: `python -m integration.live.api --port 8080 --workers 2`.

Answers channels and webhooks, writes what is to be done into the outbox, and talks to no partner.
"""

import dataclasses
import errno
import importlib
import logging
import os
import resource
import socket
import time
from typing import Any

import click

from integration.bootstrap import WsgiApplication
from integration.live import logs, metrics
from integration.live.database import prepare
from integration.live.door import Door
from integration.live.environment import application_of, settings_of
from integration.live.failures import told_in_a_sentence
from integration.live.parent import end_with_parent, end_with_stdin, told_to_stop
from integration.live.telemetry import Watch
from integration.settings import SettingsError

log = logging.getLogger(__name__)

TARGET = "integration.live.api:create_door"
# What the first process tells its workers.
_THREADS = "PEAKPROOF_API_THREADS"
_WORKERS = "PEAKPROOF_API_WORKERS"
# Connections that may be open at once, idle ones among them, and how long one may take to send its headers.
_MOST_CONNECTIONS = 8_192
_HEADERS_WITHIN_MS = 10_000
_BACKLOG = 1_024
_FURTHER_FILES = 256
_LOOK_S = 0.2
_PORT_PATIENCE_S = 2.0


def create() -> WsgiApplication:
    """The WSGI application of one worker, which ends with the process that began it."""
    end_with_parent()
    logs.begin()
    watch = Watch.of()
    settings = settings_of()
    processes = max(settings.api_processes, int(os.environ.get(_WORKERS, "1")))
    settings = dataclasses.replace(settings, dispatches=False, api_processes=processes)
    return watch.wsgi(application_of(settings, watch=watch).wsgi)


def create_door() -> Door:
    """What granian serves in each worker."""
    return Door(create(), int(os.environ[_THREADS]))


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8080, show_default=True, help="Port to listen on.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1), help="Processes.")
@click.option("--threads", default=8, show_default=True, type=click.IntRange(1), help="Threads of each process.")
@click.option("--metrics-port", type=int, help="Answer Prometheus there, on the same address.")
@click.option("--end-with-stdin", "watches_stdin", is_flag=True, help="Stop when the standard input ends.")
@told_in_a_sentence
def main(host: str, port: int, workers: int, threads: int, metrics_port: int | None, watches_stdin: bool) -> None:
    """Serve the API until told to stop."""
    if watches_stdin:
        end_with_stdin()
    settings = settings_of()  # says what is missing before any worker starts
    _wait_until_free(host, port)
    with told_to_stop() as stop:
        prepare(settings.database_url, stop)
    if stop.is_set():
        log.info("stopped before the database answered")
        return
    granian: Any = _granian()
    with metrics.of_workers(
        host, metrics_port, lambda: application_of(dataclasses.replace(settings, dispatches=False))
    ):
        _serve(granian, host, port, workers, threads)


def _serve(granian: Any, host: str, port: int, workers: int, threads: int) -> None:
    os.environ |= {_THREADS: str(threads), _WORKERS: str(workers)}
    _allow_files(_MOST_CONNECTIONS)
    server = granian.Granian(
        TARGET,
        address=host,
        port=port,
        interface="rsgi",
        workers=workers,
        backlog=_BACKLOG,
        backpressure=_MOST_CONNECTIONS,
        http1_settings=importlib.import_module("granian.http").HTTP1Settings(header_read_timeout=_HEADERS_WITHIN_MS),
        factory=True,
        log_level="warning",
        respawn_failed_workers=True,
        http="1",
    )
    server.serve()


def _allow_files(most: int) -> None:
    """Have this process and its workers open so many files and connections, as far as the machine lets them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = most + _FURTHER_FILES if hard == resource.RLIM_INFINITY else min(hard, most + _FURTHER_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _wait_until_free(host: str, port: int) -> None:
    """Wait a little for the port: workers of a process that was killed end soon after it.

    Raises SettingsError when somebody else listens there: granian would share the port with him.
    """
    ends_at = time.monotonic() + _PORT_PATIENCE_S
    while True:
        try:
            with socket.create_server((host, port)):
                return
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise SettingsError(f"{host}:{port} can't be listened on: {error.strerror or error}") from None
            if time.monotonic() > ends_at:
                raise SettingsError(f"port {port} of {host} is taken; name another with --port") from None
        time.sleep(_LOOK_S)


def _granian() -> Any:
    try:
        return importlib.import_module("granian")
    except ModuleNotFoundError as error:
        raise SettingsError('granian is not installed: pip install "peakproof[live]"') from error


if __name__ == "__main__":
    logs.begin()
    main()
