"""What has been received already: every inbound event takes effect once, however often it is delivered."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from sqlalchemy import bindparam
from sqlalchemy.dialects.postgresql import insert

from integration.runtime import Tasks
from integration.storage import Database, Transaction
from integration.storage.tables import inbox

# Both SQLite and PostgreSQL compile this form.
_RECEIVE = (
    insert(inbox)
    .values(source=bindparam("source"), message_id=bindparam("message_id"), received_at_us=bindparam("received_at_us"))
    .on_conflict_do_nothing()
)


class Inbox:
    """Remembers message ids per source. The note is made in the transaction of the effect: both stand or neither."""

    def receive(self, tx: Transaction, source: str, message_id: str, now_us: int) -> bool:
        """Whether this message is new."""
        return tx.execute(_RECEIVE, {"source": source, "message_id": message_id, "received_at_us": now_us}) == 1


# Gives an event its effect: (transaction, partner, event type, data).
EventHandler: TypeAlias = Callable[[Transaction, str, str, Mapping[str, Any]], object]
EventEffect: TypeAlias = Callable[[Tasks, Database, EventHandler], EventHandler]


def with_receipt(_tasks: Tasks, _database: Database, handler: EventHandler) -> EventHandler:
    """When an event takes effect: in the transaction that notes its receipt, before it is acknowledged."""
    return handler
