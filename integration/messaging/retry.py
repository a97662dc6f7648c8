"""When to try again, and when to give up. Pure: the same message and attempt always wait equally long."""

from dataclasses import dataclass
from zlib import crc32

_JITTER_STEPS = 1_000


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential backoff with a ceiling. The jitter is keyed by the message, so that a herd spreads and a run replays.

    Jitter only lengthens a wait: a delay never undercuts the backoff or what the partner asked for.
    """

    first_delay_us: int = 1_000_000
    factor: float = 2.0
    ceiling_us: int = 60_000_000
    jitter_share: float = 0.2
    max_attempts: int = 30

    def delay_us(self, key: str, attempts: int, retry_after_us: int = 0) -> int:
        """The wait after the attempt numbered `attempts` (from 1) failed."""
        assert attempts >= 1, f"attempts {attempts} of {key!r}: count the failed attempt before asking for a delay"
        backoff_us = round(min(self.ceiling_us, self.first_delay_us * self.factor ** min(attempts - 1, 60)))
        step = crc32(f"{key}#{attempts}".encode()) % _JITTER_STEPS
        spread_us = round(backoff_us * self.jitter_share) * step // _JITTER_STEPS
        return max(backoff_us, retry_after_us) + spread_us

    def exhausted(self, attempts: int) -> bool:
        """Whether a message that failed this often is given up."""
        return attempts >= self.max_attempts

    def pause_us(self, retry_after_us: int) -> int:
        """How long a whole lane keeps quiet when its partner asked for it: others would be turned away as well."""
        return retry_after_us
