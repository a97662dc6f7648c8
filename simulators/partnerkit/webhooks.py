"""Signed webhooks, delivered at least once: each event goes to every subscription that asked for its type.

Each attempt is a task of its own, started when it is due, so that waiting for a retry costs nothing. A delivery keeps
its original body however late it is; its signature is made anew for each attempt. An exhausted schedule is booked in
the partner's ledger as `webhook_gave_up`.
"""

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

import orjson
from pydantic import Field

from contracts.validation import Events
from contracts.wire import iso, sign_webhook, traceparent
from simulators.kernel import World
from simulators.kernel.faults import Fault
from simulators.kernel.tampering import drifted
from simulators.partnerkit.ledger import Ledger
from simulators.partnerkit.profile import Duration, Profile

LATEST = 100
"""How many deliveries that have ended are remembered."""


class WebhookSettings(Profile):
    """How a vendor delivers: the first attempt after `delay` plus up to `spread`, then one per entry of `retries`."""

    delay: Duration = 200_000
    spread: Duration = 800_000
    timeout: Duration = Field(default=10_000_000, gt=0)
    retries: tuple[Duration, ...] = (5_000_000, 300_000_000, 1_800_000_000, 7_200_000_000, 18_000_000_000)
    unsubscribe_on_gone: bool = True
    disable_after: int | None = Field(default=None, gt=0)
    """Events given up one after another until the subscription is dropped, as some vendors do."""


@dataclass(slots=True)
class Subscription:
    subscription_id: str
    url: str
    secret: str
    types: tuple[str, ...]
    active: bool = True
    given_up_in_a_row: int = 0


@dataclass(slots=True)
class Delivery:
    """One event on its way to one subscription."""

    event_id: str
    type: str
    subject: str
    business_key: str
    correlation_id: str
    body: bytes
    subscription: Subscription
    attempts: int = 0
    due_at_us: int = 0
    statuses: list[int] = field(default_factory=list)


