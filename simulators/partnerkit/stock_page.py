"""GET /stock, as every node answers it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from simulators.kernel import World
from simulators.kernel.faults import Fault
from simulators.partnerkit.app import cap
from simulators.partnerkit.stock import Level, Stock


class StockReads:
    """What GET /stock is answered from: the stock, or a copy that stands still while a `stale_snapshot` fault holds."""

    def __init__(self, world: World, host: str, stock: Stock) -> None:
        self._world = world
        self._host = host
        self._stock = stock
        self._copies: dict[str, _Copy] = {}
        world.faults.when("stale_snapshot", host, self._copy)

    def page(self, asked: Mapping[str, Any], at_most: int) -> dict[str, object]:
        """One page of stock by sku, or the one sku that the query names (nothing for an unknown one).

        `asked` is the validated query: sku, page (from 1), page_size; the vendor serves `at_most` items a page.
        """
        stale = self._world.faults.in_force("stale_snapshot", self._host)
        copy = self._copies.get(stale.id) if stale is not None else None
        stock: Stock | _Copy = copy or self._stock
        if "sku" in asked:
            sku = asked["sku"]
            return _page(stock.sequence, [_item(stock, sku)] if stock.knows(sku) else [], None)
        page = asked.get("page", 1)
        size = cap(asked.get("page_size", at_most), at_most)
        skus, start = stock.skus(), (page - 1) * size
        items = [_item(stock, sku) for sku in skus[start : start + size]]
        return _page(stock.sequence, items, page + 1 if start + size < len(skus) else None)

    def _copy(self, fault: Fault) -> None:
        stock = self._stock
        self._copies[fault.id] = _Copy(stock.sequence, {sku: stock.level(sku) for sku in stock.skus()})


@dataclass(frozen=True, slots=True)
class _Copy:
    """Stock as it was."""

    sequence: int
    levels: Mapping[str, Level]

    def knows(self, sku: str) -> bool:
        return sku in self.levels

    def skus(self) -> list[str]:
        return sorted(self.levels)

    def level(self, sku: str) -> Level:
        return self.levels[sku]


def _page(sequence: int, items: list[dict[str, object]], next_page: int | None) -> dict[str, object]:
    return {"as_of_sequence": sequence, "items": items, "next_page": next_page}


def _item(stock: Stock | _Copy, sku: str) -> dict[str, object]:
    level = stock.level(sku)
    return {"sku": sku, "on_hand": level.on_hand, "held": level.held}
