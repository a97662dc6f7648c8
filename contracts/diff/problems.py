"""Compares what two states of the catalogue of problems promise of the same problem.

Where a problem is answered is compared with the documents, by their `x-problems`; here it is what it means. Whoever
expects that problem in a pact handles it by its meaning.
"""

from collections.abc import Mapping
from typing import Any

from contracts.diff import bearing
from contracts.diff.changes import Change, Subject
from contracts.diff.rules import Weight

DOCUMENT = "problems"

_MEANINGS: tuple[tuple[str, bool, Weight, str], ...] = (
    ("definite", False, Weight.BREAKING, "is no longer definite: the attempt may still have an effect"),
    # Who takes the outcome for unknown asks once more, and is told the truth.
    ("definite", True, Weight.COMPATIBLE, "is now definite: the attempt has no effect and never will"),
    ("retryable", False, Weight.BREAKING, "is no longer retryable: the same request will not succeed later"),
    ("retryable", True, Weight.BREAKING, "is now retryable: the same request may succeed later"),
)


def changes(base: Mapping[str, Any], head: Mapping[str, Any]) -> list[Change]:
    """The changes of meaning from one catalogue to another, of the problems that both have."""
    return [
        Change(Subject(DOCUMENT, problem=key), key, weight, words, bearing.calls("handles it"))
        for key in sorted(base.keys() & head.keys())
        for member, now, weight, words in _MEANINGS
        if base[key].get(member) is (not now) and head[key].get(member) is now
    ]
