"""Reads an order file: CSV, plain or gzipped, with the columns of `COLUMNS`, one row per line of an invoice.

`kind` is sale, cancel (negative quantity), adjust (a stock movement), service or baddebt (both left out, and counted).
`channel` is account, guest or web_batch. Times without a zone are UTC.
"""

import csv
import gzip
import io
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from pathlib import Path

from scenarios.errors import OrderFileError, nearest

COLUMNS = (
    "invoice",
    "line_no",
    "kind",
    "channel",
    "sku",
    "quantity",
    "unit_price",
    "timestamp",
    "customer",
    "country",
)
KINDS = ("sale", "cancel", "adjust", "service", "baddebt")
LEFT_OUT = ("service", "baddebt")
CHANNEL_OF = {"account": "portal", "guest": "marketplace", "web_batch": "edi"}
MOST_QUANTITY = 1_000_000
MOST_PRICE = Decimal(10_000_000)
LONGEST = {"invoice": 40, "sku": 40, "customer": 40, "country": 64}


@dataclass(frozen=True, slots=True)
class Row:
    """One row. `quantity` in base units, signed; `unit_price_minor` in minor units; `at_us` Unix microseconds."""

    invoice: str
    line_no: int
    kind: str
    channel: str
    sku: str
    quantity: int
    unit_price_minor: int
    at_us: int
    customer: str
    country: str


@dataclass(frozen=True, slots=True)
class OrderFile:
    """The rows in order of time, and what reading them came to (counts by name)."""

    rows: tuple[Row, ...]
    statement: dict[str, int]


def read_order_file(path: Path) -> OrderFile:
    """All rows that are sales, cancels or adjustments. OrderFileError names the row and column that can't be read."""
    try:
        with (
            gzip.open(path, "rt", encoding="utf-8-sig", newline="")
            if path.suffix == ".gz"
            else path.open(encoding="utf-8-sig", newline="") as stream
        ):
            return _read(stream)
    except OrderFileError as error:
        raise OrderFileError(error.reason, file=str(path), row=error.row, column=error.column) from None
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        raise OrderFileError(
            f"can't be read ({error}); give a CSV file, plain or .gz, in UTF-8", file=str(path)
        ) from error


def read_order_text(text: str) -> OrderFile:
    """The same from text."""
    return _read(io.StringIO(text))


def _read(stream: Iterable[str]) -> OrderFile:
    table = csv.reader(stream)
    header = next(table, None)
    places = _places(header)
    rows: list[Row] = []
    counts: Counter[str] = Counter()
    seen: dict[tuple[str, int], int] = {}
    for number, cells in _filled(table):
        if len(cells) != len(header or ()):
            raise OrderFileError(
                f"has {len(cells)} cells, the header has {len(header or ())}; quote cells that hold commas", row=number
            )
        fields = {column: cells[place].strip() for column, place in places.items()}
        row, rounded = _parse(fields, number)
        counts["rows"] += 1
        counts[f"rows_{row.kind}"] += 1
        counts["prices_rounded"] += rounded
        first = seen.setdefault((row.invoice, row.line_no), number)
        if first != number:
            raise OrderFileError(
                f"line {row.line_no} of invoice {row.invoice} is in row {first} already; number its lines apart",
                row=number,
                column="line_no",
            )
        if row.kind not in LEFT_OUT:
            rows.append(row)
    if not rows:
        raise OrderFileError("holds no sale, cancel or adjust row; check the column kind")
    rows.sort(key=lambda row: (row.at_us, row.invoice, row.line_no))
    counts["rows_left_out"] = sum(counts[f"rows_{kind}"] for kind in LEFT_OUT)
    return OrderFile(tuple(rows), {name: counts[name] for name in sorted(counts)})


def _filled(table: Iterator[list[str]]) -> Iterator[tuple[int, list[str]]]:
    """Rows with their number in the file (the header is row 1), blank ones passed over."""
    for number, cells in enumerate(table, start=2):
        if any(cell.strip() for cell in cells):
            yield number, cells


