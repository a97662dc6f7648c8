"""A file that is no capsule of this version, or names what this code has not, is refused in one sentence."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from scenarios.capsule import Capsule, CapsuleError, Kept, Told, read_capsule, write_capsule
from scenarios.spec import load


def a_capsule(**changes: Any) -> Capsule:
    content: dict[str, Any] = {
        "story": Told(headline="1 order, no fault"), "command": "peakproof replay it.json", "check": "no_oversell",
        "kind": "oversold", "counterexample": {"kind": "oversold"}, "seed": 3, "mutant": None, "app": None,
        "only_orders": ("B1",), "scenario": load("ordinary-day").plain(), "neighbour": None, "executions": 5,
        "orders_before": 60, "faults_before": 0, "version": "1", "versions": {}, "verdict": {}, "digest": "00",
        "evidence": {"facts": Kept(rows=0, sha256="00")},
    }  # fmt: skip
    return Capsule(**{**content, **changes})


def refused(file: Path) -> str:
    with pytest.raises(CapsuleError) as refusal:
        read_capsule(file)
    assert "\n" not in str(refusal.value)
    return str(refusal.value).removeprefix(f"{file}: ")


def changed(file: Path, **changes: Any) -> Path:
    write_capsule(a_capsule(), file)
    file.write_bytes(orjson.dumps(orjson.loads(file.read_bytes()) | changes))
    return file


def test_what_was_written_is_read(tmp_path: Path) -> None:
    write_capsule(a_capsule(), tmp_path / "it.json")
    assert read_capsule(tmp_path / "it.json") == a_capsule()


def test_a_missing_file(tmp_path: Path) -> None:
    assert refused(tmp_path / "it.json") == "can't be read (No such file or directory); give the file of a capsule"


def test_a_file_that_is_no_json(tmp_path: Path) -> None:
    (tmp_path / "it.json").write_text("orders: 3")
    assert refused(tmp_path / "it.json").startswith("is no JSON (")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([1, 2], "no capsule that this version can read: it names no format, not 'peakproof-capsule/1'"),
        (
            {"format": "peakproof-capsule/2"},
            "no capsule that this version can read: its format is 'peakproof-capsule/2', not 'peakproof-capsule/1'",
        ),
        ({"format": "peakproof-capsule/1"}, "not a whole capsule: story: Field required"),
    ],
)
def test_another_version_and_half_a_capsule(content: object, said: str, tmp_path: Path) -> None:
    (tmp_path / "it.json").write_bytes(orjson.dumps(content))
    assert refused(tmp_path / "it.json") == said


def test_an_unknown_mutant_is_told_with_the_nearest_one(tmp_path: Path) -> None:
    file = changed(tmp_path / "it.json", mutant="no-dedup")
    assert refused(file) == "unknown mutant 'no-dedup'; did you mean 'no-dedupe'?"


def test_a_scenario_that_this_code_does_not_know(tmp_path: Path) -> None:
    file = changed(tmp_path / "it.json", scenario={"name": "it"})
    assert refused(file).startswith("not a scenario: ")
