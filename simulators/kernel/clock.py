"""Time is integer microseconds since the Unix epoch. These are the units that durations are written in."""

MILLISECOND = 1_000
SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
