"""Compare two runs event by event: the same scenario and seed must leave the same evidence."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import orjson

from contracts.evidence import COLUMNS

_TIMES = ("at_us", "sent_at_us", "invoked_at_us", "from_us")


@dataclass(frozen=True)
class Difference:
    """The first event at which two runs part, by virtual time. A row is None where one run has no such event."""

    kind: str
    seq: int
    at_us: int | None
    first: dict[str, Any] | None
    second: dict[str, Any] | None

    def __str__(self) -> str:
        """One sentence for a failing test or an error."""
        first, second = self.first or {}, self.second or {}
        columns = [name for name in COLUMNS[self.kind] if first.get(name) != second.get(name)]
        shown = ", ".join(f"{name}: {first.get(name)!r} / {second.get(name)!r}" for name in columns[:6])
        return f"the runs part at {self.kind} row {self.seq}, virtual time {self.at_us} us: {shown}"


def first_difference(first: Path, second: Path) -> Difference | None:
    """The earliest event that differs between two run directories; None when all evidence is the same."""
    found = [difference for kind in COLUMNS if (difference := _in_kind(kind, first, second)) is not None]
    return min(found, key=lambda difference: (difference.at_us is None, difference.at_us), default=None)


def _in_kind(kind: str, first: Path, second: Path) -> Difference | None:
    pairs = zip_longest(_lines(first / f"{kind}.ndjson"), _lines(second / f"{kind}.ndjson"))
    for seq, (one, other) in enumerate(pairs):
        if one != other:
            rows = [None if line is None else orjson.loads(line) for line in (one, other)]
            moments = [row[name] for row in rows if row for name in _TIMES if row.get(name) is not None]
            return Difference(kind, seq, min(moments, default=None), *rows)
    return None


def _lines(file: Path) -> Iterator[bytes]:
    if file.exists():
        with file.open("rb") as handle:
            yield from handle
