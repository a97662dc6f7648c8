"""Shapes move the same events: none is lost, none overtakes another, and each has the rate that it is named for."""

from pathlib import Path

import pytest

from loadtests.shapes import SHAPES, shaped
from scenarios.demand import Demand
from scenarios.spec import load

SMALL_DAY = Path(__file__).parents[1] / "end_to_end" / "small-day.yaml"


@pytest.fixture(scope="module")
def demand() -> Demand:
    return Demand.load(load(str(SMALL_DAY), {"demand.orders": "1600"}), 7)


def places(demand: Demand, shape: str) -> list[float]:
    """When each event comes, as a share of the length."""
    length_us = demand.ends_at_us - demand.starts_at_us
    return [(event.at_us - demand.starts_at_us) / length_us for event in shaped(demand, shape).events()]


def share(moments: list[float], low: float, high: float) -> float:
    return sum(low <= moment < high for moment in moments) / len(moments)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_keeps_every_event_in_its_order(demand: Demand, shape: str) -> None:
    moved = list(shaped(demand, shape).events())
    assert [type(event) for event in moved] == [type(event) for event in demand.events()]
    assert [event.at_us for event in moved] == sorted(event.at_us for event in moved)


def test_the_peak_is_the_demand_itself(demand: Demand) -> None:
    assert shaped(demand, "peak") is demand


def test_each_shape_has_its_rate(demand: Demand) -> None:
    assert share(places(demand, "soak"), 0.2, 0.3) == pytest.approx(0.1, abs=0.01)
    assert share(places(demand, "ramp"), 0.0, 0.5) == pytest.approx(0.25, abs=0.01)
    assert share(places(demand, "spike"), 0.45, 0.55) == pytest.approx(0.5, abs=0.01)
