"""A rate budget: how fast a partner may be called at all. Pure: time is an argument, read off a steady clock."""

from contextlib import nullcontext

from integration.runtime import Guard

_SECOND_US = 1_000_000


class RateBudget:
    """A token bucket that hands out turns: who must wait learns how long, and the turn is theirs.

    `per_second` calls, after at most `burst` at once; 0 per second is no limit.
    """

    def __init__(self, per_second: float = 0.0, burst: int = 1, guard: Guard = nullcontext) -> None:
        self._alone_us = round(_SECOND_US / per_second) if per_second > 0 else 0
        self._burst = max(burst, 1)
        self._guard = guard()
        self._next_us = 0
        self._paused_until_us = 0
        self.share(1)

    def share(self, among: int) -> None:
        """Take only an equal share of the rate: so many processes call this partner."""
        self._interval_us = self._alone_us * max(1, among)
        self._allowance_us = self._alone_us * (self._burst - 1)

    def reserve(self, now_us: int) -> int:
        """Take the next turn; the answer is how many microseconds it is away (0: now)."""
        with self._guard:
            start_us = max(self._next_us, now_us - self._allowance_us)
            self._next_us = start_us + self._interval_us
        return max(0, start_us - now_us)

    def pause(self, until_us: int) -> None:
        """The partner asked to be left alone until then."""
        self._paused_until_us = max(self._paused_until_us, until_us)

    def paused_us(self, now_us: int) -> int:
        """How long the pause still lasts."""
        return max(0, self._paused_until_us - now_us)
