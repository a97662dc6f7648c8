"""A crowd of real processes against nobody: it meets, sends what is due at its time, delivers evidence, and ends."""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest

from loadtests.plan import SECRET, Pace, Plan, Standing
from peakproof.live.children import Child
from peakproof.live.collected import rows_of
from peakproof.live.crowd import CrowdLost, Crowds, Muster, crowd
from peakproof.live.errors import LiveError
from peakproof.live.target import free_port
from scenarios.demand import Demand
from scenarios.spec import load

ROOT = Path(__file__).parents[2]
GOOD = "a secret of thirty characters."
SETTINGS = {"demand.orders": "6", "demand.clients.attempts": "1", "demand.adjustments_per_day": "0.0"}
SCENARIO = load(str(ROOT / "tests" / "end_to_end" / "parity-day.yaml"), SETTINGS)
DEMAND = Demand.load(SCENARIO, 1)
TOKENS = {"channels": dict.fromkeys(("portal", "edi", "marketplace"), "t"), "clerks": {"wms-east": "t"}}
NOBODY = "http://127.0.0.1:9"
PATIENCE_S = 60.0


def wait_for(what: Callable[[], object]) -> None:
    ends_at = time.monotonic() + PATIENCE_S
    while not what():
        assert time.monotonic() < ends_at
        time.sleep(0.05)


@contextmanager
def a_crowd(muster: Muster, directory: Path, adapter: str = "") -> Iterator[Crowds]:
    plan = Plan(SCENARIO.plain(), 1, "peak", {"integration": NOBODY, "wms-east": NOBODY}, muster.size, adapter)
    with crowd(muster, plan, TOKENS, NOBODY, directory) as crowds:
        yield crowds


