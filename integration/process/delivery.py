"""Takes events from the outbox to their subscribers. A message names a subscription and an event of the log."""

from collections.abc import Mapping
from typing import Any

from integration.messaging.event_log import ACTIVE, GONE, EventLog, Subscription
from integration.messaging.event_secrets import EventSecrets
from integration.messaging.message import Message
from integration.messaging.outcomes import Defer, Done, ErrorClass, Outcome, Refused, Retry
from integration.runtime import Clock
from integration.storage import Database, Transaction, audit
from integration.system.subscriber import FAILED, STREAM_URL, SUBSCRIBER_GONE, Delivery, Heard, SubscriberClient

# How long an event waits for an earlier one of its subject.
_TURN_US = 500_000


class DeliverEvent:
    """A subscriber's failure says nothing of the lane that all of them share: the lane counts as in good health."""

    def __init__(
        self,
        clock: Clock,
        database: Database,
        log: EventLog,
        client: SubscriberClient,
        secrets: EventSecrets,
    ) -> None:
        self._clock = clock
        self._database = database
        self._log = log
        self._client = client
        self._secrets = secrets

    def send(self, message: Message) -> Outcome:
        """Deliver, unless the subscriber is left alone or an earlier event of the subject comes first."""
        subscription_id, _, event_id = message.business_key.partition(":")
        with self._database.read() as tx:
            subscription = self._log.find(tx, subscription_id)
            event = self._log.event(tx, event_id)
            if subscription is None or subscription.status != ACTIVE:
                return Done()
            if event is None:
                return Refused("", f"event {event_id} is no longer kept", ErrorClass.DATA)
            pause_us = subscription.paused_until_us - self._clock.now_us()
            if pause_us > 0:
                return Defer("the subscriber is left alone", pause_us)
            if not self._log.is_next(tx, subscription_id, event):
                return Defer("an earlier event of the subject is on its way", _TURN_US)
        secrets = self._secrets.signing(subscription, self._clock.now_us())
        if not secrets and subscription.url != STREAM_URL:
            return Retry("nothing signs here: PEAKPROOF_EVENT_KEY is not set", healthy=True)
        heard = self._client.deliver(self._delivery(subscription, secrets, event, message))
        return self._outcome(subscription, heard)

    def _delivery(self, subscription: Subscription, secrets: tuple[str, ...], event: Any, message: Message) -> Delivery:
        return Delivery(
            subscription.url,
            secrets,
            event.event_id,
            event.type,
            event.subject,
            event.correlation_id,
            event.body.encode(),
            message.attempts + 1,
        )

    def _outcome(self, subscription: Subscription, heard: Heard) -> Outcome:
        if heard.how == FAILED:
            status = self._database.transact(lambda tx: self._log.failed(tx, subscription, heard.after_us))
            if status == ACTIVE:
                return Retry(f"{subscription.url} {heard.reason}", healthy=True)
            return Done({"ended": status, "reason": heard.reason})
        if heard.how == SUBSCRIBER_GONE:
            return Done({"ended": GONE, "reason": heard.reason})
        return Done({"failed_before": True}) if subscription.failures else Done()

    def done(self, tx: Transaction, message: Message, answer: Mapping[str, Any]) -> None:
        """Note that the subscription has ended, or is well again."""
        subscription_id = message.business_key.partition(":")[0]
        if "ended" in answer:
            self._log.end(tx, subscription_id, answer["ended"])
            audit(tx, self._clock.now_us(), "subscription_ended", entity="subscription", entity_id=subscription_id,
                  to_state=answer["ended"], detail=answer["reason"])  # fmt: skip
        elif "failed_before" in answer:
            self._log.went_well(tx, subscription_id)

    def dead(self, tx: Transaction, message: Message, reason: str, error_class: ErrorClass) -> None:
        """The dead letter is what is left; later events of the subject go on."""
        subscription_id = message.business_key.partition(":")[0]
        audit(tx, self._clock.now_us(), "event_undelivered", entity="subscription", entity_id=subscription_id,
              to_state="dead", detail=f"{message.business_key} ({error_class}): {reason}")  # fmt: skip
