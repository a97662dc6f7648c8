"""Orders that look like a fitted profile, as rows of an order file with exact times.

Every draw is keyed by what it decides (the order's number, the line), so leaving one order out changes no other one.
What the source does not show is assumed, and said in the demand's statement: batches every 45 minutes for EDI, bursts
of about five orders within two minutes for marketplaces, cancels with a lognormal lag.
"""

import csv
import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from itertools import accumulate
from pathlib import Path
from typing import Generic, TypeVar

from scenarios.fitting import ChannelProfile, Pairs, Profile
from scenarios.orderfile import CHANNEL_OF, COLUMNS, Row
from scenarios.spec import CHANNELS, DemandSpec, Flash
from simulators.kernel.chance import Chance

MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US
BATCH_EVERY_US = 45 * MINUTE_US
BURST_ORDERS = 5
BURST_SPREAD_US = 2 * MINUTE_US
QUICK_REPEAT_US = 10 * MINUTE_US
CANCEL_LAG_SIGMA = 1.0
PARTIAL_CANCEL_SHARE = 0.66
"""Share of cancelled lines that keep some of their quantity: Online Retail II, figures in its extracts' README."""
EDI_CUSTOMERS = 6
MARKETPLACES = 3
FLASH_LINES = 2
LISTS = {"small": "PL-STANDARD", "medium": "PL-MEDIUM", "key": "PL-KEY"}
DISCOUNT_PERCENT = {"PL-STANDARD": 0, "PL-MEDIUM": 8, "PL-KEY": 15}
PRICE_CHANGE_PERCENT = (-12, -8, -5, 4, 6, 10)

KIND_OF = {channel: kind for kind, channel in CHANNEL_OF.items()}
T = TypeVar("T")


class Weighted(Generic[T]):
    """Draws values by weight, given a uniform number."""

    __slots__ = ("_bounds", "_values")

    def __init__(self, pairs: Iterable[tuple[T, float]]) -> None:
        kept = [(value, weight) for value, weight in pairs if weight > 0]
        self._values = [value for value, _ in kept]
        self._bounds = list(accumulate(weight for _, weight in kept))
        if not kept:
            raise ValueError("nothing to draw from: all weights are 0")

    def at(self, uniform: float) -> T:
        """The value whose stretch of [0, 1) holds `uniform`."""
        place = bisect_right(self._bounds, uniform * self._bounds[-1])
        return self._values[min(place, len(self._values) - 1)]


@dataclass(frozen=True, slots=True)
class Stream:
    """Rows in order of time, and who is who. `customers`: id to (segment, country, price list)."""

    rows: tuple[Row, ...]
    customers: dict[str, tuple[str, str, str]]
    hot_skus: tuple[str, ...] = ()


