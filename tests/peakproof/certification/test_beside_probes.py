"""What is asked beside the probes: pacts whose states are mapped, a short fuzz, and a carrier's scans."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from peakproof.certification.data import Limits
from peakproof.certification.run import SOURCES, Certified
from peakproof.certification.session import Finding
from peakproof.live.sandbox import Sandbox
from tests.peakproof.certification import faults
from tests.peakproof.certification.partners import HOUR_US, Way, Wrap, as_it_is, certified

MAPPED = {"pact_states": {"the warehouse stocks 85123A": None}}
WHOLE_STOCK = "pact-integration-the-whole-stock"
A_RELEASE = "pact-integration-a-read-of-a-release"


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    with Sandbox.open() as opened:
        yield opened


def found(done: Certified) -> dict[str, Finding]:
    return {finding.probe: finding for finding in done.verdict.findings}


def test_only_pacts_whose_states_are_mapped_are_made(box: Sandbox, tmp_path: Path) -> None:
    way = Way(more=SOURCES, only=frozenset({"pacts"}), data=MAPPED)
    done = certified(box, "wms", tmp_path, way, 1)
    assert found(done)[WHOLE_STOCK].outcome == "passed"
    assert found(done)[A_RELEASE].outcome == "not run"
    assert found(done)[A_RELEASE].said == "its provider state 'a release was received' is not mapped in the test data"
    assert done.verdict.standing == "fit"


def test_where_pact_and_schemathesis_are_missing_the_rest_is_examined(
    box: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = ("schemathesis.", "peakproof.fuzzing.", "peakproof.certification.fuzz")
    for name in [name for name in sys.modules if name.startswith(loaded)]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("pact", "schemathesis"):
        monkeypatch.setitem(sys.modules, name, None)
    way = Way(more=SOURCES, only=frozenset({"pacts", "fuzzing", "unknown-ids"}), data=MAPPED)
    seen = found(certified(box, "wms", tmp_path, way, 9))
    assert (seen["pacts"].outcome, seen["fuzzing"].outcome, seen["unknown-ids"].outcome) == (
        "not run",
        "not run",
        "passed",
    )
    assert seen["pacts"].said == 'Pact is not installed: pip install "peakproof[contracts]"'
    assert seen["fuzzing"].said == 'Schemathesis is not installed: pip install "peakproof[contracts]"'


def test_a_pact_that_does_not_hold_withholds_the_certificate(box: Sandbox, tmp_path: Path) -> None:
    way = Way(faults.layer(faults.no_stock_listed), more=SOURCES, only=frozenset({"pacts"}), data=MAPPED)
    done = certified(box, "wms", tmp_path, way, 2)
    assert found(done)[WHOLE_STOCK].outcome == "failed"
    assert done.verdict.standing == "unfit"


def test_a_mapped_state_puts_the_partners_own_ids_into_the_pact(box: Sandbox, tmp_path: Path) -> None:
    """Two interactions get a release each; the ones after them are not run."""
    states = {"a release was received": {"release_id": ["CERT-one", "CERT-two"]}}
    way = Way(
        faults.layer(faults.knows_any_release), more=SOURCES, only=frozenset({"pacts"}), data={"pact_states": states}
    )
    done = certified(box, "wms", tmp_path, way, 3)
    assert found(done)[A_RELEASE].outcome == "passed"
    spent = [each for each in done.verdict.findings if "is mapped for 2 interactions" in each.said]
    assert spent
    assert {each.outcome for each in spent} == {"not run"}


@pytest.mark.parametrize(("wrap", "outcome"), [(as_it_is, "passed"), (faults.layer(faults.fails_on_stock), "failed")])
def test_a_short_fuzz_keeps_to_its_share_of_the_budget(box: Sandbox, tmp_path: Path, wrap: Wrap, outcome: str) -> None:
    way = Way(wrap, limits=Limits(60, 40, False, HOUR_US), more=SOURCES, only=frozenset({"fuzzing"}))
    done = certified(box, "wms", tmp_path, way, 4 if outcome == "passed" else 5)
    assert found(done)["fuzzing"].outcome == outcome
    assert done.told["budget"]["sent"] <= 60


def test_scans_are_heard_where_the_partner_makes_them(box: Sandbox, tmp_path: Path) -> None:
    carrier = box.stage.carrier

    def collect() -> None:
        waiting = [label.tracking_number for label in carrier.books.labels.values() if not label.collected]
        box.do(carrier.collect, waiting)

    only = frozenset({"webhook-tracking"})
    done = certified(box, "carrier", tmp_path, Way(only=only), 6)
    assert found(done)["webhook-tracking"].outcome == "not run"
    done = certified(box, "carrier", tmp_path, Way(only=only, meanwhile=collect), 7)
    assert found(done)["webhook-tracking"].outcome == "passed"
