"""What has been received already: every inbound event takes effect once, however often it is delivered."""

from sqlalchemy import bindparam
from sqlalchemy.dialects.postgresql import insert

from integration.storage import Transaction
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
