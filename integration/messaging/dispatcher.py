"""Takes messages from the outbox to the partners: one lane per partner, several workers per lane, one poller each.

A worker asks the lane's breaker and budget, sends, and settles in one transaction: the effect of the answer and the
message's new state, under the fence of the lease. A message that must wait goes back to the database, so it never
stands in the way of another.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from integration.messaging.lane import Lane
from integration.messaging.message import Message
from integration.messaging.outbox import Outbox
from integration.messaging.outcomes import Defer, Done, ErrorClass, Outcome, Refused, Retry, Uncertain
from integration.messaging.retry import RetryPolicy
from integration.runtime import Clock, Tasks
from integration.storage import Database, DatabaseFailed, Transaction

# How soon the poller looks again when the database failed it.
_DATABASE_RETRY_US = 1_000_000
_STOP_LOOK_US = 50_000


class Handler(Protocol):
    """What one kind of message means."""

    def send(self, message: Message) -> Outcome:
        """Ask the partner, outside any transaction."""
        ...

    def done(self, tx: Transaction, message: Message, answer: Mapping[str, Any]) -> None:
        """The effect of the partner's answer, in the transaction that marks the message done."""
        ...

    def dead(self, tx: Transaction, message: Message, reason: str, error_class: ErrorClass) -> None:
        """What becomes of it when the message is given up."""
        ...


@dataclass(frozen=True, slots=True)
class DispatcherSettings:
    """`poll_us` is the longest an idle lane goes without looking; `margin_us` of a lease must be left when sending."""

    poll_us: int = 60_000_000
    margin_us: int = 30_000_000


