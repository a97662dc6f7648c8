"""Bugs in the outbox and in who sends what it holds."""

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import bindparam, func, select, update

from integration.messaging.dispatcher import Dispatcher
from integration.messaging.lane import Lane
from integration.messaging.message import Message
from integration.messaging.outbox import Outbox
from integration.messaging.outcomes import ErrorClass, Outcome, Retry, Uncertain
from integration.runtime import Clock
from integration.storage import DatabaseFailed, Transaction
from integration.storage.tables import outbox

_DAY_US = 86_400_000_000
_LAST = select(func.max(outbox.c.message_id).label("message_id"))
_MARK = update(outbox).where(outbox.c.message_id == bindparam("of_message_id")).values(state=bindparam("new_state"))
_LEASE_OF = select(outbox.c.lease_until_us).where(outbox.c.message_id == bindparam("of_message_id"))


class OutboxInMemory(Outbox):
    """A message is in the hands of the process that made it: nobody sends it after that process has died."""

    def __init__(self, clock: Clock, lanes: Mapping[str, Lane], lease_us: int) -> None:
        super().__init__(clock, lanes, lease_us)
        self._mine: set[int] = set()

    def put(
        self,
        tx: Transaction,
        lane: str,
        kind: str,
        business_key: str,
        payload: dict[str, Any],
        correlation_id: str,
        delay_us: int = 0,
    ) -> None:
        """As the product's, known to this process only."""
        super().put(tx, lane, kind, business_key, payload, correlation_id, delay_us)
        self._mine.add(tx.one(_LAST).message_id)

    def claim(self, tx: Transaction, lane: str, now_us: int, most: int) -> list[Message]:
        """What this process has put."""
        return [message for message in super().claim(tx, lane, now_us, most) if message.message_id in self._mine]


class MarksBeforeSending(Dispatcher):
    """Marks a message done, then sends it; and takes the mark back where that did not work."""

    def _attempt(self, message: Message) -> Outcome:
        try:
            self._mark(message, "done")
        except DatabaseFailed as error:
            return Uncertain(f"could not mark: {error}", error_class=ErrorClass.PLATFORM)
        outcome = super()._attempt(message)
        with contextlib.suppress(DatabaseFailed):
            self._mark(message, "ready")
        return outcome

    def _mark(self, message: Message, state: str) -> None:
        with self.database.write() as tx:
            tx.execute(_MARK, {"of_message_id": message.message_id, "new_state": state})


class NoFence(Outbox):
    """Takes over a message whose lease has run out as if nobody had sent it, and lets everybody settle it."""

    def claim(self, tx: Transaction, lane: str, now_us: int, most: int) -> list[Message]:
        """Leased, and as good as new."""
        claimed = super().claim(tx, lane, now_us, most)
        return [replace(message, maybe_sent=message.attempts > 0) for message in claimed]

    def finish(self, tx: Transaction, message: Message) -> bool:
        """Whoever holds the lease by now."""
        return super().finish(tx, self._held(tx, message))

    def postpone(
        self,
        tx: Transaction,
        message: Message,
        attempts: int,
        at_us: int,
        error_class: ErrorClass | None,
        why: str | None,
    ) -> bool:
        """Whoever holds the lease by now."""
        return super().postpone(tx, self._held(tx, message), attempts, at_us, error_class, why)

    def _held(self, tx: Transaction, message: Message) -> Message:
        return replace(message, lease_until_us=tx.one(_LEASE_OF, {"of_message_id": message.message_id}).lease_until_us)


class SendsLate(Dispatcher):
    """Sends though the lease has run out."""

    def deliver(self, lane: Lane, message: Message) -> None:
        """As the product's, without a look at the clock."""
        outcome = self._send(lane, message)
        try:
            self._settle(lane, message, outcome)
        except DatabaseFailed as error:
            self._set_back(lane, message, error)

    def _send(self, lane: Lane, message: Message) -> Outcome:
        self._wait_for_admission(lane)
        outcome = self._attempt(message)
        self._observe(lane, message, outcome)
        return outcome


class SendsInTurn(Dispatcher):
    """Sends a lane's messages one after the other, each until it works."""

    def start(self) -> None:
        """One worker per lane."""
        for lane in self.outbox.lanes.values():
            self.tasks.spawn(f"{lane.name} worker 1", self._work, lane)
            self.tasks.spawn(f"{lane.name} poller", self._poll, lane)

    def deliver(self, lane: Lane, message: Message) -> None:
        """Attempt after attempt, while those behind wait."""
        if message.lease_until_us - self.clock.now_us() < self.settings.margin_us:
            lane.due_at(message.lease_until_us)
            return
        outcome = self._try(lane, message)
        while isinstance(outcome, Retry | Uncertain):
            message = replace(message, attempts=message.attempts + 1, maybe_sent=True)
            self.clock.sleep(self.retry_policy.delay_us(str(message.message_id), message.attempts, outcome.after_us))
            outcome = self._try(lane, message)
        try:
            self._settle(lane, message, outcome)
        except DatabaseFailed as error:
            self._set_back(lane, message, error)

    def _try(self, lane: Lane, message: Message) -> Outcome:
        self._wait_for_admission(lane)
        outcome = self._attempt(message)
        self._observe(lane, message, outcome)
        return outcome
