"""From which node each line is served: as few nodes as possible, preferred ones first, nothing promised twice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Demand:
    """What one order line still wants, in base units."""

    line_no: int
    sku: str
    quantity: int


@dataclass(frozen=True)
class Share:
    """What a node shall serve of one line, in base units."""

    node: str
    line_no: int
    sku: str
    quantity: int


def source(
    demands: Sequence[Demand], available: Mapping[str, Mapping[str, int]], preference: Sequence[str], max_nodes: int
) -> list[Share]:
    """Shares for as much of the demand as there is; what no share covers is backordered.

    `available` maps sku to node to quantity. While something is wanted, the node that can serve the most whole lines is
    taken next (then the one with the most units, then the preferred one), so that a node that has everything is taken
    alone. Lines are served in the order given.
    """
    wanted = {demand.line_no: demand.quantity for demand in demands}
    left = {sku: dict(by_node) for sku, by_node in available.items()}
    nodes = list(preference)
    shares: list[Share] = []
    for _ in range(min(max_nodes, len(nodes))):
        if not any(wanted.values()):
            break
        offers = [(node, _offer(node, demands, wanted, left)) for node in nodes]
        node, offer = max(offers, key=lambda entry: _worth(entry[1], wanted))
        if not offer:
            break
        for share in offer:
            wanted[share.line_no] -= share.quantity
            left[share.sku][node] -= share.quantity
        shares += offer
        nodes.remove(node)
    return shares


def _offer(
    node: str, demands: Sequence[Demand], wanted: Mapping[int, int], left: Mapping[str, Mapping[str, int]]
) -> list[Share]:
    """What `node` can serve of what is still wanted."""
    taken: dict[str, int] = {}
    offer: list[Share] = []
    for demand in demands:
        used = taken.get(demand.sku, 0)
        quantity = min(wanted[demand.line_no], left.get(demand.sku, {}).get(node, 0) - used)
        if quantity > 0:
            taken[demand.sku] = used + quantity
            offer.append(Share(node, demand.line_no, demand.sku, quantity))
    return offer


def _worth(offer: Sequence[Share], wanted: Mapping[int, int]) -> tuple[int, int]:
    """Whole lines, then units; `max` keeps the first of equals, which is the preferred node."""
    whole = sum(1 for share in offer if share.quantity == wanted[share.line_no])
    return whole, sum(share.quantity for share in offer)


def preferred_nodes(
    nodes: Sequence[str], preference: Sequence[str], load: Mapping[str, int], capacity: Mapping[str, int]
) -> tuple[str, ...]:
    """The nodes in order of preference; those that already have as much open work as they can take come last."""
    known = [node for node in preference if node in nodes] + [node for node in nodes if node not in preference]
    full = [node for node in known if node in capacity and load.get(node, 0) >= capacity[node]]
    return tuple([node for node in known if node not in full] + full)
