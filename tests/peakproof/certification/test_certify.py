"""`peakproof certify` from the command line: files, exit codes, budget, waivers, and what it refuses to begin with."""

import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from junitparser import JUnitXml

from peakproof.cli import execute
from peakproof.live.loopback import served
from peakproof.live.sandbox import Sandbox
from tests.peakproof.certification.partners import SKUS

ONLY = ("token-required", "unknown-ids", "duplicate-sequential", "key-reuse")
DATA = f"""\
credentials: {{token: TOKEN}}
customer_id: C-1001
skus: [{", ".join(repr(sku) for sku in SKUS)}]
"""
Certify = Callable[..., int]


@pytest.fixture(scope="module")
def house() -> Iterator[tuple[str, str]]:
    """URL of a careless warehouse, and its token."""
    with Sandbox.open(overrides={"cast.wms-east.profile": "careless"}) as box, served(box.wsgi("wms-east")) as url:
        yield url, box.stage.keys.integration_at["wms-east"]


@pytest.fixture
def run(house: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Certify:
    monkeypatch.chdir(tmp_path)
    url, token = house
    Path("data.yaml").write_text(DATA.replace("TOKEN", token))
    only = [word for name in ONLY for word in ("--only", name)]
    usual = ["certify", "wms", "--url", url, "--test-data", "data.yaml", "--out", "out", *only]

    def certify(*more: str) -> int:
        return execute([*usual, "--max-per-second", "50", *more])

    return certify


def result() -> dict[str, Any]:
    told: dict[str, Any] = orjson.loads(Path("out/certification.json").read_bytes())
    return told


def entries() -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in Path("out/exchanges.ndjson").read_bytes().splitlines()]


def test_a_careless_warehouse_is_not_fit_and_every_file_says_so(
    run: Certify, house: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--junit", "junit.xml") == 1
    told = result()
    failed = [each["probe"] for each in told["findings"] if each["outcome"] == "failed"]
    assert failed == ["duplicate-sequential", "key-reuse"]
    assert (told["standing"], told["exit_code"]) == ("unfit", 1)
    assert "Not fit" in capsys.readouterr().out
    page = Path("out/report.html").read_text()
    assert "a second one was made" in page
    cases = {case.name: case for suite in JUnitXml.fromfile("junit.xml") for case in suite}
    assert [type(each).__name__ for each in cases["duplicate-sequential"].result] == ["Failure"]
    assert cases["unknown-ids"].result == []
    assert len(cases) == len(told["findings"])


def test_everything_sent_is_logged_and_no_secret_is(run: Certify, house: tuple[str, str]) -> None:
    run()
    _, token = house
    everything = b"".join(path.read_bytes() for path in Path("out").iterdir())
    assert token.encode() not in everything
    sent = [entry for entry in entries() if entry["kind"] == "request"]
    assert len(sent) == result()["budget"]["sent"]
    assert sent[0]["request_headers"]["authorization"] == "***"


def test_a_waiver_holds_until_its_day_and_no_longer(run: Certify) -> None:
    waived = "- {probe: duplicate-sequential, reason: the vendor mends it in March, expires: 2999-03-31}\n"
    expired = "- {probe: key-reuse, reason: known since spring, expires: 2020-05-01}\n"
    Path("waivers.yaml").write_text("waivers:\n" + waived + expired.replace("2020-05-01", "2999-05-01"))
    assert run("--waivers", "waivers.yaml") == 0
    Path("waivers.yaml").write_text("waivers:\n" + waived + expired)
    assert run("--waivers", "waivers.yaml") == 1
    by_name = {each["probe"]: each for each in result()["findings"]}
    assert by_name["duplicate-sequential"]["waived"] == {
        "reason": "the vendor mends it in March",
        "expires": "2999-03-31",
    }
    assert by_name["key-reuse"]["waived"] is None
    assert by_name["key-reuse"]["expired"]["expires"] == "2020-05-01"


def test_the_budget_is_never_exceeded_and_what_it_cut_off_is_not_run(run: Certify) -> None:
    assert run("--max-requests", "4") == 4
    assert result()["budget"]["sent"] == 4
    assert len(entries()) == 4
    cut = {each["probe"]: each for each in result()["findings"]}["duplicate-sequential"]
    assert cut["outcome"] == "not run"
    assert cut["said"] == "the budget of 4 requests is spent; raise --max-requests"


@pytest.mark.parametrize(
    ("change", "arguments", "said"),
    [
        (("skus", "sku"), (), r"data\.yaml:3: unknown key 'sku'; did you mean 'skus'\?"),
        (("customer_id: C-1001\n", ""), (), r"data\.yaml: 'customer_id' is missing; add it"),
        (("credentials: {token: [^}]*}\n", ""), (), r"no credentials for the wms: put 'token' or"),
        (None, ("--url", "partner.example"), r"'partner.example' is no http or https URL"),
        (None, ("--url", "http://me:secret@partner.example"), r"not into a URL"),
        (None, ("--only", "duplicates"), r"no probe 'duplicates'; one of reachable, "),
        (None, ("--junit", "nowhere/junit.xml"), r"nowhere is no directory; make it first"),
        (None, ("--patience", "soon"), r"'soon' is not a duration"),
        (None, ("--listen-on", "0.0.0.0:80"), r"say by --listen-url how the partner reaches it"),
        (None, ("--waivers", "none.yaml"), r"none\.yaml: can't be read"),
        (None, ("--max-requests", "0"), r"0 is not in the range x>=1"),
    ],
)
def test_what_can_not_be_used_is_said_before_anything_is_sent(
    run: Certify,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    change: tuple[str, str] | None,
    arguments: tuple[str, ...],
    said: str,
) -> None:
    monkeypatch.delenv("PEAKPROOF_TOKEN", raising=False)
    if change is not None:
        Path("data.yaml").write_text(re.sub(change[0], change[1], Path("data.yaml").read_text()))
    assert run(*arguments) == 2
    assert re.search(said, capsys.readouterr().err)
    assert not Path("out").exists()


def test_an_unknown_probe_in_a_waiver_is_an_error(run: Certify, capsys: pytest.CaptureFixture[str]) -> None:
    Path("waivers.yaml").write_text("waivers:\n- {probe: duplicates, reason: known, expires: 2999-01-01}\n")
    assert run("--waivers", "waivers.yaml") == 2
    assert "no probe 'duplicates'; valid here: reachable, " in capsys.readouterr().err


def test_credentials_may_come_from_the_environment(
    run: Certify, house: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("data.yaml").write_text(re.sub("credentials: .*\n", "", Path("data.yaml").read_text()))
    monkeypatch.setenv("PEAKPROOF_TOKEN", house[1])
    run()
    assert result()["findings"][0]["outcome"] == "passed"


def test_an_address_that_is_taken_is_said_to_be_so(run: Certify, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert run("--listen-url", f"http://127.0.0.1:{port}") == 2
    assert f"can't listen on 127.0.0.1:{port} (" in capsys.readouterr().err
    assert run() == 1


def test_wrong_credentials_end_in_a_sentence(run: Certify, capsys: pytest.CaptureFixture[str]) -> None:
    Path("data.yaml").write_text(re.sub("token: .*}", "token: not-the-one}", Path("data.yaml").read_text()))
    assert run() == 4
    assert "the credentials of the test data are not taken" in capsys.readouterr().out
