"""Business events, past tense. Quantities are base units, times microseconds since the Unix epoch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class OrderAccepted:
    """An order was promised to a customer; `held` when it waits for fresh reference data. `order` is what he was
    answered."""

    order_id: str
    customer_id: str
    order_reference: str
    held: bool
    confirmed: int
    backordered: int
    nodes: tuple[str, ...]
    correlation_id: str = ""
    order: Mapping[str, Any] = field(default_factory=dict)

    def tell(self) -> str:
        """One line for the audit trail."""
        at = f" at {', '.join(self.nodes)}" if self.nodes else ""
        hold = ", on hold" if self.held else ""
        return f"{self.confirmed} confirmed{at}, {self.backordered} backordered{hold}"


@dataclass(frozen=True, slots=True)
class BackorderChanged:
    """More or fewer units of these lines wait for stock."""

    order_id: str
    line_nos: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class UnitsGivenUp:
    """Units of these lines will not ship: cancelled, or short for good."""

    order_id: str
    line_nos: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class CancelAsked:
    """Somebody gave a reason for what is given up of the order in the same transaction."""

    order_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class ShipmentLeft:
    """A shipment of the order left a node."""

    order_id: str
    shipment_id: str


@dataclass(frozen=True, slots=True)
class ShipmentInvoiced:
    """A shipment of the order was invoiced."""

    order_id: str
    shipment_id: str
    invoice_id: str


OrderEvent = OrderAccepted | BackorderChanged | UnitsGivenUp | CancelAsked | ShipmentLeft | ShipmentInvoiced
