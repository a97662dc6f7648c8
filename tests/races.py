"""Two transactions that meet: one is held just before its commit while the other is under way.

What is waited for is the database's own word that the other waits for a lock, or that it has come to its end.
"""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg
import sqlalchemy as sa

from integration.live.ports import OpenGate

Result = TypeVar("Result")
_WAITING = """SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"""
_SECONDS = 10


class HoldingGate(OpenGate):
    """Holds the next commit of its database back from `hold` on until it is let go."""

    def __init__(self) -> None:
        self._go = threading.Event()
        self._go.set()
        self._held = threading.Event()

    def hold(self) -> None:
        self._held.clear()
        self._go.clear()

    def let_go(self) -> None:
        self._go.set()

    def wait_until_held(self) -> None:
        assert self._held.wait(_SECONDS), "nothing came to its commit"

    def commit(self) -> None:
        if not self._go.is_set():
            self._held.set()
            assert self._go.wait(_SECONDS), "nobody let it go"


class Meeting:
    """`first` runs up to its commit, `second` until it waits or is done; then the first commits."""

    def __init__(self, url: str, gate: HoldingGate) -> None:
        self._gate = gate
        self._connection = psycopg.connect(
            sa.make_url(url).set(drivername="postgresql").render_as_string(hide_password=False), autocommit=True
        )
        self._threads = ThreadPoolExecutor(2)
        self.waited = False

    def of(self, first: Callable[[], Result], second: Callable[[], Any]) -> tuple[Result, Any]:
        """What both came to; of the second the exception where it raised one. `waited` tells whether it waited."""
        self._gate.hold()
        one: Future[Result] = self._threads.submit(first)
        self._gate.wait_until_held()
        other = self._threads.submit(second)
        ends_at = time.monotonic() + _SECONDS
        while not other.done() and not self._is_waiting():
            assert time.monotonic() < ends_at, "the second neither waits nor ends"
            time.sleep(0.005)
        self.waited = not other.done()
        self._gate.let_go()
        return one.result(_SECONDS), other.exception(_SECONDS) or other.result()

    def _is_waiting(self) -> bool:
        row = self._connection.execute(_WAITING).fetchone()
        return row is not None and row[0] > 0

    def close(self) -> None:
        self._gate.let_go()
        self._threads.shutdown()
        self._connection.close()


@contextmanager
def meeting(url: str, gate: HoldingGate) -> Iterator[Meeting]:
    """A meeting in this database; the first's database object must have this gate."""
    made = Meeting(url, gate)
    try:
        yield made
    finally:
        made.close()
