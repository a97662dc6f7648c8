"""What warehouses and 3PLs have in common: stock, read page by page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from integration.runtime import ReadFailed
from integration.system.partner import Call, PartnerClient, answer_of, path

STOCK_PAGE_ROWS = 5_000
_MOST_READS = 6


@dataclass(frozen=True, slots=True)
class StockLevels:
    """A node's whole stock, rows {sku, on_hand, held}, as of one number of the node's bookings."""

    as_of_sequence: int
    items: Sequence[Mapping[str, Any]]


class NodeClient(PartnerClient):
    """A partner that holds stock."""

    def stock(self) -> StockLevels:
        """The whole stock. Each page is as of its own moment, so a read that spans a booking starts anew.

        Raises ReadFailed, also when the stock moved during every read.
        """
        for _ in range(_MOST_READS):
            levels = self._read_stock()
            if levels is not None:
                return levels
        raise ReadFailed("stock", f"it moved during each of {_MOST_READS} reads")

    def _read_stock(self) -> StockLevels | None:
        items: list[Mapping[str, Any]] = []
        as_of: int | None = None
        page: int | None = 1
        while page is not None:
            asked = path("stock", page=page, page_size=STOCK_PAGE_ROWS)
            call = Call("GET", asked, needs={"as_of_sequence": int, "items": list})
            answer = answer_of("stock", self._exchange(call))
            if as_of is not None and answer["as_of_sequence"] != as_of:
                return None
            as_of = int(answer["as_of_sequence"])
            items += answer["items"]
            page = answer.get("next_page")
        assert as_of is not None
        return StockLevels(as_of, items)
