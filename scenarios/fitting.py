"""Fits a demand profile to an order file, and reads and writes profiles.

A profile is figures only: no invoice, customer or article of the file is in it. Skus become SKU-0001 and so on by how
often they are ordered. Distributions are empirical, `[value, count]` pairs, because two years of a wholesaler's orders
show that fitted curves mislead: Zipf(1) overstates contention about five times and uniform skus hide it.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from statistics import median_low
from typing import Any

from scenarios.errors import ProfileError, nearest
from scenarios.orderfile import CHANNEL_OF, OrderFile, Row

PROFILES = Path(__file__).parent / "profiles"
MINUTE_US = 60_000_000
DAY_US = 86_400_000_000
QUICK_US = 10 * MINUTE_US
MOST_COMMON_QUANTITIES = 60

Pairs = tuple[tuple[int, int], ...]
"""Values with their counts, by value."""


@dataclass(frozen=True, slots=True)
class ChannelProfile:
    """One channel: its share of orders, lines per order, units per line, and orders that come in the same minute."""

    orders: int
    lines: Pairs
    quantities: Pairs
    batch_orders: Pairs


@dataclass(frozen=True, slots=True)
class Profile:
    """What a file of orders looks like. Shares are of orders; `skus` are (id, lines, usual price in minor units)."""

    name: str
    source: str
    days: int
    orders: int
    hours: tuple[int, ...]
    channels: Mapping[str, ChannelProfile]
    skus: tuple[tuple[str, int, int], ...]
    countries: tuple[tuple[str, int], ...]
    orders_per_customer: Pairs
    quick_repeat_share: float
    repeated_line_share: float
    cancel_invoices_per_order: float
    cancelled_line_share: float
    adjustments_per_day: float
    adjustments: Pairs


def fit(file: OrderFile, name: str, source: str) -> Profile:
    """The profile of a file. ProfileError when it holds no sale."""
    sales = [row for row in file.rows if row.kind == "sale"]
    if not sales:
        raise ProfileError(f"profile '{name}': the file holds no sale rows to fit to; give one that does")
    orders = _by_invoice(sales)
    cancels = [row for row in file.rows if row.kind == "cancel"]
    adjusts = [row for row in file.rows if row.kind == "adjust"]
    days = len({row.at_us // DAY_US for row in sales})
    return Profile(
        name=name,
        source=source,
        days=days,
        orders=len(orders),
        hours=_hours(orders),
        channels={CHANNEL_OF[kind]: _channel(orders, kind) for kind in CHANNEL_OF},
        skus=_skus(sales),
        countries=tuple(Counter(lines[0].country for lines in orders).most_common()),
        orders_per_customer=_pairs(Counter(lines[0].customer for lines in orders if lines[0].customer).values()),
        quick_repeat_share=round(_quick_repeats(orders) / len(orders), 4),
        repeated_line_share=round(sum(_repeats_sku(lines) for lines in orders) / len(orders), 4),
        cancel_invoices_per_order=round(len({row.invoice for row in cancels}) / len(orders), 4),
        cancelled_line_share=round(len(cancels) / len(sales), 4),
        adjustments_per_day=round(len(adjusts) / days, 2),
        adjustments=_pairs(row.quantity for row in adjusts),
    )


def _by_invoice(sales: Sequence[Row]) -> list[list[Row]]:
    grouped: dict[str, list[Row]] = defaultdict(list)
    for row in sales:
        grouped[row.invoice].append(row)
    return list(grouped.values())


def _pairs(values: Iterable[int]) -> Pairs:
    return tuple(sorted(Counter(values).items()))


def _hours(orders: Sequence[Sequence[Row]]) -> tuple[int, ...]:
    counts = Counter(lines[0].at_us % DAY_US // (60 * MINUTE_US) for lines in orders)
    return tuple(counts[hour] for hour in range(24))


def _channel(orders: Sequence[Sequence[Row]], kind: str) -> ChannelProfile:
    own = [lines for lines in orders if lines[0].channel == kind]
    quantities = Counter(row.quantity for lines in own for row in lines)
    together = Counter(lines[0].at_us // MINUTE_US for lines in own)
    return ChannelProfile(
        orders=len(own),
        lines=_pairs(len(lines) for lines in own),
        quantities=tuple(sorted(quantities.most_common(MOST_COMMON_QUANTITIES))),
        batch_orders=_pairs(together.values()),
    )


def _skus(sales: Sequence[Row]) -> tuple[tuple[str, int, int], ...]:
    """(id, lines, usual price), the most ordered first; the low median is a price that was really asked."""
    lines = Counter(row.sku for row in sales)
    prices: dict[str, list[int]] = defaultdict(list)
    for row in sales:
        prices[row.sku].append(row.unit_price_minor)
    ranked = sorted(lines.items(), key=lambda entry: (-entry[1], entry[0]))
    return tuple(
        (f"SKU-{rank:04d}", count, median_low(prices[sku])) for rank, (sku, count) in enumerate(ranked, start=1)
    )


def _quick_repeats(orders: Sequence[Sequence[Row]]) -> int:
    """Orders that follow another one of the same customer within ten minutes."""
    last: dict[str, int] = {}
    repeats = 0
    for lines in sorted(orders, key=lambda lines: lines[0].at_us):
        customer, at_us = lines[0].customer, lines[0].at_us
        if customer:
            repeats += customer in last and at_us - last[customer] <= QUICK_US
            last[customer] = at_us
    return repeats


def _repeats_sku(lines: Sequence[Row]) -> bool:
    return len({row.sku for row in lines}) < len(lines)


def write_profile(profile: Profile, path: Path) -> None:
    """As compact JSON, one distribution a line, so that a changed figure shows as a changed line."""
    fields: dict[str, Any] = {name: getattr(profile, name) for name in Profile.__slots__}
    fields["channels"] = {
        channel: {name: getattr(figures, name) for name in ChannelProfile.__slots__}
        for channel, figures in profile.channels.items()
    }
    lines = [f'"{name}": {json.dumps(value, separators=(",", ":"))}' for name, value in fields.items()]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def is_own(profile: str) -> bool:
    """Whether a profile is one of the product's, by name."""
    return (PROFILES / f"{profile}.json").is_file()


