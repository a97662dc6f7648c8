"""An ERP books each thing once, never more than is open, and invoices to the penny."""

import pytest

from simulators.erp.model import (
    BookOrder,
    Books,
    Customer,
    DuplicateOrder,
    DuplicatePolicy,
    Item,
    LineChange,
    MasterData,
    NewLine,
    NotFound,
    OrderStatus,
    QuantityExceeded,
    SalesOrder,
    Shipment,
    ShippedLine,
    UnknownCustomer,
    UnknownLine,
    UnknownSku,
    is_void,
    tax_of,
)

CUSTOMERS = [
    Customer("C1", "Gift Shop", "retail", "GB", "GB", "standard", 1_000_000),
    Customer("C9", "Gone", "retail", "GB", "GB", "standard", 0, status="closed"),
]
MASTER = MasterData(CUSTOMERS, [Item("A", "Heart", "standard"), Item("B", "Lantern", "reduced")], [], [])


def books(policy: DuplicatePolicy = DuplicatePolicy.RETURN_EXISTING) -> Books:
    return Books(MASTER, policy)


def command(reference: str = "PO-1", customer_id: str = "C1", sku: str = "A") -> BookOrder:
    lines = (NewLine(1, sku, 6, 255, 2000, 6, 0), NewLine(2, "B", 3, 111, 500, 2, 1))
    return BookOrder("ord-1", customer_id, reference, "GBP", 2_186, lines)


def ship(ledger: Books, order: SalesOrder, shipment_id: str, *lines: tuple[int, str, int]) -> Shipment:
    told = tuple(ShippedLine(*line) for line in lines)
    return ledger.confirm_shipment(order, Shipment(shipment_id, order.erp_order_id, "wms-east", (), told, 5), 5)[0]


def test_the_same_reference_twice_by_each_policy() -> None:
    returning, rejecting, doubling = (books(policy) for policy in DuplicatePolicy)
    first, new = returning.book_order(command(), "SO-1", 1)
    again, new_again = returning.book_order(command(), "SO-2", 2)
    assert (new, new_again, again is first) == (True, False, True)
    assert returning.customers["C1"].credit_exposure_minor == 2_186
    rejecting.book_order(command(), "SO-1", 1)
    with pytest.raises(DuplicateOrder) as refused:
        rejecting.book_order(command(), "SO-2", 2)
    assert refused.value.standing.erp_order_id == "SO-1"
    doubling.book_order(command(), "SO-1", 1)
    doubling.book_order(command(), "SO-2", 2)
    assert [order.erp_order_id for order in doubling.orders_of("C1", "PO-1")] == ["SO-1", "SO-2"]
    assert CUSTOMERS[0].credit_exposure_minor == 0, "the master data that was handed in is left alone"


def test_refusals_change_nothing() -> None:
    ledger = books()
    for wrong, error in (
        (command(customer_id="C2"), UnknownCustomer),
        (command(customer_id="C9"), UnknownCustomer),
        (command(sku="Z"), UnknownSku),
    ):
        with pytest.raises(error):
            ledger.book_order(wrong, "SO-1", 1)
    assert ledger.orders == {}
    assert ledger.orders_of("C1", "PO-1") == []
    assert ledger.customers["C1"].credit_exposure_minor == 0


