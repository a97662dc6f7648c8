"""The terms of trade behind a stream of rows: customers, items, contract prices, tax rates.

Figures: VAT rates (standard, reduced) as countries publish them; sales beyond the listed countries are exports at 0.
Credit limits, segments, cases, weights and categories are not in order files and are assumed; the statement says so.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from faker import Faker

from scenarios.events import Address
from scenarios.orderfile import CHANNEL_OF, Row
from scenarios.spec import DemandSpec
from simulators.erp.model import Customer, Item, MasterData, Price, TaxRate, Unit
from simulators.kernel.chance import Chance

CURRENCY = "GBP"
MONTH_US = 30 * 86_400_000_000
QUOTE_HOLDS_US = 120_000_000
LEAST_CREDIT_MINOR = 5_000_000
CASE_FACTORS = (6, 12, 24)
CASED_SHARE = 0.6
REDUCED_SHARE = 0.05
KEY_SHARE, MEDIUM_SHARE = 0.05, 0.20
POOL = 300
FAKER_SEED = 1
EXPORT = "EXPORT"

COUNTRIES = {
    "Australia": "AU",
    "Austria": "AT",
    "Bahrain": "BH",
    "Belgium": "BE",
    "Brazil": "BR",
    "Canada": "CA",
    "Channel Islands": "JE",
    "Cyprus": "CY",
    "Czech Republic": "CZ",
    "Denmark": "DK",
    "EIRE": "IE",
    "Finland": "FI",
    "France": "FR",
    "Germany": "DE",
    "Greece": "GR",
    "Hong Kong": "HK",
    "Iceland": "IS",
    "Ireland": "IE",
    "Israel": "IL",
    "Italy": "IT",
    "Japan": "JP",
    "Lebanon": "LB",
    "Lithuania": "LT",
    "Malta": "MT",
    "Netherlands": "NL",
    "Norway": "NO",
    "Poland": "PL",
    "Portugal": "PT",
    "RSA": "ZA",
    "Saudi Arabia": "SA",
    "Singapore": "SG",
    "Spain": "ES",
    "Sweden": "SE",
    "Switzerland": "CH",
    "USA": "US",
    "United Arab Emirates": "AE",
    "United Kingdom": "GB",
}
UNKNOWN_COUNTRY = "ZZ"
TAX_BP = {
    "GB": (2000, 500),
    "IE": (2300, 1350),
    "DE": (1900, 700),
    "FR": (2000, 550),
    "NL": (2100, 900),
    "BE": (2100, 600),
    "ES": (2100, 1000),
    "IT": (2200, 1000),
    "PT": (2300, 600),
    "AT": (2000, 1000),
    "DK": (2500, 2500),
    "SE": (2500, 1200),
    "FI": (2400, 1400),
    "PL": (2300, 800),
    "CY": (1900, 900),
    "MT": (1800, 700),
    EXPORT: (0, 0),
}


class PriceBook:
    """Contract prices per (price list, sku), dated as a stream of rows shows them.

    A price is in force from the first time it was seen until the next different one; the first, from a month before.
    Rows that show two prices at the same moment are ambiguous: the last one stands, and clients do not quote there.
    """

    def __init__(self, starts_at_us: int) -> None:
        self._since_us = starts_at_us - MONTH_US
        self._steps: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
        self._ambiguous: dict[tuple[str, str, int], bool] = {}

    def see(self, price_list: str, sku: str, at_us: int, price_minor: int) -> None:
        """Take note of a price; rows must come in order of time."""
        steps = self._steps[(price_list, sku)]
        if not steps:
            steps.append((at_us, price_minor))
            return
        if steps[-1][1] == price_minor:
            return
        if steps[-1][0] == at_us:
            self._ambiguous[(price_list, sku, at_us)] = True
            steps[-1] = (at_us, price_minor)
        else:
            steps.append((at_us, price_minor))

    def at(self, price_list: str, sku: str, at_us: int) -> int:
        """The price in force, in minor units."""
        steps = self._steps[(price_list, sku)]
        return steps[max(0, bisect_right(steps, (at_us, 1 << 62)) - 1)][1]

    def quotable(self, price_list: str, sku: str, seen_at_us: int, at_us: int) -> int | None:
        """The price to quote, unless it is ambiguous or about to change while a client may still be retrying."""
        if (price_list, sku, seen_at_us) in self._ambiguous:
            return None
        price = self.at(price_list, sku, at_us)
        return price if self.at(price_list, sku, at_us + QUOTE_HOLDS_US) == price else None

    @property
    def ambiguities(self) -> int:
        """How many (list, sku, moment) showed two prices."""
        return len(self._ambiguous)

    def entries(self) -> list[Price]:
        """The dated price entries, by list and sku."""
        entries: list[Price] = []
        for (price_list, sku), steps in sorted(self._steps.items()):
            for place, (at_us, price_minor) in enumerate(steps):
                entries.append(
                    Price(
                        price_list=price_list,
                        sku=sku,
                        unit_price_minor=price_minor,
                        valid_from_us=self._since_us if place == 0 else at_us,
                        valid_to_us=steps[place + 1][0] if place + 1 < len(steps) else None,
                        currency=CURRENCY,
                        updated_at_us=self._since_us,
                    )
                )
        return entries


@dataclass(frozen=True)
class _Pool:
    """Names and addresses to choose from."""

    companies: tuple[str, ...]
    places: tuple[tuple[str, str, str], ...]
    people: tuple[str, ...]


@cache
def _pool() -> _Pool:
    """Made by Faker once per process, because Faker is slow, and the same for all seeds, which choose from it."""
    faker = Faker("en_GB")
    faker.seed_instance(FAKER_SEED)
    companies = tuple(faker.company() for _ in range(POOL))
    places = tuple((faker.street_address().replace("\n", ", "), faker.city(), faker.postcode()) for _ in range(POOL))
    return _Pool(companies, places, tuple(faker.name() for _ in range(POOL)))


class AddressBook:
    """Who trades under which name and lives where, by keyed chance from a pool."""

    def __init__(self, chance: Chance) -> None:
        self._chance = chance
        pool = _pool()
        self._companies, self._places, self._people = pool.companies, pool.places, pool.people

    def company(self, customer_id: str) -> str:
        """The name that a customer trades under."""
        return self._chance.choose(self._companies, "company", customer_id)

    def ship_to(self, customer_id: str, order_reference: str, country: str, consumer: bool) -> Address:
        """A customer's own address; for consumers, who buy through one account, one per order."""
        key = (customer_id, order_reference) if consumer else (customer_id,)
        street, city, postcode = self._chance.choose(self._places, "place", *key)
        name = self._chance.choose(self._people, "person", *key) if consumer else self.company(customer_id)
        return Address(name, street, city, postcode, country)


