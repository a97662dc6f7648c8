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
        (["--find-limit", "2", "--parity"], "--parity compares the reference integration"),
        (["--find-limit", "40"], "40 is not in the range 1<=x<=20"),
        (["--mutant", "lost-updte"], "no race 'lost-updte'; did you mean 'lost-update'?"),
        (["--mutant", "blind-retry"], "`peakproof mutants` plays the others in virtual time"),
        (["--mutant", "lost-update", "--target", "http://127.0.0.1:1"], "give --mutant or --target, not both"),
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


def test_the_limit_of_a_file_of_orders_is_not_searched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    assert execute(["load", "order-file", "--find-limit", "2", "--out", str(out)]) == 2
    assert "--find-limit takes a multiple of the demand" in capsys.readouterr().err
    assert not out.exists()


def test_workers_of_other_machines_do_not_search(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PEAKPROOF_LOAD_SECRET", "s" * 32)
    out = tmp_path / "run"
    asked = ["--find-limit", "2", "--expect-workers", "1", "--host", "127.0.0.1"]
    assert execute(["load", SCENARIO, "--out", str(out), *asked]) == 2
    assert "workers from other machines join one" in capsys.readouterr().err
    assert not out.exists()
