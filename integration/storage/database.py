"""The unit of work: one transaction at a time, written with Core statements.

SQLite runs on one connection that writes, guarded by the gate, and on a few that read: a write transaction has the
database to itself. Any other database takes a connection of SQLAlchemy's pool per transaction, and several write at
once at READ COMMITTED: what must not interleave takes a lock, by `Transaction.lock`, `lock_name` or `claim_name`, which
cost nothing on SQLite. docs/adr/0014 lists every such transaction.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import Executable, bindparam, func, select
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor
from sqlalchemy.pool import NullPool, PoolProxiedConnection

from integration.runtime import Gate, IntegrationError
from integration.storage.sender import Sender
from integration.storage.statements import LIST_SIZES, Params, Statements
from integration.storage.tables import metadata

# What begins a write and a read; drivers are told to leave that to us.
SQLITE_BEGIN = ("BEGIN IMMEDIATE", "BEGIN")
OTHER_BEGIN = ("BEGIN ISOLATION LEVEL READ COMMITTED", "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
# Standard SQLSTATE codes of a transaction that lost against another: serialization failure, deadlock.
_LOST = ("40001", "40P01")
# How often a transaction that lost is run again before the failure is told.
MOST_ATTEMPTS = 6
# A host that swallows packets must not keep a process from stopping or from telling what is wrong.
_CONNECT_WITHIN_S = 10
_NAME = func.hashtextextended(bindparam("name"), 0)
_LOCK_NAME = select(func.pg_advisory_xact_lock(_NAME))
_SHARE_NAME = select(func.pg_advisory_xact_lock_shared(_NAME))
_CLAIM_NAME = select(func.pg_try_advisory_xact_lock(_NAME).label("claimed"))

Result = TypeVar("Result")


class StorageError(IntegrationError):
    """The database can't be used as asked."""


class DatabaseFailed(StorageError):
    """The database could not do it now: locked, a serialization failure, a lost connection.

    After a lost connection what was written may stand all the same: look, or repeat under the same key.
    """


class TransactionLost(DatabaseFailed):
    """Another transaction won a conflict or a deadlock. Nothing was done; the same may succeed if done again."""


