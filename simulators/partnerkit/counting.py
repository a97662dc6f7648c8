"""Counts at a node that faults ask for: skus are counted again, and what is found replaces what the books say."""

from collections.abc import Callable, Iterator

from simulators.kernel import World
from simulators.kernel.faults import Fault
from simulators.partnerkit.stock import Stock

MOST_UNITS = 3
KINDS = ("cycle_count", "backdated_adjustment")

Correct = Callable[[Fault, str, str, int], None]
"""Books a correction: (fault, its reference, sku, units more or less)."""


def counted_when_asked(world: World, host: str, stock: Stock, correct: Correct) -> None:
    """Have the skus that each planned count of this host finds wrong corrected at the beginning of its window."""

    def count(fault: Fault) -> None:
        for sku, units in _differences(world, host, stock, fault):
            correct(fault, f"{fault.id}-{sku}"[:64], sku, units)

    for kind in KINDS:
        world.faults.when(kind, host, count)


def _differences(world: World, host: str, stock: Stock, fault: Fault) -> Iterator[tuple[str, int]]:
    """What a count finds: a share of skus is off by up to three units, never by more than is available."""
    chance = world.chance
    for sku in stock.skus():
        if chance.hit(fault.strength, "count", host, fault.id, sku):
            units = chance.integer(1, MOST_UNITS, "count-units", host, fault.id, sku)
            lost = chance.hit(0.5, "count-lost", host, fault.id, sku)
            found = -min(units, stock.available(sku)) if lost else units
            if found:
                yield sku, found
