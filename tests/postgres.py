"""One PostgreSQL server for a test session, and an empty database for each test that asks for one.

The server is the one that PEAKPROOF_TEST_DATABASE_URL names (its user must be allowed to create databases), or one that
the session starts itself from the wheel. Where there is neither, tests skip and say so, but fail where CI=true: a run
that nobody watches must not leave them out in silence.
"""

import contextlib
import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from integration.storage.schema import migrate
from integration.storage.tables import metadata
from peakproof.live.postgres import CARELESS, PostgresError, running

GIVEN = "PEAKPROOF_TEST_DATABASE_URL"
_ALONE = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()"""


@dataclass
class Databases:
    """Makes databases on one server. `url` names one to which we may connect in order to do so."""

    url: sa.URL
    prefix: str = field(default_factory=lambda: f"peakproof_test_{os.getpid()}")
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _kept: str = ""

    @contextmanager
    def fresh(self) -> Iterator[str]:
        """The URL of a database of our own, without a table."""
        name = f"{self.prefix}_{next(self._numbers)}"
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE template0 STRATEGY FILE_COPY')
        try:
            yield self.named(name)
        finally:
            self.execute(f'DROP DATABASE "{name}" WITH (FORCE)')

    def emptied(self) -> str:
        """The URL of a database of the newest schema without a row in it: the same each time, for a new one takes six
        times as long. Whoever was still connected to it is no more."""
        name = self._migrated()
        with psycopg.connect(self._plain(name), autocommit=True) as connection:
            connection.execute(_ALONE)
            connection.execute(f"TRUNCATE {', '.join(metadata.tables)} RESTART IDENTITY")
        return self.named(name)

    def named(self, name: str) -> str:
        """The URL of a database of that name."""
        return self.url.set(database=name).render_as_string(hide_password=False)

    def execute(self, statement: str) -> None:
        """Run a statement outside of any transaction."""
        with psycopg.connect(self._plain(self.url.database or "postgres"), autocommit=True) as connection:
            connection.execute(statement)

    def _plain(self, name: str) -> str:
        return self.url.set(drivername="postgresql", database=name).render_as_string(hide_password=False)

    def close(self) -> None:
        """Leave nothing behind."""
        if self._kept:
            self.execute(f'DROP DATABASE "{self._kept}" WITH (FORCE)')

    def _migrated(self) -> str:
        if not self._kept:
            self.execute(f'CREATE DATABASE "{self.prefix}" TEMPLATE template0')
            self._kept = self.prefix
            migrate(self.named(self._kept))
        return self._kept


@contextmanager
def databases() -> Iterator[Databases]:
    """The databases of a server: the one that is given, or one of our own. Raises PostgresError."""
    given = os.environ.get(GIVEN)
    if given:
        with contextlib.closing(Databases(sa.make_url(given))) as found:
            yield found
        return
    directory = Path(tempfile.mkdtemp(prefix="peakproof-postgres-"))
    try:
        with running(directory / "data", CARELESS) as server:
            yield Databases(sa.make_url(server.url()))
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def databases_or_skip() -> Iterator[Databases]:
    """As `databases`; without a server the test skips, or fails in CI."""
    try:
        with databases() as found:
            yield found
    except PostgresError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"in CI nothing on PostgreSQL may be left out: {error}; or set {GIVEN}")
        pytest.skip(f"{error}; or set {GIVEN}")