class Dispatcher:
    """Runs the lanes. `handlers` by kind of message."""

    def __init__(
        self,
        clock: Clock,
        tasks: Tasks,
        database: Database,
        outbox: Outbox,
        handlers: Mapping[str, Handler],
        retry_policy: RetryPolicy,
        settings: DispatcherSettings = DispatcherSettings(),
    ) -> None:
        self.clock = clock
        self.tasks = tasks
        self.database = database
        self.outbox = outbox
        self.outbox.kinds = tuple(handlers)
        self.handlers = handlers
        self.retry_policy = retry_policy
        self.settings = settings

    def start(self) -> None:
        """Spawn every lane's workers and poller."""
        for lane in self.outbox.lanes.values():
            for number in range(lane.limits.workers):
                self.tasks.spawn(f"{lane.name} worker {number + 1}", self._work, lane)
            self.tasks.spawn(f"{lane.name} poller", self._poll, lane)

    def stop(self, patience_us: int) -> int:
        """Begin nothing more, give back what nobody has in hand, and wait for what workers are at.

        The answer is how many were still at it when the time was up: their leases run out, and others take them up.
        """
        lanes = self.outbox.lanes.values()
        for lane in lanes:
            for message in lane.close():
                self._postpone(lane, message, message.attempts, 0, None, None)
        until_us = self.clock.steady_us() + patience_us
        while any(lane.in_hand for lane in lanes) and self.clock.steady_us() < until_us:
            self.clock.sleep(_STOP_LOOK_US)
        return sum(lane.in_hand for lane in lanes)

    def _poll(self, lane: Lane) -> None:
        while True:
            now_us = self.clock.now_us()
            try:
                next_us = self.poll_once(lane, now_us)
            except DatabaseFailed:
                next_us = now_us + _DATABASE_RETRY_US
            lane.sleep_until(now_us, next_us)

    def poll_once(self, lane: Lane, now_us: int) -> int:
        """Bring what is due into memory; the answer is when to look again."""
        latest_us = now_us + self.settings.poll_us
        shut_us = lane.shut_for_us(self.clock.steady_us())
        if shut_us:
            return min(latest_us, now_us + shut_us)
        room = lane.room()
        if room == 0:
            return latest_us
        with self.database.read() as tx:
            due_us = self.outbox.next_due_us(tx, lane.name)
        if due_us is None or due_us > now_us:
            lane.backlog = False
            return latest_us if due_us is None else min(latest_us, due_us)
        with self.database.write() as tx:
            claimed = self.outbox.claim(tx, lane.name, now_us, room)
        lane.backlog = len(claimed) == room
        for message in claimed:
            lane.offer(message)
        return latest_us if lane.backlog else now_us

    def _work(self, lane: Lane) -> None:
        signal = lane.worker_signal()
        while True:
            message = lane.take(signal)
            try:
                self.deliver(lane, message)
            finally:
                lane.done_with_one()

    def deliver(self, lane: Lane, message: Message) -> None:
        """One attempt at one message, or none where its lease is nearly over: then it comes up again."""
        self._wait_for_admission(lane)
        if message.lease_until_us - self.clock.now_us() < self.settings.margin_us:
            lane.breaker.abandon(self.clock.steady_us())
            lane.due_at(message.lease_until_us)
            return
        with self.outbox.telemetry.attempt(
            message.lane, message.kind, message.correlation_id, message.span_id, message.attempts + 1
        ) as ended:
            outcome = self._attempt(message)
            ended(type(outcome).__name__.lower())
            self._observe(lane, message, outcome)
            try:
                self._settle(lane, message, outcome)
            except Exception as error:
                self._set_back(lane, message, error)

    def _wait_for_admission(self, lane: Lane) -> None:
        while True:
            now_us = self.clock.steady_us()
            wait_us = lane.budget.paused_us(now_us) or lane.breaker.admit(now_us)
            if wait_us:
                self.clock.sleep(wait_us)
                continue
            turn_us = lane.budget.reserve(now_us)
            if turn_us == 0:
                return
            self.clock.sleep(turn_us)
            if not lane.budget.paused_us(self.clock.steady_us()):
                return
            lane.breaker.abandon(
                self.clock.steady_us()
            )  # the partner asked for patience while this one waited its turn

    def _attempt(self, message: Message) -> Outcome:
        try:
            return self.handlers[message.kind].send(message)
        except Exception as error:
            return Uncertain(f"could not send: {error!r}", error_class=ErrorClass.PLATFORM)

    def _observe(self, lane: Lane, message: Message, outcome: Outcome) -> None:
        now_us = self.clock.steady_us()
        match outcome:
            case Done() | Refused() | Retry(healthy=True):
                lane.breaker.succeeded()
            case Retry(error_class=ErrorClass.PLATFORM) | Uncertain(error_class=ErrorClass.PLATFORM) | Defer():
                lane.breaker.abandon(now_us)
            case Retry() | Uncertain():
                lane.breaker.failed(now_us, str(message.message_id))
        if isinstance(outcome, Retry | Uncertain) and outcome.after_us:
            lane.budget.pause(now_us + self.retry_policy.pause_us(outcome.after_us))

    def _settle(self, lane: Lane, message: Message, outcome: Outcome) -> None:
        match outcome:
            case Done(answer):
                self._finish(message, answer)
            case Refused(problem, detail, error_class):
                self._bury(message, f"{problem}: {detail}" if problem else detail, error_class)
            case Retry(reason, after_us, error_class) | Uncertain(reason, after_us, error_class):
                attempts = message.attempts + 1
                if self.retry_policy.exhausted(attempts):
                    self._bury(message, reason, error_class)
                else:
                    delay_us = self.retry_policy.delay_us(str(message.message_id), attempts, after_us)
                    self._postpone(lane, message, attempts, delay_us, error_class, reason)
            case Defer(_, after_us):
                attempts = max(message.attempts, 1) if message.maybe_sent else message.attempts
                self._postpone(lane, message, attempts, after_us, None, None)

    def _set_back(self, lane: Lane, message: Message, error: Exception) -> None:
        """The effect of an outcome failed: try again, or when not even that can be noted, once the lease is over."""
        try:
            self._settle(lane, message, Retry(f"effect failed: {error!r}", error_class=ErrorClass.PLATFORM))
        except DatabaseFailed:
            lane.due_at(message.lease_until_us)

    def _finish(self, message: Message, answer: Mapping[str, Any]) -> None:
        def finish(tx: Transaction) -> None:
            if self.outbox.finish(tx, message):
                self.handlers[message.kind].done(tx, message, answer)

        self.database.transact(finish)

    def _bury(self, message: Message, reason: str, error_class: ErrorClass) -> None:
        def bury(tx: Transaction) -> None:
            if self.outbox.bury(tx, message, error_class, reason):
                self.handlers[message.kind].dead(tx, message, reason, error_class)

        self.database.transact(bury)

    def _postpone(
        self,
        lane: Lane,
        message: Message,
        attempts: int,
        delay_us: int,
        error_class: ErrorClass | None,
        reason: str | None,
    ) -> None:
        at_us = self.clock.now_us() + delay_us
        with self.database.write() as tx:
            self.outbox.postpone(tx, message, attempts, at_us, error_class, reason)
        lane.due_at(at_us)