def read_profile(name_or_path: str) -> Profile:
    """A profile of the product by name, or one in a file. ProfileError when it is missing or malformed."""
    path = PROFILES / f"{name_or_path}.json" if is_own(name_or_path) else Path(name_or_path)
    if not path.is_file():
        names = [file.stem for file in sorted(PROFILES.glob("*.json"))]
        raise ProfileError(f"no demand profile '{name_or_path}', and no such file{nearest(name_or_path, names)}")
    try:
        return _parsed(path.read_text(encoding="utf-8"))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ProfileError(
            f"is no demand profile ({error}); write one with fitting.write_profile", file=str(path)
        ) from error


@lru_cache(maxsize=8)
def _parsed(text: str) -> Profile:
    """A profile's text, read once: a process that plays many seeds asks for the same one."""
    return _profile(json.loads(text))


def _profile(fields: Mapping[str, Any]) -> Profile:
    channels = {
        channel: ChannelProfile(
            orders=int(figures["orders"]),
            lines=_read_pairs(figures["lines"]),
            quantities=_read_pairs(figures["quantities"]),
            batch_orders=_read_pairs(figures["batch_orders"]),
        )
        for channel, figures in fields["channels"].items()
    }
    profile = Profile(
        **{
            **fields,
            "hours": tuple(int(hour) for hour in fields["hours"]),
            "channels": channels,
            "skus": tuple((str(sku), int(lines), int(price)) for sku, lines, price in fields["skus"]),
            "countries": tuple((str(country), int(count)) for country, count in fields["countries"]),
            "orders_per_customer": _read_pairs(fields["orders_per_customer"]),
            "adjustments": _read_pairs(fields["adjustments"]),
        }
    )
    if len(profile.hours) != 24 or not profile.skus or not sum(profile.hours):
        raise ValueError("needs 24 hours with orders in some, and skus")
    return profile


def _read_pairs(pairs: Iterable[Sequence[int]]) -> Pairs:
    return tuple((int(value), int(count)) for value, count in pairs)
