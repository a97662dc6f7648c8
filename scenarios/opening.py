"""Opening stock, derived from the demand to come: most skus well covered, a few scarce, so that orders contend."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor

from scenarios.orderfile import Row
from scenarios.spec import NODES, DemandSpec
from simulators.kernel.chance import Chance


@dataclass(frozen=True, slots=True)
class Stock:
    """Base units per node and sku; which skus are scarce; units that come in later, per sku."""

    opening: dict[str, dict[str, int]]
    scarce: tuple[str, ...]
    replenished: dict[str, int]


def opening_stock(
    spec: DemandSpec, rows: Iterable[Row], skus: Sequence[str], hot_skus: Sequence[str], chance: Chance
) -> Stock:
    """Stock per node. What negative adjustments will take is added at the node that they strike."""
    wanted: dict[str, int] = {}
    shrinkage: dict[str, int] = {}
    for row in rows:
        if row.kind == "sale":
            wanted[row.sku] = wanted.get(row.sku, 0) + row.quantity
        elif row.kind == "adjust" and row.quantity < 0:
            shrinkage[row.sku] = shrinkage.get(row.sku, 0) - row.quantity
    opening: dict[str, dict[str, int]] = {node: {} for node in NODES}
    scarce: list[str] = []
    replenished: dict[str, int] = {}
    for sku in skus:
        demand = wanted.get(sku, 0)
        is_scarce = sku not in hot_skus and demand > 0 and chance.hit(spec.opening.scarce_share, "scarce", sku)
        if is_scarce:
            scarce.append(sku)
            replenished[sku] = ceil(spec.opening.replenish_cover * demand)
        for node, units in _split(_units(spec, demand, is_scarce, sku in hot_skus), spec.opening.shares).items():
            least = 0 if is_scarce or sku in hot_skus or not spec.opening.shares.get(node) else spec.opening.least
            opening[node][sku] = max(units, least)
        if sku in shrinkage:
            opening[movement_node(spec, chance, sku)][sku] += shrinkage[sku]
    return Stock(opening, tuple(scarce), replenished)


def _units(spec: DemandSpec, demand: int, scarce: bool, hot: bool) -> int:
    if hot and spec.flash is not None:
        return floor(spec.flash.cover * demand)
    if scarce:
        return floor(spec.opening.cover_scarce * demand)
    return ceil(spec.opening.cover * demand)


def _split(units: int, shares: Mapping[str, float]) -> dict[str, int]:
    """Whole units per node by largest remainder; they sum to `units`."""
    exact = {node: units * shares.get(node, 0.0) for node in NODES}
    split = {node: floor(part + 1e-9) for node, part in exact.items()}
    by_remainder = sorted(NODES, key=lambda node: (split[node] - exact[node], NODES.index(node)))
    for node in by_remainder[: units - sum(split.values())]:
        split[node] += 1
    return split


def movement_node(spec: DemandSpec, chance: Chance, sku: str) -> str:
    """The node where a sku's adjustments and receipts are booked."""
    nodes = [node for node in NODES if spec.opening.shares.get(node, 0.0) > 0]
    return chance.choose(nodes, "movement-node", sku)
