"""Durations as people write them ("20m", "1.5h", "500ms") and as the kernel counts them (integer microseconds)."""

import re
from decimal import Decimal
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer

UNITS_US = {
    "us": 1,
    "ms": 1_000,
    "s": 1_000_000,
    "m": 60_000_000,
    "h": 3_600_000_000,
    "d": 86_400_000_000,
}
LONGEST_US = 400 * UNITS_US["d"]
_WRITTEN = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*(us|ms|s|m|h|d)\s*$")


def parse_duration(text: object) -> int:
    """Microseconds of a duration with a unit; ValueError says what was written and what is understood."""
    if text in (0, "0"):
        return 0
    written = _WRITTEN.match(text) if isinstance(text, str) else None
    if written is None:
        raise ValueError(f"{text!r} is not a duration; write a number with a unit, such as 500ms, 90s, 20m, 24h or 5d")
    duration_us = int(Decimal(written.group(1)) * UNITS_US[written.group(2)])
    if duration_us > LONGEST_US:
        raise ValueError(f"{text!r} is longer than 400d; shorten it")
    return duration_us


def format_duration(duration_us: int) -> str:
    """The shortest exact spelling, which `parse_duration` reads back."""
    for unit in ("d", "h", "m", "s", "ms"):
        if duration_us and duration_us % UNITS_US[unit] == 0:
            return f"{duration_us // UNITS_US[unit]}{unit}"
    return f"{duration_us}us"


def parse_signed(text: object) -> int:
    """As `parse_duration`; a leading minus makes it negative."""
    if isinstance(text, str) and text.strip().startswith("-"):
        return -parse_duration(text.strip()[1:])
    return parse_duration(text)


def format_signed(duration_us: int) -> str:
    """As `format_duration`, with its sign."""
    return f"-{format_duration(-duration_us)}" if duration_us < 0 else format_duration(duration_us)


Duration = Annotated[int, BeforeValidator(parse_duration), PlainSerializer(format_duration, return_type=str)]
SignedDuration = Annotated[int, BeforeValidator(parse_signed), PlainSerializer(format_signed, return_type=str)]
