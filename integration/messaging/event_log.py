"""The log of business events, and who is told of them.

An event is written in the transaction of what it tells, and in the same transaction a message for each subscription
that asked for its type goes into the outbox: both stand or neither. The log is kept for a while, so that a subscription
may begin at a point in the past. Events of one subject reach a subscription in the order of the log.

A subscriber that fails is left alone for longer and longer, all his messages with him; one who has failed for too long,
or has answered 410, is told nothing more. What he missed he has by subscribing again from the time of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, Text, and_, bindparam, cast, delete, exists, insert, literal, null, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import aliased

from integration.messaging.outbox import Outbox
from integration.runtime import Clock
from integration.storage import Transaction
from integration.storage.tables import events, outbox, subscription_types, subscriptions

LANE = "events"
KIND = "deliver_event"

ACTIVE, GONE, GIVEN_UP = "active", "gone", "given_up"
# Failures in a row after which a subscription is left alone; then for so long, twice as long each time.
PATIENT_FAILURES = 3
FIRST_PAUSE_US = 1_000_000
LONGEST_PAUSE_US = 300_000_000
_LONGEST_ASKED_US = 3_600_000_000

_SUBSCRIPTIONS = "subscriptions"
_SECRET = ("secret_generation", "secret_made_at_us", "former_until_us")
_S = subscriptions.c
_APPEND = insert(events)
_MESSAGE_COLUMNS = ("lane", "kind", "business_key", "payload", "correlation_id", "state", "attempts",
                    "next_attempt_at_us", "lease_until_us", "created_at_us", "span_id")  # fmt: skip


def _message(subscription_id: Any, event_id: Any, correlation_id: Any, span_id: Any) -> tuple[Any, ...]:
    """The columns of a message that carries an event to a subscription, due now."""
    now_us = cast(bindparam("now_us"), BigInteger)
    key = subscription_id.concat(":").concat(event_id)
    return (literal(LANE), literal(KIND), key, literal("{}"), correlation_id, literal("ready"), literal(0), now_us,
            literal(0), now_us, span_id)  # fmt: skip


def _text(name: str) -> Any:
    return cast(bindparam(name), Text)


_FAN_OUT = insert(outbox).from_select(
    _MESSAGE_COLUMNS,
    select(*_message(_S.subscription_id, _text("of_event_id"), _text("of_correlation_id"), _text("of_span_id")))
    .join(subscription_types, subscription_types.c.subscription_id == _S.subscription_id)
    .where(subscription_types.c.type == bindparam("of_type"), _S.status == ACTIVE)
    .order_by(_S.subscription_id),
    include_defaults=False,
)
_REPLAY = insert(outbox).from_select(
    _MESSAGE_COLUMNS,
    select(*_message(_S.subscription_id, events.c.event_id, events.c.correlation_id, null()))
    .join(subscription_types, subscription_types.c.subscription_id == _S.subscription_id)
    .join(events, events.c.type == subscription_types.c.type)
    .where(_S.subscription_id == bindparam("of_subscription_id"), events.c.at_us >= bindparam("since_us"))
    .order_by(events.c.position),
    include_defaults=False,
)
_BY_URL = select(subscriptions).where(_S.channel == bindparam("of_channel"), _S.url == bindparam("of_url"))
_subscribe = upsert(subscriptions)
_SUBSCRIBE = _subscribe.on_conflict_do_update(
    index_elements=["channel", "url"],
    set_={
        name: _subscribe.excluded[name]
        for name in ("status", "failures", "paused_until_us", *_SECRET)
    } | {"failing_since_us": None},
)  # fmt: skip
_FORGET_TYPES = delete(subscription_types).where(subscription_types.c.subscription_id == bindparam("of_id"))
_ADD_TYPE = insert(subscription_types)
_MINE = select(subscriptions).where(_S.channel == bindparam("of_channel")).order_by(_S.created_at_us, _S.url)
_ONE = select(subscriptions).where(_S.subscription_id == bindparam("of_id"))
_TYPES = (
    select(subscription_types.c.type)
    .where(subscription_types.c.subscription_id == bindparam("of_id"))
    .order_by(subscription_types.c.type)
)
_DELETE = delete(subscriptions).where(_S.subscription_id == bindparam("of_id"))
_END = update(subscriptions).where(_S.subscription_id == bindparam("of_id")).values(status=bindparam("new_status"))
# What no worker has in hand; one that has finds no subscription and is done with it.
_OF_SUBSCRIPTION = and_(
    outbox.c.lane == LANE,
    outbox.c.state == "ready",
    outbox.c.lease_until_us == 0,
    outbox.c.business_key.startswith(bindparam("key_prefix")),
)
_DROP = delete(outbox).where(_OF_SUBSCRIPTION)
_PUT_OFF = (
    update(outbox)
    .where(_OF_SUBSCRIPTION, outbox.c.next_attempt_at_us < bindparam("until_us"))
    .values(next_attempt_at_us=bindparam("until_us"))
)
_FAILED = (
    update(subscriptions)
    .where(_S.subscription_id == bindparam("of_id"))
    .values(failures=bindparam("new_failures"), failing_since_us=bindparam("since_us"),
            paused_until_us=bindparam("until_us"))
)  # fmt: skip
_WELL = (
    update(subscriptions)
    .where(_S.subscription_id == bindparam("of_id"), _S.failures > 0)
    .values(failures=0, failing_since_us=None, paused_until_us=0)
)
_EVENT = select(events).where(events.c.event_id == bindparam("of_event_id"))
_other = aliased(outbox)
_EARLIER = (
    select(events.c.position)
    .where(
        events.c.subject == bindparam("of_subject"),
        events.c.position < bindparam("before"),
        exists().where(
            _other.c.business_key == _text("key_prefix").concat(events.c.event_id), _other.c.state == "ready"
        ),
    )
    .limit(1)
)


@dataclass(frozen=True, slots=True)
class Event:
    """What happened to `subject`; `body` is the CloudEvent as it is sent."""

    event_id: str
    type: str
    subject: str
    at_us: int
    correlation_id: str
    body: str


@dataclass(frozen=True, slots=True)
class Subscription:
    """Who is told of which types, and how that goes. Its secret is made of its id and `secret_generation`."""

    subscription_id: str
    channel: str
    url: str
    status: str
    created_at_us: int
    failures: int
    failing_since_us: int | None
    paused_until_us: int
    secret_generation: int | None
    secret_made_at_us: int | None
    former_until_us: int | None
    types: tuple[str, ...] = ()


class EventLog:
    """Appends events, and keeps the subscriptions. Times are protocol time, but for those of events.

    `patience_us` is how long a subscriber may fail, `overlap_us` how long a secret holds beside the one that took its
    place.
    """

    def __init__(self, clock: Clock, outbox: Outbox, patience_us: int, overlap_us: int) -> None:
        self._clock = clock
        self._outbox = outbox
        self._patience_us = patience_us
        self._overlap_us = overlap_us

    def append(self, tx: Transaction, told: Sequence[Event]) -> None:
        """Write events, and a message for every subscription that asked for their types."""
        now_us = self._clock.now_us()
        tx.lock_name(_SUBSCRIPTIONS, shared=True)  # who subscribes from the past must see what is under way
        for event in told:
            row = {"event_id": event.event_id, "type": event.type, "subject": event.subject, "at_us": event.at_us,
                   "correlation_id": event.correlation_id, "body": event.body}  # fmt: skip
            tx.send(_APPEND, row)
            message = {"of_event_id": event.event_id, "of_correlation_id": event.correlation_id,
                       "of_type": event.type, "of_span_id": self._outbox.telemetry.span_id() or None,
                       "now_us": now_us}  # fmt: skip
            tx.send(_FAN_OUT, message)
        self._wake(tx, now_us)

    def _wake(self, tx: Transaction, now_us: int) -> None:
        lane = self._outbox.lanes[LANE]
        tx.after_commit(lambda: lane.due_at(now_us))

    def subscribe(
        self,
        tx: Transaction,
        new_id: str,
        channel: str,
        url: str,
        types: Sequence[str],
        since_us: int | None,
        new_secret: bool = False,
    ) -> tuple[Subscription, bool]:
        """Subscribe a URL; the same URL of the same channel again replaces what it had asked for, and makes it active.

        From `since_us` on, events that are kept are sent again; what waits for it is sent all the same. The answer
        tells whether a secret was made: for who has none yet, and for who asks for a `new_secret`.
        """
        tx.lock_name(_SUBSCRIPTIONS)
        now_us = self._clock.now_us()
        known = tx.one(_BY_URL, {"of_channel": channel, "of_url": url})
        subscription_id = known.subscription_id if known else new_id
        made, secret = self._secret(known, now_us, new_secret)
        row = {"subscription_id": subscription_id, "channel": channel, "url": url, "status": ACTIVE,
               "created_at_us": known.created_at_us if known else now_us, "failures": 0, "paused_until_us": 0,
               **secret}  # fmt: skip
        tx.execute(_SUBSCRIBE, row)
        tx.execute(_FORGET_TYPES, {"of_id": subscription_id})
        tx.execute(_ADD_TYPE, [{"subscription_id": subscription_id, "type": kind} for kind in sorted(set(types))])
        if since_us is not None:
            tx.execute(_REPLAY, {"of_subscription_id": subscription_id, "since_us": since_us, "now_us": now_us})
            self._wake(tx, now_us)
        found = self.find(tx, subscription_id)
        assert found is not None, f"subscription {subscription_id} was just written"
        return found, made

    def _secret(self, known: Any, now_us: int, new_secret: bool) -> tuple[bool, dict[str, int | None]]:
        """Whether a secret is made, and the columns that tell which one holds."""
        former = known.secret_generation if known else None
        if former is not None and not new_secret:
            return False, {name: getattr(known, name) for name in _SECRET}
        until_us = None if former is None else now_us + self._overlap_us
        return True, dict(zip(_SECRET, ((former or 0) + 1, now_us, until_us), strict=True))

    def unsubscribe(self, tx: Transaction, subscription_id: str) -> None:
        """Forget a subscription, and what waits for it."""
        tx.lock_name(_SUBSCRIPTIONS)
        tx.execute(_FORGET_TYPES, {"of_id": subscription_id})
        tx.execute(_DELETE, {"of_id": subscription_id})
        tx.execute(_DROP, {"key_prefix": f"{subscription_id}:"})

    def find(self, tx: Transaction, subscription_id: str) -> Subscription | None:
        """A subscription by its id."""
        row = tx.one(_ONE, {"of_id": subscription_id})
        return None if row is None else self._with_types(tx, row)

    def of_channel(self, tx: Transaction, channel: str) -> list[Subscription]:
        """A channel's subscriptions, the oldest first."""
        return [self._with_types(tx, row) for row in tx.rows(_MINE, {"of_channel": channel})]

    def _with_types(self, tx: Transaction, row: Any) -> Subscription:
        types = tuple(found.type for found in tx.rows(_TYPES, {"of_id": row.subscription_id}))
        return Subscription(**row._asdict(), types=types)

    def event(self, tx: Transaction, event_id: str) -> Any:
        """A row of the log; None when it is no longer kept."""
        return tx.one(_EVENT, {"of_event_id": event_id})

    def is_next(self, tx: Transaction, subscription_id: str, event: Any) -> bool:
        """Whether no earlier event of the same subject is still on its way to the subscription."""
        asked = {"of_subject": event.subject, "before": event.position, "key_prefix": f"{subscription_id}:"}
        return tx.one(_EARLIER, asked) is None

    def failed(self, tx: Transaction, subscription: Subscription, asked_us: int) -> str:
        """Note a failed delivery, and leave the subscription alone for a while where it fails again and again, or asked
        for it; the status of the subscription after that."""
        now_us = self._clock.now_us()
        failures = subscription.failures + 1
        since_us = now_us if subscription.failing_since_us is None else subscription.failing_since_us
        if now_us - since_us >= self._patience_us:
            self.end(tx, subscription.subscription_id, GIVEN_UP)
            return GIVEN_UP
        doublings = failures - PATIENT_FAILURES
        pause_us = min(LONGEST_PAUSE_US, FIRST_PAUSE_US << min(doublings, 20)) if doublings >= 0 else 0
        pause_us = max(pause_us, min(asked_us, _LONGEST_ASKED_US))
        until_us = now_us + pause_us if pause_us else 0
        noted = {"of_id": subscription.subscription_id, "new_failures": failures, "since_us": since_us,
                 "until_us": until_us}  # fmt: skip
        tx.execute(_FAILED, noted)
        if pause_us:
            tx.execute(_PUT_OFF, {"key_prefix": f"{subscription.subscription_id}:", "until_us": until_us})
        return ACTIVE

    def went_well(self, tx: Transaction, subscription_id: str) -> None:
        """A delivery arrived: the next failure is the first again."""
        tx.execute(_WELL, {"of_id": subscription_id})

    def end(self, tx: Transaction, subscription_id: str, status: str) -> None:
        """Tell a subscription nothing more; it stays to be seen, and is active again when its URL subscribes again."""
        tx.execute(_END, {"of_id": subscription_id, "new_status": status})
        tx.execute(_DROP, {"key_prefix": f"{subscription_id}:"})
