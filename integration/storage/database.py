"""The unit of work: one transaction at a time, written with Core statements.

SQLite runs on one connection that writes, guarded by the gate, and on a few that read. Any other database takes a
connection of SQLAlchemy's pool per transaction and does its own locking; the gate is told all the same.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Executable
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor
from sqlalchemy.pool import NullPool, PoolProxiedConnection

from integration.runtime import Gate, IntegrationError
from integration.storage.statements import LIST_SIZES, Params, Statements
from integration.storage.tables import metadata

# What begins a write and a read. Drivers other than SQLite's begin a transaction by themselves.
SQLITE_BEGIN = ("BEGIN IMMEDIATE", "BEGIN")
OTHER_BEGIN = ("", "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")


class StorageError(IntegrationError):
    """The database can't be used as asked."""


class DatabaseFailed(StorageError):
    """The database could not do it now: locked, a serialization failure, a lost connection.

    After a lost connection what was written may stand all the same: look, or repeat under the same key.
    """


class Transaction:
    """One open transaction. Rows come back as named tuples with the columns' names."""

    __slots__ = ("_after_commit", "_cursor", "_statements", "is_write")

    def __init__(self, cursor: DBAPICursor, statements: Statements, is_write: bool) -> None:
        self._cursor = cursor
        self._statements = statements
        self._after_commit: list[Callable[[], None]] = []
        self.is_write = is_write

    def execute(self, statement: Executable, params: Params | Sequence[Params] = {}) -> int:  # noqa: B006
        """Run a statement once, or once per entry of a list of parameters; the number of rows that it touched.

        In a list every entry must have the same names in the same order.
        """
        if isinstance(params, Mapping):
            prepared = self._statements.prepare(statement, params)
            self._cursor.execute(prepared.text, prepared.arrange(params))
        elif params:
            prepared = self._statements.prepare(statement, params[0])
            self._cursor.executemany(prepared.text, [prepared.arrange(entry) for entry in params])
        else:
            return 0
        return self._cursor.rowcount

    def rows(self, statement: Executable, params: Params = {}) -> list[Any]:  # noqa: B006
        """All rows of a query. A list of more than 4,096 values is for `rows_for`."""
        prepared = self._statements.prepare(statement, params)
        self._cursor.execute(prepared.text, prepared.arrange(params))
        return list(map(prepared.row, self._cursor.fetchall()))

    def rows_for(self, statement: Executable, name: str, values: Sequence[Any], params: Params = {}) -> list[Any]:  # noqa: B006
        """All rows of a query whose `name` is an expanding list: asked in chunks, not at all for an empty list."""
        found: list[Any] = []
        for start in range(0, len(values), LIST_SIZES[-1]):
            found += self.rows(statement, {**params, name: values[start : start + LIST_SIZES[-1]]})
        return found

    def one(self, statement: Executable, params: Params = {}) -> Any:  # noqa: B006
        """The first row, or None. Serves `INSERT ... RETURNING` as well."""
        prepared = self._statements.prepare(statement, params)
        self._cursor.execute(prepared.text, prepared.arrange(params))
        found = self._cursor.fetchall()
        return prepared.row(found[0]) if found else None

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """What this block wrote is undone when it raises; the transaction itself goes on."""
        callbacks = len(self._after_commit)
        self._cursor.execute("SAVEPOINT inner_work")
        try:
            yield
        except Exception:
            self._cursor.execute("ROLLBACK TO SAVEPOINT inner_work")
            del self._after_commit[callbacks:]
            raise
        self._cursor.execute("RELEASE SAVEPOINT inner_work")

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Call back once this transaction is committed and its lock given back; never after a rollback."""
        self._after_commit.append(callback)


class Database:
    """Where the integration keeps what it knows.

    `url` is SQLAlchemy's. `synchronous` (SQLite only) may be OFF where no power failure can happen, as in virtual time.
    `busy_timeout_ms` (SQLite only) must stay 0 in virtual time: waiting for the lock would stop the world.
    """

    def __init__(self, url: str, gate: Gate, *, synchronous: str = "NORMAL", busy_timeout_ms: int = 0) -> None:
        self._gate = gate
        self._is_sqlite = url.startswith("sqlite")
        begin = SQLITE_BEGIN if self._is_sqlite else OTHER_BEGIN
        self._begin_write, self._begin_read = begin
        self._synchronous = synchronous
        self._busy_timeout_ms = busy_timeout_ms
        try:
            self._engine = self._make_engine(url)
        except sa.exc.ArgumentError as error:
            raise StorageError(f"database url {url!r} can't be used: {error}") from error
        self.statements = Statements.for_sqlite() if self._is_sqlite else Statements(self._engine.dialect)
        self._passing: type[Exception] = self._engine.dialect.loaded_dbapi.OperationalError
        self._crashed = False
        self._writer: PoolProxiedConnection | None = None
        self._readers: list[PoolProxiedConnection] = []
        self._open: dict[int, PoolProxiedConnection] = {}
        gate.on_crash(self._crash)

    def _make_engine(self, url: str) -> sa.Engine:
        if not self._is_sqlite:
            return sa.create_engine(url)
        if ":memory:" in url or url in {"sqlite://", "sqlite:///"}:
            raise sa.exc.ArgumentError("readers and writer would not share it; name a file, sqlite:////path/to/file.db")
        arguments = {"timeout": self._busy_timeout_ms / 1000, "isolation_level": None, "check_same_thread": False}
        engine = sa.create_engine(url, poolclass=NullPool, connect_args=arguments)
        sa.event.listen(engine, "connect", _preparing(self._synchronous))
        return engine

    def create(self) -> None:
        """Create the tables that are not there yet."""
        metadata.create_all(self._engine)

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """A transaction that may write: commits at the end of the block, rolls back when it raises.

        Raises DatabaseFailed for what may pass; then nothing was done, unless the connection was lost at the commit.
        """
        try:
            with self._written() as transaction:
                yield transaction
        except self._passing as error:
            raise DatabaseFailed(f"the database failed: {error}") from error
        for callback in transaction._after_commit:
            callback()

    @contextmanager
    def _written(self) -> Iterator[Transaction]:
        self._gate.begin(True)
        try:
            connection = self._take_writer()
            transaction = Transaction(self._begin(connection, self._begin_write), self.statements, True)
            try:
                yield transaction
                self._gate.commit()
                connection.commit()
            except BaseException:
                self._roll_back(connection)
                raise
            finally:
                self._give_back(connection)
        finally:
            self._gate.end()

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """A transaction that sees one state of the database throughout, and writes nothing."""
        self._gate.begin(False)
        connection = self._take_reader()
        try:
            yield Transaction(self._begin(connection, self._begin_read), self.statements, False)
        finally:
            self._roll_back(connection)
            self._give_back(connection, reader=True)

    def _begin(self, connection: PoolProxiedConnection, how: str) -> DBAPICursor:
        cursor = connection.cursor()
        if how:
            cursor.execute(how)
        return cursor

    def _take_writer(self) -> PoolProxiedConnection:
        if not self._is_sqlite:
            return self._lend(self._engine.raw_connection())
        if self._writer is None:
            self._writer = self._engine.raw_connection()
        return self._lend(self._writer)

    def _take_reader(self) -> PoolProxiedConnection:
        if self._readers:
            return self._lend(self._readers.pop())
        return self._lend(self._engine.raw_connection())

    def _lend(self, connection: PoolProxiedConnection) -> PoolProxiedConnection:
        self._open[id(connection)] = connection
        return connection

    def _give_back(self, connection: PoolProxiedConnection, reader: bool = False) -> None:
        if self._crashed:
            return
        del self._open[id(connection)]
        if not self._is_sqlite:
            connection.close()
        elif reader:
            self._readers.append(connection)

    def _roll_back(self, connection: PoolProxiedConnection) -> None:
        if not self._crashed:
            connection.rollback()

    def _crash(self) -> None:
        """The host died: what was not committed is gone, and this object is never used again."""
        if self._crashed:
            return
        for connection in self._open.values():
            connection.rollback()
        self.close()
        self._crashed = True

    def close(self) -> None:
        """Close every connection."""
        idle = [self._writer] if self._writer is not None else []
        for connection in {id(c): c for c in [*idle, *self._readers, *self._open.values()]}.values():
            connection.close()
        self._writer = None
        self._readers.clear()
        self._open.clear()
        self._engine.dispose()


def _preparing(synchronous: str) -> Callable[[DBAPIConnection, object], None]:
    """What is done with each new SQLite connection. No method of the database: SQLAlchemy keeps an open connection's
    pool alive for ever, which would keep the database, and so the connection.
    """

    def prepare(connection: DBAPIConnection, _record: object) -> None:
        cursor = connection.cursor()
        for pragma in ("journal_mode = WAL", f"synchronous = {synchronous}", "temp_store = MEMORY",
                       "cache_size = -32768"):  # fmt: skip
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return prepare
