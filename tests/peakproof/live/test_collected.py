"""Evidence of many processes becomes one book, in the order of its moments."""

from pathlib import Path

from peakproof.live.collected import Counter, merge, rows_of
from simulators.kernel import EvidenceWriter


def test_rows_of_many_writers_stand_in_the_order_of_their_moments(tmp_path: Path) -> None:
    with EvidenceWriter(tmp_path / "parts" / "crowd-1") as one, EvidenceWriter(tmp_path / "parts" / "crowd-0") as other:
        one.row("operations", completed_at_us=30, key="c")
        one.row("operations", completed_at_us=10, key="b")
        other.row("operations", completed_at_us=10, key="a")
        other.row("operations", completed_at_us=20, key="d")
        one.row("facts", fact="second")
        other.row("facts", fact="first")
    with EvidenceWriter(tmp_path / "run") as book:
        merge(tmp_path / "parts", book)
    operations = list(rows_of(tmp_path / "run" / "operations.ndjson"))
    assert [(row["seq"], row["key"]) for row in operations] == [(0, "a"), (1, "b"), (2, "d"), (3, "c")]
    assert [row["fact"] for row in rows_of(tmp_path / "run" / "facts.ndjson")] == ["first", "second"]


def test_a_row_that_is_not_whole_is_left_for_later(tmp_path: Path) -> None:
    file = tmp_path / "ledger.ndjson"
    counter = Counter(file)
    assert (list(rows_of(file)), counter.look()) == ([], 0)
    file.write_bytes(b'{"partner":"erp","kind":"order"}\n{"partner":"carrier","kind":"scan"}\n{"partner":"wm')
    assert (len(list(rows_of(file))), counter.look()) == (2, 1)
    with file.open("ab") as more:
        more.write(b's-east","kind":"picked"}\n')
    assert counter.look() == 2
