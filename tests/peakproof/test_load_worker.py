"""A crowd that could not meet is refused before anything is begun, and so is a worker that could not join."""

import socket
from pathlib import Path

import pytest

from loadtests.plan import SECRET
from peakproof.cli import execute
from peakproof.live.target import free_port

SCENARIO = str(Path(__file__).parents[1] / "end_to_end" / "parity-day.yaml")
GOOD = "0123456789abcdef"


@pytest.mark.parametrize(
    ("arguments", "secret", "said"),
    [
        (["--workers", "0"], "", "--workers 0 leaves nobody to send orders"),
        (["--expect-workers", "1"], "", "--expect-workers needs a secret of 16 characters or more in " + SECRET),
        (["--expect-workers", "1"], "too-short", "--expect-workers needs a secret of 16 characters or more"),
        (["--expect-workers", "1", "--host", "*"], GOOD, "--host 0.0.0.0 is no address to call"),
        (["--workers", "2", "--master-bind-host", "192.0.2.1"], GOOD, "on 192.0.2.1, for the workers, can't be had"),
    ],
)
def test_a_crowd_that_could_not_meet_is_refused(
    arguments: list[str],
    secret: str,
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(SECRET, secret)
    out = tmp_path / "run"
    assert execute(["load", SCENARIO, "--out", str(out), *arguments]) == 2
    assert said in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--ui", "--web-port"], "for Locust's page, can't be had (Address already in use): end what listens there"),
        (["--workers", "2", "--master-bind-port"], "for the workers, can't be had (Address already in use)"),
    ],
)
def test_a_port_that_is_taken_is_named(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        out = tmp_path / "run"
        assert execute(["load", SCENARIO, "--out", str(out), *arguments, port]) == 2
    error = capsys.readouterr().err
    assert f"port {port} on 127.0.0.1, {said}" in error
    assert arguments[-1] in error
    assert not out.exists()


def test_a_worker_without_the_secret_does_not_knock(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(SECRET, raising=False)
    assert execute(["load-worker"]) == 2
    assert f"set {SECRET} to the secret of the run to join" in capsys.readouterr().err


def test_a_worker_that_finds_no_master_says_where_it_looked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SECRET, GOOD)
    port = str(free_port())
    assert execute(["load-worker", "--master-port", port, "--max-wait", "0"]) == 2
    assert f"no master answers at 127.0.0.1:{port} (Connection refused)" in capsys.readouterr().err
