"""Rows of a worker come to the lead's files in order, once each, whatever becomes of a message on the way."""

from pathlib import Path

import pytest

from loadtests.rows import BATCH_BYTES, Batch, Files, RowsMissing, Sheaf
from peakproof.live.collected import rows_of


def deliver(sheaf: Sheaf, files: Files) -> int:
    """Everything that waits; in how many batches."""
    batches = 0
    while (batch := sheaf.batch()) is not None:
        sheaf.delivered(batch.kind, files.add(batch))
        batches += 1
    return batches


def keys(directory: Path, kind: str = "operations") -> list[tuple[int, str]]:
    return [(row["seq"], row["key"]) for row in rows_of(directory / f"{kind}.ndjson")]


def test_rows_arrive_with_the_sequence_of_their_writer(tmp_path: Path) -> None:
    sheaf = Sheaf()
    with Files(tmp_path) as files:
        sheaf.row("operations", key="a")
        sheaf.row("exchanges", key="x")
        sheaf.row("operations", key="b")
        assert deliver(sheaf, files) == 2
        sheaf.row("operations", key="c")
        assert deliver(sheaf, files) == 1
        assert deliver(sheaf, files) == 0
    assert keys(tmp_path) == [(0, "a"), (1, "b"), (2, "c")]
    assert keys(tmp_path, "exchanges") == [(0, "x")]


def test_a_batch_is_bounded_but_holds_one_row_at_least(tmp_path: Path) -> None:
    sheaf = Sheaf()
    for size in (10, BATCH_BYTES - 70, 10, 2 * BATCH_BYTES):
        sheaf.row("operations", key="k" * size)
    with Files(tmp_path) as files:
        assert deliver(sheaf, files) == 3
    assert [len(key) for _, key in keys(tmp_path)] == [10, BATCH_BYTES - 70, 10, 2 * BATCH_BYTES]


def test_a_batch_that_comes_twice_is_written_once(tmp_path: Path) -> None:
    sheaf = Sheaf()
    sheaf.row("operations", key="a")
    batch = sheaf.batch()
    assert batch is not None
    sheaf.row("operations", key="b")
    with Files(tmp_path) as files:
        assert (files.add(batch), files.add(batch)) == (1, 1)
        sheaf.delivered("operations", 1)
        sheaf.delivered("operations", 1)
        assert deliver(sheaf, files) == 1
    assert keys(tmp_path) == [(0, "a"), (1, "b")]


def test_rows_that_leave_some_out_are_refused(tmp_path: Path) -> None:
    with Files(tmp_path / "crowd-3") as files:
        files.add(Batch("operations", 0, b'{"seq":0,"key":"a"}\n'))
        with pytest.raises(RowsMissing, match="rows 1 to 4 of operations of crowd-3 never came"):
            files.add(Batch("operations", 5, b'{"seq":5,"key":"f"}\n'))
    assert keys(tmp_path / "crowd-3") == [(0, "a")]


def test_a_column_that_is_not_declared_is_refused() -> None:
    with pytest.raises(KeyError, match="operations has no column colour"):
        Sheaf().row("operations", colour="red")
