"""Who is calling, and how often: channels by bearer token, and a token bucket per channel."""

import hmac
from collections.abc import Mapping

from flask import g, request

from contracts.errors import ProblemError
from contracts.validation import Operation
from integration.runtime import Clock

OPERATIONS = "operations"
_SECOND_US = 1_000_000


class Access:
    """Authenticates secured operations; the channel is in `flask.g.channel` after it."""

    def __init__(self, clock: Clock, tokens: Mapping[str, str], rate_per_second: float) -> None:
        self._clock = clock
        self._tokens = tokens
        self._rate = rate_per_second
        self._buckets: dict[str, tuple[float, int]] = {}

    def authenticate(self, operation: Operation) -> None:
        """Raise ProblemError `bad-token`, `forbidden` or `rate-limited` unless the caller may do this."""
        channel = self._channel(request.environ.get("HTTP_AUTHORIZATION", ""))
        if operation.path.startswith("/operations/") and channel != OPERATIONS:
            raise ProblemError("forbidden", f"channel {channel!r} may not use {operation.path}")
        if self._rate > 0:
            self._spend(channel)
        g.channel = channel

    def _channel(self, authorization: str) -> str:
        scheme, _, token = authorization.partition(" ")
        found = ""
        for known, channel in self._tokens.items():
            if hmac.compare_digest(known.encode(), token.encode()):
                found = channel
        if scheme.lower() != "bearer" or not found:
            raise ProblemError("bad-token", "send Authorization: Bearer with the token of your channel")
        return found

    def _spend(self, channel: str) -> None:
        """One call out of a bucket that holds two seconds' worth."""
        now_us = self._clock.now_us()
        most = max(1.0, 2 * self._rate)
        level, at_us = self._buckets.get(channel, (most, now_us))
        level = min(most, level + (now_us - at_us) / _SECOND_US * self._rate)
        if level < 1:
            self._buckets[channel] = (level, now_us)
            raise ProblemError("rate-limited", f"channel {channel!r} calls too often", {"Retry-After": "1"})
        self._buckets[channel] = (level - 1, now_us)
