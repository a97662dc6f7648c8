"""Service times, and the desk where calls queue for them."""

from collections.abc import Iterator
from contextlib import contextmanager

import simpy
from pydantic import Field

from contracts.edge import ProblemError
from simulators.kernel import World
from simulators.partnerkit.profile import Duration, Profile


class Pace(Profile):
    """A lognormal service time. `at_most` bounds the tail: an unbounded tail would be a fault that no plan names."""

    median: Duration = Field(gt=0)
    sigma: float = Field(default=0.5, ge=0)
    per_line: Duration = 0
    at_most: Duration = Field(gt=0)


def service_time_us(world: World, host: str, pace: Pace, place: str, *key: object, lines: int = 0) -> int:
    """One service time in microseconds, keyed by place and key; `slowdown` faults on `host` multiply it."""
    drawn_us = world.chance.lognormal_us(pace.median, pace.sigma, place, *key) + pace.per_line * lines
    bounded_us = min(drawn_us, pace.at_most)
    slowdown = world.faults.level("slowdown", host, 1.0)
    return bounded_us if slowdown == 1.0 else int(bounded_us * slowdown)


class DeskSettings(Profile):
    """`capacity` calls are served at once; up to `queue_limit` wait; one that waits `queue_timeout` is sent away."""

    capacity: int = Field(gt=0)
    queue_limit: int = Field(ge=0)
    queue_timeout: Duration = Field(gt=0)
    retry_after_s: int = Field(default=5, ge=0)


class Desk:
    """A bounded queue before a pool of workers, as the concurrency limit of an account in an ERP.

    Beyond the queue: 429 `rate-limited`. Queued too long: 503 `overloaded`. Both with Retry-After and without effect.
    """

    def __init__(self, world: World, name: str, settings: DeskSettings) -> None:
        self._world = world
        self.name = name
        self.settings = settings
        self._workers = simpy.Resource(world.env, settings.capacity)
        self.turned_away = 0

    @contextmanager
    def served(self, service_us: int) -> Iterator[None]:
        """Wait for a worker, be served for `service_us`, then run the body while the worker is still held.

        The effect belongs into the body: a caller that timed out meanwhile finds it done all the same.
        """
        workers = self._workers
        request = self._take_place(workers)
        try:
            self._world.wait(self._world.protocol.timeout(service_us))
            yield
        finally:
            workers.release(request)

    def _take_place(self, workers: simpy.Resource) -> simpy.resources.resource.Request:
        settings = self.settings
        headers = {"Retry-After": str(settings.retry_after_s)}
        if len(workers.queue) >= settings.queue_limit and workers.count >= workers.capacity:
            self.turned_away += 1
            detail = f"{self.name} serves {workers.capacity} calls at once and {settings.queue_limit} more are waiting"
            raise ProblemError("rate-limited", detail, headers=headers)
        request = workers.request()
        if request.triggered:
            return request
        try:
            self._world.wait(request, settings.queue_timeout)
        except TimeoutError:
            if request.triggered:
                return request
            request.cancel()
            self.turned_away += 1
            detail = f"no worker of {self.name} came free within {settings.queue_timeout // 1_000} ms"
            raise ProblemError("overloaded", detail, headers=headers) from None
        return request

    def restart(self) -> None:
        """After a crash: whoever was being served is gone, and nobody would ever give their workers back."""
        self._workers = simpy.Resource(self._world.env, self.settings.capacity)

    @property
    def busy(self) -> int:
        return int(self._workers.count)

    @property
    def waiting(self) -> int:
        return len(self._workers.queue)

    def gauges(self) -> list[tuple[str, str, str, float]]:
        """Utilization (0 to 1), waiting calls, and calls sent away so far, each (name, sku, location, value)."""
        return [
            ("utilization", "", "", self.busy / self.settings.capacity),
            ("calls_waiting", "", "", float(self.waiting)),
            ("calls_turned_away", "", "", float(self.turned_away)),
        ]
