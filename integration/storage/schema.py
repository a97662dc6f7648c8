"""Brings a database to the schema of this version, and tells which one it has.

Any number of processes may do so at once: one holds the lock and migrates, the others wait for it and find nothing left
to do. A migration is one transaction: it happens as a whole or not at all.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy.pool import NullPool

from integration.storage.database import DatabaseFailed, StorageError, engine_url, without_password

_LOCK = sa.text("SELECT pg_advisory_xact_lock(7264117110)")
_SQLITE_WAIT_S = 60


def newest() -> str:
    """The newest version that this installation knows."""
    found = ScriptDirectory.from_config(_config()).get_current_head()
    assert found is not None
    return found


def version_of(url: str) -> str | None:
    """The version of a database; None for one that has none. Raises DatabaseFailed."""
    with _connected(url) as connection:
        return MigrationContext.configure(connection).get_current_revision()


def migrate(url: str, version: str = "head") -> None:
    """Bring the database to a version, the newest by default.

    Raises DatabaseFailed when it can't be reached now, StorageError when it is of a version that is not known here.
    """
    config = _config()
    with _connected(url) as connection:
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, version)
        except CommandError as error:
            raise StorageError(
                f"the database {without_password(url)!r} can't be brought to version {version}: {error}; a newer"
                " installation may have migrated it: use that one"
            ) from error


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    return config


@contextmanager
def _connected(url: str) -> Iterator[sa.Connection]:
    """A connection in one transaction that excludes every other of this kind."""
    try:
        engine = _engine(url)
        with engine.connect() as connection, connection.begin():
            if engine.dialect.name == "postgresql":
                connection.execute(_LOCK)
            yield connection
    except (sa.exc.OperationalError, sa.exc.InterfaceError) as error:
        raise DatabaseFailed(f"the database {without_password(url)!r} can't be used now: {error.orig}") from error


def _engine(url: str) -> sa.Engine:
    name = engine_url(url)
    if name.get_backend_name() != "sqlite":
        return sa.create_engine(name, poolclass=NullPool)
    engine = sa.create_engine(
        name, poolclass=NullPool, connect_args={"timeout": _SQLITE_WAIT_S, "isolation_level": None}
    )
    # The driver would begin no transaction for DDL, and a deferred one could not wait for the write lock.
    sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine
