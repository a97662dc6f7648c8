"""Messages that were given up: what there is, and sending one on its way again once its cause is mended."""

from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import bindparam, func, select, update

from integration.messaging.outbox import Outbox
from integration.messaging.presence import worst_breakers
from integration.runtime import Clock
from integration.storage import Transaction
from integration.storage.tables import outbox

_COLUMNS = outbox.c
_DEAD = (
    select(
        _COLUMNS.message_id,
        _COLUMNS.lane,
        _COLUMNS.kind,
        _COLUMNS.business_key,
        _COLUMNS.payload,
        _COLUMNS.correlation_id,
        _COLUMNS.attempts,
        _COLUMNS.error_class,
        _COLUMNS.last_error,
        _COLUMNS.created_at_us,
    )
    .where(_COLUMNS.state == "dead", _COLUMNS.message_id > bindparam("after_id"))
    .order_by(_COLUMNS.message_id)
    .limit(bindparam("most"))
)
_REDRIVE = (
    update(outbox)
    .where(_COLUMNS.message_id == bindparam("of_message_id"), _COLUMNS.state == "dead")
    .values(state="ready", attempts=0, next_attempt_at_us=bindparam("now_us"), lease_until_us=0)
    .returning(_COLUMNS.lane)
)
_COUNTS = (
    select(
        _COLUMNS.lane,
        _COLUMNS.state,
        func.count().label("messages"),
        func.min(_COLUMNS.created_at_us).label("oldest_us"),
    )
    .where(_COLUMNS.state.in_(("ready", "dead")))
    .group_by(_COLUMNS.lane, _COLUMNS.state)
)


@dataclass(frozen=True, slots=True)
class LaneFigures:
    """How one lane stands; `oldest_age_ms` is 0 where nothing waits."""

    lane: str
    ready: int
    oldest_age_ms: int
    dead: int
    breaker: str


class DeadLetters:
    """The operator's view of the outbox. `dispatches`: whether the lanes run here, or the breakers are elsewhere."""

    def __init__(self, clock: Clock, outbox: Outbox, dispatches: bool = True) -> None:
        self._clock = clock
        self._outbox = outbox
        self._dispatches = dispatches

    def listing(self, tx: Transaction, after_id: int = 0, most: int = 100) -> list[dict[str, Any]]:
        """Dead letters by message id, payload parsed."""
        rows = tx.rows(_DEAD, {"after_id": after_id, "most": most})
        return [{**row._asdict(), "payload": orjson.loads(row.payload)} for row in rows]

    def redrive(self, tx: Transaction, message_id: int) -> bool:
        """Make a dead letter ready again with no attempts counted; False when there is no such dead letter.

        What it may have done before is remembered by its last error, so a handler still asks before it repeats.
        """
        now_us = self._clock.now_us()
        row = tx.one(_REDRIVE, {"of_message_id": message_id, "now_us": now_us})
        if row is None:
            return False
        lane = self._outbox.lanes.get(row.lane)
        if lane is not None:
            tx.after_commit(lambda: lane.due_at(now_us))
        return True

    def figures(self, tx: Transaction) -> list[LaneFigures]:
        """How every lane stands, in the order of the lanes."""
        now_us = self._clock.now_us()
        counts = {(row.lane, row.state): row for row in tx.rows(_COUNTS)}
        elsewhere = {} if self._dispatches else worst_breakers(tx, now_us)
        figures = []
        for name, lane in self._outbox.lanes.items():
            ready, dead = counts.get((name, "ready")), counts.get((name, "dead"))
            age_ms = max(0, now_us - ready.oldest_us) // 1_000 if ready else 0
            count = ready.messages if ready else 0
            breaker = elsewhere.get(name, lane.breaker.state.value)
            figures.append(LaneFigures(name, count, age_ms, dead.messages if dead else 0, breaker))
        return figures
