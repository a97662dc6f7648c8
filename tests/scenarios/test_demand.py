"""Demand is fixed by the seed alone, whole, consistent with its master data, and untouched by taking an order out."""

from collections import Counter
from pathlib import Path

import pytest

from scenarios.demand import Demand
from scenarios.errors import ScenarioError
from scenarios.events import AdjustEvent, CancelEvent, OrderEvent, ReceiptEvent
from scenarios.orderfile import COLUMNS
from scenarios.spec import Scenario, load

SHARED = Path("../shared/data")
PEAK_DAY = SHARED / "peak_day_2011-11-17.csv.gz"
PEAK_FORTNIGHT = SHARED / "peak_fortnight_2011-11-11_24.csv.gz"
HOUR_US = 3_600_000_000
FEW = {"demand.orders": "60", "demand.most_lines": "12"}
ROWS = """\
1,1,sale,account,A,12,1.00,2026-11-27T09:30,C1,France
1,2,sale,account,A,5,1.00,2026-11-27T09:30,C1,France
2,1,sale,account,A,2,1.20,2026-11-27T10:36,C1,France
3,1,sale,web_batch,B,7,3.00,2026-11-27T12:00,,United Kingdom
4,1,sale,web_batch,B,7,3.50,2026-11-27T12:00,,United Kingdom
5,1,sale,guest,B,1,3.50,2026-11-28T08:00,,Atlantis
X1,1,cancel,account,A,-3,1.00,2026-11-27T11:00,C1,France
X2,1,cancel,account,A,-100,1.00,2026-11-27T11:30,C1,France
9,1,adjust,guest,A,-10,0.0,2026-11-27T13:00,,United Kingdom
9,2,adjust,guest,C,4,0.0,2026-11-27T13:00,,United Kingdom
"""


def of_rows(tmp_path: Path, rows: str = ROWS, **overrides: str) -> Demand:
    file = tmp_path / "orders.csv"
    file.write_text(",".join(COLUMNS) + "\n" + rows, encoding="utf-8")
    settings = {
        "demand.file": str(file),
        "demand.opening.scarce_share": "0",
        "demand.clients.quote_share": "1",
        "demand.case_share": "0",
    }
    settings |= {key.replace("__", "."): value for key, value in overrides.items()}
    return Demand.load(load("order-file", settings))


def scenario(**overrides: str) -> Scenario:
    return load("ordinary-day", FEW | {key.replace("__", "."): value for key, value in overrides.items()})


def check_consistent(demand: Demand) -> None:
    """Every event can be served: known customers, skus, units, prices; stock that covers the adjustments."""
    customers = {customer.customer_id: customer for customer in demand.master.customers}
    units = {item.sku: {unit.unit: unit.factor for unit in item.units} for item in demand.master.items}
    prices = {(price.price_list, price.sku) for price in demand.master.prices}
    rates = {(rate.jurisdiction, rate.tax_category) for rate in demand.master.tax_rates}
    references = set()
    before_us = demand.starts_at_us
    for event in demand.events():
        assert before_us <= event.at_us
        before_us = event.at_us
        if isinstance(event, OrderEvent):
            customer = customers[event.customer_id]
            assert (event.customer_id, event.order_reference) not in references
            references.add((event.customer_id, event.order_reference))
            assert len({line.line_no for line in event.lines}) == len(event.lines) <= 2_000
            for line in event.lines:
                assert line.quantity * units[line.sku][line.unit] == line.base_quantity > 0
                assert (customer.price_list, line.sku) in prices
            assert {(customer.tax_jurisdiction, category) for category in ("standard", "reduced")} <= rates
        elif isinstance(event, CancelEvent):
            assert (event.customer_id, event.order_reference) in references
        elif isinstance(event, AdjustEvent | ReceiptEvent):
            assert event.sku in demand.opening[event.node]
    assert all(units >= 0 for stock in demand.opening.values() for units in stock.values())


def test_the_same_seed_gives_the_same_demand_and_another_one_another() -> None:
    first, again, other = Demand.load(scenario()), Demand.load(scenario()), Demand.load(scenario(), seed=2)
    assert first == again
    assert first.all_events != other.all_events