class Webhooks:
    """Subscriptions of one partner and the deliveries still on their way.

    `check` holds (type, data) of each event to its schema, and raises ContractBreach for what we must not send.
    """

    def __init__(
        self,
        world: World,
        host: str,
        settings: WebhookSettings,
        ledger: Ledger,
        check: Callable[[str, object], None] | None = None,
    ) -> None:
        self._check = check or Events.load().check
        self._world = world
        self._host = host
        self._settings = settings
        self._ledger = ledger
        self._subscriptions: dict[str, Subscription] = {}
        self._pending: dict[tuple[str, str], Delivery] = {}
        self._named: Counter[tuple[str, str, str]] = Counter()
        self._life = 0
        self._ended: deque[Delivery] = deque(maxlen=LATEST)
        world.faults.when("subscription_dropped", host, self._drop_subscriptions)
        self.emitted = 0
        self.delivered = 0
        self.retried = 0
        self.gave_up = 0

    def subscribe(self, url: str, secret: str, types: list[str]) -> Subscription:
        """Subscribe `url` to event types; the same URL again replaces what it had asked for."""
        known = next((one for one in self._subscriptions.values() if one.url == url), None)
        number = len(self._subscriptions) + 1
        identity = known.subscription_id if known else f"sub-{self._host}-{number}"
        subscription = Subscription(identity, url, secret, tuple(types))
        self._subscriptions[identity] = subscription
        return subscription

    def emit(self, type_: str, subject: str, data: dict[str, object], correlation_id: str, key: str = "") -> str:
        """Queue an event for its subscribers and return its id. `key` names the business thing, for the ledger."""
        self._check(type_, data)
        chance, now_us = self._world.chance, self._world.now_us()
        event_id = self._new_id(type_, subject, key)
        trace_id = correlation_id or chance.hex(32, "webhook-trace", event_id)
        event = {
            "specversion": "1.0",
            "id": event_id,
            "source": self._host,
            "type": type_,
            "time": iso(now_us),
            "subject": subject,
            "datacontenttype": "application/json",
            "data": data,
        }
        body = orjson.dumps(event)
        self.emitted += 1
        for subscription in self._subscriptions.values():
            if subscription.active and type_ in subscription.types:
                if self._strikes(subscription, ("never_sent",), type_, event_id):
                    continue
                told = self._drifted(subscription, type_, event_id, body)
                delivery = Delivery(event_id, type_, subject, key or subject, trace_id, told, subscription)
                self._pending[(event_id, subscription.subscription_id)] = delivery
                settings = self._settings
                spread_us = chance.integer(0, settings.spread, "webhook-spread", event_id) if settings.spread else 0
                self._schedule(delivery, settings.delay + spread_us)
        return event_id

    def _drifted(self, subscription: Subscription, type_: str, event_id: str, body: bytes) -> bytes:
        """The body as the vendor's new version writes it: changed before it is signed, the same in every attempt."""
        for fault in self._strikes(subscription, ("schema_drift",), type_, event_id):
            body = drifted(self._world.chance, fault, body, event_id)
        return body

    def _strikes(self, subscription: Subscription, kinds: tuple[str, ...], *key: object) -> list[Fault]:
        """The faults of these kinds that this sender plays on one event or attempt; `key` begins with its type."""
        target = self._world.network.name_of(subscription.url)
        type_, *rest = key
        return self._world.faults.of_sender(self._host, target, kinds, str(type_), *rest)

    def _drop_subscriptions(self, _fault: Fault) -> None:
        """Forget every subscription in silence; asking again makes a new one."""
        for subscription in self._subscriptions.values():
            subscription.active = False

    def _new_id(self, type_: str, subject: str, key: str) -> str:
        """An id from what the event is about, not from a running number: leaving an order out renames no other
        event."""
        name = (type_, subject, key)
        self._named[name] += 1
        return f"{self._host}-{self._world.chance.hex(16, 'webhook-id', self._host, *name, self._named[name])}"

    def pending(self) -> int:
        """Deliveries neither made nor given up, those waiting for a retry included."""
        return len(self._pending)

    def subscriptions(self) -> list[Subscription]:
        """Who is told what, those dropped by their receiver among them."""
        return list(self._subscriptions.values())

    def undelivered(self) -> list[Delivery]:
        """What is on its way or waits for its next attempt."""
        return list(self._pending.values())

    def ended(self) -> list[Delivery]:
        """The latest deliveries that were made or given up, oldest first."""
        return list(self._ended)

    def retrying(self) -> int:
        """Deliveries that failed at least once and are neither made nor given up."""
        return sum(1 for delivery in self._pending.values() if delivery.statuses)

    def quiet(self) -> bool:
        return not self._pending

    def resume(self) -> None:
        """After a crash of the host: the tasks that delivered are gone, what was undelivered is scheduled again."""
        self._life += 1
        now_us = self._world.protocol.now_us()
        for delivery in list(self._pending.values()):
            self._schedule(delivery, max(0, delivery.due_at_us - now_us))

    def gauges(self) -> list[tuple[str, str, str, float]]:
        return [
            ("webhooks_pending", "", "", float(len(self._pending))),
            ("webhooks_retried", "", "", float(self.retried)),
            ("webhooks_gave_up", "", "", float(self.gave_up)),
        ]

    def _schedule(self, delivery: Delivery, delay_us: int) -> None:
        protocol = self._world.protocol
        delivery.due_at_us = protocol.now_us() + delay_us
        name = f"webhook {delivery.event_id}"
        self._world.spawn(name, self._attempt, delivery, self._life, host=self._host, after=protocol.timeout(delay_us))

    def _attempt(self, delivery: Delivery, life: int) -> None:
        if life != self._life:
            return
        subscription = delivery.subscription
        if not subscription.active:
            self._done(delivery)
            return
        delivery.attempts += 1
        status = self._send(delivery)
        if life != self._life:
            return
        delivery.statuses.append(status)
        if 200 <= status < 300:
            subscription.given_up_in_a_row = 0
            self.delivered += 1
            self._done(delivery)
        elif status == 410 and self._settings.unsubscribe_on_gone:
            subscription.active = False
            self._done(delivery)
        else:
            self._retry(delivery)

    def _send(self, delivery: Delivery) -> int:
        """The status of one attempt; 0 when no answer came."""
        world, subscription = self._world, delivery.subscription
        timestamp_s = world.protocol.stamp_s()
        key = (delivery.type, delivery.event_id, delivery.attempts)
        is_bad = bool(self._strikes(subscription, ("badly_signed",), *key))
        secret = f"not {subscription.secret}" if is_bad else subscription.secret
        signature = sign_webhook(secret, delivery.event_id, timestamp_s, delivery.body)
        span_id = world.chance.hex(16, "webhook-span", delivery.event_id, delivery.attempts)
        headers = {
            "content-type": "application/cloudevents+json",
            "webhook-id": delivery.event_id,
            "webhook-timestamp": str(timestamp_s),
            "webhook-signature": signature,
            "traceparent": traceparent(delivery.correlation_id, span_id),
            "x-attempt": str(delivery.attempts),
        }
        if self._strikes(subscription, ("unsigned",), *key):
            del headers["webhook-signature"]
        try:
            answer = world.network.send(
                self._host, "POST", subscription.url, headers, delivery.body, self._settings.timeout
            )
        except (TimeoutError, ConnectionError):
            return 0
        return answer.status

    def _retry(self, delivery: Delivery) -> None:
        retries = self._settings.retries
        if delivery.attempts > len(retries):
            self._give_up(delivery)
            return
        self.retried += 1
        self._schedule(delivery, retries[delivery.attempts - 1])

    def _give_up(self, delivery: Delivery) -> None:
        subscription = delivery.subscription
        self.gave_up += 1
        subscription.given_up_in_a_row += 1
        limit = self._settings.disable_after
        if limit is not None and subscription.given_up_in_a_row >= limit:
            subscription.active = False
        self._ledger.book(
            "webhook_gave_up",
            business_key=delivery.business_key,
            correlation_id=delivery.correlation_id,
            reason=f"{delivery.type} after {delivery.attempts} attempts, last status {delivery.statuses[-1]}",
        )
        self._done(delivery)

    def _done(self, delivery: Delivery) -> None:
        self._ended.append(delivery)
        self._pending.pop((delivery.event_id, delivery.subscription.subscription_id), None)
