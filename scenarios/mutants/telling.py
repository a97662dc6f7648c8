"""Bugs in how subscribers are told."""

from collections.abc import Mapping

from sqlalchemy import bindparam, update

from integration.messaging.event_log import LANE, Subscription
from integration.messaging.lane import Lane
from integration.messaging.message import Message
from integration.messaging.outbox import Outbox
from integration.messaging.outcomes import Done, Outcome, Retry
from integration.process.delivery import DeliverEvent
from integration.runtime import Clock
from integration.storage import Transaction
from integration.storage.tables import outbox
from integration.system.subscriber import Heard

_FORGET = (
    update(outbox)
    .where(outbox.c.lane == LANE, outbox.c.state == "ready", outbox.c.created_at_us < bindparam("begun_us"))
    .values(state="done")
)


class TellsOnce(DeliverEvent):
    """Takes an event for told when it was sent, whatever the subscriber answered."""

    def _outcome(self, subscription: Subscription, heard: Heard) -> Outcome:
        outcome = super()._outcome(subscription, heard)
        return Done() if isinstance(outcome, Retry) else outcome


class EventsInMemory(Outbox):
    """What is to be told lives as long as the process that announced it."""

    def __init__(self, clock: Clock, lanes: Mapping[str, Lane], lease_us: int) -> None:
        super().__init__(clock, lanes, lease_us)
        self._begun_us = clock.now_us()

    def claim(self, tx: Transaction, lane: str, now_us: int, most: int) -> list[Message]:
        """Of events, those that were put after this process began."""
        if lane == LANE:
            tx.execute(_FORGET, {"begun_us": self._begun_us})
        return super().claim(tx, lane, now_us, most)
