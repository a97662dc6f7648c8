"""A lane: everything that goes to one partner, with its workers' memory queue, circuit breaker and rate budget."""

from collections import deque
from contextlib import nullcontext
from dataclasses import dataclass

from integration.messaging.breaker import Breaker
from integration.messaging.budget import RateBudget
from integration.messaging.message import Message
from integration.runtime import Guard, Signal, Tasks

_NEVER_US = 1 << 62


@dataclass(frozen=True, slots=True)
class LaneLimits:
    """What one partner may be burdened with. `capacity` bounds the messages in memory; the database holds the rest."""

    workers: int = 4
    capacity: int = 100
    per_second: float = 0.0
    burst: int = 1
    breaker_failures: int = 8
    breaker_cooldown_us: int = 5_000_000
    breaker_ceiling_us: int = 30_000_000


class Lane:
    """Messages wait here only after their transaction has been committed; each is leased to this process."""

    def __init__(self, name: str, limits: LaneLimits, tasks: Tasks, guard: Guard = nullcontext) -> None:
        self.name = name
        self.limits = limits
        self.breaker = Breaker(
            limits.breaker_failures, limits.breaker_cooldown_us, limits.breaker_ceiling_us, guard=guard
        )
        self.budget = RateBudget(limits.per_second, limits.burst, guard)
        self._guard = guard()
        self.backlog = False
        self._tasks = tasks
        self._queue: deque[Message] = deque()
        self._idle: deque[Signal] = deque()
        self._poll = tasks.signal()
        self._polls_at_us = _NEVER_US
        self._in_hand = 0
        self._closed = False

    def room(self) -> int:
        """How many more messages may come into memory."""
        return 0 if self._closed else max(0, self.limits.capacity - len(self._queue))

    def has_short_way(self, now_us: int) -> bool:
        """Whether a new message may take the short way through memory; `now_us` is read off a steady clock."""
        return self.room() > 0 and not self.shut_for_us(now_us) and not self.backlog

    def offer(self, message: Message) -> None:
        """Give a leased message to the next free worker."""
        with self._guard:
            self._queue.append(message)
            if self._idle:
                self._idle.popleft().set()

    def take(self, signal: Signal) -> Message:
        """The next message; waits on the worker's own `signal` while there is none."""
        while True:
            with self._guard:
                if self._queue:
                    message = self._queue.popleft()
                    self._in_hand += 1
                    if self.backlog and len(self._queue) * 2 <= self.limits.capacity:
                        self._poll.set()
                    return message
                self._idle.append(signal)
            signal.wait(None)
            with self._guard:
                if signal in self._idle:
                    self._idle.remove(signal)

    def done_with_one(self) -> None:
        """A worker is through with the message that it took."""
        with self._guard:
            self._in_hand -= 1

    def close(self) -> list[Message]:
        """Take nothing in and hand nothing out any more; the messages that no worker has in hand."""
        with self._guard:
            self._closed = True
            left = list(self._queue)
            self._queue.clear()
            return left

    @property
    def in_hand(self) -> int:
        """How many messages workers are at."""
        return self._in_hand

    def worker_signal(self) -> Signal:
        """A wake-up call of its own for each worker."""
        return self._tasks.signal()

    def due_at(self, at_us: int) -> None:
        """A message in the database becomes due then: the poller must not sleep past it."""
        if at_us < self._polls_at_us:
            self._poll.set()

    def leave(self, due_us: int) -> None:
        """A message was left in the database."""
        if self.room() == 0:
            self.backlog = True
        self.due_at(due_us)

    def sleep_until(self, now_us: int, at_us: int) -> None:
        """Park the poller until that time or until something is due earlier."""
        if at_us <= now_us:
            return
        self._polls_at_us = at_us
        self._poll.wait(at_us - now_us)
        self._polls_at_us = _NEVER_US

    def shut_for_us(self, now_us: int) -> int:
        """How long the partner is left alone: it asked for it, or the breaker is open. Off a steady clock."""
        return max(self.budget.paused_us(now_us), self.breaker.closed_for_us(now_us))
