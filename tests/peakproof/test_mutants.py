"""`peakproof mutants`: what it leaves behind, and which exit code each ending has."""

from pathlib import Path

import orjson
import pytest

from peakproof.cli import execute

Output = pytest.CaptureFixture[str]
CALM = ["--seeds", "1", "--jobs", "1", "--set", "swarm=false"]


def test_a_killed_mutant_is_told_saved_and_shown(tmp_path: Path, capsys: Output) -> None:
    out = tmp_path / "matrix"
    assert execute(["mutants", "refuse-everything", *CALM, "--out", str(out)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].split("\t")[:4] == ["refuse-everything", "no_false_rejection", "1", "none"]
    assert said[1] == "1 of 1 mutants killed by their own check; 0 false alarms in 1 unmutated runs"
    matrix = orjson.loads((out / "matrix.json").read_bytes())
    assert matrix["format"] == "peakproof-matrix/1"
    assert [(m["name"], m["seeds_to_kill"], m["blamed"]) for m in matrix["mutants"]] == [("refuse-everything", 1, [])]
    assert matrix["control"] == {"seeds": 1, "alarms": [], "errors": []}
    assert "1 of 1 deliberate bug caught, each by its own check" in (out / "matrix.html").read_text()


def test_a_survivor_ends_with_1(tmp_path: Path, capsys: Output) -> None:
    out = tmp_path / "matrix"
    assert execute(["mutants", "check-then-act", *CALM, "--set", "demand.orders=1", "--out", str(out)]) == 1
    assert "check-then-act survived 1 seeds: no_oversell did not catch it" in capsys.readouterr().out
    assert orjson.loads((out / "matrix.json").read_bytes())["survivors"] == ["check-then-act"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["mutants", "no-fense"], "no-fence"),
        (["mutants", "--scenario", "exploratoin"], "exploration"),
        (["mutants", "--seeds", "0"], "--seeds"),
        (["mutants", "--jobs", "1", "--dask", "tcp://localhost:1"], "not both"),
    ],
)
def test_what_can_be_mended_is_one_sentence_and_exit_2(
    arguments: list[str], said: str, tmp_path: Path, capsys: Output
) -> None:
    assert execute([*arguments, "--out", str(tmp_path / "matrix")]) == 2
    assert said in capsys.readouterr().err


def test_a_directory_with_other_files_is_refused(tmp_path: Path, capsys: Output) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    assert execute(["mutants", "refuse-everything", "--out", str(tmp_path)]) == 2
    assert "holds other files" in capsys.readouterr().err
