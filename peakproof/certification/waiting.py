"""The seam for time: certification waits by the wall clock, a test by the virtual time of a sandbox."""

import time
from collections.abc import Callable
from typing import Protocol

SECOND_US = 1_000_000
_LONGEST_STEP_US = 30 * SECOND_US


class Waiter(Protocol):
    """Tells the time in microseconds since the Unix epoch, and lets some of it pass."""

    def now_us(self) -> int: ...
    def wait(self, duration_us: int) -> None: ...


class WallClock:
    """The time of this computer."""

    def now_us(self) -> int:
        return time.time_ns() // 1_000

    def wait(self, duration_us: int) -> None:
        time.sleep(duration_us / SECOND_US)


def wait_until(waiter: Waiter, seen: Callable[[], bool], patience_us: int, first_step_us: int = 200_000) -> bool:
    """Whether `seen` came true within `patience_us`. It is asked in steps that grow from the first one to 30 s."""
    ends_at_us, step_us = waiter.now_us() + patience_us, first_step_us
    while not seen():
        left_us = ends_at_us - waiter.now_us()
        if left_us <= 0:
            return False
        waiter.wait(min(step_us, left_us))
        step_us = min(_LONGEST_STEP_US, step_us * 5 // 4)
    return True