@contextmanager
def a_worker(port: int, directory: Path) -> Iterator[subprocess.Popen[str]]:
    directory.mkdir()
    told = {"PATH": os.environ["PATH"], "HOME": str(directory), "PYTHONPATH": str(ROOT), SECRET: GOOD}
    command = [sys.executable, "-m", "peakproof", "load-worker", "--master-port", str(port)]
    worker = subprocess.Popen(
        command, cwd=directory, env=told, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        yield worker
    finally:
        worker.kill()
        worker.wait()


def placed(directory: Path) -> list[str]:
    """References of the orders that were tried."""
    rows = [row for file in directory.glob("crowd-*/operations.ndjson") for row in rows_of(file)]
    return sorted(row["order_reference"] for row in rows if row["operation"] == "place_order")


@pytest.mark.long
def test_one_process_is_lead_and_worker_in_one(tmp_path: Path) -> None:
    with a_crowd(Muster(), tmp_path) as crowds:
        crowds.wait_until_ready(lambda: None)
        crowds.begin(Pace.beginning(DEMAND.starts_at_us, 0.5, 10_000.0))
        wait_for(crowds.is_over)
    assert placed(tmp_path) == sorted(order.order_reference for order in DEMAND.orders())
    rows = list(rows_of(tmp_path / "crowd-0" / "operations.ndjson"))
    assert {(row["outcome"], row["detail"]) for row in rows} == {("info", "ConnectionRefusedError")}
    assert all(row["invoked_at_us"] >= row["intended_at_us"] for row in rows)
    assert orjson.loads((tmp_path / "crowd-0" / "counts.json").read_bytes())["orders_info"] == 6


def test_one_that_joins_sends_all_that_is_asked_of_it(tmp_path: Path) -> None:
    muster = Muster(workers=0, expect_workers=1, bind_port=free_port(), secret=GOOD)
    with a_crowd(muster, tmp_path) as crowds, a_worker(muster.bind_port, tmp_path / "elsewhere") as worker:
        crowds.wait_until_ready(lambda: None)
        crowds.begin(Pace.beginning(DEMAND.starts_at_us, 0.5, 10_000.0))
        wait_for(crowds.is_over)
        told, _ = worker.communicate(timeout=PATIENCE_S)
    assert (told, worker.returncode) == ("worker 0 of 1 has its part of parity-day: 6 orders\n", 0)
    assert placed(tmp_path) == sorted(order.order_reference for order in DEMAND.orders())
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_one_that_goes_in_the_middle_is_told_of(tmp_path: Path) -> None:
    muster = Muster(workers=0, expect_workers=1, bind_port=free_port(), secret=GOOD)
    with a_crowd(muster, tmp_path) as crowds, a_worker(muster.bind_port, tmp_path / "elsewhere") as worker:
        crowds.wait_until_ready(lambda: None)
        crowds.begin(Pace.beginning(DEMAND.starts_at_us, 0.5, 1.0))
        wait_for((tmp_path / "crowd-0" / "counts.json").exists)
        worker.send_signal(signal.SIGTERM)
        with pytest.raises(CrowdLost, match=r"worker 0 \(.*\) was lost before its part was done"):
            wait_for(crowds.is_over)
        told, _ = worker.communicate(timeout=PATIENCE_S)
    assert (told.splitlines()[1:], worker.returncode) == (
        ["peakproof: the run was ended before this worker's part was done"],
        3,
    )
    assert Standing.read(tmp_path).ended == 0


@pytest.mark.long
def test_one_is_told_when_the_run_ends_in_the_middle(tmp_path: Path) -> None:
    muster = Muster(workers=0, expect_workers=1, bind_port=free_port(), secret=GOOD)
    with a_worker(muster.bind_port, tmp_path / "elsewhere") as worker:
        with a_crowd(muster, tmp_path) as crowds:
            crowds.wait_until_ready(lambda: None)
            crowds.begin(Pace.beginning(DEMAND.starts_at_us, 0.5, 1.0))
            wait_for((tmp_path / "crowd-0" / "counts.json").exists)
        told, _ = worker.communicate(timeout=5.0)  # it need not find out by itself, which takes it 30 s
    assert told.splitlines()[1:] == ["peakproof: the run was ended before this worker's part was done"]
    assert worker.returncode == 3


def test_one_that_goes_before_the_load_is_told_of(tmp_path: Path) -> None:
    Standing({0: {"name": "a", "ready": True, "ended": False}}).write(tmp_path)
    lead = Child("the crowd", ["sleep", "60"], {}, tmp_path / "log")
    try:
        with pytest.raises(CrowdLost, match="1 of 2 workers went before the load"):
            Crowds(Muster(workers=2), tmp_path, [lead]).is_over()
    finally:
        lead.kill()


@pytest.mark.long
def test_a_crowd_that_is_stopped_from_locusts_page_has_not_done_its_part(tmp_path: Path) -> None:
    muster = Muster(web_port=free_port())
    with a_crowd(muster, tmp_path) as crowds:
        crowds.wait_until_ready(lambda: None)
        with urllib.request.urlopen(f"http://127.0.0.1:{muster.web_port}/") as page:
            assert page.headers["Refresh"] == "2", "who looks before it begins is shown when it has"
        crowds.begin(Pace.beginning(DEMAND.starts_at_us, 0.5, 1.0))
        wait_for((tmp_path / "crowd-0" / "counts.json").exists)
        with urllib.request.urlopen(f"http://127.0.0.1:{muster.web_port}/stop", b"") as page:
            assert (page.status, page.headers["Refresh"]) == (200, None)
        with pytest.raises(CrowdLost, match="the crowd was stopped before its part was done"):
            wait_for(crowds.is_over)


@pytest.mark.long
def test_one_that_has_not_the_adapter_says_so(tmp_path: Path) -> None:
    muster = Muster(workers=0, expect_workers=1, bind_port=free_port(), secret=GOOD)
    with (
        a_crowd(muster, tmp_path, "shop_of_the_other:Shop") as crowds,
        a_worker(muster.bind_port, tmp_path / "elsewhere") as worker,
    ):
        why = (
            "--adapter 'shop_of_the_other:Shop' can't be had: ModuleNotFoundError: No module named 'shop_of_the_other'"
        )
        with pytest.raises(LiveError) as refused:
            crowds.wait_until_ready(lambda: None)
        told, _ = worker.communicate(timeout=PATIENCE_S)
    assert str(refused.value).endswith(f"can't go on: {why}")
    assert (told, worker.returncode) == (f"peakproof: {why}\n", 2)
