"""Protocol time: what two programs agree on, as against business time, which a real clock may run faster.

Latency, time-outs, schedules of retries, lifetimes of tokens, quotas, Retry-After and the stamps of signatures are
protocol time. Waves, picks, polls, cut-offs, scans and opening hours are business time: `World.now_us` and `World.env`.
In virtual time the two are one.
"""

import simpy


class ProtocolClock:
    """Protocol time of a world in virtual time: the business clock itself."""

    def __init__(self, env: simpy.Environment) -> None:
        self._env = env

    def now_us(self) -> int:
        """Microseconds since the Unix epoch; never goes back."""
        return int(self._env.now)

    def stamp_s(self) -> int:
        """Seconds since the Unix epoch, as another program's clock would have it: for signatures."""
        return self.now_us() // 1_000_000

    def timeout(self, duration_us: int) -> simpy.Event:
        """An event after so long."""
        return self._env.timeout(duration_us)

    def span_us(self, business_us: int) -> int:
        """How long so much business time lasts."""
        return business_us
