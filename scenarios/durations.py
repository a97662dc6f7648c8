"""Durations as people write them ("20m", "1.5h", "500ms") and as the kernel counts them (integer microseconds)."""

from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer

from contracts import wire
from contracts.wire import DURATION_UNITS_US

LONGEST_US = 400 * DURATION_UNITS_US["d"]


def parse_duration(text: object) -> int:
    """Microseconds of a duration with a unit; ValueError says what was written and what is understood."""
    if text in (0, "0"):
        return 0
    duration_us = wire.parse_duration(text)
    if duration_us > LONGEST_US:
        raise ValueError(f"{text!r} is longer than 400d; shorten it")
    return duration_us


def format_duration(duration_us: int) -> str:
    """The shortest exact spelling, which `parse_duration` reads back."""
    for unit in ("d", "h", "m", "s", "ms"):
        if duration_us and duration_us % DURATION_UNITS_US[unit] == 0:
            return f"{duration_us // DURATION_UNITS_US[unit]}{unit}"
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
