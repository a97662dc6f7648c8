"""Messages to partners, written in the transaction of the decision that they follow from.

    ready -- a worker leases it, sends it and settles it -->  done
      ^  \\-- refused, or given up ------------------------>  dead
      \\------------------- redrive ----------------------------/

`next_attempt_at_us` says when a ready message is due; while leased it equals the end of the lease, so a message whose
worker died comes up again by itself. The lease is also the fence: only who still holds it may settle the message.
"""

from collections.abc import Mapping
from typing import Any

import orjson
from sqlalchemy import bindparam, delete, func, insert, select, update

from integration.messaging.lane import Lane
from integration.messaging.message import Message
from integration.messaging.outcomes import ErrorClass
from integration.runtime import SILENT, Clock, Telemetry
from integration.storage import Transaction
from integration.storage.tables import outbox

_COLUMNS = outbox.c
_OF_MESSAGE = (
    (_COLUMNS.message_id == bindparam("of_message_id"))
    & (_COLUMNS.state == "ready")
    & (_COLUMNS.lease_until_us == bindparam("of_lease_us"))
)
_PUT_ONLY = insert(outbox)
_PUT = _PUT_ONLY.returning(_COLUMNS.message_id)
_OF_KNOWN_KIND = _COLUMNS.kind.in_(bindparam("kinds", expanding=True))
_DUE = (
    select(
        _COLUMNS.message_id,
        _COLUMNS.kind,
        _COLUMNS.business_key,
        _COLUMNS.payload,
        _COLUMNS.correlation_id,
        _COLUMNS.attempts,
        _COLUMNS.lease_until_us,
        _COLUMNS.last_error,
        _COLUMNS.span_id,
    )
    .where(
        _COLUMNS.lane == bindparam("of_lane"),
        _COLUMNS.state == "ready",
        _COLUMNS.next_attempt_at_us <= bindparam("now_us"),
        _OF_KNOWN_KIND,
    )
    .order_by(_COLUMNS.next_attempt_at_us, _COLUMNS.message_id)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)
_NEXT_DUE = select(func.min(_COLUMNS.next_attempt_at_us)).where(
    _COLUMNS.lane == bindparam("of_lane"), _COLUMNS.state == "ready", _OF_KNOWN_KIND
)
_LEASE = (
    update(outbox)
    .where(_COLUMNS.message_id.in_(bindparam("message_ids", expanding=True)))
    .values(lease_until_us=bindparam("until_us"), next_attempt_at_us=bindparam("until_us"))
)
_FINISH = update(outbox).where(_OF_MESSAGE).values(state="done", attempts=_COLUMNS.attempts + 1)
_POSTPONE = (
    update(outbox)
    .where(_OF_MESSAGE)
    .values(
        attempts=bindparam("new_attempts"),
        next_attempt_at_us=bindparam("at_us"),
        lease_until_us=0,
        error_class=bindparam("why_class"),
        last_error=bindparam("why"),
    )
)
_BURY = (
    update(outbox)
    .where(_OF_MESSAGE)
    .values(
        state="dead",
        attempts=_COLUMNS.attempts + 1,
        lease_until_us=0,
        error_class=bindparam("why_class"),
        last_error=bindparam("why"),
    )
)
# Never leased means that no worker of any process has had it in hand.
_WITHDRAW = delete(outbox).where(
    _COLUMNS.business_key == bindparam("of_key"),
    _COLUMNS.state == "ready",
    _COLUMNS.attempts == 0,
    _COLUMNS.lease_until_us == 0,
    _COLUMNS.last_error.is_(None),
)
_STATE_OF_KEY = select(_COLUMNS.state).where(_COLUMNS.business_key == bindparam("of_key"))

_ERROR_LENGTH = 500


