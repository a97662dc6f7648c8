"""What an ERP knows and its rules: master data, sales orders, shipment confirmations, invoices.

Pure state: no clock, no network. Times are microseconds since the Unix epoch, money integer minor units, quantities
base units (EA), tax rates basis points. What a caller gets wrong is one of::

    ErpError
    ├── UnknownCustomer    no customer with that id, or one that is closed
    ├── UnknownSku         no such item
    ├── UnknownLine        the sales order has no such line
    ├── NotFound           no such sales order or shipment
    ├── WrongReference     the sales order belongs to another customer or reference
    ├── QuantityExceeded   more shipped or cancelled than is open
    ├── TooMuchMoney       a sum beyond what the books can keep
    └── DuplicateOrder     refused by policy; carries the order that stands
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

MOST_MONEY_MINOR = 1_000_000_000_000_000
"""The largest sum of money that the wire can say."""


class ErpError(Exception):
    """Base of what a caller can get wrong."""


class UnknownCustomer(ErpError):
    """No customer with that id, or one that is closed."""


class UnknownSku(ErpError):
    """No such item."""


class UnknownLine(ErpError):
    """The sales order has no such line."""


class NotFound(ErpError):
    """No such sales order or shipment."""


class WrongReference(ErpError):
    """The sales order belongs to another customer or reference."""


class QuantityExceeded(ErpError):
    """More shipped or cancelled than is open."""


class TooMuchMoney(ErpError):
    """A sum beyond what the books can keep."""


class DuplicateOrder(ErpError):
    """Refused by policy."""

    def __init__(self, standing: "SalesOrder") -> None:
        super().__init__(
            f"{standing.customer_id} has an order {standing.order_reference!r} already: {standing.erp_order_id}"
        )
        self.standing = standing


@dataclass(slots=True)
class Customer:
    customer_id: str
    name: str
    segment: str
    country: str
    tax_jurisdiction: str
    price_list: str
    credit_limit_minor: int
    credit_exposure_minor: int = 0
    currency: str = "GBP"
    status: str = "active"
    updated_at_us: int = 0


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of measure: one of it is `factor` base units."""

    unit: str
    factor: int


@dataclass(frozen=True, slots=True)
class Item:
    sku: str
    description: str
    tax_category: str
    units: tuple[Unit, ...] = (Unit("EA", 1),)
    weight_g: int = 500
    status: str = "active"
    updated_at_us: int = 0


@dataclass(frozen=True, slots=True)
class Price:
    """A contract price per base unit, in force from `valid_from_us` until before `valid_to_us` (None: open)."""

    price_list: str
    sku: str
    unit_price_minor: int
    valid_from_us: int
    valid_to_us: int | None = None
    currency: str = "GBP"
    updated_at_us: int = 0


@dataclass(frozen=True, slots=True)
class TaxRate:
    jurisdiction: str
    tax_category: str
    rate_bp: int
    updated_at_us: int = 0


@dataclass(frozen=True, slots=True)
class MasterData:
    """What the ERP is opened with. The ERP keeps copies of the customers, because their exposure moves."""

    customers: Sequence[Customer]
    items: Sequence[Item]
    prices: Sequence[Price]
    tax_rates: Sequence[TaxRate]


class OrderStatus(StrEnum):
    OPEN = "open"
    PARTIALLY_FULFILLED = "partially_fulfilled"
    BILLED = "billed"
    CLOSED = "closed"


class DuplicatePolicy(StrEnum):
    RETURN_EXISTING = "return_existing"
    REJECT = "reject"
    CREATE_SECOND = "create_second"


@dataclass(slots=True)
class SalesOrderLine:
    line_no: int
    sku: str
    quantity: int
    unit_price_minor: int
    tax_rate_bp: int
    confirmed: int
    backordered: int
    cancelled: int = 0
    shipped: int = 0
    invoiced: int = 0


@dataclass(slots=True)
class SalesOrder:
    erp_order_id: str
    order_id: str
    customer_id: str
    order_reference: str
    currency: str
    total_minor: int
    created_at_us: int
    lines: dict[int, SalesOrderLine]
    status: OrderStatus = OrderStatus.OPEN
    exposure_minor: int = 0
    changes: list[str] = field(default_factory=list)

    def line(self, line_no: int) -> SalesOrderLine:
        try:
            return self.lines[line_no]
        except KeyError:
            raise UnknownLine(f"{self.erp_order_id} has no line {line_no}: it has {sorted(self.lines)}") from None

    def derive_status(self) -> OrderStatus:
        """Billed when all of it is shipped and invoiced, closed when what was not shipped is cancelled."""
        lines = self.lines.values()
        shipped = sum(line.shipped for line in lines)
        cancelled = sum(line.cancelled for line in lines)
        settled = all(
            line.quantity == line.shipped + line.cancelled and line.invoiced == line.shipped for line in lines
        )
        if settled:
            return OrderStatus.CLOSED if cancelled else OrderStatus.BILLED
        return OrderStatus.PARTIALLY_FULFILLED if shipped else OrderStatus.OPEN


