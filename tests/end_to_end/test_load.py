"""Scenarios over real HTTP: in both clocks alike, interrupted, overloaded, and against order APIs of other shapes."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from peakproof.live.collected import rows_of
from peakproof.live.target import free_port

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs" / "examples"
PARITY = str(Path(__file__).parent / "parity-day.yaml")
pytestmark = pytest.mark.long


def begin(*arguments: str, out: Path, cwd: Path = ROOT) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "peakproof", "load", *arguments, "--out", str(out)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def play(*arguments: str, out: Path, cwd: Path = ROOT) -> tuple[int, str]:
    process = begin(*arguments, out=out, cwd=cwd)
    said, _ = process.communicate(timeout=600)
    return process.returncode, said


def run_file(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "run.json").read_bytes())
    return found


def left_running(out: Path) -> list[str]:
    """Command lines of processes that were told of this run."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            told = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if entry.name.isdigit() and entry.name != str(os.getpid()) and str(out).encode() in told:
            found.append((entry / "cmdline").read_text())
    return found


def test_both_clocks_agree(tmp_path: Path) -> None:
    out = tmp_path / "run"
    code, said = play(PARITY, "--speed", "120", "--database", "sqlite", "--parity", out=out)
    assert code == 0, said
    beyond = {what: told for what, told in run_file(out)["parity"].items() if told.endswith("beyond bounds")}
    assert beyond == {}
    assert left_running(out) == []


def test_an_interrupted_run_can_be_read_and_leaves_nothing_running(tmp_path: Path) -> None:
    out = tmp_path / "run"
    process = begin(PARITY, "--speed", "120", "--database", "sqlite", "--workers", "2", out=out)
    orders = [out / "parts" / f"crowd-{index}" / "operations.ndjson" for index in (0, 1)]
    ends_at = time.monotonic() + 120
    while not all(any(rows_of(file)) for file in orders):
        assert process.poll() is None and time.monotonic() < ends_at
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert (process.returncode, "interrupted" in said) == (130, True), said
    assert run_file(out)["complete"] is False
    assert run_file(out)["evidence"]["operations"]["rows"] > 0
    assert (out / "report.html").exists()
    assert left_running(out) == []


def test_overload_is_refused_with_a_time_to_come_again_and_loses_nothing(tmp_path: Path) -> None:
    out = tmp_path / "run"
    limits = ["integration.channel_rate_per_second=10.0", "cast.erp.profile=large", "demand.clients.attempts=12"]
    settings = [word for limit in limits for word in ("--set", limit)]
    code, said = play(PARITY, "--speed", "1000", "--shape", "spike", "--database", "sqlite", *settings, out=out)
    operations = list(rows_of(out / "operations.ndjson"))
    refused = [
        row for row in rows_of(out / "exchanges.ndjson") if row["status"] in (429, 503) and row["source"] == "portal"
    ]
    assert len(refused) > 50
    assert [row for row in refused if not row.get("retry_after_s")] == []
    broken = {check["name"] for check in run_file(out)["verdict"]["checks"] if check["outcome"] == "violated"}
    assert broken == set(), said
    assert code == 0
    accepted = {
        row["order_reference"] for row in operations if row["operation"] == "place_order" and row["outcome"] == "ok"
    }
    assert len(accepted) > 100


def test_the_highest_load_is_searched_by_whole_runs(tmp_path: Path) -> None:
    out = tmp_path / "limit"
    options = ["--speed", "900", "--database", "sqlite", "--set", "demand.orders=20", "--find-limit", "2"]
    code, said = play(str(Path(__file__).parent / "small-day.yaml"), *options, out=out)
    assert code == 0, said
    runs = json.loads((out / "limit.json").read_bytes())["runs"]
    assert [(run["factor"], run["orders"], run["lost"], run["doubled"]) for run in runs] == [
        (1.0, 20, 0, 0),
        (2.0, 40, 0, 0),
    ]
    assert [run_file(out / run["directory"])["verdict"]["outcome"] for run in runs] == ["holds", "holds"]
    assert (out / "run-2" / "report.html").exists()
    assert left_running(out) == []


@pytest.mark.parametrize(
    ("command", "adapter", "hidden"),
    [
        pytest.param(
            "node cart_shop/shop.mjs",
            "cart_shop.adapter:Carts",
            ["availability_agrees", "fresh_availability"],
            marks=pytest.mark.skipif(shutil.which("node") is None, reason="there is no node to run the shop with"),
        ),
        (f"{sys.executable} -m basket_shop", "basket_shop.adapter:Baskets", []),
    ],
)
def test_an_order_api_of_another_shape_is_judged(command: str, adapter: str, hidden: list[str], tmp_path: Path) -> None:
    out = tmp_path / "run"
    url = f"http://127.0.0.1:{free_port()}"
    options = ["--speed", "900", "--target", url, "--start", command, "--adapter", adapter]
    code, said = play("corner_shop/scenario.yaml", *options, out=out, cwd=EXAMPLES)
    assert code == 0, said
    verdict = run_file(out)["verdict"]
    assert (verdict["outcome"], verdict["not_observable"]) == ("holds", hidden)
    assert run_file(out)["clients"]["orders_ok"] == 16
    assert left_running(out) == []
