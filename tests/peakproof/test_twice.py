"""`peakproof run --twice`: two fresh processes with different hash seeds, and the first event at which they part."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

FEW = ["--set", "demand.orders=3", "--set", "swarm=false", "--set", "expects=[]", "--set", "checks=[nothing_lost]"]
SWAYED = '''
"""Refuses everything, with an answer whose length depends on the order of a set of texts."""


def create(url):
    def answer(environ, start_response):
        length = 1 + sum(place * len(word) for place, word in enumerate({"a", "bb", "ccc", "dddd", "eeeee"}))
        status = "404 Not Found" if environ["REQUEST_METHOD"] == "GET" else "503 Service Unavailable"
        body = b" " * length
        if environ["PATH_INFO"] == "/availability":
            status, body = "200 OK", b'{"items": [], "next_page": null}'
        start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
        return [body]

    return answer
'''


def run_twice(out: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "peakproof", "run", "exploration", "--twice", "--out", str(out), *FEW, *arguments]
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    return subprocess.run(command, check=False, capture_output=True, text=True, cwd=out.parent, env=environment)


def test_two_runs_that_leave_the_same_evidence_are_said_to_and_end_as_one_run(tmp_path: Path) -> None:
    done = run_twice(tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert "both runs left the same evidence, under hash seeds 1 and 2" in done.stdout
    first, second = tmp_path / "run", tmp_path / "run-again"
    assert (first / "exchanges.ndjson").read_bytes() == (second / "exchanges.ndjson").read_bytes()
    assert "--hash" not in done.stdout


def test_a_difference_is_the_tools_failure_and_its_first_event_is_named(tmp_path: Path) -> None:
    (tmp_path / "swayed.py").write_text(SWAYED)
    done = run_twice(tmp_path / "run", "--app", "swayed:create")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "left different evidence: the runs part at exchanges row" in done.stderr
    assert "answer_bytes" in done.stderr


@pytest.mark.parametrize("arguments", [["--set", "demand.oders=3"]])
def test_a_mistake_is_told_once(arguments: list[str], tmp_path: Path) -> None:
    done = run_twice(tmp_path / "run", *arguments)
    assert done.returncode == 2
    assert done.stderr.count("unknown key") == 1
