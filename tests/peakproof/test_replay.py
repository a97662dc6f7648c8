"""`shrink` makes a capsule of a run; `replay` plays it: exit 1 when it is the same, 3 when not, 2 when it is none."""

from pathlib import Path
from typing import Any

import distributed
import orjson
import pytest

from peakproof.cli import execute
from scenarios.capsule import play
from scenarios.spec import Scenario, load

BUGS = str(Path(__file__).parents[1] / "end_to_end" / "bugs.yaml")


@pytest.fixture(scope="module")
def capsule(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("shrunk")
    plain = load(BUGS).plain()
    plain["demand"]["only_orders"] = [f"B{number}" for number in range(1020, 1030)]
    plain["expects"] = []
    play(Scenario.from_plain(plain), 11, directory / "run", "key-per-attempt")
    arguments = ["shrink", str(directory / "run"), "--check", "at_most_once", "--mutant", "key-per-attempt"]
    assert execute([*arguments, "--jobs", "1", "--out", str(directory / "it.capsule.json")]) == 0
    return directory / "it.capsule.json"


def changed(capsule: Path, tmp_path: Path, **changes: Any) -> str:
    file = tmp_path / "changed.json"
    file.write_bytes(orjson.dumps(orjson.loads(capsule.read_bytes()) | changes))
    return str(file)


def test_shrink_leaves_a_capsule_and_the_report_of_its_run(capsule: Path) -> None:
    told = orjson.loads(capsule.read_bytes())
    assert told["story"]["headline"] == "1 order, 1 lost reply of wms-east, 2 releases"
    assert told["command"] == f"peakproof replay {capsule}"
    assert any("[reply-lost]" in line for line in told["story"]["lines"])
    page = (capsule.parent / "it.story" / "report.html").read_text()
    assert "<h2>1 order, 1 lost reply of wms-east, 2 releases</h2>" in page


@pytest.mark.long
def test_a_cluster_shrinks_to_the_same_story(capsule: Path, tmp_path: Path) -> None:
    """Two workers try two plans at once, and yet the same plan is chosen."""
    local_cluster: Any = distributed.LocalCluster
    run, out = str(capsule.parent / "run"), tmp_path / "it.capsule.json"
    with local_cluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        asked = ["--check", "at_most_once", "--dask", cluster.scheduler_address, "--out", str(out)]
        assert execute(["shrink", run, *asked]) == 0
    here, there = (orjson.loads(file.read_bytes()) for file in (capsule, out))
    differing = [name for name in here if here[name] != there[name]]
    assert set(differing) <= {"command", "executions"}
    assert there["only_orders"] == here["only_orders"]


def test_a_cluster_or_processes_but_not_both(capsule: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["shrink", str(capsule.parent / "run"), "--out", str(tmp_path / "it.capsule.json")]
    assert execute([*arguments, "--jobs", "2", "--dask", "tcp://127.0.0.1:9"]) == 2
    assert "give --jobs for processes here or --dask for a cluster, not both" in capsys.readouterr().err
    assert execute([*arguments, "--dask", "tcp://127.0.0.1:9"]) == 2
    assert "no Dask scheduler answers at 'tcp://127.0.0.1:9'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_replay_that_is_the_same_ends_with_the_verdicts_code(
    capsule: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["replay", str(capsule), "--out", str(tmp_path / "again")]) == 1
    assert "Same       to the last event" in capsys.readouterr().out
    assert execute(["replay", str(capsule), "--out", str(tmp_path / "again")]) == 1


def test_a_replay_that_parts_names_the_first_event_and_ends_with_3(
    capsule: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = changed(capsule, tmp_path, mutant=None)
    assert execute(["replay", other, "--out", str(tmp_path / "again")]) == 3
    said = capsys.readouterr().out
    assert "Different  at_most_once: released_twice is not found again; the runs part at exchanges row " in said


def test_judged_alone_a_mended_bug_ends_with_its_verdict(capsule: Path, tmp_path: Path) -> None:
    """The mended integration holds wherever there is something to examine; one order examines little."""
    other = changed(capsule, tmp_path, mutant=None)
    assert execute(["replay", other, "--judge-only", "--out", str(tmp_path / "again")]) in (0, 4)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format": "peakproof-capsule/9"}, "its format is 'peakproof-capsule/9', not 'peakproof-capsule/1'"),
        ({"mutant": "key-per-atempt"}, "unknown mutant 'key-per-atempt'; did you mean 'key-per-attempt'?"),
    ],
)
def test_what_cannot_be_replayed_is_one_sentence_and_2(
    changes: dict[str, Any], said: str, capsule: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["replay", changed(capsule, tmp_path, **changes), "--out", str(tmp_path / "again")]) == 2
    complaint = capsys.readouterr().err
    assert said in complaint
    assert complaint.count("\n") == 1
    assert not (tmp_path / "again").exists()


def test_a_run_that_found_nothing_is_not_shrunk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain = load(BUGS).plain()
    plain["demand"]["only_orders"] = ["B1020"]
    plain |= {"faults": [], "expects": []}
    play(Scenario.from_plain(plain), 11, tmp_path / "run")
    assert execute(["shrink", str(tmp_path / "run")]) == 2
    assert "no check is violated in this run, so there is nothing to shrink" in capsys.readouterr().err
