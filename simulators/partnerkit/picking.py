"""How long a picker takes, and what a picker does not find."""

from collections.abc import Iterable

from pydantic import Field

from simulators.kernel import World
from simulators.partnerkit.profile import Duration, Profile
from simulators.partnerkit.stock import Missing


class PickingSettings(Profile):
    """A pick is a walk per order plus a time per line, both medians; `sigma` is that of one line's lognormal time.

    `short_share` is the share of lines picked short (0 to 1), of which `damaged_share` are damaged, the rest not found.
    """

    walk: Duration = Field(gt=0)
    per_line: Duration = Field(gt=0)
    sigma: float = Field(default=0.5, ge=0)
    short_share: float = Field(default=0.0, ge=0, le=1)
    damaged_share: float = Field(default=0.2, ge=0, le=1)


def picking_time_us(world: World, host: str, settings: PickingSettings, key: str, lines: int) -> int:
    """One order's picking time in microseconds.

    One draw per order: a sum of n independent lines spreads like one line divided by the root of n. `slowdown` faults
    on `host` multiply it.
    """
    work_us = world.chance.lognormal_us(
        settings.per_line * max(1, lines), settings.sigma / max(1, lines) ** 0.5, "pick-time", host, key
    )
    return int((settings.walk + work_us) * world.faults.level("slowdown", host, 1.0))


def missing_lines(
    world: World, host: str, settings: PickingSettings, key: str, wanted: Iterable[tuple[int, int]]
) -> dict[int, Missing]:
    """What the picker does not find, by line number; `wanted` are (line number, quantity).

    Decided by (key, line number): the profile's share plus the strength of a `short_pick` fault in force on `host`.
    """
    chance = world.chance
    share = min(1.0, settings.short_share + world.faults.level("short_pick", host))
    missing = {}
    for line_no, quantity in wanted:
        if quantity > 0 and chance.hit(share, "short-pick", host, key, line_no):
            damaged = chance.hit(settings.damaged_share, "short-reason", host, key, line_no)
            units = chance.integer(1, quantity, "short-quantity", host, key, line_no)
            missing[line_no] = Missing(units, "damaged" if damaged else "could_not_locate")
    return missing