class Transaction:
    """One open transaction. Rows come back as named tuples with the columns' names."""

    __slots__ = ("_after_commit", "_cursor", "_is_alone", "_sender", "_statements", "_told", "is_write")

    def __init__(
        self, cursor: DBAPICursor | Sender, statements: Statements, is_write: bool, is_alone: bool = True
    ) -> None:
        self._cursor: Any = cursor
        self._sender = cursor if isinstance(cursor, Sender) else None
        self._statements = statements
        self._after_commit: list[Callable[[], None]] = []
        self._told: list[object] = []
        self._is_alone = is_alone
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
        return int(self._cursor.rowcount)

    def send(self, statement: Executable, params: Params | Sequence[Params] = {}) -> None:  # noqa: B006
        """As `execute`, for what nobody asks how many rows it touched: it may go out together with the next statement,
        which then is the one that raises what this one meets."""
        if self._sender is None:
            self.execute(statement, params)
            return
        for entry in (params,) if isinstance(params, Mapping) else params:
            prepared = self._statements.prepare(statement, entry)
            self._sender.keep(prepared.text, prepared.arrange(entry))

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
        """What this block wrote is undone when it raises; the transaction goes on, unless the database failed."""
        callbacks, told = len(self._after_commit), len(self._told)
        run = self._cursor.execute if self._sender is None else self._sender.keep
        run("SAVEPOINT inner_work")
        try:
            yield
        except Exception:
            run("ROLLBACK TO SAVEPOINT inner_work")
            del self._after_commit[callbacks:]
            del self._told[told:]
            raise
        run("RELEASE SAVEPOINT inner_work")

    def lock(self, statement: Executable, params: Params = {}) -> None:  # noqa: B006
        """Take the row locks of a `SELECT ... FOR UPDATE`, waiting for who holds them."""
        if not self._is_alone:
            self.send(statement, params)

    def lock_name(self, name: str, *, shared: bool = False) -> None:
        """Be the only one to hold this name, or one of several that share it; waits."""
        if not self._is_alone:
            self.send(_SHARE_NAME if shared else _LOCK_NAME, {"name": name})

    def claim_name(self, name: str) -> bool:
        """Be the only one to hold this name, or learn at once that another does."""
        return self._is_alone or bool(self.one(_CLAIM_NAME, {"name": name}).claimed)

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Call back once this transaction is committed and its lock given back; never after a rollback."""
        self._after_commit.append(callback)

    def tell(self, event: object) -> None:
        """Something of the business happened in this transaction: who announces such things is told before its end."""
        self._told.append(event)


class Database:
    """Where the integration keeps what it knows.

    `url` is SQLAlchemy's. `synchronous` (SQLite only) may be OFF where no power failure can happen, as in virtual time.
    `busy_timeout_ms` (SQLite only) must stay 0 in virtual time: waiting for the lock would stop the world.
    `connections` (not SQLite) is how many transactions may be open at once; one more waits `pool_wait_s` for its turn.
    `pause(attempt)` is called before a transaction that lost is run again, for the winner to get through.
    """

    def __init__(
        self,
        url: str,
        gate: Gate,
        *,
        synchronous: str = "NORMAL",
        busy_timeout_ms: int = 0,
        connections: int = 20,
        pool_wait_s: float = 5.0,
        pause: Callable[[int], None] = lambda _attempt: None,
    ) -> None:
        self._gate = gate
        self._announce: Callable[[Transaction, Sequence[Any]], None] = lambda _tx, _events: None
        self._connections = connections
        self._pool_wait_s = pool_wait_s
        self._pause = pause
        self._is_sqlite = url.startswith("sqlite")
        begin = SQLITE_BEGIN if self._is_sqlite else OTHER_BEGIN
        self._begin_write, self._begin_read = begin
        self._synchronous = synchronous
        self._busy_timeout_ms = busy_timeout_ms
        try:
            self._engine = self._make_engine(url)
        except sa.exc.ArgumentError as error:
            raise StorageError(f"database url {without_password(url)!r} can't be used: {error}") from error
        except ModuleNotFoundError as error:
            driver = error.name
            raise StorageError(f"the driver {driver!r} is not installed: pip install 'peakproof[live]'") from error
        self.statements = Statements.of(self._engine.dialect)
        dbapi: Any = self._engine.dialect.loaded_dbapi
        # A pool that has no connection left in time passes too; SQLAlchemy wraps what connecting raises.
        self._passing: tuple[type[Exception], ...] = (
            dbapi.OperationalError, sa.exc.OperationalError, sa.exc.TimeoutError, dbapi.InterfaceError,
        )  # fmt: skip
        self._crashed = False
        self._writer: PoolProxiedConnection | None = None
        self._readers: list[PoolProxiedConnection] = []
        self._open: dict[int, PoolProxiedConnection] = {}
        gate.on_crash(self._crash)

    def _make_engine(self, url: str) -> sa.Engine:
        if not self._is_sqlite:
            return sa.create_engine(
                engine_url(url), isolation_level="AUTOCOMMIT", pool_size=self._connections, max_overflow=0,
                pool_timeout=self._pool_wait_s, pool_use_lifo=True,
            )  # fmt: skip
        if ":memory:" in url or url in {"sqlite://", "sqlite:///"}:
            raise sa.exc.ArgumentError("readers and writer would not share it; name a file, sqlite:////path/to/file.db")
        arguments = {"timeout": self._busy_timeout_ms / 1000, "isolation_level": None, "check_same_thread": False}
        engine = sa.create_engine(url, poolclass=NullPool, connect_args=arguments)
        sa.event.listen(engine, "connect", _preparing(self._synchronous))
        return engine

    def announce_with(self, announce: Callable[[Transaction, Sequence[Any]], None]) -> None:
        """Have `announce(tx, events)` called at the end of each write transaction in which something was told."""
        self._announce = announce

    @property
    def is_sqlite(self) -> bool:
        """Whether write transactions have the database to themselves."""
        return self._is_sqlite

    def create(self) -> None:
        """Create the tables that are not there yet: for fresh databases of virtual worlds and tests, not for one that
        must outlive this version."""
        metadata.create_all(self._engine)

    def transact(self, work: Callable[[Transaction], Result]) -> Result:
        """What `work(tx)` answers, once committed. Where the transaction lost against another (serialization failure,
        deadlock) it is run again, at most MOST_ATTEMPTS times in all, so `work` must do nothing but through `tx`.

        Raises DatabaseFailed as `write` does.
        """
        for attempt in range(1, MOST_ATTEMPTS + 1):
            try:
                with self.write() as tx:
                    return work(tx)
            except TransactionLost:
                if attempt == MOST_ATTEMPTS:
                    raise
                self._pause(attempt)
        raise AssertionError("unreachable")

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """A transaction that may write: commits at the end of the block, rolls back when it raises.

        Raises DatabaseFailed for what may pass; then nothing was done, unless the connection was lost at the commit.
        """
        try:
            with self._written() as transaction:
                yield transaction
        except self._passing as error:
            raise self._failed(error) from error
        for callback in transaction._after_commit:
            callback()

    @contextmanager
    def _written(self) -> Iterator[Transaction]:
        self._gate.begin(True)
        try:
            connection = self._take_writer()
            try:
                transaction = Transaction(
                    self._begin(connection, self._begin_write), self.statements, True, self._is_sqlite
                )
                yield transaction
                if transaction._told:
                    self._announce(transaction, transaction._told)
                self._gate.commit()
                if transaction._sender is not None:
                    transaction._sender.commit()
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
        """A transaction that sees one state of the database throughout, and writes nothing.

        Raises DatabaseFailed for what may pass.
        """
        try:
            with self._seen() as transaction:
                yield transaction
        except self._passing as error:
            raise self._failed(error) from error

    @contextmanager
    def _seen(self) -> Iterator[Transaction]:
        self._gate.begin(False)
        connection = self._take_reader()
        try:
            yield Transaction(self._begin(connection, self._begin_read), self.statements, False)
        finally:
            self._roll_back(connection)
            self._give_back(connection, reader=True)

    def _failed(self, error: Exception) -> DatabaseFailed:
        reason = str(error).partition("\n(Background on this error")[0].strip()
        if getattr(error, "sqlstate", None) in _LOST:
            return TransactionLost(f"the transaction lost against another: {reason}")
        return DatabaseFailed(f"the database failed: {reason}")

    def _begin(self, connection: PoolProxiedConnection, how: str) -> DBAPICursor | Sender:
        if self._is_sqlite:
            cursor = connection.cursor()
            cursor.execute(how)
            return cursor
        sender = Sender(connection.dbapi_connection)
        sender.keep(how)
        return sender

    def _take_writer(self) -> PoolProxiedConnection:
        if not self._is_sqlite:
            return self._lend(self._engine.raw_connection())
        if self._writer is None:
            self._writer = self._engine.raw_connection()
        return self._lend(self._writer)

    def _take_reader(self) -> PoolProxiedConnection:
        try:
            return self._lend(self._readers.pop())
        except IndexError:
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
        if self._crashed:
            return
        if self._is_sqlite:
            connection.rollback()
            return
        with suppress(*self._passing):  # else the connection is gone, and with it the transaction
            connection.rollback()
        if getattr(connection.dbapi_connection, "closed", False):
            connection.invalidate()
            self._engine.dispose()  # the database went away: the idle connections of the pool are gone with it

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


def engine_url(url: str) -> sa.URL:
    """The URL with the driver that we use where it names none, and with a bound on how long connecting may take.

    Raises sqlalchemy's ArgumentError.
    """
    name = sa.make_url(url)
    if name.drivername in {"postgresql", "postgres"}:
        name = name.set(drivername="postgresql+psycopg")
    if name.get_backend_name() == "postgresql" and "connect_timeout" not in name.query:
        name = name.update_query_dict({"connect_timeout": str(_CONNECT_WITHIN_S)})
    return name


def without_password(url: str) -> str:
    """A database URL as it may be shown."""
    try:
        return sa.make_url(url).render_as_string(hide_password=True)
    except sa.exc.ArgumentError:
        return url.partition("@")[2] or url
