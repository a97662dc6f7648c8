"""Writes data/sample_orders.csv, the small order file of our own making: `python -m scenarios.samples`.

It has a row of every kind: sales on all channels, cancels in part and in whole, a cancel of something ordered before
the file begins, adjustments both ways, postage and a bad debt (left out on reading), and rows without a customer.
"""

from dataclasses import replace
from pathlib import Path

from scenarios.fitting import read_profile
from scenarios.generator import Generator, write_order_file
from scenarios.orderfile import Row
from scenarios.spec import Channels, DemandSpec
from simulators.kernel.chance import Chance

SAMPLE = Path(__file__).parent / "data" / "sample_orders.csv"
SEED = 2026
STARTS_AT_US = 1_795_737_600_000_000  # 2026-11-27T00:00:00Z
DAY_US = 86_400_000_000
WITHOUT_CUSTOMER = ("guest", "web_batch")

SPEC = DemandSpec(
    orders=120,
    customers=70,
    channels=Channels(portal=0.8, edi=0.05, marketplace=0.15),
    most_lines=25,
    cancel_share=0.15,
    adjustments_per_day=12,
    quick_repeat_share=0.08,
)


def sample_rows() -> list[Row]:
    """All rows of the sample, in order of time."""
    stream = Generator(SPEC, read_profile("retail-peak"), Chance(SEED), STARTS_AT_US, DAY_US).stream()
    rows = [replace(row, customer="") if row.channel in WITHOUT_CUSTOMER else row for row in stream.rows]
    by_name = [row for row in rows if row.kind == "sale" and row.customer]
    last: dict[str, int] = {}
    for row in rows:
        last[row.invoice] = max(last.get(row.invoice, 0), row.line_no)
    postage = [
        replace(row, line_no=last[row.invoice] + 1, kind="service", sku="POST", quantity=1, unit_price_minor=1_800)
        for row in by_name
        if row.line_no == 1 and row.country != "United Kingdom"
    ]
    first = by_name[0]
    earlier = replace(first, invoice="C-EARLIER", kind="cancel", sku="SKU-2000", quantity=-4)
    debt = replace(first, invoice="A-0001", kind="baddebt", sku="B", quantity=1, unit_price_minor=-1_106_206)
    return sorted([*rows, *postage, earlier, debt], key=lambda row: (row.at_us, row.invoice, row.line_no))


def write_sample(path: Path) -> None:
    """The sample as an order file."""
    write_order_file(sample_rows(), path)


if __name__ == "__main__":
    write_sample(SAMPLE)
