"""A change: what a provider's side of a contract does from now on, and how to tell whom that concerns."""

from dataclasses import dataclass
from typing import NamedTuple

from contracts.diff.bearing import Bearing
from contracts.diff.rules import Weight


class Subject(NamedTuple):
    """What a change is about: an operation by method and route (parameters as `{}`), an event by its type, or a problem
    by its key.
    """

    document: str
    method: str = ""
    route: str = ""
    event: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """One change. `where` is the operation or event as people write it, with the status for an answer."""

    subject: Subject
    where: str
    weight: Weight
    words: str
    bearing: Bearing
