"""Talks to the partners: `python -m integration.live.dispatch`, in any number of processes on any machines.

Told to stop (SIGTERM or Ctrl-C) it begins nothing more, gives back what it has in memory and finishes what it is at.
Killed, it leaves leases that run out: others take its messages up, and ask before they repeat.
"""

import logging
import os
import secrets
import socket
import threading

import click

from integration.live import logs, metrics
from integration.live.database import prepare
from integration.live.environment import application_of, settings_of
from integration.live.failures import told_in_a_sentence
from integration.live.parent import end_with_stdin, told_to_stop
from integration.live.ports import ThreadTasks, WallClock
from integration.live.telemetry import Watch
from integration.messaging.presence import Presence
from integration.settings import SECOND
from integration.storage import DatabaseFailed

log = logging.getLogger(__name__)


@click.command()
@click.option("--patience", default=20, show_default=True, help="Seconds to finish what is at hand when told to stop.")
@click.option("--metrics-port", type=int, help="Answer Prometheus there, on loopback unless --host says otherwise.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to answer Prometheus on.")
@click.option("--end-with-stdin", "watches_stdin", is_flag=True, help="Stop when the standard input ends.")
@told_in_a_sentence
def main(patience: int, metrics_port: int | None, host: str, watches_stdin: bool) -> None:
    """Dispatch until told to stop."""
    with told_to_stop() as stop:
        if watches_stdin:
            end_with_stdin()
        _dispatch(stop, patience, metrics_port, host)


def _dispatch(stop: threading.Event, patience: int, metrics_port: int | None, host: str) -> None:
    settings = settings_of()
    prepare(settings.database_url, stop)
    if stop.is_set():
        log.info("stopped before the database answered")
        return
    presence = Presence(f"{socket.gethostname()} {os.getpid()} {secrets.token_hex(4)}", WallClock())
    watch = Watch.of(counts=metrics_port is not None)
    application = application_of(settings, on_duty=presence.on_duty, watch=watch)
    if metrics_port is not None:
        metrics.serve(host, metrics_port, application, watch.counts)
    presence.watch(application.database, application.outbox.lanes)
    ThreadTasks().spawn("presence", presence.run)
    application.start()
    log.info("dispatching as process %s", os.getpid())
    stop.wait()
    try:
        left = application.stop(patience * SECOND)
        presence.leave()
    except DatabaseFailed as error:
        log.warning("leases are left to run out: %s", error)
    else:
        log.info("stopped with %s messages in hand", left)
    watch.close()


if __name__ == "__main__":
    logs.begin()
    main()
