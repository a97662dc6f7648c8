"""`peakproof contracts verify` and `publish`: what is shown, the exit code, JUnit, and a broker's part."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from junitparser import JUnitXml

from peakproof.cli import execute
from peakproof.live.pacts import PACTS
from tests.contracts.pacts.fake_broker import TOKEN, FakeBroker, running


def small_pact(directory: Path, *changes: str, state: str = "the carrier is open") -> dict[str, Any]:
    """A pact of the carrier with two interactions; in the `changes` named, another status is expected."""
    document = orjson.loads((PACTS / "integration-carrier.json").read_bytes())
    wanted = ("the labels of a parcel that has none", "a label given back that nobody bought")
    document["interactions"] = [one for one in document["interactions"] if one["description"] in wanted]
    for one in document["interactions"]:
        one["providerStates"] = [{"name": state}]
        if one["description"] in changes:
            one["response"]["status"] = 299
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "integration-carrier.json").write_bytes(orjson.dumps(document))
    return dict(document)


def test_what_holds_is_listed_and_counted(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    small_pact(tmp_path)
    assert execute(["contracts", "verify", "--pacts", str(tmp_path)]) == 0
    assert capfd.readouterr().out.splitlines() == [
        "holds\tcarrier\tintegration\ta label given back that nobody bought",
        "holds\tcarrier\tintegration\tthe labels of a parcel that has none",
        "2 of 2 interactions hold",
    ]


def test_what_differs_is_told_in_words_and_fails(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    small_pact(tmp_path / "pacts", "the labels of a parcel that has none")
    junit = tmp_path / "junit.xml"
    assert execute(["contracts", "verify", "--pacts", str(tmp_path / "pacts"), "--junit", str(junit)]) == 1
    assert capfd.readouterr().out.splitlines()[1:] == [
        "differs\tcarrier\tintegration\tthe labels of a parcel that has none",
        "carrier: the labels of a parcel that has none (for integration; given the carrier is open)",
        "  status: expected 299 but was 200",
        "1 of 2 interactions hold",
    ]
    (suite,) = JUnitXml.fromfile(str(junit))
    assert (suite.name, suite.tests, suite.failures) == ("carrier for integration", 2, 1)
    good, bad = suite
    assert (good.name, list(good.result)) == ("a label given back that nobody bought", [])
    assert (bad.classname, bad.result[0].message) == (
        "peakproof.pacts.carrier.integration",
        "status: expected 299 but was 200",
    )


def test_a_state_that_is_not_known_is_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    small_pact(tmp_path, state="the carrier is opened")
    assert execute(["contracts", "verify", "--pacts", str(tmp_path)]) == 1
    told = "carrier has no provider state 'the carrier is opened': did you mean 'the carrier is open'?"
    assert f"  {told}" in capfd.readouterr().out.splitlines()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "holds no pact file (*.json)"),
        (b"{", "is no pact"),
        (b"{}", "is no pact: it lacks 'consumer'"),
        (b"[]", "is no pact"),
    ],
)
def test_what_is_no_pact_is_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], content: bytes | None, told: str
) -> None:
    if content is not None:
        (tmp_path / "some.json").write_bytes(content)
    assert execute(["contracts", "verify", "--pacts", str(tmp_path)]) == 2
    assert told in capfd.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--provider", "carier"], "there is no provider 'carier'; did you mean 'carrier'?"),
        (["--pacts", "/nowhere/at/all"], "/nowhere/at/all is no directory"),
        (["--publish"], "add --broker"),
        (["--broker", "--pacts", "."], "choose one"),
        (["--broker"], "PACT_BROKER_BASE_URL is ''"),
        (["--broker", "--selector", "main"], "'main' is no JSON"),
        (["--broker", "--selector", '{"mainbranch": true}'], "did you mean 'mainBranch'?"),
        (["--broker", "--publish"], "the broker needs a version"),
    ],
)
def test_what_can_not_be_done_is_said_in_a_sentence(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: list[str], told: str
) -> None:
    for name in ("PACT_BROKER_BASE_URL", "PACT_PROVIDER_VERSION", "GIT_COMMIT"):
        monkeypatch.delenv(name, raising=False)
    assert execute(["contracts", "verify", *arguments]) == 2
    assert told in capfd.readouterr().err


def test_without_pact_the_extra_is_named(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pact", None)
    assert execute(["contracts", "verify", "--provider", "carrier"]) == 2
    assert capfd.readouterr().err == 'peakproof: Pact is not installed: pip install "peakproof[contracts]"\n'


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeBroker]:
    with running(FakeBroker()) as started:
        for name in ("PACT_BROKER_USERNAME", "PACT_BROKER_PASSWORD"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("PACT_BROKER_BASE_URL", started.url)
        monkeypatch.setenv("PACT_BROKER_TOKEN", TOKEN)
        yield started


def test_pacts_are_published_as_those_of_a_version(
    broker: FakeBroker, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    document = small_pact(tmp_path)
    options = ["--version", "abc123", "--branch", "main", "--build-url", "http://ci/7"]
    assert execute(["contracts", "publish", "--pacts", str(tmp_path), *options]) == 0
    assert capfd.readouterr().out == "integration abc123: 1 pacts published\n"
    assert broker.pacts == {("integration", "carrier"): document}
    ((method, path, body),) = broker.asked
    assert (method, path) == ("POST", "/contracts/publish")
    (contract,) = body.pop("contracts")
    assert body == {
        "pacticipantName": "integration",
        "pacticipantVersionNumber": "abc123",
        "branch": "main",
        "buildUrl": "http://ci/7",
    }
    del contract["content"]
    assert contract == {
        "consumerName": "integration",
        "providerName": "carrier",
        "specification": "pact",
        "contentType": "application/json",
    }


def test_name_and_password_log_in_as_well(broker: FakeBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_pact(tmp_path)
    monkeypatch.delenv("PACT_BROKER_TOKEN")
    monkeypatch.setenv("PACT_BROKER_USERNAME", "ann")
    monkeypatch.setenv("PACT_BROKER_PASSWORD", "secret")
    assert execute(["contracts", "publish", "--pacts", str(tmp_path), "--version", "1"]) == 0


def test_a_broker_that_refuses_or_is_not_there_is_named(
    broker: FakeBroker, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    small_pact(tmp_path)
    publish = ["contracts", "publish", "--pacts", str(tmp_path), "--version", "1"]
    monkeypatch.setenv("PACT_BROKER_TOKEN", "wrong")
    assert execute(publish) == 2
    assert f"the broker at {broker.url} answered 401: Please log in" in capfd.readouterr().err
    monkeypatch.setenv("PACT_BROKER_BASE_URL", "http://127.0.0.1:9")
    assert execute(publish) == 2
    assert "the broker at http://127.0.0.1:9 can't be reached" in capfd.readouterr().err


def verified_by(broker: FakeBroker, *options: str) -> int:
    return execute(["contracts", "verify", "--broker", "--provider", "carrier", *options])


def chosen_by(broker: FakeBroker) -> Any:
    """What the broker was asked to choose the pacts by."""
    path = "/pacts/provider/carrier/for-verification"
    (asked,) = [body for method, asked_path, body in broker.asked if (method, asked_path) == ("POST", path)]
    return asked


def test_the_broker_chooses_the_pacts_and_hears_the_results(
    broker: FakeBroker, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    broker.pacts["integration", "carrier"] = small_pact(tmp_path)
    options = ["--publish", "--version", "abc123", "--branch", "main", "--wip-since", "2026-01-31"]
    assert verified_by(broker, *options) == 0
    assert capfd.readouterr().out.splitlines()[-1] == "2 of 2 interactions hold"
    asked = chosen_by(broker)
    assert asked == {
        "consumerVersionSelectors": [{"mainBranch": True}, {"deployedOrReleased": True}],
        "includePendingStatus": True,
        "includeWipPactsSince": "2026-01-31",
        "providerVersionBranch": "main",
    }
    (result,) = broker.told_results()
    assert (result["success"], result["providerApplicationVersion"]) == (True, "abc123")
    assert ("PUT", "/pacticipants/carrier/branches/main/versions/abc123", {}) in broker.asked


def test_results_that_the_broker_does_not_take_are_no_success(
    broker: FakeBroker, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    broker.pacts["integration", "carrier"] = small_pact(tmp_path)
    broker.takes_results = False
    assert verified_by(broker, "--publish", "--version", "abc123") == 2
    assert "Publishing of verification results failed" in capfd.readouterr().err


def test_a_failure_counts_unless_the_broker_calls_it_pending(
    broker: FakeBroker, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    broker.pacts["integration", "carrier"] = small_pact(tmp_path, "the labels of a parcel that has none")
    assert verified_by(broker) == 1
    broker.pending = True
    capfd.readouterr()
    assert verified_by(broker, "--junit", str(tmp_path / "junit.xml")) == 0
    assert capfd.readouterr().out.splitlines()[-1] == "1 of 2 interactions hold, 1 of the others are pending"
    (suite,) = JUnitXml.fromfile(str(tmp_path / "junit.xml"))
    assert (suite.tests, suite.failures, suite.skipped) == (2, 0, 1)
    assert broker.told_results() == []


def test_a_selector_of_ones_own_replaces_the_usual_ones(broker: FakeBroker, tmp_path: Path) -> None:
    broker.pacts["integration", "carrier"] = small_pact(tmp_path)
    assert verified_by(broker, "--no-pending", "--selector", '{"consumer": "integration", "latest": true}') == 0
    asked = chosen_by(broker)
    assert asked["consumerVersionSelectors"] == [{"consumer": "integration", "latest": True}]
    assert asked["includePendingStatus"] is False


def test_a_broker_without_pacts_for_a_provider_is_no_failure(
    broker: FakeBroker, capfd: pytest.CaptureFixture[str]
) -> None:
    assert verified_by(broker) == 0
    assert capfd.readouterr().out == "no pact to verify\n"
