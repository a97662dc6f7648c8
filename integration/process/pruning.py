"""What is old enough to go: kept answers, notes of received events, the audit trail, and events that were told.

The ages are settings. Those of answers and events must be longer than anybody repeats a request: what is forgotten
sooner would take effect twice.
"""

from sqlalchemy import Column, ColumnElement, Delete, bindparam, delete, select, tuple_

from integration.messaging.event_log import LANE
from integration.runtime import Clock
from integration.settings import Settings
from integration.storage import Database
from integration.storage.tables import audit, events, idempotency, inbox, outbox

BATCH = 1_000
"""Rows per transaction, so that nobody waits long for the write lock."""
_MOST_BATCHES = 1_000


def _some_older(key: tuple[Column[str] | Column[int], ...], at_us: Column[int], *where: ColumnElement[bool]) -> Delete:
    """Delete at most a batch of what is older than `before_us`; `key` is the table's primary key."""
    old = select(*key).where(at_us < bindparam("before_us"), *where).order_by(at_us).limit(bindparam("batch"))
    named = tuple_(*key) if len(key) > 1 else key[0]
    return delete(at_us.table).where(named.in_(old))


_ANSWERS = _some_older((idempotency.c.scope, idempotency.c.key), idempotency.c.created_at_us)
_EVENTS = _some_older((inbox.c.source, inbox.c.message_id), inbox.c.received_at_us)
_AUDIT = _some_older((audit.c.audit_id,), audit.c.at_us)
_TOLD = _some_older((events.c.position,), events.c.at_us)
_DELIVERED = _some_older(
    (outbox.c.message_id,), outbox.c.created_at_us, outbox.c.lane == LANE, outbox.c.state == "done"
)


class Pruning:
    """Deletes what is older than it need be kept."""

    def __init__(self, clock: Clock, database: Database, settings: Settings) -> None:
        self._clock = clock
        self._database = database
        self._ages_us: tuple[tuple[Delete, int], ...] = (
            (_ANSWERS, settings.keep_idempotency_us),
            (_EVENTS, settings.keep_inbox_us),
            (_AUDIT, settings.keep_audit_us),
        )
        if settings.keep_events_us:
            self._ages_us += ((_TOLD, settings.keep_events_us), (_DELIVERED, settings.keep_events_us))

    def prune(self) -> int:
        """Delete what is too old, a batch per transaction; the answer is how many rows went."""
        now_us = self._clock.now_us()
        return sum(self._delete(statement, now_us - age_us) for statement, age_us in self._ages_us)

    def _delete(self, statement: Delete, before_us: int) -> int:
        gone = 0
        for _ in range(_MOST_BATCHES):
            with self._database.write() as tx:
                count = tx.execute(statement, {"before_us": before_us, "batch": BATCH})
            gone += count
            if count < BATCH:
                break
        return gone
