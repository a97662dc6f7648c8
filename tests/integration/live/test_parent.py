"""Processes that end with whoever began them, and an API whose workers share what a channel may do."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.live.house import ROOT, environment, free_port, house, wait_until

NOBODY = "http://127.0.0.1:9"


@pytest.mark.parametrize(("module", "ready"), [("dispatch", "dispatching as process"), ("api", "")])
def test_a_process_stops_in_good_order_when_its_standard_input_ends(module: str, ready: str, tmp_path: Path) -> None:
    port = free_port()
    told = environment(f"sqlite:///{tmp_path}/shop.db", NOBODY, f"http://127.0.0.1:{port}")
    options = ["--port", str(port)] if module == "api" else []
    log = tmp_path / "log"
    with (
        log.open("wb") as file,
        subprocess.Popen(
            [sys.executable, "-m", f"integration.live.{module}", "--end-with-stdin", *options],
            cwd=ROOT, env=told, stdin=subprocess.PIPE, stdout=file, stderr=file,
        ) as process,
        house(told, port, log) as made,
    ):  # fmt: skip
        wait_until(lambda: ready in log.read_text() if ready else made.answers(), 30, "it is at work")
        assert process.poll() is None
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(20) == 0
        assert not made.answers()


def test_the_workers_of_an_api_share_the_rate_of_a_channel(tmp_path: Path) -> None:
    """Six calls a second over three workers: each allows two, and two seconds' worth at once."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    told = environment(f"sqlite:///{tmp_path}/shop.db", NOBODY, url, channel_rate_per_second=6.0)
    with house(told, port, tmp_path / "log") as made:
        made.options["api"] = ["--workers", "3"]
        made.start("api")
        wait_until(made.answers, 30, "it answers")
        assert made.call("GET", "/availability")[2]["RateLimit-Policy"] == '"default";q=4;w=2'
