"""`peakproof load` refuses what it can't do before anything is begun."""

from pathlib import Path

import pytest

from peakproof.cli import execute

SCENARIO = str(Path(__file__).parents[1] / "end_to_end" / "parity-day.yaml")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--speed", "0"], "0 is not above 0 and at most 10000"),
        (["--target", "shop.example"], "'shop.example' is not an http address"),
        (["--adapter", "shop:Shop"], "--adapter and --start go with --target"),
        (["--target", "http://127.0.0.1:1", "--adapter", "shop"], "--adapter 'shop' is not module:Class"),
        (["--shape", "wave"], "'wave' is not one of"),
        (["--set", "demand.ordres=3"], "ordres"),
        (["--database", "oracle"], "'oracle' is neither postgres nor sqlite nor a URL"),
    ],
)
def test_what_can_not_be_done_is_refused(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert execute(["load", SCENARIO, "--out", str(out), *arguments]) == 2
    assert said in capsys.readouterr().err
    assert not out.exists()