@dataclass(frozen=True, slots=True)
class NewLine:
    line_no: int
    sku: str
    quantity: int
    unit_price_minor: int
    tax_rate_bp: int
    confirmed: int
    backordered: int


@dataclass(frozen=True, slots=True)
class BookOrder:
    order_id: str
    customer_id: str
    order_reference: str
    currency: str
    total_minor: int
    lines: tuple[NewLine, ...]


@dataclass(frozen=True, slots=True)
class LineChange:
    """Cumulative: what of the line is backordered and cancelled after the change."""

    line_no: int
    backordered: int
    cancelled: int


@dataclass(frozen=True, slots=True)
class ShippedLine:
    line_no: int
    sku: str
    quantity: int


@dataclass(frozen=True, slots=True)
class Shipment:
    shipment_id: str
    erp_order_id: str
    node: str
    tracking_numbers: tuple[str, ...]
    lines: tuple[ShippedLine, ...]
    confirmed_at_us: int


@dataclass(frozen=True, slots=True)
class InvoiceLine:
    line_no: int
    sku: str
    quantity: int
    net_minor: int
    tax_minor: int


@dataclass(frozen=True, slots=True)
class Invoice:
    invoice_id: str
    shipment_id: str
    erp_order_id: str
    customer_id: str
    order_reference: str
    currency: str
    net_minor: int
    tax_minor: int
    lines: tuple[InvoiceLine, ...]
    created_at_us: int

    @property
    def total_minor(self) -> int:
        return self.net_minor + self.tax_minor


def tax_of(net_minor: int, rate_bp: int) -> int:
    """The tax of a line: net times basis points, rounded half up."""
    return (net_minor * rate_bp + 5_000) // 10_000


