"""By how much another machine's monotonic clock is ahead of this one's, by asking it many times.

An answer was given somewhere between question and answer: halfway, give or take half the round trip. Of many, the
quickest says most.
"""

from collections.abc import Callable
from typing import NamedTuple

from loadtests.plan import monotonic_us

LOOKS = 25


class Offset(NamedTuple):
    """The other clock is `ahead_us` ahead, give or take `unsure_us`."""

    ahead_us: int
    unsure_us: int

    def bound_us(self, later: "Offset") -> int:
        """By how much times told with this offset may be wrong, from when it was taken until `later` was."""
        return max(self.unsure_us, abs(later.ahead_us - self.ahead_us) + later.unsure_us)


SAME = Offset(0, 0)
"""One clock for both."""


def offset(ask: Callable[[], int], now_us: Callable[[], int] = monotonic_us) -> Offset:
    """The offset of the clock that `ask` tells, by the quickest of LOOKS answers."""
    best: Offset | None = None
    for _ in range(LOOKS):
        before_us = now_us()
        told_us = ask()
        after_us = now_us()
        unsure_us = (after_us - before_us + 1) // 2
        if best is None or unsure_us < best.unsure_us:
            best = Offset(told_us - (before_us + after_us) // 2, unsure_us)
    assert best is not None
    return best
