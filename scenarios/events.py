"""What the outside world will do: orders, cancels, stock adjustments and receipts. Times are Unix microseconds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Address:
    """Where an order goes; `country` is ISO 3166-1 alpha-2."""

    name: str
    street: str
    city: str
    postcode: str
    country: str


@dataclass(frozen=True, slots=True)
class OrderLine:
    """`quantity` is in `unit`s, `base_quantity` in base units; `unit_price_minor` per base unit, if quoted."""

    line_no: int
    sku: str
    quantity: int
    unit: str
    base_quantity: int
    unit_price_minor: int | None


@dataclass(frozen=True, slots=True)
class OrderEvent:
    """An order is placed."""

    at_us: int
    order_reference: str
    customer_id: str
    segment: str
    channel: str
    currency: str
    fill_policy: str
    service: str
    ship_to: Address
    lines: tuple[OrderLine, ...]


@dataclass(frozen=True, slots=True)
class CancelEvent:
    """Quantities of an order's lines are cancelled: (line_no, base units). A refused one comes back as a receipt."""

    at_us: int
    cancel_reference: str
    order_reference: str
    customer_id: str
    segment: str
    channel: str
    reason: str
    lines: tuple[tuple[int, str, int], ...]
    """(line_no, sku, base units)."""


@dataclass(frozen=True, slots=True)
class AdjustEvent:
    """The warehouse clerk corrects stock by a signed quantity."""

    at_us: int
    adjustment_id: str
    node: str
    sku: str
    quantity_delta: int
    reason: str


@dataclass(frozen=True, slots=True)
class ReceiptEvent:
    """Goods come in."""

    at_us: int
    receipt_id: str
    node: str
    sku: str
    quantity: int
    reason: str


Event = OrderEvent | CancelEvent | AdjustEvent | ReceiptEvent
