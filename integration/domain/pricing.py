"""Money of an order line: contract price in force, tax by basis points, half rounded up per line."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class ContractPrice:
    """A price per base unit, in force from `valid_from_us` until before `valid_to_us` (None: without end)."""

    unit_price_minor: int
    currency: str
    valid_from_us: int
    valid_to_us: int | None = None


def price_in_force(prices: Sequence[ContractPrice], at_us: int) -> ContractPrice | None:
    """The price in force at that moment; of several, the one that began last."""
    in_force = [p for p in prices if p.valid_from_us <= at_us and (p.valid_to_us is None or at_us < p.valid_to_us)]
    return max(in_force, key=lambda price: price.valid_from_us, default=None)


def line_tax_minor(net_minor: int, rate_bp: int) -> int:
    """Tax on one line in minor units, half rounded up; 10,000 basis points are 100%."""
    return (net_minor * rate_bp + 5_000) // 10_000


def base_quantity(quantity: int, factor: int) -> int:
    """Base units in `quantity` of a unit that holds `factor` of them."""
    return quantity * factor
