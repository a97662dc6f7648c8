"""Two runs are compared event by event, and the first difference is named."""

from pathlib import Path

from scenarios.compare import first_difference
from simulators.kernel import EvidenceWriter


def leave(directory: Path, *values: float) -> Path:
    with EvidenceWriter(directory) as evidence:
        evidence.row("ledger", partner="erp", kind="order_booked", at_us=5, business_key="SO-1")
        for number, value in enumerate(values):
            evidence.row("gauges", at_us=10 * (number + 1), source="erp", name="busy", value=value)
    return directory


def test_equal_runs_have_no_difference(tmp_path: Path) -> None:
    assert first_difference(leave(tmp_path / "a", 1.0, 2.0), leave(tmp_path / "b", 1.0, 2.0)) is None


def test_the_first_differing_event_is_named_with_both_values(tmp_path: Path) -> None:
    difference = first_difference(leave(tmp_path / "a", 1.0, 2.0, 3.0), leave(tmp_path / "b", 1.0, 7.0, 8.0))
    assert difference is not None
    assert (difference.kind, difference.seq, difference.at_us) == ("gauges", 1, 20)
    assert str(difference) == "the runs part at gauges row 1, virtual time 20 us: value: 2.0 / 7.0"


def test_a_missing_event_is_a_difference(tmp_path: Path) -> None:
    difference = first_difference(leave(tmp_path / "a", 1.0), leave(tmp_path / "b", 1.0, 2.0))
    assert difference is not None
    assert difference.first is None
    assert difference.second is not None
    assert difference.at_us == 20