class Generator:
    """One day's (or any stretch's) orders after a profile. `Generator(...).stream()` gives all rows."""

    def __init__(self, spec: DemandSpec, profile: Profile, chance: Chance, starts_at_us: int, duration_us: int) -> None:
        self._spec = spec
        self._profile = profile
        self._chance = chance
        self._starts_at_us = starts_at_us
        self._duration_us = duration_us
        self.orders = round(spec.orders * spec.multiplier)
        share = spec.quick_repeat_share
        self._repeat_share = profile.quick_repeat_share if share is None else share
        self._channels = Weighted((channel, getattr(spec.channels, channel)) for channel in CHANNELS)
        self._lines = {channel: Weighted(_figures(profile, channel).lines) for channel in CHANNELS}
        self._quantities = {channel: Weighted(_figures(profile, channel).quantities) for channel in CHANNELS}
        self._skus = Weighted((sku, lines) for sku, lines, _ in profile.skus[: spec.skus])
        self._prices = {sku: price for sku, _, price in profile.skus}
        self._hours = self._hour_weights()
        self._adjustments = Weighted(profile.adjustments or ((-1, 1),))
        self._pool = spec.customers or max(1, round(self.orders * _customers_per_order(profile.orders_per_customer)))
        self._activity = self._customer_weights()
        self._countries = Weighted(profile.countries)
        self._customers: dict[str, tuple[str, str, str]] = {}
        self._hot = tuple(sku for sku, _, _ in profile.skus[: spec.flash.skus]) if spec.flash else ()
        zipf = spec.flash.zipf if spec.flash else 0.0
        self._hot_draw = Weighted((sku, 1 / rank**zipf) for rank, sku in enumerate(self._hot, 1)) if self._hot else None

    def stream(self) -> Stream:
        """All rows and the customers that appear in them."""
        rows: list[Row] = []
        for number in range(self.orders):
            order = self._order(number)
            rows.extend(order)
            rows.extend(self._cancels(number, order))
        rows.extend(self._adjusts())
        rows.sort(key=lambda row: (row.at_us, row.invoice, row.line_no))
        return Stream(tuple(rows), dict(sorted(self._customers.items())), self._hot)

    def _order(self, number: int) -> list[Row]:
        flash = self._flash(number)
        channel = self._channel(number, flash)
        customer = self._customer(number, channel)
        at_us = self._flash_moment(number, flash) if flash else self._moment(number, channel)
        _, country, price_list = self._customers.setdefault(customer, self._account(customer))
        skus = self._basket(number, channel, flash)
        return [
            Row(
                f"PO-{number + 1:06d}",
                line_no,
                "sale",
                KIND_OF[channel],
                sku,
                self._quantity(number, line_no, channel, flash),
                self._price(price_list, sku, at_us),
                at_us,
                customer,
                country,
            )
            for line_no, sku in enumerate(skus, start=1)
        ]

    def _channel(self, number: int, flash: Flash | None) -> str:
        if flash is not None:
            return "marketplace" if self._chance.hit(0.5, "flash-channel", number) else "portal"
        if self._repeats(number):
            return "portal"
        return self._channels.at(self._chance.uniform("channel", number))

    def _repeats(self, number: int) -> bool:
        """Whether this order follows, within ten minutes, the one before it by number: the same customer, once more."""
        return (
            self._may_repeat(number)
            and not self._may_repeat(number - 1)
            and self._own_channel(number - 1) == "portal"
            and self._flash(number) is None
            and self._flash(number - 1) is None
        )

    def _may_repeat(self, number: int) -> bool:
        share = self._repeat_share / max(self._spec.channels.portal, 0.01)
        return number > 0 and self._chance.hit(share, "quick-repeat", number)

    def _flash(self, number: int) -> Flash | None:
        flash = self._spec.flash
        return flash if flash and self._chance.hit(flash.orders_share, "flash", number) else None

    def _own_channel(self, number: int) -> str:
        return self._channels.at(self._chance.uniform("channel", number))

    def _customer(self, number: int, channel: str) -> str:
        chance = self._chance
        if channel == "edi":
            return f"EDI-{chance.integer(1, EDI_CUSTOMERS, 'edi-customer', number):02d}"
        if channel == "marketplace":
            return f"MKT-{chance.integer(1, MARKETPLACES, 'marketplace', number):02d}"
        key = number - 1 if self._repeats(number) else number
        return f"CUST-{self._activity.at(chance.uniform('customer', key)):05d}"

    def _account(self, customer: str) -> tuple[str, str, str]:
        """Segment, country and price list: EDI partners and marketplaces are key accounts at home."""
        if not customer.startswith("CUST-"):
            return "key", "United Kingdom", LISTS["key"]
        draw = self._chance.uniform("segment", customer)
        segment = "key" if draw < 0.05 else "medium" if draw < 0.25 else "small"
        return segment, self._countries.at(self._chance.uniform("country", customer)), LISTS[segment]

    def _moment(self, number: int, channel: str) -> int:
        if self._repeats(number):
            after_us = self._chance.integer(MINUTE_US, QUICK_REPEAT_US, "quick-repeat-after", number)
            return self._within(self._portal_moment(number - 1) + after_us)
        if channel == "edi":
            moment_us = self._portal_moment(number)
            offset_us = moment_us - self._starts_at_us
            return self._within(self._starts_at_us + offset_us // BATCH_EVERY_US * BATCH_EVERY_US)
        if channel == "marketplace":
            bursts = max(1, round(self.orders * self._spec.channels.marketplace / BURST_ORDERS))
            burst = self._chance.integer(1, bursts, "burst", number)
            return self._within(
                self._drawn_moment("burst-moment", burst)
                + self._chance.integer(0, BURST_SPREAD_US, "burst-offset", number)
            )
        return self._portal_moment(number)

    def _portal_moment(self, number: int) -> int:
        return self._drawn_moment("moment", number)

    def _drawn_moment(self, place: str, key: int) -> int:
        hour = self._hours.at(self._chance.uniform(place, key))
        return self._within(
            self._starts_at_us + hour * HOUR_US + self._chance.integer(0, HOUR_US - 1, place, key, "in-hour")
        )

    def _flash_moment(self, number: int, flash: Flash) -> int:
        """Most come at once: exponential within the window, with a fifth of it as the mean."""
        late_us = self._chance.exponential_us(max(1, flash.for_us // 5), "flash-moment", number)
        return self._within(self._starts_at_us + flash.from_us + min(late_us, flash.for_us - 1))

    def _within(self, moment_us: int) -> int:
        return min(max(moment_us, self._starts_at_us), self._starts_at_us + self._duration_us - 1)

    def _hour_weights(self) -> Weighted[int]:
        """Hours after the start, weighed by the profile's hour of the day; parts of an hour weigh their part."""
        first = self._starts_at_us // HOUR_US % 24
        hours = max(1, math.ceil(self._duration_us / HOUR_US))
        whole = [
            (hour, self._profile.hours[(first + hour) % 24] * min(1.0, self._duration_us / HOUR_US - hour))
            for hour in range(hours)
        ]
        return Weighted(whole if any(weight > 0 for _, weight in whole) else [(hour, 1.0) for hour in range(hours)])

    def _customer_weights(self) -> Weighted[int]:
        counts = Weighted((orders, customers) for orders, customers in self._profile.orders_per_customer or ((1, 1),))
        return Weighted(
            (customer, counts.at(self._chance.uniform("activity", customer))) for customer in range(1, self._pool + 1)
        )

    def _basket(self, number: int, channel: str, flash: Flash | None) -> list[str]:
        chance = self._chance
        if flash is not None and self._hot_draw is not None:
            hot = self._hot_draw.at(chance.uniform("flash-sku", number))
            extra = chance.integer(0, FLASH_LINES - 1, "flash-lines", number)
            return [hot, *(self._skus.at(chance.uniform("sku", number, line)) for line in range(2, 2 + extra))]
        drawn = self._lines[channel].at(chance.uniform("lines", number))
        lines = self._spec.lines_per_order or min(drawn, self._spec.most_lines)
        return [self._skus.at(chance.uniform("sku", number, line)) for line in range(1, lines + 1)]

    def _quantity(self, number: int, line_no: int, channel: str, flash: Flash | None) -> int:
        if flash is not None:
            return self._chance.integer(1, 3, "quantity", number, line_no)
        return self._quantities[channel].at(self._chance.uniform("quantity", number, line_no))

    def _price(self, price_list: str, sku: str, at_us: int) -> int:
        """The contract price then, in minor units: the usual one less the list's discount, perhaps changed today."""
        chance = self._chance
        price = self._prices[sku] * (100 - DISCOUNT_PERCENT[price_list])
        if chance.hit(self._spec.price_change_share, "price-change", price_list, sku):
            changes_at_us = self._starts_at_us + int(
                chance.uniform("price-change-at", price_list, sku) * self._duration_us
            )
            if at_us >= changes_at_us:
                price = price * (100 + chance.choose(PRICE_CHANGE_PERCENT, "price-change-by", price_list, sku)) // 100
        return max(1, (price + 50) // 100)

    def _cancels(self, number: int, order: Sequence[Row]) -> list[Row]:
        """One or two lines of some orders are cancelled a while later, mostly in part."""
        chance = self._chance
        if not chance.hit(self._spec.cancel_share, "cancel", number):
            return []
        lag_us = chance.lognormal_us(self._spec.cancel_lag_us, CANCEL_LAG_SIGMA, "cancel-lag", number)
        at_us = self._within(order[0].at_us + max(MINUTE_US, lag_us))
        lines = min(len(order), chance.integer(1, 2, "cancel-lines", number))
        first = chance.integer(0, len(order) - lines, "cancel-first", number)
        return [
            Row(
                f"C-{row.invoice}",
                position,
                "cancel",
                row.channel,
                row.sku,
                -self._cancelled(number, row),
                row.unit_price_minor,
                at_us,
                row.customer,
                row.country,
            )
            for position, row in enumerate(order[first : first + lines], start=1)
        ]

    def _cancelled(self, number: int, row: Row) -> int:
        if row.quantity > 1 and self._chance.hit(PARTIAL_CANCEL_SHARE, "cancel-part", number, row.line_no):
            return self._chance.integer(1, row.quantity - 1, "cancel-quantity", number, row.line_no)
        return row.quantity

    def _adjusts(self) -> list[Row]:
        count = round(self._spec.adjustments_per_day * self._duration_us / DAY_US)
        chance = self._chance
        return [
            Row(
                f"ADJ-{number:05d}",
                1,
                "adjust",
                "guest",
                self._skus.at(chance.uniform("adjust-sku", number)),
                self._adjustments.at(chance.uniform("adjust-quantity", number)) or 1,
                0,
                self._drawn_moment("adjust-moment", number),
                "",
                "United Kingdom",
            )
            for number in range(1, count + 1)
        ]


def _figures(profile: Profile, channel: str) -> ChannelProfile:
    """The channel's figures, or the portal's where the profile's file had none."""
    figures = profile.channels.get(channel)
    return figures if figures and figures.lines and figures.quantities else profile.channels["portal"]


def _customers_per_order(orders_per_customer: Pairs) -> float:
    orders = sum(orders * customers for orders, customers in orders_per_customer)
    return sum(customers for _, customers in orders_per_customer) / orders if orders else 0.5


def write_order_file(rows: Iterable[Row], path: Path) -> None:
    """Rows as an order file, times to the minute as such files have them."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(COLUMNS)
        table.writerows(_cells(row) for row in rows)


def _cells(row: Row) -> list[str]:
    return [
        row.invoice,
        str(row.line_no),
        row.kind,
        row.channel,
        row.sku,
        str(row.quantity),
        f"{Decimal(row.unit_price_minor) / 100:.2f}",
        _minute(row.at_us),
        row.customer,
        row.country,
    ]


def _minute(at_us: int) -> str:
    return datetime.fromtimestamp(at_us // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M")
