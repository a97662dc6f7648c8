"""`peakproof contracts fuzz`: options, exit codes, reports, and a live endpoint over real HTTP."""

import sys
from pathlib import Path

import pytest
from junitparser import JUnitXml

from contracts.validation import Contract
from peakproof import exits
from peakproof.cli import execute
from peakproof.fuzzing.live import LiveTarget, live_transport
from peakproof.fuzzing.run import Job, fuzz_live
from peakproof.live.sandbox import Sandbox


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nonesuch"], "there is no role 'nonesuch' to fuzz: choose one of orders, erp, wms, threepl, carrier"),
        ([], "name one role"),
        (["wms", "--all"], "not both"),
        (["wms", "--phases", "guessing"], "--phases 'guessing'"),
        (["wms", "--url", "warehouse"], "--url 'warehouse' is no address"),
        (["wms", "--url", "http://127.0.0.1:9", "--header", "nonsense"], "--header 'nonsense' is no header"),
        (["wms", "--header", "a: b"], "give its --url"),
        (["erp", "--url", "http://127.0.0.1:9", "--client", "me"], "PEAKPROOF_FUZZ_CLIENT_SECRET"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_2(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["contracts", "fuzz", *arguments]) == exits.USAGE
    error = capsys.readouterr().err
    assert told in error
    assert len(error.splitlines()) == 1


def test_without_schemathesis_the_extra_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "schemathesis", None)
    assert execute(["contracts", "fuzz", "wms"]) == exits.USAGE
    assert capsys.readouterr().err == 'peakproof: Schemathesis is not installed: pip install "peakproof[contracts]"\n'


def test_a_clean_run_holds_and_prints_its_coverage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    junit = tmp_path / "fuzz.xml"
    arguments = ["carrier", "--cases", "40", "--phases", "examples,driven", "--junit", str(junit)]
    assert execute(["contracts", "fuzz", *arguments]) == exits.HOLDS
    told = capsys.readouterr().out
    assert "carrier.yaml: 6 of 6 operations, 59 of 59 documented statuses" in told
    suite = next(iter(JUnitXml.fromfile(str(junit))))
    assert [case.name for case in suite] == [
        "POST /rates",
        "GET /labels",
        "POST /labels",
        "POST /labels/{label_id}/void",
        "GET /trackings/{tracking_number}",
        "POST /subscriptions",
    ]
    assert all(case.is_passed for case in suite)


def test_a_dead_address_exercises_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["carrier", "--url", "http://127.0.0.1:9", "--cases", "5", "--phases", "examples", "--timeout", "1"]
    assert execute(["contracts", "fuzz", *arguments]) == exits.INCONCLUSIVE
    assert "nothing was exercised" in capsys.readouterr().out


def test_a_live_endpoint_is_fuzzed_over_real_http_within_its_cases() -> None:
    generous = {"cast.carrier.settings.quota": "{kind: window, calls: 100000, per: 1s}"}
    with Sandbox.open(overrides=generous) as box, box.serve("carrier") as url:
        contract, transport = Contract.load("carrier"), live_transport(url, 10)
        target = LiveTarget("carrier", contract, url, transport, box.headers("carrier"))
        outcome = fuzz_live(Job("carrier", cases=40, seed=1), target)
    assert [(each.operation, each.promise, each.told) for each in outcome.findings] == []
    assert 30 <= outcome.cases.total() <= 50
    assert ("POST", "/labels", 413) in outcome.seen["driven"]


def test_committed_pacts_count_in_the_coverage(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["contracts", "fuzz", "wms", "--phases", "driven"]) == exits.HOLDS
    told = capsys.readouterr().out
    assert "85 of 85 documented statuses (f fuzz, d driven, p pact)" in told
    assert "  POST /releases                      200:dp  201:dp  400:d " in told
