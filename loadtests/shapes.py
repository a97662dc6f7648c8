"""When orders come: as the demand has it, or the same orders in another shape of load.

| shape | the same events |
|---|---|
| peak | at their own times |
| soak | evenly spread over the whole length |
| ramp | at a rate that rises evenly from nothing to twice the mean |
| spike | half of them within the tenth of the length that is in the middle, the others evenly before and after |

The order of events stays, and so does the length; what moves stock moves with the orders around it.
"""

import math
from collections.abc import Callable
from dataclasses import replace

from scenarios.demand import Demand

SPIKE_SHARE, SPIKE_LENGTH = 0.5, 0.1


def _soak(share: float) -> float:
    return share


def _ramp(share: float) -> float:
    return math.sqrt(share)


def _spike(share: float) -> float:
    before = (1 - SPIKE_SHARE) / 2
    calm = (1 - SPIKE_LENGTH) / 2
    if share < before:
        return share / before * calm
    if share < before + SPIKE_SHARE:
        return calm + (share - before) / SPIKE_SHARE * SPIKE_LENGTH
    return calm + SPIKE_LENGTH + (share - before - SPIKE_SHARE) / before * calm


_MOMENTS: dict[str, Callable[[float], float]] = {"soak": _soak, "ramp": _ramp, "spike": _spike}
SHAPES = ("peak", *_MOMENTS)


def shaped(demand: Demand, shape: str) -> Demand:
    """The demand in one of SHAPES: event number i of n comes when the shape has let in a share (i + 1/2) / n."""
    moment = _MOMENTS.get(shape)
    if moment is None:
        return demand
    events = demand.all_events
    length_us = demand.ends_at_us - demand.starts_at_us
    moved = tuple(
        replace(event, at_us=demand.starts_at_us + int(length_us * moment((place + 0.5) / len(events))))
        for place, event in enumerate(events)
    )
    return replace(demand, all_events=moved, statement={**demand.statement, "shape": shape})
