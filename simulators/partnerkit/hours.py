"""When a partner works: opening hours, and the fixed times of day at which things leave or start."""

from pydantic import Field

from simulators.kernel import DAY
from simulators.partnerkit.profile import Duration, Profile


class Hours(Profile):
    """Opening hours in UTC, as durations since midnight, the same every day."""

    opens: Duration = Field(ge=0, lt=DAY)
    closes: Duration = Field(gt=0, le=DAY)


def is_open(now_us: int, hours: Hours | None) -> bool:
    """Without hours a partner never closes."""
    return hours is None or hours.opens <= now_us % DAY < hours.closes


def next_slot_us(now_us: int, every_us: int, hours: Hours | None) -> int:
    """The first multiple of `every_us` since the epoch that lies after `now_us` and within the hours, in microseconds.

    Where the next multiple falls outside the hours it is the next opening.
    """
    slot_us = (now_us // every_us + 1) * every_us
    if is_open(slot_us, hours):
        return slot_us
    assert hours is not None
    midnight_us = slot_us - slot_us % DAY
    opening_us = midnight_us + hours.opens
    return opening_us if opening_us >= slot_us else opening_us + DAY
