"""Compares the schemas of two states of the events. Whoever receives an event is its consumer."""

from collections.abc import Mapping
from typing import Any

from contracts.diff import bearing
from contracts.diff.changes import Change, Subject
from contracts.diff.rules import Direction, Weight, weight_of, words_of
from contracts.diff.schema import Comparison

DOCUMENT = "events"


def changes(base: Mapping[str, Any], head: Mapping[str, Any]) -> list[Change]:
    """The changes from one state of all events to another; `common` is what they share, and no event."""
    before, after = base["components"]["schemas"], head["components"]["schemas"]
    comparison = Comparison(base, head)
    found: list[Change] = []
    for event in sorted((before.keys() | after.keys()) - {"common"}):
        subject = Subject(DOCUMENT, event=event)
        if event not in before:
            found.append(Change(subject, event, Weight.COMPATIBLE, "is new", bearing.calls("receives it")))
        elif event not in after:
            found.append(Change(subject, event, Weight.BREAKING, "is no longer sent", bearing.calls("receives it")))
        else:
            for difference in comparison.differences(before[event], after[event], ("body",)):
                weight, words = (ask(difference, Direction.EVENT) for ask in (weight_of, words_of))
                concerns = bearing.of(difference, Direction.EVENT)
                found.append(Change(subject, event, Weight(weight), words, concerns))
    return found
