"""The secrets that sign events: none is stored. Each is reckoned from a key that the environment holds, and from the
subscription's id and generation, so that a copy of the database signs nothing.

A subscription that asks for a new secret goes to its next generation; the one before signs beside it for a while, so
that the subscriber may change over without missing anything. Keys may be several while one takes another's place: each
signs, the first makes what is shown.
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence

from integration.messaging.event_log import Subscription

_PURPOSE = "peakproof subscription secret"


class EventSecrets:
    """Reckons them from `keys`, the newest first; without a key there are none."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = tuple(keys)

    def __bool__(self) -> bool:
        return bool(self._keys)

    def shown(self, subscription_id: str, generation: int) -> str:
        """The secret to be told to the subscriber, as Standard Webhooks writes it. There must be a key."""
        return _secret(self._keys[0], subscription_id, generation)

    def signing(self, subscription: Subscription, now_us: int) -> tuple[str, ...]:
        """All that sign at `now_us`, the one that would be shown first; none where no secret was ever made."""
        newest = subscription.secret_generation
        if newest is None:
            return ()
        former = (newest - 1,) if now_us < (subscription.former_until_us or 0) else ()
        return tuple(
            _secret(key, subscription.subscription_id, generation)
            for generation in (newest, *former)
            for key in self._keys
        )


def _secret(key: str, subscription_id: str, generation: int) -> str:
    named = "\n".join((_PURPOSE, subscription_id, str(generation)))
    return "whsec_" + base64.b64encode(hmac.digest(key.encode(), named.encode(), hashlib.sha256)).decode()
