"""Rate limits on protocol time: a sliding window (quota per period) or a token bucket (rate with a burst)."""

from collections import deque
from typing import Annotated, Literal, Protocol

from pydantic import Field

from contracts.edge import ProblemError
from simulators.kernel import World
from simulators.partnerkit.profile import Duration, Profile

_MINUTE_US = 60_000_000


class WindowSettings(Profile):
    """At most `calls` in any `per`."""

    kind: Literal["window"] = "window"
    calls: int = Field(gt=0)
    per: Duration = Field(gt=0)


class BucketSettings(Profile):
    """`per_second` calls on average, with up to `burst` at once."""

    kind: Literal["bucket"] = "bucket"
    per_second: float = Field(gt=0)
    burst: int = Field(gt=0)


LimitSettings = Annotated[WindowSettings | BucketSettings, Field(discriminator="kind")]


class Limit(Protocol):
    """Admits a call now (0), or says for how many microseconds to stay away; `policy` and `left` are for headers."""

    policy: str

    def admit(self, now_us: int) -> int: ...
    def left(self) -> int: ...


class WindowLimit:
    """Sliding window over the times of admitted calls; a refused call does not count."""

    __slots__ = ("_admitted", "_calls", "_per_us", "policy")

    def __init__(self, settings: WindowSettings) -> None:
        self._calls = settings.calls
        self._per_us = settings.per
        self._admitted: deque[int] = deque()
        self.policy = f'"default";q={settings.calls};w={max(1, settings.per // 1_000_000)}'

    def admit(self, now_us: int) -> int:
        admitted, horizon_us = self._admitted, now_us - self._per_us
        while admitted and admitted[0] <= horizon_us:
            admitted.popleft()
        if len(admitted) >= self._calls:
            return admitted[0] - horizon_us
        admitted.append(now_us)
        return 0

    def left(self) -> int:
        return self._calls - len(self._admitted)


class TokenBucket:
    """Token bucket in integers: a call costs `1 / per_second` of time credit; credit for `burst` calls can be saved."""

    __slots__ = ("_cost_us", "_credit_us", "_full_us", "_seen_us", "policy")

    def __init__(self, settings: BucketSettings) -> None:
        self._cost_us = max(1, round(1_000_000 / settings.per_second))
        self._full_us = self._cost_us * settings.burst
        self._credit_us = self._full_us
        self._seen_us: int | None = None
        window_s = max(1, self._full_us // 1_000_000)
        self.policy = f'"default";q={settings.burst};w={window_s}'

    def admit(self, now_us: int) -> int:
        if self._seen_us is not None:
            self._credit_us = min(self._full_us, self._credit_us + now_us - self._seen_us)
        self._seen_us = now_us
        if self._credit_us < self._cost_us:
            return self._cost_us - self._credit_us
        self._credit_us -= self._cost_us
        return 0

    def left(self) -> int:
        return self._credit_us // self._cost_us


class RateLimit:
    """One limit per client; beyond it `rate-limited` with Retry-After (s, rounded up) and RateLimit fields."""

    def __init__(self, world: World, settings: WindowSettings | BucketSettings | None, host: str = "") -> None:
        self._world = world
        self._host = host
        self._settings = settings
        self._limits: dict[str, Limit] = {}
        self.refused = 0

    def check(self, client: str) -> None:
        """Count a call of `client`, or raise the problem `rate-limited`. Without settings everything is admitted.

        A `rate_limit` fault lowers the quota of this host to its strength a minute.
        """
        lowered = self._world.faults.felt("rate_limit", self._host) if self._host else None
        if lowered is None and self._settings is None:
            return
        place = f"{client} {lowered.id}" if lowered is not None else client
        limit = self._limits.get(place)
        if limit is None:
            quota = WindowSettings(calls=int(lowered.strength), per=_MINUTE_US) if lowered is not None else None
            limit = self._limits[place] = WindowLimit(quota) if quota is not None else self._new()
        wait_us = limit.admit(self._world.protocol.now_us())
        if wait_us == 0:
            return
        self.refused += 1
        wait_s = -(-wait_us // 1_000_000)
        headers = {
            "Retry-After": str(wait_s),
            "RateLimit-Policy": limit.policy,
            "RateLimit": f'"default";r={limit.left()};t={wait_s}',
        }
        raise ProblemError("rate-limited", f"quota {limit.policy} is used up: try again in {wait_s} s", headers=headers)

    def _new(self) -> Limit:
        if isinstance(self._settings, WindowSettings):
            return WindowLimit(self._settings)
        assert isinstance(self._settings, BucketSettings)
        return TokenBucket(self._settings)