class Books:
    """The ERP's state. Each method is one booking: it happens entirely, or raises and nothing has changed."""

    def __init__(self, master: MasterData, duplicates: DuplicatePolicy = DuplicatePolicy.RETURN_EXISTING) -> None:
        self.customers = {customer.customer_id: _copy(customer) for customer in master.customers}
        self.items = {item.sku: item for item in master.items}
        self.prices = tuple(master.prices)
        self.tax_rates = tuple(master.tax_rates)
        self.orders: dict[str, SalesOrder] = {}
        self.shipments: dict[str, Shipment] = {}
        self.invoices: dict[str, Invoice] = {}
        self._duplicates = duplicates
        self._by_reference: dict[tuple[str, str], list[SalesOrder]] = {}
        self._invoices_by_reference: dict[tuple[str, str], list[Invoice]] = {}
        self._invoice_of_shipment: dict[str, Invoice] = {}

    def orders_of(self, customer_id: str, order_reference: str) -> list[SalesOrder]:
        return self._by_reference.get((customer_id, order_reference), [])

    def invoices_of(self, customer_id: str, order_reference: str) -> list[Invoice]:
        return self._invoices_by_reference.get((customer_id, order_reference), [])

    def order(self, erp_order_id: str) -> SalesOrder:
        try:
            return self.orders[erp_order_id]
        except KeyError:
            raise NotFound(f"no sales order {erp_order_id!r}") from None

    def customer(self, customer_id: str) -> Customer:
        try:
            return self.customers[customer_id]
        except KeyError:
            raise NotFound(f"no customer {customer_id!r}") from None

    def book_order(
        self, command: BookOrder, erp_order_id: str, now_us: int, forgotten: bool = False
    ) -> tuple[SalesOrder, bool]:
        """The sales order, and whether it is new; what happens to a repeated reference is the duplicate policy. One
        that is `forgotten` is not recognized."""
        reference = (command.customer_id, command.order_reference)
        standing = None if forgotten else self._by_reference.get(reference)
        if standing and self._duplicates is DuplicatePolicy.RETURN_EXISTING:
            return standing[0], False
        if standing and self._duplicates is DuplicatePolicy.REJECT:
            raise DuplicateOrder(standing[0])
        customer = self.customers.get(command.customer_id)
        if customer is None or customer.status == "closed":
            raise UnknownCustomer(f"no open customer {command.customer_id!r}")
        order = self._new_order(command, erp_order_id, now_us)
        _refuse_too_much(order, customer)
        self.orders[erp_order_id] = order
        self._by_reference.setdefault(reference, []).append(order)
        customer.credit_exposure_minor += order.exposure_minor
        customer.updated_at_us = now_us
        return order, True

    def change_order(
        self, order: SalesOrder, change_id: str, lines: Sequence[LineChange], now_us: int
    ) -> list[SalesOrderLine]:
        """The lines as changed; none when the change was booked before. Cancelled quantities never fall."""
        if change_id in order.changes:
            return []
        for change in lines:
            line = order.line(change.line_no)
            if change.cancelled > line.quantity - line.shipped:
                raise QuantityExceeded(
                    f"line {line.line_no} of {order.erp_order_id}: {change.cancelled} cancelled of {line.quantity},"
                    f" of which {line.shipped} are shipped"
                )
        changed = []
        for change in lines:
            line = order.lines[change.line_no]
            line.cancelled = max(line.cancelled, change.cancelled)
            line.backordered = change.backordered
            changed.append(line)
        order.changes.append(change_id)
        self._settle(order, now_us)
        return changed

    def confirm_shipment(self, order: SalesOrder, shipment: Shipment, now_us: int) -> tuple[Shipment, bool]:
        """The shipment, and whether it is new."""
        known = self.shipments.get(shipment.shipment_id)
        if known is not None:
            return known, False
        total: dict[int, int] = {}
        for part in shipment.lines:
            total[part.line_no] = total.get(part.line_no, 0) + part.quantity
        for line_no, quantity in total.items():
            line = order.line(line_no)
            if line.shipped + line.cancelled + quantity > line.quantity:
                raise QuantityExceeded(
                    f"line {line_no} of {order.erp_order_id}: {quantity} more shipped of {line.quantity},"
                    f" of which {line.shipped} are shipped and {line.cancelled} cancelled"
                )
        for line_no, quantity in total.items():
            order.lines[line_no].shipped += quantity
        self.shipments[shipment.shipment_id] = shipment
        self._settle(order, now_us)
        return shipment, True

    def shipment(self, shipment_id: str) -> Shipment:
        try:
            return self.shipments[shipment_id]
        except KeyError:
            raise NotFound(f"no shipment {shipment_id!r} is confirmed: confirm it before invoicing it") from None

    def invoice(self, shipment: Shipment, invoice_id: str, now_us: int) -> tuple[Invoice, bool]:
        """The one invoice of a shipment, and whether it is new: shipped quantity x the order line's price, plus tax."""
        known = self._invoice_of_shipment.get(shipment.shipment_id)
        if known is not None:
            return known, False
        order = self.orders[shipment.erp_order_id]
        lines = tuple(_invoice_line(order.lines[part.line_no], part.quantity) for part in shipment.lines)
        invoice = Invoice(
            invoice_id,
            shipment.shipment_id,
            order.erp_order_id,
            order.customer_id,
            order.order_reference,
            order.currency,
            sum(line.net_minor for line in lines),
            sum(line.tax_minor for line in lines),
            lines,
            now_us,
        )
        for line in lines:
            order.lines[line.line_no].invoiced += line.quantity
        self.invoices[invoice_id] = invoice
        self._invoice_of_shipment[shipment.shipment_id] = invoice
        self._invoices_by_reference.setdefault((order.customer_id, order.order_reference), []).append(invoice)
        self._settle(order, now_us)
        return invoice, True

    def _new_order(self, command: BookOrder, erp_order_id: str, now_us: int) -> SalesOrder:
        lines = {}
        for new in command.lines:
            if new.sku not in self.items:
                raise UnknownSku(f"no item {new.sku!r} (line {new.line_no})")
            lines[new.line_no] = SalesOrderLine(
                new.line_no,
                new.sku,
                new.quantity,
                new.unit_price_minor,
                new.tax_rate_bp,
                new.confirmed,
                new.backordered,
            )
        return SalesOrder(
            erp_order_id,
            command.order_id,
            command.customer_id,
            command.order_reference,
            command.currency,
            command.total_minor,
            now_us,
            lines,
            exposure_minor=command.total_minor,
        )

    def _settle(self, order: SalesOrder, now_us: int) -> None:
        """Bring the status up to date; an order that ends gives back the credit it had taken."""
        order.status = order.derive_status()
        if order.status in (OrderStatus.BILLED, OrderStatus.CLOSED) and order.exposure_minor:
            customer = self.customers[order.customer_id]
            customer.credit_exposure_minor = max(0, customer.credit_exposure_minor - order.exposure_minor)
            customer.updated_at_us = now_us
            order.exposure_minor = 0


def is_void(order: SalesOrder) -> bool:
    """Ended with nothing shipped."""
    return order.status is OrderStatus.CLOSED and not any(line.shipped for line in order.lines.values())


def changed_since(rows: Iterable[Customer | Item | Price | TaxRate], since_us: int | None) -> list[object]:
    """Rows changed at or after a time; including that time, so a poller that repeats its mark misses nothing."""
    if since_us is None:
        return list(rows)
    return [row for row in rows if row.updated_at_us >= since_us]


def _refuse_too_much(order: SalesOrder, customer: Customer) -> None:
    """Every invoice of the order and the customer's exposure must stay within what a sum of money may be."""
    billed = [_invoice_line(line, line.quantity) for line in order.lines.values()]
    most = sum(line.net_minor + line.tax_minor for line in billed)
    exposure = customer.credit_exposure_minor + order.exposure_minor
    if max(most, exposure) > MOST_MONEY_MINOR:
        raise TooMuchMoney(
            f"order {order.order_reference!r} would come to {most} and the exposure of {order.customer_id} to"
            f" {exposure} minor units: at most {MOST_MONEY_MINOR} can be kept"
        )


def _invoice_line(line: SalesOrderLine, quantity: int) -> InvoiceLine:
    net_minor = quantity * line.unit_price_minor
    return InvoiceLine(line.line_no, line.sku, quantity, net_minor, tax_of(net_minor, line.tax_rate_bp))


def _copy(customer: Customer) -> Customer:
    return Customer(**{name: getattr(customer, name) for name in Customer.__slots__})
