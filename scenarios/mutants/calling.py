"""Bugs in how partners are called, and in what is made of an answer that did not come."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from integration.messaging.keys import BusinessKeys
from integration.messaging.message import Message, Stamp
from integration.messaging.outcomes import Done, ErrorClass, Outcome, Refused, Uncertain
from integration.messaging.retry import RetryPolicy
from integration.process.backorders import Backorders
from integration.process.desk import FULFILLMENT, set_status
from integration.process.fulfillment import ReleaseFulfillment
from integration.process.progress import Progress
from integration.storage import Transaction, touch_order
from integration.system.wms import WmsClient

_HOUR_US = 3_600_000_000


class NewKeyPerAttempt(BusinessKeys):
    """Every retry looks like a new request to the partner."""

    def key(self, message: Message) -> str:
        """A key that depends on the attempt."""
        return f"{message.business_key}~{message.attempts}"

    def reference(self, message: Message, reference: str) -> str:
        """A reference that depends on the attempt."""
        return reference if message.attempts == 0 else f"{reference}r{message.attempts}x"


class RepeatsBlindly(WmsClient):
    """Repeats an unanswered release at once, as a call that has nothing to do with the first."""

    def release(self, body: Mapping[str, Any], stamp: Stamp) -> Outcome:
        """Post; post anew when no answer came."""
        outcome = super().release(body, stamp)
        if not isinstance(outcome, Uncertain):
            return outcome
        anew = {**body, "release_id": f"{body['release_id']}again"}
        return super().release(anew, Stamp(f"{stamp.key}~again", stamp.correlation_id, stamp.attempt))


class TakesTimeoutForFailure(ReleaseFulfillment):
    """Has another node serve what the first one did not answer for."""

    def send(self, message: Message) -> Outcome:
        """As the product's; uncertain is taken for refused."""
        outcome = super().send(message)
        if isinstance(outcome, Uncertain):
            return Refused("", outcome.reason, ErrorClass.PARTNER)
        return outcome

    def dead(self, tx: Transaction, message: Message, reason: str, error_class: ErrorClass) -> None:
        """Source the fulfillment again elsewhere."""
        super().dead(tx, message, reason, error_class)
        now_us = self.desk.clock.now_us()
        fulfillment = tx.one(FULFILLMENT, {"fulfillment_id": message.payload["fulfillment_id"]})
        Progress(self.desk, Backorders(self.desk, _HOUR_US, _HOUR_US)).reject(tx, fulfillment, reason)
        set_status(tx, fulfillment, "rejected", now_us, reason)
        touch_order(tx, fulfillment.order_id, now_us)


class TakesTimeoutForSuccess(WmsClient):
    """Believes that a release arrived because it was sent."""

    def release(self, body: Mapping[str, Any], stamp: Stamp) -> Outcome:
        """Post, and be content without an answer."""
        outcome = super().release(body, stamp)
        return Done({"release_id": body["release_id"], "lines": []}) if isinstance(outcome, Uncertain) else outcome


@dataclass(frozen=True, slots=True)
class RetriesTightly(RetryPolicy):
    """Tries again at once, whatever the partner asks for."""

    first_delay_us: int = 20_000
    factor: float = 1.0
    jitter_share: float = 0.0
    max_attempts: int = 1_000_000

    def delay_us(self, key: str, attempts: int, retry_after_us: int = 0) -> int:
        """The same short wait every time."""
        del key, attempts, retry_after_us
        return self.first_delay_us

    def pause_us(self, retry_after_us: int) -> int:
        """Nobody keeps quiet."""
        del retry_after_us
        return 0