class Outbox:
    """Puts messages, and settles them under the fence of their lease. `telemetry` knows the span that puts them.

    Only messages of the `kinds` that this process can handle are claimed: while two versions run together, those that
    only the newer one knows are left to it.
    """

    telemetry: Telemetry = SILENT
    kinds: tuple[str, ...] = ()

    def __init__(self, clock: Clock, lanes: Mapping[str, Lane], lease_us: int) -> None:
        self.lanes = lanes
        self._clock = clock
        self._lease_us = lease_us

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
        """Write a message; it goes out after the commit, not before `delay_us` from now.

        Where the lane has room the message is leased at once and handed over in memory, which saves reading it back.
        """
        now_us, span_id = self._clock.now_us(), self.telemetry.span_id()
        target = self.lanes.get(lane)
        short_way = target is not None and delay_us == 0 and target.has_short_way(self._clock.steady_us())
        lease_until_us = now_us + self._lease_us if short_way else 0
        due_us = lease_until_us or now_us + delay_us
        values = {
            "lane": lane,
            "kind": kind,
            "business_key": business_key,
            "payload": orjson.dumps(payload).decode(),
            "correlation_id": correlation_id,
            "state": "ready",
            "attempts": 0,
            "next_attempt_at_us": due_us,
            "lease_until_us": lease_until_us,
            "created_at_us": now_us,
            "span_id": span_id or None,
        }
        if not short_way:
            tx.send(_PUT_ONLY, values)
            if target is not None:
                tx.after_commit(lambda: target.leave(due_us))
            return
        message_id = tx.one(_PUT, values).message_id
        if target is not None:
            message = Message(
                message_id, lane, kind, business_key, payload, correlation_id, 0, lease_until_us, False, span_id
            )
            tx.after_commit(lambda: target.offer(message))

    def withdraw(self, tx: Transaction, business_key: str) -> bool:
        """Take a message back that certainly was not sent; False when a worker has or had it in hand."""
        return tx.execute(_WITHDRAW, {"of_key": business_key}) > 0

    def state_of(self, tx: Transaction, business_key: str) -> str | None:
        """ready, done or dead; None where no such message was ever put."""
        row = tx.one(_STATE_OF_KEY, {"of_key": business_key})
        return None if row is None else str(row.state)

    def next_due_us(self, tx: Transaction, lane: str) -> int | None:
        """When the next message of a lane is due or its lease ends; None when none is ready."""
        (due_us,) = tx.one(_NEXT_DUE, {"of_lane": lane, "kinds": self.kinds})
        return None if due_us is None else int(due_us)

    def claim(self, tx: Transaction, lane: str, now_us: int, most: int) -> list[Message]:
        """Lease up to `most` due messages, the longest due first."""
        rows = tx.rows(_DUE, {"of_lane": lane, "now_us": now_us, "most": most, "kinds": self.kinds})
        if not rows:
            return []
        until_us = now_us + self._lease_us
        tx.execute(_LEASE, {"message_ids": [row.message_id for row in rows], "until_us": until_us})
        return [
            Message(
                row.message_id,
                lane,
                row.kind,
                row.business_key,
                orjson.loads(row.payload),
                row.correlation_id,
                row.attempts,
                until_us,
                maybe_sent=row.attempts > 0 or row.lease_until_us > 0 or row.last_error is not None,
                span_id=row.span_id or "",
            )
            for row in rows
        ]

    def finish(self, tx: Transaction, message: Message) -> bool:
        """Mark a message done."""
        return tx.execute(_FINISH, _fence(message)) == 1

    def postpone(
        self,
        tx: Transaction,
        message: Message,
        attempts: int,
        at_us: int,
        error_class: ErrorClass | None,
        why: str | None,
    ) -> bool:
        """Leave a message for later; `why` is None where it was not sent."""
        values = {
            "new_attempts": attempts,
            "at_us": at_us,
            "why_class": error_class,
            "why": why and why[:_ERROR_LENGTH],
        }
        return tx.execute(_POSTPONE, {**_fence(message), **values}) == 1

    def bury(self, tx: Transaction, message: Message, error_class: ErrorClass, why: str) -> bool:
        """Make a message a dead letter."""
        values = {"why_class": error_class.value, "why": why[:_ERROR_LENGTH]}
        return tx.execute(_BURY, {**_fence(message), **values}) == 1


def _fence(message: Message) -> dict[str, Any]:
    return {"of_message_id": message.message_id, "of_lease_us": message.lease_until_us}
