"""A cursor for a database across a wire: what nobody waits for is kept back and sent along with what somebody does.

An order is some twenty statements, of which eight have an answer that matters before the next. By psycopg's pipeline
the others cost no round trip of their own.
"""

from collections.abc import Sequence
from typing import Any

_OVER = "a statement of this transaction failed: whoever caught that must let it end"


class Sender:
    """Stands in for a psycopg cursor, on a connection whose transactions are begun and ended by statements.

    After a statement failed the transaction is over: what was kept back is not sent, and to go on is our own bug.
    """

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._cursor = connection.cursor()
        self._aside = connection.cursor()
        self._kept: list[tuple[str, Any]] = []
        self._failed = False

    @property
    def rowcount(self) -> int:
        """Rows that the last statement touched that was not kept back."""
        return int(self._cursor.rowcount)

    def keep(self, statement: str, params: Any = None) -> None:
        """Send this later, at the latest before the next statement that is not kept back."""
        self._kept.append((statement, params))

    def execute(self, statement: str, params: Any = None) -> None:
        """Send all that was kept back and this, and wait for its result."""
        assert not self._failed, _OVER
        try:
            if not self._kept:
                self._cursor.execute(statement, params)
                return
            with self._connection.pipeline():
                self._send_kept()
                self._cursor.execute(statement, params)
        except BaseException:
            self._failed = True
            raise

    def executemany(self, statement: str, many: Sequence[Any]) -> None:
        """As `execute`, for each of these parameters; `rowcount` is of all."""
        assert not self._failed, _OVER
        try:
            with self._connection.pipeline():
                self._send_kept()
                self._cursor.executemany(statement, many)
        except BaseException:
            self._failed = True
            raise

    def fetchall(self) -> list[Any]:
        """The rows of the last `execute`."""
        found: list[Any] = self._cursor.fetchall()
        return found

    def commit(self) -> None:
        """Send all that was kept back, and commit."""
        self.execute("COMMIT")

    def _send_kept(self) -> None:
        kept, self._kept = self._kept, []
        for statement, params in kept:
            self._aside.execute(statement, params)
