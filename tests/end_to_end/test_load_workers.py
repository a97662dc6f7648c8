"""Workers that join a load from elsewhere: nothing is shared with them but an address and a secret.

They run in another directory, with another home and an empty environment. What they did is judged like all else; one
that is lost, or has the wrong secret, is told of in a sentence.
"""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loadtests.plan import SECRET, Standing
from peakproof.live.collected import rows_of
from peakproof.live.secrets import SECRET as SERVE_SECRET
from peakproof.live.secrets import secrets_of
from peakproof.live.target import free_port

ROOT = Path(__file__).parents[2]
SCENARIO = str(Path(__file__).parent / "parity-day.yaml")
SETTINGS = ("--speed", "240", "--database", "sqlite", "--set", "demand.orders=40")
GOOD, OTHER = "a secret of thirty characters.", "another secret, as long as it."
MASTER = "tokens are made from this"
PATIENCE_S = 180.0
pytestmark = pytest.mark.long


def wait_for(what: Callable[[], Any], *processes: subprocess.Popen[str]) -> Any:
    """What comes true in time, while these processes run."""
    ends_at = time.monotonic() + PATIENCE_S
    while not (found := what()):
        for process in processes:
            assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < ends_at
        time.sleep(0.1)
    return found


class Elsewhere:
    """Where a worker runs, and the load that it joins."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.out = directory / "run"
        self.port = str(free_port())

    def lead(self, *arguments: str) -> subprocess.Popen[str]:
        command = ["load", SCENARIO, *SETTINGS, "--master-bind-port", self.port, "--out", str(self.out), *arguments]
        return self._begun(command, ROOT, {**os.environ, SECRET: GOOD, SERVE_SECRET: MASTER})

    def worker(self, secret: str = GOOD) -> subprocess.Popen[str]:
        place = self.directory / "elsewhere"
        (place / "home").mkdir(parents=True, exist_ok=True)
        told = {"PATH": os.environ["PATH"], "HOME": str(place / "home"), SECRET: secret}
        return self._begun(["load-worker", "--master-port", self.port], place, told)

    def rows(self, place: int) -> list[dict[str, Any]]:
        return list(rows_of(self.out / "parts" / f"crowd-{place}" / "operations.ndjson"))

    def run_file(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.out / "run.json").read_bytes())
        return found

    def _begun(self, command: list[str], cwd: Path, told: dict[str, str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "peakproof", *command],
            cwd=cwd,
            env={**told, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


@pytest.fixture
def elsewhere(tmp_path: Path) -> Elsewhere:
    return Elsewhere(tmp_path)


def test_a_worker_elsewhere_does_its_part_of_a_run_that_holds(elsewhere: Elsewhere) -> None:
    lead, worker = elsewhere.lead("--expect-workers", "1"), elsewhere.worker()
    said, told = lead.communicate(timeout=300)[0], worker.communicate(timeout=60)[0]
    assert (lead.returncode, worker.returncode) == (0, 0), said + told
    parts = [elsewhere.rows(place) for place in (0, 1)]
    assert [part == [] for part in parts] == [False, False]
    run = elsewhere.run_file()
    assert (run["verdict"]["outcome"], run["live"]["crowd_processes"]) == ("holds", 2)
    assert run["evidence"]["operations"]["rows"] == sum(map(len, parts))
    of_whom = [{row["order_reference"] for row in part} for part in parts]
    assert (len(of_whom[0] | of_whom[1]), of_whom[0] & of_whom[1]) == (40, set())
    tokens = secrets_of("", MASTER, {}).keys.channels.values()
    files = [file for file in elsewhere.directory.rglob("*") if file.is_file()]
    assert [file for file in files for token in tokens if token.encode() in file.read_bytes()] == []
    assert [token for token in tokens if token in said + told] == []
    assert list((elsewhere.directory / "elsewhere").iterdir()) == [elsewhere.directory / "elsewhere" / "home"]


def test_without_a_worker_that_is_killed_nothing_is_judged(elsewhere: Elsewhere) -> None:
    lead, worker = elsewhere.lead("--workers", "0", "--expect-workers", "1"), elsewhere.worker()
    wait_for(lambda: elsewhere.rows(0), lead, worker)
    worker.send_signal(signal.SIGKILL)
    worker.communicate()
    said, _ = lead.communicate(timeout=120)
    assert lead.returncode == 4, said
    assert "peakproof: inconclusive: worker 0 (" in said
    assert "was lost before its part was done;" in said
    begun = len({row["order_reference"] for row in elsewhere.rows(0) if row["operation"] == "place_order"})
    assert f"; {40 - begun} of 40 orders had not begun, as far as evidence tells" in said
    run = elsewhere.run_file()
    assert (run["complete"], run["verdict"], run["clients"]["orders_not_begun"]) == (False, None, 40 - begun)


def test_a_worker_with_another_secret_is_not_let_in_and_not_waited_for_without_end(elsewhere: Elsewhere) -> None:
    lead = elsewhere.lead("--workers", "0", "--expect-workers", "1", "--expect-workers-max-wait", "45")
    worker = elsewhere.worker(OTHER)
    said, told = lead.communicate(timeout=120)[0], worker.communicate(timeout=60)[0]
    assert (lead.returncode, worker.returncode) == (2, 2), said + told
    assert f"the master did not let this worker in within 30 s: {SECRET} is another there" in told
    assert "0 of 1 workers were ready in time: start the others with `peakproof load-worker`" in said
    assert Standing.read(elsewhere.out / "parts").workers == {}


def test_locusts_page_shows_each_operation_and_the_run_ends_by_itself(elsewhere: Elsewhere) -> None:
    port = str(free_port())
    lead = elsewhere.lead("--ui", "--web-port", port)

    def names() -> set[str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/stats/requests", timeout=5) as answer:
                return {f"{row['method']} {row['name']}" for row in json.load(answer)["stats"] if row["num_requests"]}
        except OSError:
            return set()

    wait_for(lambda: names() >= {"POST /orders", "GET /orders/{order_id}"}, lead)
    said, _ = lead.communicate(timeout=300)
    assert (lead.returncode, elsewhere.run_file()["verdict"]["outcome"]) == (0, "holds"), said