def test_generated_demand_is_consistent_and_within_the_day() -> None:
    demand = Demand.load(scenario(demand__price_change_share="0.5", demand__cancel_share="0.5"))
    check_consistent(demand)
    assert demand.ends_at_us - demand.starts_at_us == 24 * HOUR_US
    assert all(demand.starts_at_us <= event.at_us < demand.ends_at_us for event in demand.events())
    assert demand.statement["counts"]["orders"] == 60
    assert demand.statement["counts"]["cancels"] > 0


def test_one_order_more_leaves_the_others_as_they_were() -> None:
    portal = {"demand__customers": "40", "demand__channels": "{portal: 1, edi: 0, marketplace: 0}"}
    fewer = {event.order_reference: event for event in Demand.load(scenario(**portal)).orders()}
    more = {event.order_reference: event for event in Demand.load(scenario(demand__orders="61", **portal)).orders()}
    assert len(more) == len(fewer) + 1 == 61
    assert {reference: more[reference] for reference in fewer} == fewer


def test_only_keeps_named_orders_in_an_unchanged_world() -> None:
    whole = Demand.load(scenario(demand__cancel_share="1"))
    wanted = sorted(event.order_reference for event in whole.orders())[:3]
    small = whole.only(wanted)
    assert sorted(event.order_reference for event in small.orders()) == wanted
    assert small.opening == whole.opening
    assert small.master == whole.master
    cancelled = {event.order_reference for event in small.events() if isinstance(event, CancelEvent)}
    assert cancelled <= set(wanted)
    by_scenario = Demand.load(scenario(demand__cancel_share="1", demand__only_orders=f"[{', '.join(wanted)}]"))
    assert by_scenario.all_events == small.all_events
    with pytest.raises(ScenarioError, match="no order 'PO-9' in this demand"):
        whole.only(["PO-9"])


def test_quantities_can_be_cut_in_an_unchanged_world(tmp_path: Path) -> None:
    """Order 1 asks for 12 and 5 of A, of which a cancel takes 3 of the second line: with 2 each, what is left of it."""
    whole = of_rows(tmp_path)
    cut = of_rows(tmp_path, demand__quantity_limit="2")
    assert [[line.base_quantity for line in order.lines] for order in cut.orders()] == [[2, 2], [2], [2], [2], [1]]
    cancels = [event.lines for event in cut.events() if isinstance(event, CancelEvent)]
    assert [event.lines for event in whole.events() if isinstance(event, CancelEvent)] == [((2, "A", 3),)]
    assert cancels == [((2, "A", 2),)]
    assert (cut.opening, cut.master) == (whole.opening, whole.master)


def test_a_case_counts_as_one(tmp_path: Path) -> None:
    """A limit is in the line's own unit: one case stays one case."""
    cased = of_rows(tmp_path, ROWS.replace(",A,12,", ",A,72,"), demand__case_share="1", demand__quantity_limit="1")
    lines = [line for order in cased.orders() for line in order.lines if line.unit == "CS"]
    assert lines
    assert all(line.quantity == 1 and line.base_quantity in (6, 12, 24) for line in lines)


def test_opening_stock_can_be_cut(tmp_path: Path) -> None:
    opening = of_rows(tmp_path, demand__opening__limit="4").opening
    assert {units for stock in opening.values() for units in stock.values()} == {4}


def test_channels_arrive_as_they_do() -> None:
    demand = Demand.load(scenario(demand__orders="400", demand__channels="{portal: 0.4, edi: 0.3, marketplace: 0.3}"))
    times: dict[str, list[int]] = {channel: [] for channel in ("portal", "edi", "marketplace")}
    for event in demand.orders():
        times[event.channel].append(event.at_us - demand.starts_at_us)
    assert all(at_us % (45 * 60_000_000) == 0 for at_us in times["edi"])
    assert max(Counter(times["edi"]).values()) > 3
    assert len(set(times["portal"])) == len(times["portal"])
    assert 0.3 < len(times["portal"]) / 400 < 0.55


