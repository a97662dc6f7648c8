"""What certify learns of each simulator with another profile than the usual one, and that a scenario can play it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from peakproof.certification.data import Limits, Role
from peakproof.certification.learned import MODELS
from peakproof.certification.probes import LONG, probes_of
from peakproof.live.sandbox import Sandbox
from simulators.partnerkit.profile import load
from tests.peakproof.certification.partners import HOSTS, HOUR_US, SKUS, Way, certified

PATIENT = Limits(3_000, 40, True, 24 * HOUR_US)
FAST = Limits(3_000, 200, True, 24 * HOUR_US)

# Role, profile and settings laid over it -> keys that must be learned exactly, paces (us) within a third.
CASES: dict[str, tuple[Role, str, dict[str, Any], Limits, dict[str, Any], dict[str, int]]] = {
    "wms careless": (
        "wms",
        "careless",
        {"webhooks.retries": "[2s, 20s, 4m]", "stock_page_size": "900"},
        PATIENT,
        {
            "duplicate_policy": "create_second",
            "keys.reuse": "ignore",
            "keys.in_flight": "serve",
            "webhooks.retries": (2_000_000, 20_000_000, 240_000_000),
            "webhooks.unsubscribe_on_gone": True,
            "stock_page_size": 900,
        },
        {"reads.median": 60_000, "writes.median": 150_000},
    ),
    "wms strict": (
        "wms",
        "strict",
        {},
        PATIENT,
        {"duplicate_policy": "reject", "keys.reuse": "refuse", "keys.in_flight": "refuse"},
        {"reads.median": 60_000, "writes.median": 150_000},
    ),
    "wms large": (
        "wms",
        "large",
        {"webhooks.unsubscribe_on_gone": "false"},
        PATIENT,
        {"duplicate_policy": "return_existing", "webhooks.unsubscribe_on_gone": False},
        {"reads.median": 40_000, "writes.median": 100_000},
    ),
    "threepl careless": (
        "threepl",
        "careless",
        {},
        PATIENT,
        {
            "duplicate_policy": "create_second",
            "keys.reuse": "ignore",
            "limit": {"kind": "bucket", "per_second": 2.0, "burst": 30},
        },
        {"reads.median": 120_000, "writes.median": 300_000},
    ),
    "threepl large": (
        "threepl",
        "large",
        {},
        FAST,
        {"duplicate_policy": "return_existing", "limit": {"kind": "bucket", "per_second": 50.0, "burst": 200}},
        {"reads.median": 80_000, "writes.median": 150_000},
    ),
    "carrier double-label": (
        "carrier",
        "double-label",
        {"standard.base_minor": "410", "express.per_kg_minor": "75", "currency": "EUR"},
        PATIENT,
        {
            "duplicate_policy": "create_second",
            "keys.reuse": "ignore",
            "currency": "EUR",
            "standard.base_minor": 410,
            "standard.per_kg_minor": 35,
            "standard.transit_days": 2,
            "express.base_minor": 795,
            "express.per_kg_minor": 75,
            "express.transit_days": 1,
            "quota": {"kind": "window", "calls": 100, "per": 10_000_000},
        },
        {"read.median": 150_000},
    ),
    "erp strict": (
        "erp",
        "strict",
        {"pages.default": "3"},
        PATIENT,
        {
            "duplicate_policy": "reject",
            "token_lifetime": 900_000_000,
            "stale_token": "forbidden",
            "pages.cap": 200,
            "pages.default": 3,
            "keys.in_flight": "refuse",
            "desk.retry_after_s": 10,
            "quota": {"kind": "window", "calls": 1_500, "per": 300_000_000},
        },
        {"read.median": 300_000},
    ),
    "erp large": (
        "erp",
        "large",
        {},
        PATIENT,
        {"duplicate_policy": "return_existing", "stale_token": "token-expired", "pages.cap": 1_000},
        {"read.median": 120_000},
    ),
}
QUICK = ("threepl careless", "carrier double-label")


def learned(case: str, directory: Path) -> dict[str, Any]:
    """Certify, load what was written as the simulator would, and give its keys by dotted name."""
    role, profile, settings, limits, _, _ = CASES[case]
    host = HOSTS[role]
    overrides = {f"cast.{host}.profile": profile}
    overrides |= {f"cast.{host}.settings.{key}": value for key, value in settings.items()}
    with Sandbox.open(overrides=overrides) as box:
        way = Way(limits=limits)
        if case in QUICK:
            way = replace(way, only=_quick(role))
        done = certified(box, role, directory, way)
    assert done.learned is not None
    written = load(MODELS[role], directory / "learned-profile.yaml").model_dump(mode="json")
    return {key: _at(written, key) for key in done.learned.seen}


def _quick(role: Role) -> frozenset[str]:
    """Everything but the voyage and the token's end."""
    return frozenset(probe.name for probe in probes_of(role)) - {"cancel-late", "stock-after-shipment"}


def _at(content: Any, key: str) -> Any:
    for part in key.split("."):
        content = content[part]
    return tuple(content) if isinstance(content, list) else content


@pytest.mark.parametrize(
    "case", [case if case in QUICK else pytest.param(case, marks=pytest.mark.long) for case in CASES]
)
def test_the_keys_of_a_profile_are_learned(case: str, tmp_path: Path) -> None:
    _, _, _, _, exact, paces = CASES[case]
    seen = learned(case, tmp_path)
    assert {key: seen.get(key) for key in exact} == exact
    for key, truth_us in paces.items():
        assert isinstance(seen[key], int), "a page tells whole microseconds as a duration"
        assert abs(seen[key] - truth_us) <= truth_us / 3, f"{key} was learned as {seen[key]}"


def test_a_learned_profile_marks_what_was_not_observed_and_plays_in_the_house(tmp_path: Path) -> None:
    only = frozenset(probe.name for probe in probes_of("wms") if probe not in LONG)
    with Sandbox.open(overrides={"cast.wms-east.profile": "careless"}) as box:
        done = certified(box, "wms", tmp_path, Way(only=only))
    text = (tmp_path / "learned-profile.yaml").read_text()
    assert "pickers: 36 # not observed: as regional" in text
    assert "duplicate_policy: create_second" in text
    assert done.learned is not None
    assert "pickers" in done.learned.unseen
    assert "duplicate_policy" not in done.learned.unseen
    with Sandbox.open(overrides={"cast.wms-east.profile": str(tmp_path / "learned-profile.yaml")}) as box:
        assert box.stage.warehouses["wms-east"].profile.duplicate_policy == "create_second"
        assert box.stage.stock_of("wms-east", SKUS[0]) == 10_000
