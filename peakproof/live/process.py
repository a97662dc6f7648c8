"""The process that serves simulators: `python -m peakproof.live.process`, with one line of JSON on its stdin.

It answers with one line on stdout, ready or error, and serves until it is told to end: by SIGTERM, SIGINT, the admin
API, or the end of its stdin, which is that of whoever started it.
"""

if __name__ == "__main__":
    from gevent import monkey

    monkey.patch_all()

import gc
import json
import os
import resource
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gevent
from gevent.event import Event
from gevent.pywsgi import WSGIServer
from gevent.socket import wait_read

from peakproof.live.admin import create_admin
from peakproof.live.errors import LiveError, PortTaken
from peakproof.live.gateway import Gateway
from peakproof.live.order import Order
from peakproof.live.runs import Runs
from peakproof.live.secrets import draw_master
from scenarios.errors import ScenarioError
from scenarios.stage import CONTRACT_OF
from simulators.kernel.doors import Handler

GC_THRESHOLDS = (20_000, 50, 50)
GRACE_S = 5.0
"""How long a call in work may take to end when the process does."""


class Process:
    """The servers of one process, and the runs behind them."""

    def __init__(self, order: Order, environment: Mapping[str, str]) -> None:
        """Take the ports, then build the first run. PortTaken or ScenarioError before anything is left behind."""
        self._order = order
        self._ending = Event()
        self._servers = [self._bound(host, port) for host, port in order.ports.items()]
        self.runs = Runs(order.recipe, draw_master(environment), environment, Path(order.directory))
        self.runs.first.point_at(order.integration_url)

    def open(self) -> dict[str, Any]:
        """Answer on every port; what is told to whoever started this process."""
        admin = create_admin(self.runs, self.end).wsgi_app
        for host, server in zip(self._order.ports, self._servers, strict=True):
            server.application = Gateway(host, self.runs, admin)
            server.start()
        return self._told()

    def end(self) -> None:
        """Begin to end."""
        self._ending.set()

    def wait(self) -> str:
        """Serve until told to end, then end; why it failed, or nothing."""
        world = self.runs.first.world
        while not self._ending.is_set() and world.failure is None:
            world = self.runs.first.world
            gevent.wait([self._ending, world.ended], count=1)
            if world.ended.is_set() and world.failure is None:
                gevent.sleep(0.05)  # between two worlds of a reset
        failure = self.runs.first.world.failure
        self._stop_listening()
        with gevent.Timeout(GRACE_S, False):
            while any(run.world.network.visits() for run in self.runs.all()):
                gevent.sleep(0.02)
        self.runs.close()
        return str(failure) if failure is not None else ""

    def _stop_listening(self) -> None:
        for server in self._servers:
            server.close()

    def _bound(self, host: str, port: int) -> WSGIServer:
        address = self._order.address
        server = WSGIServer((address, port), None, log=None, error_log=sys.stderr, handler_class=Handler)
        try:
            server.init_socket()
        except OSError as error:
            raise PortTaken(address, port, host, error.strerror or str(error)) from error
        return server

    def _told(self) -> dict[str, Any]:
        run = self.runs.first
        hosts = {
            host: {
                "url": f"http://{_in_url(self._order.address)}:{server.server_port}",
                "contract": CONTRACT_OF[host],
                "token": run.secrets.keys.integration_at[host],
                "webhook_secret": run.secrets.keys.webhook_secrets.get(host),
                "clerk_token": run.secrets.keys.clerk_at.get(host),
            }
            for host, server in zip(self._order.ports, self._servers, strict=True)
        }
        return {
            "hosts": hosts,
            "admin_token": run.secrets.admin,
            "channels": dict(run.secrets.keys.channels),
            "event_key": run.secrets.keys.event_key,
            "evidence": str(run.directory),
            "seed": run.seed,
            "clock": run.world.clock.segments[-1],
            "pid": os.getpid(),
        }


def _in_url(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _end_with_stdin(process: Process) -> None:
    stdin = sys.stdin.fileno()
    while True:
        wait_read(stdin)
        if not os.read(stdin, 4096):
            process.end()
            return


def _allow_connections() -> None:
    """As many open connections as this user may have: idle ones cost a file each and little else."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _tell(**line: Any) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def main(environment: Mapping[str, str]) -> int:
    """Serve one order. 0 when it ended as it was told to, 2 for what can be mended, 3 when a simulator broke."""
    order = Order.from_json(sys.stdin.readline())
    try:
        process = Process(order, environment)
        ready = process.open()
    except (LiveError, ScenarioError) as error:
        _tell(error=str(error))
        return 2
    _allow_connections()
    for number in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(number, process.end)
    gevent.spawn(_end_with_stdin, process)
    gc.collect()
    gc.freeze()  # what was built until now stays: looking through it again and again would cost a fifth of each call
    gc.set_threshold(*GC_THRESHOLDS)
    _tell(ready=ready)
    failure = process.wait()
    gc.unfreeze()
    _tell(ended=failure)
    return 3 if failure else 0


if __name__ == "__main__":
    sys.exit(main(os.environ))
