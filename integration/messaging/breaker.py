"""A circuit breaker: leave a failing partner alone, ask now and then whether it is back. Time is an argument,
read off a steady clock.
"""

from contextlib import nullcontext
from enum import StrEnum

from integration.runtime import Guard

# While a probe is out, others look this often whether it has come back.
_PROBE_WATCH_US = 1_000_000


class BreakerState(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Breaker:
    """Opens when `threshold` different messages failed with no success in between.

    Different, for one message that fails for ever says nothing about the partner. Each failed probe doubles the
    cooldown, up to the ceiling; one success closes the breaker.
    """

    def __init__(
        self,
        threshold: int = 8,
        cooldown_us: int = 5_000_000,
        ceiling_us: int = 30_000_000,
        probe_limit_us: int = 60_000_000,
        guard: Guard = nullcontext,
    ) -> None:
        self._guard = guard()
        self.state = BreakerState.CLOSED
        self._threshold = threshold
        self._first_cooldown_us = cooldown_us
        self._ceiling_us = ceiling_us
        self._probe_limit_us = probe_limit_us
        self._cooldown_us = cooldown_us
        self._failed: list[str] = []
        self._until_us = 0

    def admit(self, now_us: int) -> int:
        """0 when a call may go now, else how many microseconds to wait before asking again.

        With an open breaker whose cooldown is over, the first to ask becomes the probe. A probe that never reports is
        given up after the probe limit.
        """
        if self.state is BreakerState.CLOSED:
            return 0
        with self._guard:
            return self._admit(now_us)

    def _admit(self, now_us: int) -> int:
        wait_us = self._wait_us(now_us)
        if wait_us > 0:
            return wait_us if self.state is BreakerState.OPEN else min(wait_us, _PROBE_WATCH_US)
        self.state = BreakerState.HALF_OPEN
        self._until_us = now_us + self._probe_limit_us
        return 0

    def succeeded(self) -> None:
        """The partner answered as one in good health does."""
        with self._guard:
            self.state = BreakerState.CLOSED
            self._cooldown_us = self._first_cooldown_us
            self._failed.clear()

    def failed(self, now_us: int, key: str) -> None:
        """The message `key` met a partner that is out of order."""
        with self._guard:
            if self.state is BreakerState.HALF_OPEN:
                self._cooldown_us = min(self._ceiling_us, self._cooldown_us * 2)
                self._open(now_us)
            elif self.state is BreakerState.CLOSED:
                if key not in self._failed:
                    self._failed.append(key)
                if len(self._failed) >= self._threshold:
                    self._open(now_us)

    def abandon(self, now_us: int) -> None:
        """Who was admitted did not call after all: somebody else may be the probe."""
        if self.state is BreakerState.HALF_OPEN:
            self.state = BreakerState.OPEN
            self._until_us = now_us

    def closed_for_us(self, now_us: int) -> int:
        """How long nobody will be admitted, without asking to be."""
        return self._wait_us(now_us) if self.state is BreakerState.OPEN else 0

    def _wait_us(self, now_us: int) -> int:
        return max(0, self._until_us - now_us)

    def _open(self, now_us: int) -> None:
        self.state = BreakerState.OPEN
        self._until_us = now_us + self._cooldown_us
        self._failed.clear()