def test_an_order_runs_to_billed_and_gives_back_its_credit() -> None:
    ledger = books()
    order, _ = ledger.book_order(command(), "SO-1", 1)
    first = ship(ledger, order, "SHP-1", (1, "A", 6), (2, "B", 1))
    assert order.status is OrderStatus.PARTIALLY_FULFILLED
    invoice, new = ledger.invoice(first, "INV-1", 6)
    # 6 x 255 = 1530, 20% = 306; 1 x 111, 5% = 5.55, half up 6
    assert [(line.net_minor, line.tax_minor) for line in invoice.lines] == [(1530, 306), (111, 6)]
    assert (invoice.net_minor, invoice.tax_minor, invoice.total_minor, new) == (1641, 312, 1953, True)
    assert ledger.invoice(first, "INV-2", 7) == (invoice, False)
    second = ship(ledger, order, "SHP-2", (2, "B", 2))
    assert (order.status, ledger.customers["C1"].credit_exposure_minor) == (OrderStatus.PARTIALLY_FULFILLED, 2_186)
    ledger.invoice(second, "INV-2", 8)
    assert (order.status, ledger.customers["C1"].credit_exposure_minor) == (OrderStatus.BILLED, 0)
    assert [found.invoice_id for found in ledger.invoices_of("C1", "PO-1")] == ["INV-1", "INV-2"]
    assert ledger.customers["C1"].updated_at_us == 8


def test_a_shipment_counts_once_and_never_beyond_what_is_open() -> None:
    ledger = books()
    order, _ = ledger.book_order(command(), "SO-1", 1)
    ledger.change_order(order, "CHG-1", [LineChange(2, 0, 1)], 2)
    ship(ledger, order, "SHP-1", (1, "A", 4))
    ship(ledger, order, "SHP-1", (1, "A", 4))
    assert order.lines[1].shipped == 4
    with pytest.raises(QuantityExceeded, match="line 1 of SO-1: 3 more shipped of 6, of which 4 are shipped"):
        ship(ledger, order, "SHP-2", (2, "B", 1), (1, "A", 3))
    with pytest.raises(QuantityExceeded, match="1 cancelled"):
        ship(ledger, order, "SHP-2", (2, "B", 3))
    with pytest.raises(UnknownLine, match=r"no line 7: it has \[1, 2\]"):
        ship(ledger, order, "SHP-2", (7, "A", 1))
    assert (order.lines[1].shipped, order.lines[2].shipped, list(ledger.shipments)) == (4, 0, ["SHP-1"])
    with pytest.raises(NotFound):
        ledger.shipment("SHP-2")


def test_changes_are_cumulative_and_count_once() -> None:
    ledger = books()
    order, _ = ledger.book_order(command(), "SO-1", 1)
    assert ledger.change_order(order, "CHG-2", [LineChange(2, 0, 2)], 2) == [order.lines[2]]
    ledger.change_order(order, "CHG-1", [LineChange(2, 1, 1)], 3)
    assert order.lines[2].cancelled == 2, "an older change that comes late takes nothing back"
    assert ledger.change_order(order, "CHG-1", [LineChange(2, 1, 1)], 4) == []
    with pytest.raises(QuantityExceeded):
        ledger.change_order(order, "CHG-3", [LineChange(1, 0, 1), LineChange(2, 0, 4)], 5)
    assert order.lines[1].cancelled == 0, "all of a change or nothing"


def test_cancelled_whole_is_void_and_cancelled_in_part_closes() -> None:
    ledger = books()
    void, _ = ledger.book_order(command("PO-1"), "SO-1", 1)
    ledger.change_order(void, "CHG-1", [LineChange(1, 0, 6), LineChange(2, 0, 3)], 2)
    assert (void.status, is_void(void)) == (OrderStatus.CLOSED, True)
    assert ledger.customers["C1"].credit_exposure_minor == 0
    part, _ = ledger.book_order(command("PO-2"), "SO-2", 3)
    ledger.invoice(ship(ledger, part, "SHP-1", (1, "A", 6)), "INV-1", 4)
    ledger.change_order(part, "CHG-2", [LineChange(2, 0, 3)], 5)
    assert (part.status, is_void(part)) == (OrderStatus.CLOSED, False)


@pytest.mark.parametrize(("net", "rate_bp", "tax"), [(111, 500, 6), (110, 500, 6), (109, 500, 5), (0, 2000, 0)])
def test_tax_is_rounded_half_up(net: int, rate_bp: int, tax: int) -> None:
    assert tax_of(net, rate_bp) == tax
