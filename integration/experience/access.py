"""Who is calling, what he may do, and how often: channels by bearer token, scopes, and a token bucket for each but
operations.

Every answer to a channel with a quota tells it: `RateLimit-Policy` is the quota, `RateLimit` what is left of it now.
"""

import hmac
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from math import ceil

from flask import Flask, Response, g

from contracts.edge import environ
from contracts.errors import ProblemError
from contracts.validation import Operation
from integration.runtime import Clock, Guard
from integration.settings import OPERATIONS, SECOND, Settings, SettingsError


@dataclass(frozen=True, slots=True)
class Caller:
    """The channel that a token speaks for. `customer_id`: whose orders alone are there for it; "" is everybody's."""

    channel: str
    scopes: tuple[str, ...]
    customer_id: str = ""


def callers_of(settings: Settings) -> dict[str, Caller]:
    """Token -> caller. Raises SettingsError for a channel that is to do what it can't, or that has no token."""
    channels = settings.channel_tokens.values()
    for channel in (*settings.channel_scopes, *settings.channel_customers):
        if channel not in channels:
            known = ", ".join(sorted(channels)) or "none"
            raise SettingsError(
                f"scopes or a customer are set for channel {channel!r}, which has no token; known: {known}"
            )
    return {
        token: Caller(channel, settings.scopes_of(channel), settings.channel_customers.get(channel, ""))
        for token, channel in settings.channel_tokens.items()
    }


class Access:
    """Authenticates secured operations; who calls is in `flask.g.caller` after it."""

    def __init__(
        self, clock: Clock, callers: Mapping[str, Caller], rate_per_second: float, guard: Guard = nullcontext
    ) -> None:
        self._clock = clock
        self._callers = callers
        self._rate = rate_per_second
        self._buckets: dict[str, tuple[float, int]] = {}
        self._guard = guard()

    def authenticate(self, operation: Operation) -> None:
        """Raise ProblemError `bad-token`, `forbidden` or `rate-limited` unless the caller may do this."""
        caller = self._caller(environ().get("HTTP_AUTHORIZATION", ""))
        missing = [scope for scope in operation.scopes if scope not in caller.scopes]
        if missing:
            detail = f"channel {caller.channel!r} may not use {operation.path}: it lacks {', '.join(missing)}"
            raise ProblemError("forbidden", detail)
        # Whoever runs it has to see it most of all when channels call too often.
        if self._rate > 0 and caller.channel != OPERATIONS:
            with self._guard:
                self._spend(caller.channel)
        g.caller = caller

    def _caller(self, authorization: str) -> Caller:
        scheme, _, token = authorization.partition(" ")
        found = None
        for known, caller in self._callers.items():
            if hmac.compare_digest(known.encode(), token.encode()):
                found = caller
        if scheme.lower() != "bearer" or found is None:
            raise ProblemError("bad-token", "send Authorization: Bearer with the token of your channel")
        return found

    def tell_quota(self, app: Flask) -> None:
        """Have every answer of `app` to a channel with a quota carry its RateLimit fields."""
        app.after_request(_with_quota)

    def _spend(self, channel: str) -> None:
        """One call out of a bucket that holds two seconds' worth."""
        now_us = self._clock.steady_us()
        most = max(1.0, 2 * self._rate)
        level, at_us = self._buckets.get(channel, (most, now_us))
        level = min(most, level + (now_us - at_us) / SECOND * self._rate)
        enough = level >= 1
        level = level - 1 if enough else level
        self._buckets[channel] = (level, now_us)
        # Seconds until one call is there again, or until the bucket is full.
        wait_s = ceil((1 - level) / self._rate) if not enough else ceil((most - level) / self._rate)
        g.quota = {
            "RateLimit-Policy": f'"default";q={int(most)};w={max(1, ceil(most / self._rate))}',
            "RateLimit": f'"default";r={int(level)};t={wait_s}',
        }
        if not enough:
            raise ProblemError("rate-limited", f"channel {channel!r} calls too often", {"Retry-After": str(wait_s)})


def _with_quota(response: Response) -> Response:
    for name, value in g.get("quota", {}).items():
        response.headers[name] = value
    return response
