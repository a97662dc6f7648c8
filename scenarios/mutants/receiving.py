"""Bugs in how events are received, and in what order they are believed."""

import contextlib
from collections.abc import Mapping
from typing import Any

from sqlalchemy import bindparam, delete, update

from integration.messaging.inbox import EventHandler, Inbox
from integration.process.desk import set_status
from integration.process.shipping import Shipping
from integration.runtime import IntegrationError, Tasks
from integration.storage import Database, Transaction
from integration.storage.tables import inbox, parcels

_MINUTE_US = 60_000_000
_FORGET = delete(inbox).where(inbox.c.received_at_us < bindparam("before_us"))
_SCAN = (
    update(parcels)
    .where(parcels.c.parcel_id == bindparam("of_parcel_id"))
    .values(tracking_status=bindparam("new_status"), tracking_sequence=bindparam("new_sequence"))
)


class ForgetfulInbox(Inbox):
    """Takes every delivery for a new event."""

    def receive(self, tx: Transaction, source: str, message_id: str, now_us: int) -> bool:
        """Always new."""
        super().receive(tx, source, message_id, now_us)
        return True


class InboxInMemory(Inbox):
    """Knows what this process received, and nothing of the one before it."""

    def __init__(self) -> None:
        self._seen: set[tuple[str, str]] = set()

    def receive(self, tx: Transaction, source: str, message_id: str, now_us: int) -> bool:
        """New unless seen since the start."""
        del now_us
        if (source, message_id) in self._seen:
            return False
        tx.after_commit(lambda: self._seen.add((source, message_id)))
        return True


class ShortMemory(Inbox):
    """Forgets after a minute, though senders repeat for hours."""

    def receive(self, tx: Transaction, source: str, message_id: str, now_us: int) -> bool:
        """New unless seen within the last minute."""
        tx.execute(_FORGET, {"before_us": now_us - _MINUTE_US})
        return super().receive(tx, source, message_id, now_us)


def after_receipt(_tasks: Tasks, database: Database, handler: EventHandler) -> EventHandler:
    """Commits the note of the receipt first, then gives the event its effect in a transaction of its own."""

    def take(tx: Transaction, source: str, event_type: str, data: Mapping[str, Any]) -> None:
        def effect() -> None:
            with database.write() as own:
                handler(own, source, event_type, data)

        tx.after_commit(effect)

    return take


def after_acknowledgement(tasks: Tasks, database: Database, handler: EventHandler) -> EventHandler:
    """Acknowledges an event and keeps it in memory; a worker gives it its effect a minute later."""

    def take(tx: Transaction, source: str, event_type: str, data: Mapping[str, Any]) -> None:
        def effect() -> None:
            tasks.signal().wait(_MINUTE_US)
            with contextlib.suppress(IntegrationError), database.write() as own:
                handler(own, source, event_type, data)

        tx.after_commit(lambda: tasks.spawn(f"{source} {event_type} {_subject(data)}", effect))

    return take


def _subject(data: Mapping[str, Any]) -> str:
    names = ("release_id", "label_reference", "reference", "sequence", "stock")
    return " ".join(str(data[name]) for name in names if name in data)


class LastArrivalWins(Shipping):
    """Believes whatever it heard last."""

    def _advance(
        self, tx: Transaction, fulfillment: Any, data: Mapping[str, Any], status: str, detail: str = ""
    ) -> None:
        set_status(tx, fulfillment, status, self._desk.clock.now_us(), detail, data["sequence"])

    def _tracking(self, tx: Transaction, data: Mapping[str, Any]) -> None:
        values = {"new_status": data["status"], "new_sequence": data["sequence"]}
        tx.execute(_SCAN, {"of_parcel_id": data["label_reference"], **values})
