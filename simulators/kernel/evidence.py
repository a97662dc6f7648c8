"""The evidence writer: one NDJSON file per kind, bounded memory, whole lines only.

Rows are buffered and written in chunks of complete lines, so a run that is interrupted leaves files that can be read up
to the last chunk, and `close` (which an interrupt reaches too) leaves all of them. A digest is kept while writing: two
runs with the same digests saw the same events in the same order.
"""

import hashlib
from pathlib import Path
from types import TracebackType
from typing import Any

import orjson

from contracts.evidence import COLUMNS

_ROWS_IN_MEMORY = 100
"""So few that what is written next still lies in the processor's cache."""


class _File:
    __slots__ = ("_handle", "_lines", "columns", "digest", "rows")

    def __init__(self, path: Path, columns: frozenset[str]) -> None:
        self._handle = path.open("wb")
        self._lines: list[bytes] = []
        self.columns = columns
        self.digest = hashlib.sha256()
        self.rows = 0

    def add(self, row: dict[str, Any]) -> None:
        self._lines.append(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
        if len(self._lines) >= _ROWS_IN_MEMORY:
            self.flush()

    def flush(self) -> None:
        chunk = b"".join(self._lines)
        self._lines.clear()
        self.digest.update(chunk)
        self._handle.write(chunk)
        self._handle.flush()

    def close(self) -> None:
        self.flush()
        self._handle.close()


class EvidenceWriter:
    """Writes the files `<kind>.ndjson` into a directory, which is created. Use as a context manager, or call
    `close`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self._files = {
            kind: _File(directory / f"{kind}.ndjson", frozenset(columns)) for kind, columns in COLUMNS.items()
        }
        self._closed = False

    def row(self, kind: str, /, **columns: Any) -> None:
        """Add one row; `seq` is added here. A kind or column that is not declared is a bug of the caller: KeyError.

        What a world still does while it is unwound, after `close`, is no evidence.
        """
        if self._closed:
            return
        file = self._files[kind]
        if not file.columns.issuperset(columns):
            unknown = sorted(columns.keys() - file.columns)
            raise KeyError(f"evidence {kind} has no column {', '.join(unknown)}: declare it in contracts/evidence.py")
        columns["seq"] = file.rows
        file.rows += 1
        file.add(columns)

    def rows(self, kind: str) -> int:
        """How many rows of a kind were written so far."""
        return self._files[kind].rows

    def flush(self) -> None:
        """Write out what is buffered, so that the files can be read while the run goes on."""
        for file in self._files.values():
            file.flush()

    def close(self) -> None:
        """Write out everything and close the files. Calling it twice is allowed."""
        if self._closed:
            return
        self._closed = True
        for file in self._files.values():
            file.close()

    def summary(self) -> dict[str, dict[str, Any]]:
        """Per kind: rows written and the sha256 of the file's bytes so far. Call after `close` or `flush`."""
        return {kind: {"rows": file.rows, "sha256": file.digest.hexdigest()} for kind, file in self._files.items()}

    def digest(self) -> str:
        """One sha256 over all files, by name. Call after `close`."""
        whole = hashlib.sha256()
        for kind, file in sorted(self._files.items()):
            whole.update(f"{kind} {file.digest.hexdigest()}\n".encode())
        return whole.hexdigest()

    def __enter__(self) -> "EvidenceWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
