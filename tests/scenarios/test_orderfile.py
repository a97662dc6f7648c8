"""Order files are read wholly or refused with the row, the column and what to do."""

import gzip
from pathlib import Path

import pytest

from scenarios.errors import OrderFileError
from scenarios.orderfile import COLUMNS, read_order_file, read_order_text

HEAD = ",".join(COLUMNS) + "\n"
SALE = "1001,1,sale,account,0123A,12,2.95,2026-11-27T09:30,C1,France\n"


def test_a_sale_is_read_as_written() -> None:
    (row,) = read_order_text(HEAD + SALE).rows
    assert (row.invoice, row.line_no, row.kind, row.channel) == ("1001", 1, "sale", "account")
    assert (row.sku, row.quantity, row.unit_price_minor) == ("0123A", 12, 295)
    assert row.at_us == 1_795_771_800_000_000
    assert (row.customer, row.country) == ("C1", "France")


def test_columns_may_stand_in_any_order_and_others_beside_them() -> None:
    names = ["note", *reversed(COLUMNS)]
    cells = ["x", *reversed(SALE.strip().split(","))]
    (row,) = read_order_text(",".join(names) + "\n" + ",".join(cells) + "\n").rows
    assert row.sku == "0123A"


def test_rows_come_in_order_of_time() -> None:
    later = SALE.replace("1001", "1002").replace("09:30", "09:10")
    assert [row.invoice for row in read_order_text(HEAD + SALE + later).rows] == ["1002", "1001"]


def test_prices_are_rounded_half_up_and_counted() -> None:
    half = SALE.replace("2.95", "0.125").replace(",1,sale", ",2,sale")
    file = read_order_text(HEAD + SALE + half)
    assert [row.unit_price_minor for row in file.rows] == [295, 13]
    assert file.statement["prices_rounded"] == 1


def test_service_and_bad_debt_are_left_out_and_counted() -> None:
    service = "1001,2,service,account,POST,1,18.0,2026-11-27T09:30,C1,France\n"
    debt = "A1,1,baddebt,account,B,1,-11062.06,2026-11-27T09:30,,France\n"
    file = read_order_text(HEAD + SALE + service + debt)
    assert len(file.rows) == 1
    assert file.statement["rows_left_out"] == 2
    assert (file.statement["rows_service"], file.statement["rows_baddebt"]) == (1, 1)


@pytest.mark.parametrize(
    ("changed", "to", "said"),
    [
        (",12,", ",abc,", "row 2, column quantity: 'abc' is not an integer"),
        (",12,", ",1.5,", "row 2, column quantity: '1.5' is not an integer"),
        (",12,", ",-2,", "row 2, column quantity: -2 is negative in a sale"),
        (",12,", ",0,", "row 2, column quantity: 0 moves nothing"),
        (",12,", ",1000001,", "row 2, column quantity: 1000001 is more than 1,000,000 units"),
        (",12,", ",nan,", "row 2, column quantity: 'nan' is not an integer"),
        ("2.95", "2;95", "row 2, column unit_price: '2;95' is not a price"),
        ("2.95", "-2.95", "row 2, column unit_price: '-2.95' is negative in a sale"),
        ("2.95", "inf", "row 2, column unit_price: 'inf' is not a price"),
        ("sale", "sold", "row 2, column kind: unknown kind 'sold'; did you mean 'sale'?"),
        ("account", "acount", "row 2, column channel: unknown channel 'acount'; did you mean 'account'?"),
        ("2026-11-27T09:30", "27.11.2026", "row 2, column timestamp: '27.11.2026' is not a timestamp"),
        ("0123A", "", "row 2, column sku: is empty"),
        ("0123A", "A" * 41, "is not printable ASCII of at most 40 characters"),
        (",1,sale", ",x,sale", "row 2, column line_no: 'x' is not an integer"),
        (",France", ",France,more", "row 2: has 11 cells, the header has 10"),
    ],
)
def test_a_cell_that_cannot_be_read_is_named(changed: str, to: str, said: str) -> None:
    with pytest.raises(OrderFileError) as caught:
        read_order_text(HEAD + SALE.replace(changed, to))
    assert said in str(caught.value)


def test_a_positive_cancel_is_refused() -> None:
    with pytest.raises(OrderFileError, match="row 2, column quantity: 12 is positive in a cancel"):
        read_order_text(HEAD + SALE.replace("sale", "cancel"))


def test_a_line_number_twice_in_an_invoice_is_refused_with_both_rows() -> None:
    with pytest.raises(OrderFileError, match="row 3, column line_no: line 1 of invoice 1001 is in row 2 already"):
        read_order_text(HEAD + SALE + SALE)


def test_a_missing_column_and_an_empty_file_are_named() -> None:
    with pytest.raises(OrderFileError, match="has no column 'quantity'; did you mean 'quantitty'"):
        read_order_text(HEAD.replace("quantity", "quantitty") + SALE)
    with pytest.raises(OrderFileError, match="is empty"):
        read_order_text("")
    with pytest.raises(OrderFileError, match="holds no sale, cancel or adjust row"):
        read_order_text(HEAD)


def test_plain_and_gzipped_files_are_the_same(tmp_path: Path) -> None:
    plain, pressed = tmp_path / "orders.csv", tmp_path / "orders.csv.gz"
    plain.write_text(HEAD + SALE, encoding="utf-8")
    pressed.write_bytes(gzip.compress((HEAD + SALE).encode()))
    assert read_order_file(plain) == read_order_file(pressed)


def test_an_unreadable_file_names_itself(tmp_path: Path) -> None:
    torn = tmp_path / "torn.csv.gz"
    torn.write_bytes(gzip.compress((HEAD + SALE * 200).encode())[:40])
    with pytest.raises(OrderFileError, match=r"torn\.csv\.gz: can't be read"):
        read_order_file(torn)
    with pytest.raises(OrderFileError, match="can't be read"):
        read_order_file(tmp_path / "none.csv")
    bad = tmp_path / "bad.csv"
    bad.write_text(HEAD + SALE.replace(",12,", ",abc,"), encoding="utf-8")
    with pytest.raises(OrderFileError, match=r"bad\.csv: row 2, column quantity"):
        read_order_file(bad)
