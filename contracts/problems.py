"""The problem catalogue: every error on any wire, from problems.yaml."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from contracts.documents import read_problems
from contracts.errors import UnknownContract
from contracts.wire import problem_key, problem_type


@dataclass(frozen=True, slots=True)
class ProblemKind:
    """One kind of problem. `definite`: the attempt had no effect and never will.

    `example` is the detail of one such problem, and its further members.
    """

    key: str
    title: str
    status: int
    retryable: bool
    definite: bool
    description: str
    advice: str
    example: Mapping[str, Any]

    @property
    def type(self) -> str:
        """The `type` member that answers carry."""
        return problem_type(self.key)


CATALOGUE: dict[str, ProblemKind] = {key: ProblemKind(key=key, **fields) for key, fields in read_problems().items()}


def kind_of(key: str) -> ProblemKind:
    """The catalogue's entry for a key; an unknown one is our own mistake."""
    if key not in CATALOGUE:
        raise UnknownContract(f"problem {key!r} is not in contracts/problems.yaml: add it there")
    return CATALOGUE[key]


def is_definite(problem_type_uri: str) -> bool:
    """Whether a problem's `type` promises that the attempt never takes effect; a foreign type promises nothing."""
    kind = CATALOGUE.get(problem_key(problem_type_uri))
    return kind is not None and kind.definite
