"""The ERP at work: every call takes a worker for its service time, and its effect happens at the end of that time."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Literal

from pydantic import Field

from simulators.erp.model import (
    BookOrder,
    Books,
    DuplicatePolicy,
    Invoice,
    LineChange,
    MasterData,
    SalesOrder,
    Shipment,
    ShippedLine,
    is_void,
)
from simulators.kernel import World
from simulators.partnerkit import (
    Desk,
    DeskSettings,
    Duration,
    Keys,
    KeySettings,
    Ledger,
    Pace,
    Profile,
    RateLimit,
    Tokens,
    service_time_us,
)
from simulators.partnerkit.limits import LimitSettings
from simulators.partnerkit.memory import Memory

DEFAULT_CREDENTIALS = {"integration": "secret-erp"}


class PageSettings(Profile):
    """Page size when none is asked for, and the cap beyond which asking is an error."""

    default: int = Field(default=200, gt=0)
    cap: int = Field(default=1000, gt=0, le=1000)


class ErpProfile(Profile):
    """How this ERP behaves. Service times are lognormal; a time per line is added to writes."""

    summary: str = ""
    duplicate_policy: DuplicatePolicy = DuplicatePolicy.RETURN_EXISTING
    token_lifetime: Duration = Field(default=3_600_000_000, gt=0)
    stale_token: Literal["token-expired", "forbidden"] = "token-expired"
    pages: PageSettings = PageSettings()
    desk: DeskSettings
    quota: LimitSettings | None = None
    keys: KeySettings = KeySettings()
    read: Pace
    create: Pace
    change: Pace
    confirm: Pace
    invoice: Pace


class Erp:
    """One ERP: its books, its workers, its tokens and its quota."""

    def __init__(
        self,
        world: World,
        name: str,
        profile: ErpProfile,
        master: MasterData,
        credentials: Mapping[str, str] | None = None,
    ) -> None:
        self.world = world
        self.name = name
        self.profile = profile
        self.books = Books(master, profile.duplicate_policy)
        self.ledger = Ledger(world, name)
        self.desk = Desk(world, name, profile.desk)
        self.tokens = Tokens(
            world, name, credentials or DEFAULT_CREDENTIALS, profile.token_lifetime, profile.stale_token
        )
        self.limit = RateLimit(world, profile.quota, name)
        self.keys = Keys(world, name, profile.keys)
        self._memory = Memory(world, name)
        self._writes_in_work = 0

    def start(self) -> None:
        """Begin a life of the host. After a crash: whoever was being served is gone; what is booked stands."""
        self.desk.restart()
        self.keys.restart()
        self._writes_in_work = 0

    @contextmanager
    def reading(self, what: str) -> Iterator[None]:
        """Hold a worker for one read."""
        now_us = self.world.now_us()
        with self.desk.served(service_time_us(self.world, self.name, self.profile.read, "erp-read", what, now_us)):
            yield

    def book_order(self, command: BookOrder, correlation_id: str) -> tuple[SalesOrder, bool]:
        """The sales order, and whether this call created it."""
        key = (command.customer_id, command.order_reference)
        with self._writing(self.profile.create, "erp-create", *key, lines=len(command.lines)):
            erp_order_id = self._identity("SO", len(self.books.orders))
            forgotten = self._memory.forgot(*key)
            order, new = self.books.book_order(command, erp_order_id, self.world.now_us(), forgotten)
            if new:
                self._enter_order(order, correlation_id)
        return order, new

    def change_order(
        self, order: SalesOrder, change_id: str, reason: str, lines: Sequence[LineChange], correlation_id: str
    ) -> SalesOrder:
        """The sales order after a change; a change that was booked before changes nothing again."""
        with self._writing(self.profile.change, "erp-change", change_id, lines=len(lines)):
            was_void = is_void(order)
            for line in self.books.change_order(order, change_id, lines, self.world.now_us()):
                self.ledger.book(
                    "order_changed",
                    business_key=change_id,
                    customer_id=order.customer_id,
                    order_reference=order.order_reference,
                    line_no=line.line_no,
                    sku=line.sku,
                    quantity=line.cancelled,
                    reason=reason,
                    status=order.status.value,
                    correlation_id=correlation_id,
                )
            if is_void(order) and not was_void:
                self._enter_void(order, reason, correlation_id)
        return order

    def confirm_shipment(
        self,
        order: SalesOrder,
        shipment_id: str,
        node: str,
        tracking_numbers: Sequence[str],
        lines: Sequence[ShippedLine],
        correlation_id: str,
    ) -> tuple[Shipment, bool]:
        """The confirmed shipment, and whether this call confirmed it."""
        with self._writing(self.profile.confirm, "erp-confirm", shipment_id, lines=len(lines)):
            now_us = self.world.now_us()
            told = Shipment(shipment_id, order.erp_order_id, node, tuple(tracking_numbers), tuple(lines), now_us)
            shipment, new = self.books.confirm_shipment(order, told, now_us)
            if new:
                self._enter_shipment(order, shipment, correlation_id)
        return shipment, new

    def invoice(self, shipment: Shipment, correlation_id: str) -> tuple[Invoice, bool]:
        """The invoice of a shipment, and whether this call wrote it."""
        with self._writing(self.profile.invoice, "erp-invoice", shipment.shipment_id, lines=len(shipment.lines)):
            invoice_id = self._identity("INV", len(self.books.invoices))
            invoice, new = self.books.invoice(shipment, invoice_id, self.world.now_us())
            if new:
                self._enter_invoice(invoice, correlation_id)
        return invoice, new

    def gauges(self) -> list[tuple[str, str, str, float]]:
        """Utilization of the workers, calls waiting and sent away, calls over quota: (name, sku, location, value)."""
        return [*self.desk.gauges(), ("calls_over_quota", "", "", float(self.limit.refused))]

    def quiet(self) -> bool:
        """No write is being served or waits. Reads do not count: pollers never stop."""
        return self._writes_in_work == 0

    @contextmanager
    def _writing(self, pace: Pace, place: str, *key: object, lines: int) -> Iterator[None]:
        self._writes_in_work += 1
        try:
            with self.desk.served(service_time_us(self.world, self.name, pace, place, *key, lines=lines)):
                yield
        finally:
            self._writes_in_work -= 1

    def _identity(self, prefix: str, count: int) -> str:
        return f"{prefix}-{count + 1:06d}-{self.world.chance.hex(4, 'erp-id', prefix, count)}"

    def _enter_order(self, order: SalesOrder, correlation_id: str) -> None:
        book, customer, reference = self.ledger.book, order.customer_id, order.order_reference
        book(
            "order_booked",
            business_key=order.erp_order_id,
            customer_id=customer,
            order_reference=reference,
            amount_minor=order.total_minor,
            currency=order.currency,
            status=order.status.value,
            correlation_id=correlation_id,
        )
        for line in order.lines.values():
            book(
                "order_line",
                business_key=order.erp_order_id,
                customer_id=customer,
                order_reference=reference,
                line_no=line.line_no,
                sku=line.sku,
                quantity=line.quantity,
                amount_minor=line.quantity * line.unit_price_minor,
                currency=order.currency,
                correlation_id=correlation_id,
            )

    def _enter_void(self, order: SalesOrder, reason: str, correlation_id: str) -> None:
        self.ledger.book(
            "order_voided",
            business_key=order.erp_order_id,
            customer_id=order.customer_id,
            order_reference=order.order_reference,
            amount_minor=order.total_minor,
            currency=order.currency,
            reason=reason,
            status=order.status.value,
            correlation_id=correlation_id,
        )

    def _enter_shipment(self, order: SalesOrder, shipment: Shipment, correlation_id: str) -> None:
        for part in shipment.lines:
            self.ledger.book(
                "shipment_confirmed",
                business_key=order.erp_order_id,
                customer_id=order.customer_id,
                order_reference=order.order_reference,
                line_no=part.line_no,
                sku=part.sku,
                quantity=part.quantity,
                shipment_id=shipment.shipment_id,
                status=order.status.value,
                correlation_id=correlation_id,
            )

    def _enter_invoice(self, invoice: Invoice, correlation_id: str) -> None:
        book = self.ledger.book
        for line in invoice.lines:
            book(
                "invoiced",
                business_key=invoice.invoice_id,
                customer_id=invoice.customer_id,
                order_reference=invoice.order_reference,
                line_no=line.line_no,
                sku=line.sku,
                quantity=line.quantity,
                amount_minor=line.net_minor,
                tax_minor=line.tax_minor,
                currency=invoice.currency,
                shipment_id=invoice.shipment_id,
                correlation_id=correlation_id,
            )
        book(
            "invoice",
            business_key=invoice.invoice_id,
            customer_id=invoice.customer_id,
            order_reference=invoice.order_reference,
            amount_minor=invoice.total_minor,
            currency=invoice.currency,
            shipment_id=invoice.shipment_id,
            correlation_id=correlation_id,
        )
