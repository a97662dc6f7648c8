"""A PostgreSQL server of a test's own."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from peakproof.live.postgres import CARELESS, Postgres, running


@pytest.fixture
def own_server() -> Iterator[Postgres]:
    """A server that this test may stop."""
    directory = Path(tempfile.mkdtemp(prefix="peakproof-postgres-"))
    with running(directory / "data", CARELESS) as server:
        yield server
    shutil.rmtree(directory, ignore_errors=True)
