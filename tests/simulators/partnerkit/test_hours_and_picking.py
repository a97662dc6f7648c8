"""When waves and departures fall, how long a pick takes, and that shorts are decided line by line."""

from collections.abc import Callable
from typing import Any

import pytest

from simulators.kernel import DAY, HOUR, MINUTE, SECOND
from simulators.partnerkit.hours import Hours, is_open, next_slot_us
from simulators.partnerkit.picking import PickingSettings, missing_lines, picking_time_us

MIDNIGHT_US = 20_784 * DAY  # 2026-11-27T00:00:00Z
DAYTIME = Hours(opens=5 * HOUR, closes=23 * HOUR)


@pytest.mark.parametrize(
    ("now", "hours", "slot"),
    [
        (8 * HOUR, None, 8 * HOUR + 30 * MINUTE),
        (8 * HOUR + 29 * MINUTE, None, 8 * HOUR + 30 * MINUTE),
        (23 * HOUR + 45 * MINUTE, None, DAY),
        (22 * HOUR, DAYTIME, 22 * HOUR + 30 * MINUTE),
        (22 * HOUR + 30 * MINUTE, DAYTIME, DAY + 5 * HOUR),
        (3 * HOUR, DAYTIME, 5 * HOUR),
        (4 * HOUR + 45 * MINUTE, DAYTIME, 5 * HOUR),
    ],
)
def test_slots_are_multiples_of_their_period_within_the_hours(now: int, hours: Hours | None, slot: int) -> None:
    assert next_slot_us(MIDNIGHT_US + now, 30 * MINUTE, hours) == MIDNIGHT_US + slot


def test_a_partner_without_hours_never_closes() -> None:
    assert is_open(MIDNIGHT_US + 3 * HOUR, None)
    assert not is_open(MIDNIGHT_US + 3 * HOUR, DAYTIME)
    assert not is_open(MIDNIGHT_US + 23 * HOUR, DAYTIME)


def test_a_pick_is_a_walk_and_a_time_per_line(make_caller: Callable[..., Any]) -> None:
    world = make_caller().world
    steady = PickingSettings(walk=2 * MINUTE, per_line=30 * SECOND, sigma=0.0)
    assert picking_time_us(world, "wms-east", steady, "ful-1", 18) == 11 * MINUTE
    lively = PickingSettings(walk=2 * MINUTE, per_line=30 * SECOND, sigma=0.6)
    times = [picking_time_us(world, "wms-east", lively, f"ful-{number}", 18) for number in range(500)]
    assert 10 * MINUTE < sum(times) / 500 < 12 * MINUTE
    assert len(set(times)) > 490


def test_shorts_come_at_their_share_and_never_above_what_was_wanted(make_caller: Callable[..., Any]) -> None:
    world = make_caller().world
    settings = PickingSettings(walk=1, per_line=1, short_share=0.05, damaged_share=0.2)
    wanted = [(line_no, 4) for line_no in range(1, 2_001)]
    missing = missing_lines(world, "wms-east", settings, "ful-1", wanted)
    assert 70 <= len(missing) <= 130
    assert {each.quantity for each in missing.values()} == {1, 2, 3, 4}
    assert {each.reason for each in missing.values()} == {"could_not_locate", "damaged"}
    assert missing == missing_lines(world, "wms-east", settings, "ful-1", wanted)
    some = dict(list(missing.items())[:5])
    assert missing_lines(world, "wms-east", settings, "ful-1", [(line_no, 4) for line_no in some]) == some
