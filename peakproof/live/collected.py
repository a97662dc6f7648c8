"""The evidence of a run of many processes: each writes its own directory, and these become one.

`parts/NAME/KIND.ndjson` are rows in their writer's own order. Merged, rows stand in the order of their business time,
rows of one moment by writer and then by the writer's sequence; `seq` is then counted anew over all.
"""

import heapq
from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path
from typing import Any

import orjson

from contracts.evidence import COLUMNS
from simulators.kernel import EvidenceWriter

MOMENT = {
    "operations": "completed_at_us", "ledger": "at_us", "exchanges": "completed_at_us", "faults": "from_us",
    "gauges": "at_us", "final": "at_us",
}  # fmt: skip
"""What rows of a kind are ordered by; others keep the order of their writers."""


def merge(parts: Path, evidence: EvidenceWriter) -> None:
    """Write the rows of all writers, in the order of their names, into one book."""
    writers = sorted(path for path in parts.iterdir() if path.is_dir())
    for kind in COLUMNS:
        streams = [rows_of(writer / f"{kind}.ndjson") for writer in writers]
        if kind in MOMENT and len(streams) > 1:
            moment = MOMENT[kind]
            keyed = [_keyed(stream, moment, place) for place, stream in enumerate(streams)]
            rows: Iterator[dict[str, Any]] = (row for *_, row in heapq.merge(*keyed, key=itemgetter(0, 1, 2)))
        else:
            rows = (row for stream in streams for row in stream)
        for row in rows:
            row.pop("seq", None)
            evidence.row(kind, **row)


def rows_of(file: Path) -> Iterator[dict[str, Any]]:
    """The whole rows of a file that may still be written to, or not be there yet."""
    if not file.exists():
        return
    with file.open("rb") as lines:
        for line in lines:
            if line.endswith(b"\n"):
                yield orjson.loads(line)


def _keyed(rows: Iterator[dict[str, Any]], moment: str, writer: int) -> list[tuple[int, int, int, dict[str, Any]]]:
    """Rows that are nearly in order of time, put in it; the writer's own order holds within a moment."""
    keyed = [(row.get(moment) or 0, writer, place, row) for place, row in enumerate(rows)]
    return sorted(keyed, key=itemgetter(0, 1, 2))


class Counter:
    """How many rows of the partners' books there are, counted on as the file grows, without the carrier's scans."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._at = 0
        self.entries = 0

    def look(self) -> int:
        """The count now."""
        if self._file.exists():
            with self._file.open("rb") as lines:
                lines.seek(self._at)
                for line in lines:
                    if not line.endswith(b"\n"):
                        break
                    self._at += len(line)
                    row = orjson.loads(line)
                    self.entries += not (row["partner"] == "carrier" and row["kind"] == "scan")
        return self.entries
