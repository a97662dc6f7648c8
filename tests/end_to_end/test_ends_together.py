"""Real-time verbs whose processes die under them: what they began ends with them, and they end with what they need."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from peakproof import exits
from peakproof.live.collected import rows_of
from tests.end_to_end.test_load import PARITY, ROOT
from tests.peakproof.live.test_whole_house import until

pytestmark = pytest.mark.long
WITHIN_S = 40.0


@contextmanager
def begun(*arguments: str, out: Path) -> Iterator[subprocess.Popen[str]]:
    """A verb in a process of its own, killed at the end of the block if it still runs."""
    command = [sys.executable, "-m", "peakproof", *arguments, "--out", str(out)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def loading(out: Path, database: str) -> Iterator[subprocess.Popen[str]]:
    """A load in the middle of its orders."""
    with begun("load", PARITY, "--speed", "120", "--database", database, "--workers", "2", out=out) as process:
        operations = [out / "parts" / f"crowd-{place}" / "operations.ndjson" for place in (0, 1)]
        until(time.monotonic() + 120, lambda: all(any(rows_of(file)) for file in operations), bool)
        assert process.poll() is None
        yield process


Running = dict[int, bytes]
"""Command line by process id."""


def command_line(pid: int) -> bytes:
    """Empty for a process that has ended."""
    try:
        return (Path("/proc") / str(pid) / "cmdline").read_bytes()
    except OSError:
        return b""


def descendants(pid: int) -> Running:
    """Every process that this one began, and what those began."""
    children = [int(word) for task in Path(f"/proc/{pid}/task").iterdir() for word in _words(task / "children")]
    found = {child: command_line(child) for child in children}
    for child in children:
        found |= descendants(child)
    return found


def _words(file: Path) -> list[str]:
    return file.read_text().split()


def all_end(found: Running, within_s: float = WITHIN_S) -> None:
    def left() -> list[bytes]:
        return [line for pid, line in found.items() if line and command_line(pid) == line]

    until(time.monotonic() + within_s, left, lambda lines: not lines)


def programs(found: Running) -> set[str]:
    """What of the product and its database is among them."""
    told = b" ".join(found.values()).decode()
    known = ("peakproof.live.process", "integration.live.api", "integration.live.dispatch", "locust", "bin/postgres")
    return {name for name in known if name in told}


def test_a_load_that_is_killed_takes_every_process_with_it(tmp_path: Path) -> None:
    with loading(tmp_path / "run", "postgres") as process:
        found = descendants(process.pid)
        assert len(programs(found)) == 5
        process.kill()
        all_end(found)


def test_a_serve_that_is_killed_takes_every_process_with_it(tmp_path: Path) -> None:
    with begun("serve", "--port-base", "0", "--json", out=tmp_path / "run") as process:
        assert process.stdout is not None
        assert "hosts" in json.loads(process.stdout.readline())
        found = descendants(process.pid)
        assert len(programs(found)) == 3
        process.kill()
        all_end(found)


def test_a_load_whose_simulators_die_says_so_and_judges_nothing(tmp_path: Path) -> None:
    out = tmp_path / "run"
    with loading(out, "sqlite") as process:
        found = descendants(process.pid)
        (simulators,) = [pid for pid, line in found.items() if b"peakproof.live.process" in line]
        os.kill(simulators, signal.SIGKILL)
        _, said = process.communicate(timeout=WITHIN_S)
        assert process.returncode == exits.BROKEN
        assert "the process of the simulators was killed by signal 9, so that nothing can be judged" in said
        all_end(found, 1.0)
    record = json.loads((out / "run.json").read_bytes())
    assert (record["complete"], record["verdict"]) == (False, None)
