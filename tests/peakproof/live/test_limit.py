"""The search for the highest load within the limits, over runs that only tell how they ended."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from peakproof import exits
from peakproof.live.collected import rows_of
from peakproof.live.limit import Step, best_of, demand_at, exit_code_of, measured, search, show, worst_of, write
from scenarios.runner import run_scenario
from scenarios.spec import CHANNELS, load

SMALL_DAY = str(Path(__file__).parents[2] / "end_to_end" / "small-day.yaml")
SAFE = {"lost": 0, "doubled": 0, "oversold": 0}


def breaking_at(bound: float, code: int = exits.THRESHOLDS) -> Callable[[float], Step]:
    """A system that keeps its limits below a load."""

    def play(factor: float) -> Step:
        broke = factor >= bound
        return Step(
            factor,
            code if broke else exits.HOLDS,
            f"x{factor:.3g}",
            orders=round(100 * factor),
            accepted=round(90 * factor),
            orders_per_second=factor,
            peak_per_second=3 * factor,
            accept_p95_ms=40.0 * factor,
            broken=("order_ack_ms p(95)<500 (900 ms)",) if broke else (),
            **SAFE,
        )

    return play


@pytest.mark.parametrize(
    ("bound", "most", "factors", "best", "worst"),
    [
        (3.0, 9, [1.0, 2.0, 4.0, 3.0, 2.5], 2.5, 3.0),
        (0.3, 9, [1.0, 0.5, 0.25, 0.375, 0.3125, 0.28125], 0.28125, 0.3125),
        (3.0, 3, [1.0, 2.0, 4.0], 2.0, 4.0),
        (100.0, 4, [1.0, 2.0, 4.0, 8.0], 8.0, None),
        (0.01, 3, [1.0, 0.5, 0.25], None, 0.25),
    ],
)
def test_it_doubles_or_halves_and_then_closes_in(
    bound: float, most: int, factors: list[float], best: float | None, worst: float | None
) -> None:
    played = search(breaking_at(bound), most)
    assert [step.factor for step in played] == factors
    assert [step and step.factor for step in (best_of(played), worst_of(played))] == [best, worst]


def test_a_load_that_held_above_one_that_did_not_is_not_the_limit() -> None:
    uneven = [Step(1.0, exits.HOLDS, "a"), Step(2.0, exits.THRESHOLDS, "b"), Step(4.0, exits.HOLDS, "c")]
    best = best_of(uneven)
    assert best is not None
    assert best.factor == 1.0


@pytest.mark.parametrize("code", [exits.BROKEN, exits.INCONCLUSIVE])
def test_a_run_that_says_nothing_of_the_load_ends_the_search(code: int) -> None:
    played = search(breaking_at(2.0, code), 9)
    assert [step.factor for step in played] == [1.0, 2.0]
    assert exit_code_of(played) == code


def test_a_broken_promise_at_any_load_tells_on_the_whole_and_limits_only_when_none_kept_them() -> None:
    assert exit_code_of(search(breaking_at(3.0), 4)) == exits.HOLDS
    assert exit_code_of(search(breaking_at(3.0, exits.VIOLATED), 4)) == exits.VIOLATED
    assert exit_code_of(search(breaking_at(0.01), 3)) == exits.THRESHOLDS


def test_the_table_and_the_file_tell_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    played = search(breaking_at(2.0), 2)
    write(tmp_path, played)
    show(Console(highlight=False, width=200, force_terminal=False), tmp_path, played)
    said = capsys.readouterr().out.splitlines()
    assert said[1:3] == [
        "x1\tx1\t100\t90\t1\t3\t40 ms\t0\t0\t0\t0\tnothing",
        "x2\tx2\t200\t180\t2\t6\t80 ms\t0\t0\t0\t0\torder_ack_ms p(95)<500 (900 ms)",
    ]
    assert said[3:6] == [
        "Kept       100 orders (1 a second, 3 accepted at peak): every promise and every limit",
        "Breaks     200 orders (2 a second, 6 accepted at peak): order_ack_ms p(95)<500 (900 ms)",
        "Safe       nothing lost, doubled or oversold at any load played",
    ]
    text = json.loads((tmp_path / "limit.json").read_bytes())
    assert (text["highest_within_limits"], text["lowest_beyond"]) == ("x1", "x2")
    assert text["breaks_first"] == ["order_ack_ms p(95)<500 (900 ms)"]
    assert [run["factor"] for run in text["runs"]] == [1.0, 2.0]


def test_a_run_is_measured_from_its_evidence(tmp_path: Path) -> None:
    settings = {"demand.orders": "40", "demand.clients.attempts": "2", "integration.channel_rate_per_second": "0.01"}
    run_scenario(load(SMALL_DAY, settings), 1, tmp_path)
    step = measured(tmp_path, 1.0, 60.0)
    placed = [row for row in rows_of(tmp_path / "operations.ndjson") if row["operation"] == "place_order"]
    accepted = {row["order_reference"] for row in placed if row["outcome"] == "ok"}
    assert (step.orders, step.accepted) == (len({row["order_reference"] for row in placed}), len(accepted))
    assert 0 < step.accepted < step.orders
    exchanges = list(rows_of(tmp_path / "exchanges.ndjson"))
    refused = [row for row in exchanges if row["status"] in (429, 503) and row["source"] in CHANNELS]
    assert step.refused == len(refused) > 0
    assert (step.endless, step.lost, step.doubled, step.oversold) == (0, 0, 0, 0)
    assert (step.keeps, step.broken) == (True, ())


def test_a_factor_multiplies_what_the_scenario_has() -> None:
    scenario = load("peak-season", {"demand.orders": "140"})
    key, value = demand_at(scenario, 1.25)
    assert (key, value) == ("demand.multiplier", "3.75")
    assert load("peak-season", {"demand.orders": "140", key: value}).demand.multiplier == 3.75