def test_hours_follow_the_profile() -> None:
    demand = Demand.load(scenario(demand__orders="800"))
    hours = Counter((event.at_us - demand.starts_at_us) // HOUR_US for event in demand.orders())
    assert sum(hours[hour] for hour in range(7)) == 0
    assert sum(hours[hour] for hour in range(9, 17)) > 640


def test_a_fixed_number_of_lines_and_a_flash_sale() -> None:
    fixed = Demand.load(scenario(demand__lines_per_order="3"))
    assert {len(event.lines) for event in fixed.orders()} == {3}
    sale = "{skus: 2, orders_share: 0.5, from: 2h, for: 20m, cover: 0.5}"
    flash = Demand.load(scenario(demand__orders="300", demand__flash=sale, demand__adjustments_per_day="0"))
    hot = ("SKU-0001", "SKU-0002")
    window = [
        event
        for event in flash.orders()
        if 2 * HOUR_US <= event.at_us - flash.starts_at_us < 2 * HOUR_US + 20 * 60_000_000 and event.lines[0].sku in hot
    ]
    assert 120 < len(window) < 180
    for sku in hot:
        wanted = sum(line.base_quantity for event in flash.orders() for line in event.lines if line.sku == sku)
        stock = sum(flash.opening[node].get(sku, 0) for node in flash.opening)
        assert stock == wanted // 2


def test_opening_stock_covers_what_it_says() -> None:
    demand = Demand.load(
        scenario(
            demand__adjustments_per_day="0",
            demand__opening="{cover: 2, cover_scarce: 0.5, scarce_share: 0.2, least: 0, replenish_after: 6h}",
        )
    )
    wanted: Counter[str] = Counter()
    for event in demand.orders():
        for line in event.lines:
            wanted[line.sku] += line.base_quantity
    stock = {sku: sum(demand.opening[node][sku] for node in demand.opening) for sku in wanted}
    scarce = [sku for sku in wanted if stock[sku] != 2 * wanted[sku]]
    assert len(scarce) == demand.statement["opening_stock"]["scarce_skus"] > 0
    assert all(stock[sku] == wanted[sku] // 2 for sku in scarce)
    refills = {event.sku for event in demand.events() if isinstance(event, ReceiptEvent)}
    assert refills == set(scarce)


def test_a_file_is_replayed_line_by_line(tmp_path: Path) -> None:
    demand = of_rows(tmp_path)
    check_consistent(demand)
    assert (demand.starts_at_us, demand.ends_at_us) == (1_795_737_600_000_000, 1_795_737_600_000_000 + 48 * HOUR_US)
    orders = {event.order_reference: event for event in demand.orders()}
    first = orders["1"]
    assert [(line.line_no, line.sku, line.base_quantity) for line in first.lines] == [(1, "A", 12), (2, "A", 5)]
    assert (first.channel, first.customer_id, first.ship_to.country) == ("portal", "C1", "FR")
    assert 0 <= first.at_us - (demand.starts_at_us + 9 * HOUR_US + HOUR_US // 2) <= 50_000_000
    assert (orders["3"].channel, orders["3"].customer_id) == ("edi", "ACCT-EDI")
    assert (orders["5"].channel, orders["5"].customer_id) == ("marketplace", "ACCT-MARKETPLACE")
    assert demand.statement["countries_unknown"] == ["Atlantis"]


def test_prices_are_dated_and_not_quoted_where_ambiguous(tmp_path: Path) -> None:
    demand = of_rows(tmp_path)
    day_us, minute_us = demand.starts_at_us, 60_000_000
    dated = [
        (price.price_list, price.sku, price.unit_price_minor, price.valid_from_us, price.valid_to_us)
        for price in demand.master.prices
    ]
    month_before_us, changed_us = day_us - 30 * 24 * HOUR_US, day_us + 10 * HOUR_US + 36 * minute_us
    assert ("PL-C1", "A", 100, month_before_us, changed_us) in dated
    assert ("PL-C1", "A", 120, changed_us, None) in dated
    quoted = {event.order_reference: event.lines[0].unit_price_minor for event in demand.orders()}
    assert quoted == {"1": 100, "2": 120, "3": None, "4": None, "5": 350}
    assert demand.statement["prices_ambiguous"] == 1


def test_cancels_find_their_order_and_others_come_back_as_goods(tmp_path: Path) -> None:
    demand = of_rows(tmp_path)
    cancels = [event for event in demand.events() if isinstance(event, CancelEvent)]
    assert [(event.order_reference, event.lines) for event in cancels] == [("1", ((2, "A", 3),))]
    returns = [event for event in demand.events() if isinstance(event, ReceiptEvent)]
    assert [(event.receipt_id, event.sku, event.quantity) for event in returns] == [("RET-X2-L1", "A", 100)]
    assert demand.statement["counts"]["cancel_rows_unmatched"] == 1


def test_adjustments_move_stock_that_is_there(tmp_path: Path) -> None:
    demand = of_rows(tmp_path, demand__opening__cover="0", demand__opening__least="0")
    (loss,) = [event for event in demand.events() if isinstance(event, AdjustEvent) and event.sku == "A"]
    assert (loss.quantity_delta, demand.opening[loss.node]["A"]) == (-10, 10)
    assert sum(stock.get("A", 0) for stock in demand.opening.values()) == 10


def test_time_can_be_pressed_and_moved(tmp_path: Path) -> None:
    pressed = of_rows(tmp_path, demand__compress="2", starts_at="2026-12-01T00:00:00Z")
    assert pressed.ends_at_us - pressed.starts_at_us == 24 * HOUR_US
    batch = next(event for event in pressed.orders() if event.order_reference == "3")
    assert batch.at_us == pressed.starts_at_us + 6 * HOUR_US
    cut = of_rows(tmp_path, duration="24h")
    assert cut.statement["rows_after_the_end"] == 1


def test_credit_is_generous_and_segments_follow_spend(tmp_path: Path) -> None:
    demand = of_rows(tmp_path)
    limits = {customer.customer_id: customer.credit_limit_minor for customer in demand.master.customers}
    assert set(limits.values()) == {5_000_000}
    assert Counter(customer.segment for customer in demand.master.customers)["key"] == 1
    blocked = of_rows(tmp_path, demand__blocked_share="1")
    assert {customer.status for customer in blocked.master.customers} == {"blocked"}


def test_cases_are_ordered_where_they_divide(tmp_path: Path) -> None:
    rows = "".join(
        f"{number},1,sale,account,S{number:03d},24,1.00,2026-11-27T09:30,C1,France\n" for number in range(1, 60)
    )
    demand = of_rows(tmp_path, rows, demand__case_share="1")
    check_consistent(demand)
    lines = [event.lines[0] for event in demand.orders()]
    assert {(line.unit, line.quantity) for line in lines} == {("EA", 24), ("CS", 4), ("CS", 2), ("CS", 1)}
    assert {line.base_quantity for line in lines} == {24}


def test_too_many_lines_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    rows = "".join(f"1,{line},sale,account,A,1,1.00,2026-11-27T09:30,C1,France\n" for line in range(1, 2_002))
    with pytest.raises(ScenarioError, match="order '1' has 2001 lines; at most 2000"):
        of_rows(tmp_path, rows)
    with pytest.raises(ScenarioError, match=r"no order file 'gone\.csv'"):
        Demand.load(load("order-file", {"demand.file": "gone.csv"}))


def test_the_catalogs_own_sample_replays() -> None:
    demand = Demand.load(load("order-file"))
    check_consistent(demand)
    assert demand.statement["counts"]["orders"] == 120
    assert demand.statement["counts"]["cancel_rows_unmatched"] >= 1


@pytest.mark.skipif(not PEAK_DAY.exists(), reason=f"{PEAK_DAY} is not here: the extracts are not part of the product")
def test_a_real_peak_day_replays() -> None:
    demand = Demand.load(load("order-file", {"demand.file": str(PEAK_DAY)}))
    check_consistent(demand)
    counts = demand.statement["counts"]
    assert (counts["orders"], counts["lines"], counts["adjustments"]) == (136, 3_555, 16)
    assert counts["cancelled_lines"] + counts["cancel_rows_unmatched"] == 28
    assert max(len(event.lines) for event in demand.orders()) == 571


@pytest.mark.skipif(not PEAK_FORTNIGHT.exists(), reason=f"{PEAK_FORTNIGHT} is not here: not part of the product")
def test_the_real_peak_fortnight_replays_in_a_day() -> None:
    demand = Demand.load(load("order-file", {"demand.file": str(PEAK_FORTNIGHT), "demand.compress": "14"}))
    check_consistent(demand)
    counts = demand.statement["counts"]
    assert (counts["orders"], counts["lines"], counts["adjustments"]) == (1_352, 41_709, 142)
    assert demand.ends_at_us - demand.starts_at_us == 24 * HOUR_US
