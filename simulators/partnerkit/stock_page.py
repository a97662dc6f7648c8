"""GET /stock, as every node answers it."""

from collections.abc import Mapping
from typing import Any

from simulators.partnerkit.app import cap
from simulators.partnerkit.stock import Stock


def stock_page(stock: Stock, asked: Mapping[str, Any], at_most: int) -> dict[str, object]:
    """One page of stock by sku, or the one sku that the query names (nothing for an unknown one).

    `asked` is the validated query: sku, page (from 1), page_size; the vendor serves `at_most` items a page.
    """
    sequence = stock.sequence
    if "sku" in asked:
        sku = asked["sku"]
        return _page(sequence, [_item(stock, sku)] if stock.knows(sku) else [], None)
    page = asked.get("page", 1)
    size = cap(asked.get("page_size", at_most), at_most)
    skus, start = stock.skus(), (page - 1) * size
    items = [_item(stock, sku) for sku in skus[start : start + size]]
    return _page(sequence, items, page + 1 if start + size < len(skus) else None)


def _page(sequence: int, items: list[dict[str, object]], next_page: int | None) -> dict[str, object]:
    return {"as_of_sequence": sequence, "items": items, "next_page": next_page}


def _item(stock: Stock, sku: str) -> dict[str, object]:
    level = stock.level(sku)
    return {"sku": sku, "on_hand": level.on_hand, "held": level.held}
