"""The command line: which exit code each ending has, what goes to which stream, and that errors say what to mend.

Verbs that read a run work on a made-up run directory; `run` plays a day of few and small orders for real.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest

from peakproof import exits
from peakproof.cli import execute
from peakproof.run import claim, free_directory, parse_overrides
from reports import open_directory, words
from reports.rundir import RUN_FILE
from scenarios.spec import catalog
from scenarios.verdict import list_checks
from tests.reports.fake_run import write_fake_run

Output = pytest.CaptureFixture[str]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_fake_run(tmp_path / "run")


def test_exit_codes_are_those_that_ci_jobs_rely_on() -> None:
    codes = (exits.HOLDS, exits.VIOLATED, exits.USAGE, exits.BROKEN, exits.INCONCLUSIVE, exits.THRESHOLDS)
    assert codes == (0, 1, 2, 3, 4, 99)
    assert exits.INTERRUPTED == 130


def test_scenarios_lists_the_catalog_one_line_each_off_a_terminal(capsys: Output) -> None:
    assert execute(["scenarios"]) == 0
    assert capsys.readouterr().out.splitlines() == [f"{name}\t{summary}" for name, summary in catalog()]


def test_checks_lists_every_check_with_what_it_holds(capsys: Output) -> None:
    assert execute(["checks"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said == [f"{check.name}\t{check.holds_when}" for check in list_checks()]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "peak-seson"], "peak-season"),
        (["run", "ordinary-day", "--set", "demand.oders=5"], "orders"),
        (["run", "ordinary-day", "--set", "demand.orders"], "is not KEY=VALUE"),
        (["run", "ordinary-day", "--seed", "-1"], "--seed"),
        (["run"], "SCENARIO"),
        (["sing"], "sing"),
        (["report", "/nowhere/at/all"], "/nowhere/at/all is not a run directory"),
        (["explain", "/nowhere/at/all", "PO-1"], "/nowhere/at/all is not a run directory"),
    ],
)
def test_what_the_user_can_mend_ends_with_2_and_a_sentence(
    arguments: list[str], said: str, capsys: Output, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert execute(arguments) == 2
    output = capsys.readouterr()
    assert said in output.err
    assert "Traceback" not in output.err
    assert output.out == ""
    assert list(tmp_path.iterdir()) == []


def test_an_unexpected_error_ends_with_3_and_says_that_it_is_the_tool(
    run: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(directory: Path) -> NoReturn:
        raise ZeroDivisionError(f"in {directory.name}")

    monkeypatch.setattr("peakproof.report.write_all", fail)
    assert execute(["report", str(run)]) == 3
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert "the tool itself broke (ZeroDivisionError: in run); it says nothing about your integration" in said


def test_an_interrupt_ends_with_130(run: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_directory: Path) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr("peakproof.report.write_all", interrupt)
    assert execute(["report", str(run)]) == 130
    assert capsys.readouterr().err.endswith("peakproof: interrupted\n")


def test_report_says_where_each_file_is(run: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(run.parent)
    assert execute(["report", "run"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "run/report.html", "run/junit.xml", "run/summary.json", "run/summary.md",
    ]  # fmt: skip


def test_explain_off_a_terminal_is_one_line_per_event_with_tabs(run: Path, capsys: Output) -> None:
    assert execute(["explain", str(run), "C-003/PO-0003"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "C-003/PO-0003 (ord-000003-9f3a)"
    events = [line.split("\t") for line in lines if "\t" in line]
    assert all(len(parts) == 3 for parts in events)
    assert events[0][:2] == ["10:06:00", "portal"]
    assert any(text.endswith("though it was handled [lost-release-replies]") for _, _, text in events)


def test_explain_of_an_unknown_order_names_the_nearest(run: Path, capsys: Output) -> None:
    assert execute(["explain", str(run), "PO-00003"]) == 2
    assert "Did you mean PO-0003" in capsys.readouterr().err


def test_the_last_override_of_a_key_wins_and_values_may_hold_equal_signs() -> None:
    assert parse_overrides(("a.b=1", "c=x=y", "a.b=2")) == {"a.b": "2", "c": "x=y"}


def test_runs_of_one_scenario_and_seed_are_numbered(tmp_path: Path) -> None:
    assert free_directory(tmp_path, "ordinary-day-seed1") == tmp_path / "ordinary-day-seed1"
    (tmp_path / "ordinary-day-seed1").mkdir()
    (tmp_path / "ordinary-day-seed1-2").mkdir()
    assert free_directory(tmp_path, "ordinary-day-seed1") == tmp_path / "ordinary-day-seed1-3"


def test_a_directory_with_other_files_is_not_written_over(tmp_path: Path, capsys: Output) -> None:
    precious = tmp_path / "precious.txt"
    precious.write_text("mine")
    assert execute(["run", "ordinary-day", "--out", str(tmp_path)]) == 2
    assert "holds other files and no earlier run" in capsys.readouterr().err
    assert precious.read_text() == "mine"


def test_an_earlier_run_may_be_written_over(run: Path) -> None:
    assert claim(run) == run
    assert not (run / RUN_FILE).exists()


def test_an_order_file_that_is_missing_leaves_no_directory(tmp_path: Path, capsys: Output) -> None:
    out = tmp_path / "out"
    assert execute(["run", "order-file", "--set", "demand.file=/nowhere.csv", "--out", str(out)]) == 2
    assert "/nowhere.csv" in capsys.readouterr().err
    assert not out.exists()


SMALL = ["run", "ordinary-day", "--set", "demand.orders=8", "--set", "demand.most_lines=2", "--seed", "4"]


def test_run_says_seed_verdict_report_and_how_to_reproduce(
    tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code = execute(SMALL)
    lines = capsys.readouterr().out.splitlines()
    directory = tmp_path / "reports/runs/ordinary-day-seed4"
    verdict = open_directory(directory).file.verdict
    assert verdict is not None
    assert code == verdict.exit_code
    assert lines[0].startswith("ordinary-day, seed 4: ")
    assert lines[1].endswith(words.headline(open_directory(directory)))
    assert "Report     reports/runs/ordinary-day-seed4/report.html" in lines
    assert lines[-1] == (
        "Reproduce  peakproof run ordinary-day --seed 4 --set demand.orders=8 --set demand.most_lines=2"
    )
    assert (directory / "report.html").exists()


def test_a_quiet_run_prints_nothing_and_an_interrupt_leaves_a_partial_one(
    tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(run: object, share: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr("scenarios.runner._Run._drain", interrupt)
    out = tmp_path / "out"
    assert execute([*SMALL, "--quiet", "--out", str(out)]) == 130
    output = capsys.readouterr()
    assert output.out == ""
    assert f"peakproof: what was played until now is in {out}" in output.err
    partial = open_directory(out)
    assert not partial.file.complete
    assert words.standing(partial) == "partial"
    assert "--quiet" not in partial.reproduce


def test_a_reader_that_goes_away_is_no_error() -> None:
    program = [sys.executable, "-m", "peakproof", "checks"]
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "wb") as gone:  # noqa: PTH123 - a descriptor, not a path
        ended = subprocess.run(program, stdout=gone, stderr=subprocess.PIPE, check=False)
    assert ended.stderr == b""
    assert ended.returncode == 0
