"""The same scenario and seed leave the same evidence, in processes with different hash seeds."""

import json
import os
import subprocess
import sys
from pathlib import Path

from scenarios.compare import first_difference

SCENARIO = Path(__file__).parent / "bugs.yaml"


def digest_of_run(directory: Path, hash_seed: str) -> str:
    command = [sys.executable, "-m", "peakproof", "run", str(SCENARIO), "--quiet", "--out", str(directory)]
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    digest: str = json.loads((directory / "run.json").read_text())["digest"]
    return digest


def test_two_processes_with_different_hash_seeds_leave_the_same_evidence(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    digests = digest_of_run(first, "1"), digest_of_run(second, "2")
    assert first_difference(first, second) is None, str(first_difference(first, second))
    assert digests[0] == digests[1]


def test_another_seed_leaves_other_evidence(tmp_path: Path) -> None:
    """So that the test above can fail."""
    first, second = tmp_path / "first", tmp_path / "second"
    digest_of_run(first, "1")
    subprocess.run(
        [sys.executable, "-m", "peakproof", "run", str(SCENARIO), "--seed", "12", "--quiet", "--out", str(second)],
        check=True,
    )
    difference = first_difference(first, second)
    assert difference is not None
    assert str(difference).startswith("the runs part at ")
