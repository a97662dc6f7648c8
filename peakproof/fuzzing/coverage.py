"""Which documented answers were seen, and by what: one line per operation, one mark per status."""

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass

from contracts.validation import Contract

Answered = tuple[str, str, int]
"""Method, path template and status."""

_MARKS = {"fuzz": "f", "driven": "d", "pact": "p"}


def documented_in(contract: Contract) -> tuple[Answered, ...]:
    """Every answer that a document promises."""
    return tuple(
        (operation.method, operation.path, status)
        for operation in contract.operations
        for status in sorted(operation.answers)
    )


@dataclass(frozen=True, slots=True)
class Coverage:
    """The documented answers of one document, and what was seen of them by each source (fuzz, driven, pact)."""

    document: str
    documented: tuple[Answered, ...]
    seen: Mapping[str, Set[Answered]]

    def sources(self, answered: Answered) -> list[str]:
        """What saw one answer."""
        return [source for source, seen in self.seen.items() if answered in seen]

    @property
    def missing(self) -> list[Answered]:
        """Documented answers that nothing saw."""
        return [answered for answered in self.documented if not self.sources(answered)]

    @property
    def is_empty(self) -> bool:
        """Nothing documented was seen."""
        return len(self.missing) == len(self.documented)

    def lines(self) -> Iterator[str]:
        """The table: a mark per source after each status, `-` where there is none."""
        reached = len(self.documented) - len(self.missing)
        operations = {(method, path) for method, path, _ in self.documented}
        asked = {(method, path) for method, path, status in self.documented if self.sources((method, path, status))}
        marks = ", ".join(f"{mark} {source}" for source, mark in _MARKS.items() if source in self.seen)
        yield (
            f"{self.document}.yaml: {len(asked)} of {len(operations)} operations,"
            f" {reached} of {len(self.documented)} documented statuses ({marks})"
        )
        widest = max(len(f"{method} {path}") for method, path in operations)
        for method, path in sorted(operations, key=lambda each: (each[1], each[0])):
            statuses = [each for each in self.documented if each[:2] == (method, path)]
            told = "  ".join(f"{answered[2]}:{self._marks(answered)}" for answered in statuses)
            yield f"  {f'{method} {path}':{widest}}  {told}"

    def _marks(self, answered: Answered) -> str:
        return "".join(_MARKS[source] for source in self.sources(answered)) or "-"
