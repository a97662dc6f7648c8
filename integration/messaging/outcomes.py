"""What one attempt at a message came to. Plain values: the dispatcher decides what follows from each.

Outcome
+-- Done        it happened; `answer` says what
+-- Refused     it certainly did not happen and asking again is no use
+-- Retry       it did not happen now; the partner may do it later
+-- Uncertain   nobody knows whether it happened: ask or repeat under the same key, never guess
+-- Defer       nothing was sent, for something on our own side must come first
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class ErrorClass(StrEnum):
    """Whose fault it is that a message does not get through; dead letters are sorted by it."""

    RECOVERABLE = "recoverable"
    DATA = "data"
    PARTNER = "partner"
    PLATFORM = "platform"


@dataclass(frozen=True, slots=True)
class Done:
    """`answer` is the partner's parsed body; empty where there was nothing left to ask."""

    answer: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refused:
    """`problem` is a key of the problem catalogue, or "" where the partner named none of ours."""

    problem: str
    detail: str
    error_class: ErrorClass
    extensions: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Retry:
    """`after_us` is what the partner asked for (0: nothing). `healthy`: it answered as one in good health does."""

    reason: str
    after_us: int = 0
    error_class: ErrorClass = ErrorClass.RECOVERABLE
    healthy: bool = False


@dataclass(frozen=True, slots=True)
class Uncertain:
    """The effect may stand, or may come later."""

    reason: str
    after_us: int = 0
    error_class: ErrorClass = ErrorClass.RECOVERABLE


@dataclass(frozen=True, slots=True)
class Defer:
    """Not an attempt: it counts against no limit."""

    reason: str
    after_us: int


Outcome = Done | Refused | Retry | Uncertain | Defer
