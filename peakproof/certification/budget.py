"""What a run may cost the partner: so many requests in all, so many in any second."""

from collections import deque

from peakproof.certification.errors import BudgetSpent
from peakproof.certification.waiting import SECOND_US, Waiter


class Budget:
    """Asked before anything is sent. Below one request a second the window is as long as one request needs."""

    def __init__(self, waiter: Waiter, max_requests: int, max_per_second: float) -> None:
        self._waiter = waiter
        self.max_requests = max_requests
        self.max_per_second = max_per_second
        self.at_once = max(1, int(max_per_second))
        """How many may be sent in the same moment."""
        self._window_us = max(SECOND_US, round(SECOND_US * self.at_once / max_per_second))
        self._recent: deque[int] = deque()
        self.sent = 0

    @property
    def left(self) -> int:
        return self.max_requests - self.sent

    def take(self, requests: int = 1) -> None:
        """Wait until so many may be sent. BudgetSpent when they never may."""
        if requests > self.left:
            raise BudgetSpent(f"the budget of {self.max_requests} requests is spent; raise --max-requests")
        if requests > self.at_once:
            said = f"{requests} at once are above {self.max_per_second:g} a second; raise --max-per-second"
            raise BudgetSpent(said)
        while True:
            now_us = self._waiter.now_us()
            while self._recent and self._recent[0] <= now_us - self._window_us:
                self._recent.popleft()
            if len(self._recent) + requests <= self.at_once:
                break
            freed_at_us = self._recent[len(self._recent) + requests - self.at_once - 1] + self._window_us
            self._waiter.wait(max(1_000, freed_at_us - now_us))
        self.sent += requests
        self._recent += [self._waiter.now_us()] * requests
