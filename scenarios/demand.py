"""Demand: everything that the outside world will do in a run, and the master data and stock that it needs.

`Demand.load(scenario)` replays an order file or asks the generator; both give rows of the same kind, and one way leads
from rows to events. All of it is fixed before the run starts, by the seed alone, so that leaving an order out
(`Demand.only`) changes nothing else.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scenarios.errors import ScenarioError
from scenarios.events import AdjustEvent, CancelEvent, Event, OrderEvent, OrderLine, ReceiptEvent
from scenarios.fitting import is_own, read_profile
from scenarios.generator import Generator, Stream
from scenarios.opening import Stock, movement_node, opening_stock
from scenarios.orderfile import CHANNEL_OF, Row, read_order_file
from scenarios.spec import CATALOG, DemandSpec, Scenario
from scenarios.trade import (
    CURRENCY,
    AddressBook,
    PriceBook,
    account_of,
    case_factor,
    country_code,
    customers_of_file,
    master_data,
)
from simulators.erp.model import MasterData
from simulators.kernel.chance import Chance

DAY_US = 86_400_000_000
SPREAD_US = 50_000_000
"""Order files tell the minute only: account and guest orders are spread over the first 50 s of it, batches are not."""
MOST_LINES = 2_000
SECOND_US = 1_000_000
STALE_PERCENT = 107


@dataclass(frozen=True)
class Demand:
    """`events()` in order of time, between `starts_at_us` and `ends_at_us` (Unix microseconds).

    `opening` is base units per node and sku, `weights` grams per base unit. `statement` says what was derived, left out
    and assumed; it goes into run.json.
    """

    starts_at_us: int
    ends_at_us: int
    master: MasterData
    opening: dict[str, dict[str, int]]
    weights: dict[str, int]
    watched_skus: tuple[str, ...]
    statement: dict[str, Any]
    all_events: tuple[Event, ...]

    @staticmethod
    def load(scenario: Scenario, seed: int | None = None) -> "Demand":
        """The demand of a scenario, under its own seed or another. ScenarioError when its file can't be used."""
        chance = Chance(scenario.seed if seed is None else seed)
        spec = scenario.demand
        if spec.source == "file":
            stream, starts_at_us, ends_at_us, statement = _from_file(scenario)
        else:
            stream, starts_at_us, ends_at_us, statement = _generated(scenario, chance)
        demand = _Builder(spec, chance, stream, starts_at_us, ends_at_us).build(statement)
        demand = demand if spec.only_orders is None else demand.only(spec.only_orders)
        return demand if spec.quantity_limit is None else demand.at_most(spec.quantity_limit)

    def events(self) -> Iterator[Event]:
        """All that happens, in order of time."""
        return iter(self.all_events)

    def orders(self) -> Iterator[OrderEvent]:
        """The orders alone, in order of time."""
        return (event for event in self.all_events if isinstance(event, OrderEvent))

    def only(self, order_references: Collection[str]) -> "Demand":
        """The same world with these orders (and their cancels) alone; stock, prices and stock movements stay."""
        wanted = frozenset(order_references)
        unknown = sorted(wanted - {event.order_reference for event in self.orders()})
        if unknown:
            raise ScenarioError(f"no order '{unknown[0]}' in this demand; take references from the run's evidence")
        kept = tuple(
            event
            for event in self.all_events
            if not isinstance(event, OrderEvent | CancelEvent) or event.order_reference in wanted
        )
        return replace(self, all_events=kept, statement={**self.statement, "only_orders": sorted(wanted)})

    def at_most(self, quantity: int) -> "Demand":
        """The same world with at most `quantity` units a line; a cancel takes no more than is left of one."""
        cut = [_cut_order(event, quantity) if isinstance(event, OrderEvent) else event for event in self.all_events]
        left = {
            (event.customer_id, event.order_reference, line.line_no): line.base_quantity
            for event in cut
            if isinstance(event, OrderEvent)
            for line in event.lines
        }
        kept = (_cut_cancel(event, left) if isinstance(event, CancelEvent) else event for event in cut)
        return replace(self, all_events=tuple(event for event in kept if event is not None))


