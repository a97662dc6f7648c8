"""Figures for Prometheus: what each process counts, and how the queues stand when somebody looks.

Workers of one API count into files under PROMETHEUS_MULTIPROC_DIR; the process that began them adds up and answers. The
port is for those who operate: it asks nobody who he is, so it listens on loopback unless told otherwise.
"""

import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from integration.bootstrap import Application
from integration.settings import SettingsError
from integration.storage import DatabaseFailed

log = logging.getLogger(__name__)

FILES = "PROMETHEUS_MULTIPROC_DIR"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Counts:
    """Counters of one process, in a registry of their own."""

    def __init__(self) -> None:
        client = _client()
        self.registry: Any = client.CollectorRegistry()
        at: dict[str, Any] = {"registry": self.registry}
        self._requests = client.Counter("peakproof_requests", "Requests answered.", ["method", "route", "status"], **at)
        self._request_seconds = client.Histogram(
            "peakproof_request_seconds", "Time to answer a request.", ["method", "route"], buckets=_SECONDS, **at
        )
        self._attempts = client.Counter(
            "peakproof_attempts", "Attempts at messages, by outcome.", ["lane", "kind", "outcome"], **at
        )
        self._attempt_seconds = client.Histogram(
            "peakproof_attempt_seconds", "Time of an attempt.", ["lane", "kind"], buckets=_SECONDS, **at
        )

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered."""
        self._requests.labels(method, route, status).inc()
        self._request_seconds.labels(method, route).observe(seconds)

    def attempt(self, lane: str, kind: str, outcome: str, seconds: float) -> None:
        """An attempt at a message has ended."""
        self._attempts.labels(lane, kind, outcome).inc()
        self._attempt_seconds.labels(lane, kind).observe(seconds)


class Standing:
    """How the lanes stand, read from the database at each look."""

    def __init__(self, application: Application) -> None:
        self._application = application

    def collect(self) -> Iterator[Any]:
        """The gauges; without the database only that it is down."""
        family = _client().core.GaugeMetricFamily
        try:
            lanes = self._application.lane_figures()
        except DatabaseFailed as error:
            log.warning("no figures of the lanes: %s", error)
            yield family("peakproof_database_up", "Whether the database answers.", 0)
            return
        yield family("peakproof_database_up", "Whether the database answers.", 1)
        gauges: list[tuple[str, str, Callable[[Any], float]]] = [
            ("peakproof_lane_ready", "Messages that wait or are leased.", lambda lane: lane.ready),
            ("peakproof_lane_oldest_seconds", "Age of the oldest of them.", lambda lane: lane.oldest_age_ms / 1000),
            ("peakproof_lane_dead", "Dead letters.", lambda lane: lane.dead),
            ("peakproof_lane_breaker_open", "1 where calls are held back.", lambda lane: lane.breaker != "closed"),
        ]
        for name, text, value in gauges:
            gauge = family(name, text, labels=["lane"])
            for lane in lanes:
                gauge.add_metric([lane.lane], float(value(lane)))
            yield gauge


@contextmanager
def of_workers(address: str, port: int | None, application: Callable[[], Application]) -> Iterator[None]:
    """Have processes that are begun in this block count into files, and answer Prometheus here with what they come to.

    Nothing of the kind without a port. Raises SettingsError when the port is taken.
    """
    if port is None:
        yield
        return
    directory = tempfile.mkdtemp(prefix="peakproof-metrics-")
    os.environ[FILES] = directory  # before the client is imported, which looks for it then
    try:
        server = serve(address, port, application(), None)
        try:
            yield
        finally:
            server.shutdown()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def serve(address: str, port: int, application: Application, counts: Counts | None) -> Any:
    """Answer Prometheus on a port, in a thread: with `counts`, or without them with what workers wrote into files.

    The answer is the server, to be shut down. Raises SettingsError when the port is taken.
    """
    client = _client()
    registry = counts.registry if counts else client.CollectorRegistry()
    if counts is None:
        import_module("prometheus_client.multiprocess").MultiProcessCollector(registry)
    registry.register(Standing(application))
    try:
        server, _thread = client.start_http_server(port, address, registry)
    except OSError as error:
        told = f"metrics can't be served on {address}:{port}: {error.strerror or error}"
        raise SettingsError(f"{told}; name another with --metrics-port") from error
    return server


def _client() -> Any:
    try:
        import_module("prometheus_client.core")
    except ModuleNotFoundError as error:
        raise SettingsError('prometheus-client is not installed: pip install "peakproof[live]"') from error
    return import_module("prometheus_client")
