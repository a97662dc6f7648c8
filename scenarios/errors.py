"""Errors of this package.

ScenarioError                a scenario, its overrides or its demand can't be used as written
├── OrderFileError           an order file can't be read; names the row and the column
└── ProfileError             a demand profile is missing or malformed
"""

from collections.abc import Iterable
from difflib import get_close_matches


class ScenarioError(Exception):
    """What is wrong, where it stands (`file`, `line`, dotted `key`) and what to do about it."""

    def __init__(self, message: str, *, file: str = "", line: int | None = None, key: str = "") -> None:
        self.file = file
        self.line = line
        self.key = key
        place = file + (f":{line}" if line is not None else "")
        super().__init__(f"{place}: {message}" if place else message)


class OrderFileError(ScenarioError):
    """An order file that can't be read; `row` counts from 1 with the header as row 1."""

    def __init__(self, message: str, *, file: str = "", row: int | None = None, column: str = "") -> None:
        self.reason = message
        self.row = row
        self.column = column
        place = ", ".join(
            part for part in (f"row {row}" if row is not None else "", f"column {column}" if column else "") if part
        )
        super().__init__(f"{place}: {message}" if place else message, file=file, key=column)


class ProfileError(ScenarioError):
    """A demand profile that is missing or malformed."""


def nearest(word: str, words: Iterable[str]) -> str:
    """A hint such as `; did you mean 'duration'?`, or the valid words when none is near."""
    options = sorted(words)
    close = get_close_matches(word, options, n=1, cutoff=0.5)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f"; valid here: {', '.join(options)}" if options else ""
