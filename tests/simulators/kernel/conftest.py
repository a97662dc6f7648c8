"""A small world for kernel tests: two bare WSGI hosts, no partner."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import pytest

from contracts.evidence import open_run
from simulators.kernel import EvidenceWriter, Fault, World

STARTS_AT_US = 1_795_737_600_000_000
Handler = Callable[[WSGIEnvironment], tuple[int, bytes]]


def application(handler: Handler) -> WSGIApplication:
    """The smallest WSGI application: the handler's status and body, nothing else."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        status, body = handler(environ)
        start_response(f"{status} X", [("Content-Type", "text/plain")])
        return [body]

    return app


class Bench:
    """A world under test and what it left."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def world(self, *faults: Fault, seed: int = 1) -> World:
        return World(seed, STARTS_AT_US, EvidenceWriter(self._directory), faults=faults, latency_us=(10_000, 10_000))

    def rows(self, world: World, sql: str) -> list[tuple[Any, ...]]:
        world.network.close()
        world.evidence.close()
        return open_run(self._directory).execute(sql).fetchall()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "run")
