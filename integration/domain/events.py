"""Business events, past tense. Quantities are base units, times microseconds since the Unix epoch."""

from dataclasses import dataclass


@dataclass(frozen=True)
class OrderAccepted:
    """An order was promised to a customer; `held` when it waits for fresh reference data."""

    order_id: str
    customer_id: str
    order_reference: str
    held: bool
    confirmed: int
    backordered: int
    nodes: tuple[str, ...]

    def tell(self) -> str:
        """One line for the audit trail."""
        at = f" at {', '.join(self.nodes)}" if self.nodes else ""
        hold = ", on hold" if self.held else ""
        return f"{self.confirmed} confirmed{at}, {self.backordered} backordered{hold}"