def _cut_order(order: OrderEvent, quantity: int) -> OrderEvent:
    lines = (
        replace(line, quantity=quantity, base_quantity=line.base_quantity // line.quantity * quantity)
        if line.quantity > quantity
        else line
        for line in order.lines
    )
    return replace(order, lines=tuple(lines))


def _cut_cancel(cancel: CancelEvent, left: dict[tuple[str, str, int], int]) -> CancelEvent | None:
    """The cancel of what is left of its lines, taken from `left`; None when nothing is."""
    lines = []
    for line_no, sku, quantity in cancel.lines:
        key = (cancel.customer_id, cancel.order_reference, line_no)
        taken = min(quantity, left[key])
        left[key] -= taken
        if taken:
            lines.append((line_no, sku, taken))
    return replace(cancel, lines=tuple(lines)) if lines else None


def _generated(scenario: Scenario, chance: Chance) -> tuple[Stream, int, int, dict[str, Any]]:
    starts_at_us, duration_us = scenario.starts_at_us, scenario.duration_us
    assert starts_at_us is not None and duration_us is not None  # spec holds it
    profile = read_profile(scenario.demand.profile)
    generator = Generator(scenario.demand, profile, chance, starts_at_us, duration_us)
    statement: dict[str, Any] = {
        "source": "generated",
        "profile": profile.name,
        "profile_source": profile.source,
        "multiplier": scenario.demand.multiplier,
        "assumed": [
            "EDI orders come in batches every 45 minutes, marketplace orders in bursts of about 5 within 2 minutes",
            f"cancels follow after a lognormal lag, sigma 1, median {scenario.demand.cancel_lag_us // SECOND_US} s",
        ],
    }
    return generator.stream(), starts_at_us, starts_at_us + duration_us, statement


def _from_file(scenario: Scenario) -> tuple[Stream, int, int, dict[str, Any]]:
    """The file's rows, moved to the scenario's start and pressed; its first day begins the run."""
    path = _find_file(scenario.demand.file or "")
    file = read_order_file(path)
    compress = scenario.demand.compress
    first_us = file.rows[0].at_us // DAY_US * DAY_US
    last_us = (file.rows[-1].at_us // DAY_US + 1) * DAY_US
    starts_at_us = first_us if scenario.starts_at_us is None else scenario.starts_at_us
    whole_us = round((last_us - first_us) / compress)
    duration_us = whole_us if scenario.duration_us is None else scenario.duration_us
    moved = (
        replace(row, at_us=starts_at_us + round((row.at_us - first_us) / compress), customer=account_of(row))
        if row.kind != "adjust"
        else replace(row, at_us=starts_at_us + round((row.at_us - first_us) / compress))
        for row in file.rows
    )
    rows = tuple(row for row in moved if row.at_us < starts_at_us + duration_us)
    statement = {
        "source": "file",
        "file": path.name,
        "compress": compress,
        "read": file.statement,
        "rows_after_the_end": len(file.rows) - len(rows),
        "assumed": ["times are to the minute: account and guest orders are spread over its first 50 s"],
    }
    return Stream(rows, customers_of_file(rows)), starts_at_us, starts_at_us + duration_us, statement


def files_of(scenario: Scenario) -> dict[str, Path]:
    """The files of the user that settings of the demand name, by setting: what another machine needs to know them."""
    spec = scenario.demand
    files = {"file": _find_file(spec.file)} if spec.source == "file" and spec.file else {}
    profile = Path(spec.profile)
    return files | ({"profile": profile} if not is_own(spec.profile) and profile.is_file() else {})


def _find_file(name: str) -> Path:
    for path in (Path(name), CATALOG / name, CATALOG.parent / name):
        if path.is_file():
            return path
    raise ScenarioError(f"no order file '{name}'; give a path from here, or from scenarios/", key="demand.file")


class _OpenLines:
    """Which lines of which orders a cancel may still take from."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, str], list[list[Any]]] = defaultdict(list)

    def add(self, order: OrderEvent) -> None:
        for line in order.lines:
            self._open[(order.customer_id, line.sku)].append([order, line.line_no, line.base_quantity])

    def take(self, customer: str, sku: str, quantity: int) -> tuple[OrderEvent, int] | None:
        """The latest earlier order's line with enough left uncancelled, and its number."""
        for entry in reversed(self._open.get((customer, sku), [])):
            if entry[2] >= quantity:
                entry[2] -= quantity
                return entry[0], entry[1]
        return None


class _Builder:
    """From rows to events, master data and stock."""

    def __init__(self, spec: DemandSpec, chance: Chance, stream: Stream, starts_at_us: int, ends_at_us: int) -> None:
        self._spec = spec
        self._chance = chance
        self._stream = stream
        self._starts_at_us = starts_at_us
        self._ends_at_us = ends_at_us
        self._addresses = AddressBook(chance)
        self._prices = PriceBook(starts_at_us)
        self._spend: Counter[str] = Counter()
        self._counts: Counter[str] = Counter()
        self._events: list[Event] = []
        self._skus = sorted({row.sku for row in stream.rows})
        self._factors = {sku: case_factor(chance, sku) for sku in self._skus}

    def build(self, statement: dict[str, Any]) -> Demand:
        """The whole demand; `statement` is completed with what was derived here."""
        rows = self._stream.rows
        for row in rows:
            if row.kind == "sale":
                self._prices.see(self._stream.customers[row.customer][2], row.sku, row.at_us, row.unit_price_minor)
                self._spend[row.customer] += row.quantity * row.unit_price_minor
        self._add_orders_and_cancels(rows)
        stock = opening_stock(self._spec, rows, self._skus, self._stream.hot_skus, self._chance)
        self._add_replenishment(stock)
        self._events.sort(key=_order_of)
        master = master_data(
            self._spec,
            self._stream.customers,
            self._spend,
            self._skus,
            self._prices,
            self._addresses,
            self._chance,
            self._starts_at_us,
        )
        return Demand(
            starts_at_us=self._starts_at_us,
            ends_at_us=self._ends_at_us,
            master=master,
            opening=_limited(stock.opening, self._spec.opening.limit),
            weights={item.sku: item.weight_g for item in master.items},
            watched_skus=self._watched(stock),
            statement={**statement, **self._derived(master, stock)},
            all_events=tuple(self._events),
        )

    def _add_orders_and_cancels(self, rows: Sequence[Row]) -> None:
        """Orders first, since an invoice's rows may straddle a minute; then what moves stock, in order of time."""
        orders: dict[tuple[str, str], list[Row]] = {}
        for row in rows:
            if row.kind == "sale":
                orders.setdefault((row.customer, row.invoice), []).append(row)
        made = sorted((self._order(lines) for lines in orders.values()), key=_order_of)
        self._events.extend(made)
        spread_us = round(SPREAD_US / self._spec.compress)
        still_open = _OpenLines()
        waiting = iter(made)
        following = next(waiting, None)
        cancelled: dict[tuple[str, str, str], list[tuple[Row, int]]] = {}
        taken: dict[tuple[str, str, str], OrderEvent] = {}
        for row in rows:
            while following is not None and following.at_us <= row.at_us + spread_us:
                still_open.add(following)
                following = next(waiting, None)
            if row.kind == "cancel":
                found = still_open.take(row.customer, row.sku, -row.quantity)
                if found is None:
                    self._receive(row)
                else:
                    key = (row.invoice, found[0].customer_id, found[0].order_reference)
                    taken[key] = found[0]
                    cancelled.setdefault(key, []).append((row, found[1]))
            elif row.kind == "adjust":
                self._adjust(row)
        for key, lines in cancelled.items():
            self._events.append(self._cancel(taken[key], lines))

    def _order(self, rows: Sequence[Row]) -> OrderEvent:
        first = rows[0]
        if len(rows) > MOST_LINES:
            raise ScenarioError(f"order '{first.invoice}' has {len(rows)} lines; at most {MOST_LINES}: split it")
        chance, spec = self._chance, self._spec
        reference, channel = first.invoice, CHANNEL_OF[first.channel]
        segment, country, price_list = self._stream.customers[first.customer]
        at_us = first.at_us
        if spec.source == "file" and channel != "edi":
            at_us += chance.integer(0, round(SPREAD_US / spec.compress), "in-minute", reference)
        quotes = chance.hit(spec.clients.quote_share, "quotes", reference)
        stale = chance.hit(spec.clients.stale_price_share, "stale-price", reference)
        lines = tuple(
            self._line(row, price_list, at_us, quotes or stale, stale and place == 0) for place, row in enumerate(rows)
        )
        self._counts["orders"] += 1
        self._counts[f"orders_{channel}"] += 1
        self._counts["lines"] += len(lines)
        self._counts["units"] += sum(line.base_quantity for line in lines)
        return OrderEvent(
            at_us=at_us,
            order_reference=reference,
            customer_id=first.customer,
            segment=segment,
            channel=channel,
            currency=CURRENCY,
            fill_policy="fill_or_kill"
            if chance.hit(spec.fill_or_kill_share, "fill-or-kill", reference)
            else "fill_available",
            service="express" if chance.hit(spec.express_share, "express", reference) else "standard",
            ship_to=self._addresses.ship_to(first.customer, reference, country_code(country), channel == "marketplace"),
            lines=lines,
        )

    def _line(self, row: Row, price_list: str, at_us: int, quotes: bool, stale: bool) -> OrderLine:
        factor = self._factors[row.sku]
        cased = (
            factor is not None
            and row.quantity % factor == 0
            and self._chance.hit(self._spec.case_share, "in-cases", row.invoice, row.line_no)
        )
        price = self._prices.quotable(price_list, row.sku, row.at_us, at_us) if quotes else None
        if quotes:
            self._counts["lines_quoted" if price is not None else "lines_price_ambiguous_or_changing"] += 1
        if stale and price is not None:
            price = price * STALE_PERCENT // 100 + 1
            self._counts["orders_stale_price"] += 1
        self._counts["lines_in_cases"] += cased
        return OrderLine(
            line_no=row.line_no,
            sku=row.sku,
            quantity=row.quantity // factor if cased and factor else row.quantity,
            unit="CS" if cased else "EA",
            base_quantity=row.quantity,
            unit_price_minor=price,
        )

    def _cancel(self, order: OrderEvent, found: Sequence[tuple[Row, int]]) -> CancelEvent:
        lines: dict[tuple[int, str], int] = {}
        for row, line_no in found:
            lines[(line_no, row.sku)] = lines.get((line_no, row.sku), 0) - row.quantity
        self._counts["cancels"] += 1
        self._counts["cancelled_lines"] += len(lines)
        return CancelEvent(
            at_us=max(found[0][0].at_us, order.at_us + SECOND_US),
            cancel_reference=found[0][0].invoice,
            order_reference=order.order_reference,
            customer_id=order.customer_id,
            segment=order.segment,
            channel=order.channel,
            reason="customer changed the order",
            lines=tuple((line_no, sku, quantity) for (line_no, sku), quantity in sorted(lines.items())),
        )

    def _receive(self, row: Row) -> None:
        """A cancel of what was ordered before the file begins: the goods come back."""
        self._counts["cancel_rows_unmatched"] += 1
        self._events.append(
            ReceiptEvent(
                at_us=row.at_us,
                receipt_id=f"RET-{row.invoice}-L{row.line_no}",
                node=movement_node(self._spec, self._chance, row.sku),
                sku=row.sku,
                quantity=-row.quantity,
                reason="customer return",
            )
        )

    def _adjust(self, row: Row) -> None:
        self._counts["adjustments"] += 1
        self._events.append(
            AdjustEvent(
                at_us=row.at_us,
                adjustment_id=f"ADJ-{row.invoice}-L{row.line_no}",
                node=movement_node(self._spec, self._chance, row.sku),
                sku=row.sku,
                quantity_delta=row.quantity,
                reason="cycle count",
            )
        )

    def _add_replenishment(self, stock: Stock) -> None:
        after_us = self._spec.opening.replenish_after_us
        if after_us is None:
            return
        at_us = min(self._starts_at_us + after_us, self._ends_at_us - 1)
        for sku, units in sorted(stock.replenished.items()):
            if units > 0:
                self._counts["replenishments"] += 1
                self._events.append(
                    ReceiptEvent(
                        at_us=at_us,
                        receipt_id=f"REP-{sku}-L1",
                        node=movement_node(self._spec, self._chance, sku),
                        sku=sku,
                        quantity=units,
                        reason="replenishment",
                    )
                )

    def _watched(self, stock: Stock) -> tuple[str, ...]:
        """Skus whose stock is worth a gauge: hot ones, then scarce ones, then the most ordered, twenty in all."""
        lines = Counter(row.sku for row in self._stream.rows if row.kind == "sale")
        popular = sorted(lines, key=lambda sku: (-lines[sku], sku))
        scarce = [sku for sku in popular if sku in stock.scarce]
        return tuple(dict.fromkeys([*self._stream.hot_skus, *scarce[:10], *popular]))[:20]

    def _derived(self, master: MasterData, stock: Stock) -> dict[str, Any]:
        opening = self._spec.opening
        unknown = sorted(
            {country for _, country, _ in self._stream.customers.values() if country_code(country) == "ZZ"}
        )
        return {
            "counts": {name: self._counts[name] for name in sorted(self._counts)},
            "skus": len(self._skus),
            "customers": dict(sorted(Counter(customer.segment for customer in master.customers).items())),
            "customers_blocked": sum(customer.status == "blocked" for customer in master.customers),
            "countries_unknown": unknown,
            "prices": len(master.prices),
            "prices_ambiguous": self._prices.ambiguities,
            "opening_stock": {
                "units": {node: sum(units.values()) for node, units in stock.opening.items()},
                "cover": opening.cover,
                "cover_scarce": opening.cover_scarce,
                "scarce_skus": len(stock.scarce),
                "hot_skus": list(self._stream.hot_skus),
                "rule": "cover x demand + what negative adjustments take, split over nodes, at least `least` each",
            },
            "derived": [
                "credit limit: 1.8 x the customer's net total here, at least 50,000.00",
                "segment: top 5% by spend key, next 20% medium"
                if self._spec.source == "file"
                else "segment: 5% key, 20% medium, by keyed chance",
                "cases of 6, 12 or 24 for 60% of skus, tax category and weight by keyed chance",
            ],
        }


def _limited(opening: dict[str, dict[str, int]], limit: int | None) -> dict[str, dict[str, int]]:
    if limit is None:
        return opening
    return {node: {sku: min(units, limit) for sku, units in stock.items()} for node, stock in opening.items()}


def _order_of(event: Event) -> tuple[int, int, str]:
    """Time, then kind (stock movements, orders, cancels), then reference."""
    if isinstance(event, AdjustEvent):
        return event.at_us, 0, event.adjustment_id
    if isinstance(event, ReceiptEvent):
        return event.at_us, 0, event.receipt_id
    if isinstance(event, OrderEvent):
        return event.at_us, 1, f"{event.order_reference} {event.customer_id}"
    return event.at_us, 2, f"{event.cancel_reference} {event.order_reference}"
