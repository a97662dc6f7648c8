"""Rows of evidence on their way from a worker of the crowd to the run directory, which may be on another machine.

The worker's `Sheaf` counts and keeps them, and gives them out in batches; the lead's `Files` writes each batch behind
the one before. A batch that comes twice is written once, one that leaves rows out is refused.

RowsMissing      rows of a worker came that do not follow on those before
"""

from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple

import orjson

from contracts.evidence import COLUMNS

BATCH_BYTES = 256 * 1024


class RowsMissing(Exception):
    """Says whose rows of which kind, and which are missing."""


class Batch(NamedTuple):
    """Whole lines of one kind; `first` is the `seq` of the first."""

    kind: str
    first: int
    lines: bytes

    @property
    def following(self) -> int:
        """The `seq` of the row after them."""
        return self.first + self.lines.count(b"\n")


class Sheaf:
    """Evidence of one worker until it is delivered: an evidence writer without files."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[bytes]] = {kind: [] for kind in COLUMNS}
        self._delivered = dict.fromkeys(COLUMNS, 0)

    def row(self, kind: str, /, **columns: Any) -> None:
        """Add one row; `seq` is added here. An undeclared kind or column is a bug of the caller: KeyError."""
        waiting = self._waiting[kind]
        unknown = columns.keys() - COLUMNS[kind].keys()
        if unknown:
            raise KeyError(f"evidence {kind} has no column {', '.join(sorted(unknown))}")
        columns["seq"] = self._delivered[kind] + len(waiting)
        waiting.append(orjson.dumps(columns, option=orjson.OPT_APPEND_NEWLINE))

    def batch(self) -> Batch | None:
        """The next rows to deliver, one at least and then no more than BATCH_BYTES; None when there are none."""
        for kind, waiting in self._waiting.items():
            if not waiting:
                continue
            count = size = 0
            while count < len(waiting) and (not count or size + len(waiting[count]) <= BATCH_BYTES):
                size += len(waiting[count])
                count += 1
            return Batch(kind, self._delivered[kind], b"".join(waiting[:count]))
        return None

    def delivered(self, kind: str, following: int) -> None:
        """Let go of the rows before `following`. An answer that comes twice changes nothing."""
        count = following - self._delivered[kind]
        if count > 0:
            del self._waiting[kind][:count]
            self._delivered[kind] = following


class Files:
    """The evidence of one worker in a directory of its own. Use as a context manager, or call `close`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self._files: dict[str, BinaryIO] = {kind: (directory / f"{kind}.ndjson").open("wb") for kind in COLUMNS}
        self._rows = dict.fromkeys(COLUMNS, 0)

    def add(self, batch: Batch) -> int:
        """Write a batch; the `seq` of the row that is to come next. RowsMissing when it does not follow on."""
        rows = self._rows[batch.kind]
        if batch.first > rows:
            raise RowsMissing(f"rows {rows} to {batch.first - 1} of {batch.kind} of {self.directory.name} never came")
        if batch.following > rows:
            assert batch.first == rows, "rows come in the batches in which they were first sent"
            self._files[batch.kind].write(batch.lines)
            self._files[batch.kind].flush()
            self._rows[batch.kind] = batch.following
        return self._rows[batch.kind]

    def close(self) -> None:
        """Close the files."""
        for file in self._files.values():
            file.close()

    def __enter__(self) -> "Files":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
