"""What goes on in the background: reference data, stock and subscriptions are kept fresh while the host lives.

Each is a loop of its own, so that one partner's outage holds up nothing else. A subscription is renewed before every
reconciliation: a partner may have dropped it in silence, and what it did not tell meanwhile the snapshot then contains.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from integration.messaging.outcomes import Done, Outcome, Refused
from integration.process.inventory import Reconciliation
from integration.process.reference import ReferenceSync
from integration.runtime import Clock, Duty, ReadFailed, Tasks, always
from integration.settings import Settings
from integration.storage import DatabaseFailed

# Loops begin this far apart, so that they do not all call at the same instant for ever.
_STAGGER_US = 250_000


class Subscriber(Protocol):
    """A partner that sends webhooks."""

    def subscribe(self, url: str, secret: str, types: Sequence[str]) -> Outcome: ...


@dataclass(frozen=True)
class Chore:
    """Work that is done every so often, the first time when that long has passed. May raise ReadFailed."""

    name: str
    work: Callable[[], object]
    every_us: int


class Upkeep:
    """Starts and runs the loops."""

    def __init__(
        self,
        clock: Clock,
        tasks: Tasks,
        settings: Settings,
        reference: ReferenceSync,
        reconciliation: Reconciliation,
        subscribers: Mapping[str, Subscriber],
        on_duty: Duty = always,
        chores: Sequence[Chore] = (),
    ) -> None:
        self._clock = clock
        self._tasks = tasks
        self._settings = settings
        self._reference = reference
        self._reconciliation = reconciliation
        self._subscribers = subscribers
        self._on_duty = on_duty
        self._chores = chores

    def start(self) -> None:
        """Spawn a loop for reference data, one per node, one per other partner that sends webhooks, and the chores."""
        settings = self._settings
        self._spawn(0, "reference data", self._reference.synchronize, settings.reference_every_us)
        number = 1
        for node in settings.nodes:
            every_us = settings.threepl_stock_every_us if node in settings.polled_nodes else settings.reconcile_every_us
            self._spawn(number, f"stock of {node}", partial(self._refresh, node), every_us)
            number += 1
        for partner in self._subscribers:
            if partner not in settings.nodes:
                renew = partial(self._subscribe, partner)
                self._spawn(number, f"subscription at {partner}", renew, settings.reconcile_every_us)
                number += 1
        for chore in self._chores:
            self._tasks.spawn(chore.name, self._repeat, chore.work, chore.every_us, chore.every_us)

    def _spawn(self, number: int, name: str, work: Callable[[], None], every_us: int) -> None:
        self._tasks.spawn(name, self._repeat, work, every_us, number * _STAGGER_US)

    def _repeat(self, work: Callable[[], object], every_us: int, first_us: int) -> None:
        self._clock.sleep(first_us)
        while True:
            self._on_duty()
            self._clock.sleep(self.once(work, every_us))

    def once(self, work: Callable[[], object], every_us: int) -> int:
        """Do the work; the answer is how long to wait before the next time, which is soon after a failure."""
        try:
            work()
        except ReadFailed as failure:
            return max(min(every_us, self._settings.reconcile_retry_us), failure.after_us)
        except DatabaseFailed:
            return min(every_us, self._settings.reconcile_retry_us)
        return every_us

    def _refresh(self, node: str) -> None:
        if node in self._subscribers:
            self._subscribe(node)
        self._reconciliation.reconcile(node)

    def _subscribe(self, partner: str) -> None:
        settings = self._settings
        url = f"{settings.public_url}/webhooks/{partner}"
        types = settings.webhook_types if partner in settings.nodes else settings.carrier_webhook_types
        outcome = self._subscribers[partner].subscribe(url, settings.webhook_secret(partner), types)
        if isinstance(outcome, Refused):
            raise ReadFailed(f"subscription at {partner}", outcome.detail)
        if not isinstance(outcome, Done):
            raise ReadFailed(f"subscription at {partner}", outcome.reason, outcome.after_us)