def country_code(country: str) -> str:
    """ISO 3166-1 alpha-2 of a country's name or code as order files write it; ZZ for an unknown one."""
    if len(country) == 2 and country.isascii() and country.isalpha():
        return country.upper()
    return COUNTRIES.get(country, UNKNOWN_COUNTRY)


def account_of(row: Row) -> str:
    """The customer of a row; rows without one go to an account of their channel."""
    return row.customer or f"ACCT-{CHANNEL_OF[row.channel].upper()}"


def case_factor(chance: Chance, sku: str) -> int | None:
    """How many base units a case of the item holds, where it comes in cases."""
    return chance.choose(CASE_FACTORS, "case-factor", sku) if chance.hit(CASED_SHARE, "cased", sku) else None


def items(skus: Iterable[str], chance: Chance, since_us: int) -> list[Item]:
    """One item per sku: units, weight (g) and tax category by keyed chance."""
    made: list[Item] = []
    for sku in skus:
        factor = case_factor(chance, sku)
        units = (Unit("EA", 1),) if factor is None else (Unit("EA", 1), Unit("CS", factor))
        category = "reduced" if chance.hit(REDUCED_SHARE, "tax-category", sku) else "standard"
        made.append(
            Item(
                sku=sku,
                description=f"Article {sku}",
                tax_category=category,
                units=units,
                weight_g=chance.integer(50, 1_500, "weight", sku),
                updated_at_us=since_us,
            )
        )
    return made


def tax_rates(since_us: int) -> list[TaxRate]:
    """All rates of all jurisdictions, in basis points."""
    return [
        TaxRate(jurisdiction=jurisdiction, tax_category=category, rate_bp=rate_bp, updated_at_us=since_us)
        for jurisdiction, rates in sorted(TAX_BP.items())
        for category, rate_bp in zip(("standard", "reduced"), rates, strict=True)
    ]


def customers_of_file(rows: Sequence[Row]) -> dict[str, tuple[str, str, str]]:
    """Id to (segment, country, price list): segments by spend, the top 5% key and the next 20% medium accounts."""
    spend: dict[str, int] = defaultdict(int)
    country: dict[str, str] = {}
    for row in rows:
        if row.kind == "sale":
            customer = account_of(row)
            spend[customer] += row.quantity * row.unit_price_minor
            country.setdefault(customer, row.country)
    ranked = sorted(spend, key=lambda customer: (-spend[customer], customer))
    segments = {}
    for rank, customer in enumerate(ranked):
        part = rank / len(ranked)
        segments[customer] = "key" if part < KEY_SHARE else "medium" if part < KEY_SHARE + MEDIUM_SHARE else "small"
    return {customer: (segments[customer], country[customer], f"PL-{customer}") for customer in sorted(spend)}


def master_data(
    spec: DemandSpec,
    customers: Mapping[str, tuple[str, str, str]],
    spend_minor: Mapping[str, int],
    skus: Sequence[str],
    prices: PriceBook,
    addresses: AddressBook,
    chance: Chance,
    starts_at_us: int,
) -> MasterData:
    """What the ERP is opened with. `spend_minor` is each customer's net total over the whole stream."""
    since_us = starts_at_us - MONTH_US
    made = []
    for customer_id, (segment, country, price_list) in customers.items():
        code = country_code(country)
        generous_minor = max(LEAST_CREDIT_MINOR, spend_minor.get(customer_id, 0) * 18 // 10)
        tight = chance.hit(spec.tight_credit_share, "tight-credit", customer_id)
        made.append(
            Customer(
                customer_id=customer_id,
                name=addresses.company(customer_id),
                segment=segment,
                country=code,
                tax_jurisdiction=code if code in TAX_BP else EXPORT,
                price_list=price_list,
                credit_limit_minor=spend_minor.get(customer_id, 0) // 2 if tight else generous_minor,
                currency=CURRENCY,
                status="blocked" if chance.hit(spec.blocked_share, "blocked", customer_id) else "active",
                updated_at_us=since_us,
            )
        )
    return MasterData(made, items(skus, chance, since_us), prices.entries(), tax_rates(since_us))
