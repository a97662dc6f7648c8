"""Swarms, swizzles and crash sweeps become explicit plans: by seed, stable, and without a surprise."""

from typing import Any

import pytest

from scenarios.errors import ScenarioError
from scenarios.spec import FaultSpec, Scenario
from scenarios.swarm import DEFAULT_MENU, EDGES, MORE, Draw, crash_sweep, resolved, swarm_plan
from simulators.kernel import HOUR, Chance
from simulators.kernel.faults import EDGE_KINDS, HOST_KINDS

BREACHES = {"never_sent", "subscription_dropped", "ship_after_cancel", "dedupe_expired"}


def scenario(**more: Any) -> Scenario:
    head = {"name": "small", "summary": "", "starts_at": "2026-11-27T08:00:00Z", "duration": "3h"}
    return Scenario.from_plain({**head, **more})


def test_a_seed_switches_on_its_own_subset_and_the_same_one_again() -> None:
    plans = [swarm_plan(scenario(swarm=True), seed) for seed in range(60)]
    assert plans == [swarm_plan(scenario(swarm=True), seed) for seed in range(60)]
    sizes = [len(plan) for plan in plans]
    assert 3 < sum(sizes) / len(sizes) < 14
    assert len({tuple(fault.id for fault in plan) for plan in plans}) == 60
    assert {fault.id.removeprefix("swarm-") for plan in plans for fault in plan} == {*DEFAULT_MENU}


def test_strengths_selectors_and_windows_differ_by_seed_and_stay_in_the_load() -> None:
    drawn = [swarm_plan(scenario(swarm={"menu": ["webhook-lost"], "share": 1.0}), seed)[0] for seed in range(20)]
    assert len({fault.select for fault in drawn}) > 15
    for fault in drawn:
        assert fault.window is not None
        assert 0 <= fault.window.from_us < fault.window.ends_us <= 3 * HOUR


def test_every_entry_of_every_menu_makes_a_fault_that_can_be_played() -> None:
    for seed in range(25):
        for name, entry in {**DEFAULT_MENU, **MORE}.items():
            fault = FaultSpec.model_validate({"id": name, **entry(Draw(Chance(seed), name, 3 * HOUR))})
            alone = scenario(faults=[fault.model_dump(mode="json", by_alias=True, exclude_none=True)])
            assert resolved(alone, seed).fault_plan(0, 3 * HOUR)


def test_every_kind_of_fault_is_on_a_menu_and_no_breach_on_the_default_one() -> None:
    def kinds(menu: Any) -> set[str]:
        return {entry(Draw(Chance(seed), name, HOUR))["kind"] for seed in range(9) for name, entry in menu.items()}

    assert kinds(DEFAULT_MENU) | kinds(MORE) == {*EDGE_KINDS, *HOST_KINDS, "swizzle"}
    assert not kinds(DEFAULT_MENU) & BREACHES


def test_taking_an_entry_off_leaves_the_others_as_they_were() -> None:
    menu = ["crash", "hold", "pause", "write-cut"]
    whole = swarm_plan(scenario(swarm={"menu": menu, "share": 1.0}), 7)
    assert [fault.id for fault in whole] == ["swarm-crash", "swarm-hold", "swarm-pause", "swarm-write-cut"]
    assert swarm_plan(scenario(swarm={"menu": menu[1:], "share": 1.0}), 7) == whole[1:]


def test_a_menu_may_name_kinds_and_an_unknown_entry_is_refused() -> None:
    plan = swarm_plan(scenario(swarm={"menu": ["cut"], "share": 1.0}), 1)
    assert [fault.id for fault in plan] == ["swarm-write-cut", "swarm-order-cut"]
    with pytest.raises(ScenarioError, match="unknown fault 'crach' in the menu; did you mean 'crash'"):
        swarm_plan(scenario(swarm={"menu": ["crach"]}), 1)


def test_a_scenario_without_a_length_cannot_swarm() -> None:
    plain = {**scenario(swarm=True).plain(), "demand": {"source": "file", "file": "x.csv"}, "duration": "from-file"}
    with pytest.raises(ScenarioError, match="how long the load lasts"):
        swarm_plan(Scenario.from_plain(plain), 1)


def test_what_is_resolved_stands_by_itself() -> None:
    made = resolved(scenario(swarm={"share": 0.6}), 5)
    assert made.swarm is None
    assert len(made.faults) > 20
    assert resolved(made, 99) == made
    assert Scenario.from_plain(made.plain()) == made
    assert scenario(swarm=False).swarm is None
    assert resolved(scenario(), 5) == scenario()


def test_a_swizzle_clogs_edges_one_by_one_and_frees_them_in_another_order() -> None:
    swizzle = {"id": "swz", "kind": "swizzle", "strength": 0.8, "window": {"from": "1h", "for": "20m"}}
    made = resolved(scenario(faults=[swizzle], expects=["fault:swz"]), 3)
    windows = [fault.window for fault in made.faults]
    assert [fault.id for fault in made.faults] == [f"swz-{number}" for number in range(1, len(windows) + 1)]
    assert len(windows) > 4
    assert {fault.kind for fault in made.faults} == {"hold"}
    edges = [fault.edge for fault in made.faults]
    assert len({*edges}) == len(edges)
    assert {*edges} <= {*EDGES}
    begins = [window.from_us for window in windows if window]
    ends = [window.ends_us for window in windows if window]
    assert begins == sorted(begins)
    assert ends != sorted(ends)
    assert max(begins) < min(ends)
    assert (min(begins), max(ends) <= HOUR + 20 * HOUR // 60) == (HOUR, True)
    assert made.expects == ("fault:swz-1",)
    other = resolved(scenario(faults=[swizzle]), 4)
    assert [fault.edge for fault in other.faults] != edges


def test_a_crash_sweep_strikes_every_boundary_in_turn() -> None:
    swept = list(crash_sweep(scenario(), range(1, 4)))
    crashes = [made.faults[-1] for made in swept]
    assert [(crash.select.nth, crash.at) for crash in crashes if crash.select] == [
        ((number,), at) for number in (1, 2, 3) for at in ("begin", "commit", "after_commit")
    ]
    for made in swept:
        assert made.expects == ("fault:crash-sweep",)
        assert Scenario.from_plain(made.plain()) == made
