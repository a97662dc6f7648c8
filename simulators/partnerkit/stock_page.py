"""GET /stock, as every node answers it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from simulators.kernel import World
from simulators.kernel.faults import Fault
from simulators.partnerkit.app import cap
from simulators.partnerkit.stock import Level, Stock


class StockReads:
    """What GET /stock is answered from: the stock, a report of it that is made anew when it is `report_every_us` old,
    or a copy that stands still while a `stale_snapshot` fault holds."""

    def __init__(self, world: World, host: str, stock: Stock, report_every_us: int = 0) -> None:
        self._world = world
        self._host = host
        self._stock = stock
        self._report_every_us = report_every_us
        self._report: tuple[int, _Copy] | None = None
        self._copies: dict[str, _Copy] = {}
        world.faults.when("stale_snapshot", host, self._copy)

    def page(self, asked: Mapping[str, Any], at_most: int) -> dict[str, object]:
        """One page of stock by sku, or the one sku that the query names (nothing for an unknown one).

        `asked` is the validated query: sku, page (from 1), page_size; the vendor serves `at_most` items a page.
        """
        stale = self._world.faults.in_force("stale_snapshot", self._host)
        copy = self._copies.get(stale.id) if stale is not None else None
        stock: Stock | _Copy = copy or self._reported()
        if "sku" in asked:
            sku = asked["sku"]
            return _page(stock.sequence, [_item(stock, sku)] if stock.knows(sku) else [], None)
        page = asked.get("page", 1)
        size = cap(asked.get("page_size", at_most), at_most)
        skus, start = stock.skus(), (page - 1) * size
        items = [_item(stock, sku) for sku in skus[start : start + size]]
        return _page(stock.sequence, items, page + 1 if start + size < len(skus) else None)

    def _reported(self) -> "Stock | _Copy":
        """The stock, or the vendor's last report of it."""
        if self._report_every_us == 0:
            return self._stock
        now_us = self._world.now_us()
        if self._report is None or now_us - self._report[0] >= self._report_every_us:
            self._report = now_us, _copy_of(self._stock)
        return self._report[1]

    def _copy(self, fault: Fault) -> None:
        self._copies[fault.id] = _copy_of(self._stock)


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


def _copy_of(stock: Stock) -> _Copy:
    return _Copy(stock.sequence, {sku: stock.level(sku) for sku in stock.skus()})


def _page(sequence: int, items: list[dict[str, object]], next_page: int | None) -> dict[str, object]:
    return {"as_of_sequence": sequence, "items": items, "next_page": next_page}


def _item(stock: Stock | _Copy, sku: str) -> dict[str, object]:
    level = stock.level(sku)
    return {"sku": sku, "on_hand": level.on_hand, "held": level.held}
