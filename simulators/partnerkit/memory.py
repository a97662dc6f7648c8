"""How long a partner recognizes a reference that it has seen: for ever, unless a `dedupe_expired` fault says.

And what it then does with what it has seen before.
"""

from enum import StrEnum

from simulators.kernel import World


class DuplicatePolicy(StrEnum):
    """What happens to a reference that the partner has already seen."""

    RETURN_EXISTING = "return_existing"
    REJECT = "reject"
    CREATE_SECOND = "create_second"


class Memory:
    """References of one partner and when each was first seen, or seen anew after it was forgotten."""

    def __init__(self, world: World, host: str) -> None:
        self._world = world
        self._host = host
        self._seen_at_us: dict[str, int] = {}

    def forgot(self, *reference: str) -> bool:
        """Whether this reference was seen so long ago that it counts as new; it is noted either way."""
        key, now_us = " ".join(reference), self._world.now_us()
        seen_at_us = self._seen_at_us.setdefault(key, now_us)
        expired = self._world.faults.in_force("dedupe_expired", self._host)
        if expired is None or now_us - seen_at_us <= expired.delay_us:
            return False
        self._seen_at_us[key] = now_us
        self._world.faults.record(expired, key)
        return True
