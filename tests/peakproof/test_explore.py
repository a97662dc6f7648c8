"""`peakproof explore` on a terminal's other side: exit codes, what it leaves, that it goes on where it stopped."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from peakproof.cli import execute

Output = pytest.CaptureFixture[str]
FEW_CHECKS = ["--set", "checks=[nothing_lost, no_false_rejection]"]
SMALL = ["--set", "demand.orders=5", "--set", "swarm=false", *FEW_CHECKS, "--jobs", "1", "--no-shrink"]
NO_EXPECTS = ["--set", "expects=[]"]


def explored(directory: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((directory / "explore.json").read_text())
    return record


def seeds_in(directory: Path) -> list[int]:
    lines = (directory / "journal.ndjson").read_text().splitlines()[1:]
    return sorted(json.loads(line)["seed"] for line in lines)


def test_nothing_found_ends_with_0_and_running_again_plays_only_new_seeds(tmp_path: Path, capsys: Output) -> None:
    out = tmp_path / "out"
    command = ["explore", "exploration", *SMALL, *NO_EXPECTS, "--out", str(out)]
    assert execute([*command, "--seeds", "2"]) == 0
    assert "HOLDS  exploration: 0 findings in 2 seeds" in capsys.readouterr().out
    first = explored(out)
    assert seeds_in(out) == [1, 2]
    assert execute([*command, "--seeds", "3"]) == 0
    assert "has 2 seeds already" in capsys.readouterr().out
    assert seeds_in(out) == [1, 2, 3]
    assert execute([*command, "--seeds", "2"]) == 0
    assert explored(out) == first, "seeds of the journal that are not asked for do not count"
    assert sorted(path.name for path in out.iterdir()) == ["explore.json", "explore.md", "journal.ndjson"]


def test_a_finding_ends_with_1_and_leaves_its_first_seeds_run_with_the_command(tmp_path: Path, capsys: Output) -> None:
    out = tmp_path / "out"
    command = ["explore", *SMALL, *NO_EXPECTS, "--out", str(out), "--mutant", "refuse-everything"]
    assert execute(["explore", "exploration", *command[1:], "--seeds", "2", "--from", "4"]) == 1
    said = capsys.readouterr().out
    assert "VIOLATED  exploration with mutant refuse-everything: 1 finding in 2 seeds" in said
    assert "peakproof explore exploration --mutant refuse-everything --from 4 --seeds 1" in said
    (finding,) = explored(out)["findings"]
    run = out / finding["directory"]
    assert (finding["check"], finding["seed"], finding["count"]) == ("no_false_rejection", 4, 2)
    assert (run / "report.html").exists()
    assert json.loads((run / "command.json").read_text())[:3] == ["peakproof", "explore", "exploration"]
    assert re.search(r"^### no_false_rejection \S+: 2 seeds, first 4$", (out / "explore.md").read_text(), re.MULTILINE)


def test_what_no_seed_has_shown_ends_with_4_and_is_named(tmp_path: Path, capsys: Output) -> None:
    expects = ["--set", "expects=['seen:erp_backlog']"]
    assert execute(["explore", *SMALL, *expects, "--out", str(tmp_path / "out"), "--seeds", "1"]) == 4
    assert "Vacuous: seen:erp_backlog was never seen" in capsys.readouterr().out


def test_when_time_is_up_no_seed_is_begun(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert execute(["explore", *SMALL, "--out", str(out), "--seeds", "9", "--minutes", "1e-12"]) == 4
    assert seeds_in(out) == []
    assert explored(out)["vacuous"] == ["no seed was played to its end"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["explore", "explorations"], "did you mean 'exploration'"),
        (["explore", "--mutant", "no-dedup"], "did you mean 'no-dedupe'"),
        (["explore", "--seeds", "0"], "--seeds"),
        (["explore", "--dask", "tcp://127.0.0.1:9"], "no Dask scheduler answers at 'tcp://127.0.0.1:9'"),
        (["explore", "--dask", "tcp://127.0.0.1:9", "--jobs", "2"], "not both"),
        (["explore", "--app", "nowhere"], "is not module:factory"),
        (["explore", "--app", "shop:create", "--mutant", "no-dedupe"], "no module 'shop'"),
    ],
)
def test_what_a_user_can_mend_is_one_sentence_and_exit_2(
    arguments: list[str], said: str, tmp_path: Path, capsys: Output
) -> None:
    assert execute([*arguments, "--out", str(tmp_path / "out")]) == 2
    heard = capsys.readouterr()
    assert said in heard.err
    assert "Traceback" not in heard.err


def test_a_directory_of_something_else_or_of_another_exploration_is_left_alone(tmp_path: Path, capsys: Output) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("mine")
    assert execute(["explore", "--out", str(other)]) == 2
    assert "holds other files and no exploration" in capsys.readouterr().err
    out = tmp_path / "out"
    command = ["explore", *SMALL, "--out", str(out), "--seeds", "1", "--minutes", "1e-12"]
    assert execute(command) == 4
    capsys.readouterr()
    assert execute([*command, "--set", "demand.orders=6"]) == 2
    assert "another scenario, mutant or state of the code; name another --out" in capsys.readouterr().err