def _places(header: list[str] | None) -> dict[str, int]:
    if header is None:
        raise OrderFileError(f"is empty; the first row must name the columns {','.join(COLUMNS)}")
    names = [name.strip() for name in header]
    for column in COLUMNS:
        if column not in names:
            raise OrderFileError(f"has no column '{column}'{nearest(column, names)}", row=1, column=column)
        if names.count(column) > 1:
            raise OrderFileError(f"has the column '{column}' twice; keep one", row=1, column=column)
    return {column: names.index(column) for column in COLUMNS}


def _parse(fields: dict[str, str], number: int) -> tuple[Row, bool]:
    for column in ("invoice", "kind", "channel", "sku"):
        if not fields[column]:
            raise OrderFileError("is empty; every row needs it", row=number, column=column)
    for column, longest in LONGEST.items():
        text = fields[column]
        if len(text) > longest or not text.isprintable() or not text.isascii():
            raise OrderFileError(
                f"{text!r} is not printable ASCII of at most {longest} characters", row=number, column=column
            )
    for column, words in (("kind", KINDS), ("channel", tuple(CHANNEL_OF))):
        if fields[column] not in words:
            raise OrderFileError(
                f"unknown {column} '{fields[column]}'{nearest(fields[column], words)}", row=number, column=column
            )
    price_minor, rounded = _price(fields["unit_price"], fields["kind"], number)
    row = Row(
        fields["invoice"],
        _line_no(fields["line_no"], number),
        fields["kind"],
        fields["channel"],
        fields["sku"],
        _quantity(fields["quantity"], fields["kind"], number),
        price_minor,
        _moment_us(fields["timestamp"], number),
        fields["customer"],
        fields["country"] or "Unspecified",
    )
    return row, rounded


def _integer(text: str, column: str, number: int) -> int:
    """An integer; `12.0` is one, `12.5` and `abc` are not."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise OrderFileError(f"{text!r} is not an integer; write digits", row=number, column=column) from None
    if not value.is_finite() or value != value.to_integral_value():
        raise OrderFileError(f"{text!r} is not an integer; write digits", row=number, column=column)
    if abs(value) > 10**12:
        raise OrderFileError(f"{text!r} is absurdly large; correct it", row=number, column=column)
    return int(value)


def _line_no(text: str, number: int) -> int:
    line_no = _integer(text, "line_no", number)
    if not 1 <= line_no <= 100_000:
        raise OrderFileError(f"{text!r} is not a line number; number lines from 1", row=number, column="line_no")
    return line_no


def _quantity(text: str, kind: str, number: int) -> int:
    quantity = _integer(text, "quantity", number)
    if kind in LEFT_OUT:
        return quantity
    if quantity == 0:
        raise OrderFileError("0 moves nothing; leave the row out", row=number, column="quantity")
    if kind == "sale" and quantity < 0:
        raise OrderFileError(
            f"{quantity} is negative in a sale; make it positive or its kind cancel", row=number, column="quantity"
        )
    if kind == "cancel" and quantity > 0:
        raise OrderFileError(
            f"{quantity} is positive in a cancel; make it negative or its kind sale", row=number, column="quantity"
        )
    if abs(quantity) > MOST_QUANTITY:
        raise OrderFileError(
            f"{quantity} is more than {MOST_QUANTITY:,} units; correct it", row=number, column="quantity"
        )
    return quantity


def _price(text: str, kind: str, number: int) -> tuple[int, bool]:
    """Minor units, rounded half up, and whether rounding changed it."""
    try:
        price = Decimal(text)
    except InvalidOperation:
        raise OrderFileError(f"{text!r} is not a price; write 2.95", row=number, column="unit_price") from None
    if not price.is_finite() or abs(price) > MOST_PRICE:
        raise OrderFileError(
            f"{text!r} is not a price below {MOST_PRICE:,}; correct it", row=number, column="unit_price"
        )
    if kind == "sale" and price < 0:
        raise OrderFileError(f"{text!r} is negative in a sale; correct it", row=number, column="unit_price")
    minor = (price * 100).quantize(Decimal(1), rounding=ROUND_HALF_UP)
    return int(minor), minor != price * 100


def _moment_us(text: str, number: int) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise OrderFileError(
            f"{text!r} is not a timestamp; write 2026-11-27T09:30", row=number, column="timestamp"
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond
