"""The standard test house: who trades in it and what lies on its shelves. Fixed and small.

Contracts are verified, APIs fuzzed and partners tried against these articles and accounts.
"""

from pathlib import Path

from scenarios.demand import Demand
from scenarios.spec import NODES, Scenario
from scenarios.spec import load as load_scenario
from scenarios.trade import CURRENCY, MONTH_US, tax_rates
from simulators.erp.model import Customer, Item, MasterData, Price, Unit

SCENARIO = Path(__file__).with_name("test-house.yaml")
PRICES_MINOR = {"85123A": 255, "22423": 1275, "84879": 169, "47566": 495, "20725": 165, "23084": 208}
"""Contract price per base unit of each article of the house, in pence."""
CASES = {"85123A": 6, "22423": 12, "23084": 24}
"""Articles that also come in cases, with the number of base units in one."""
UNSTOCKED = "21166"
"""An article that the ERP knows and no node has."""
OPENING = 10_000
"""Base units of each article on every node when the house opens."""
SCARCE = {"20725": 3}
"""Articles of which each node has only so many."""
CUSTOMERS = {"C-1001": ("key", "GB"), "C-1002": ("medium", "FR"), "C-1003": ("small", "GB")}
"""Segment and country of each account."""
BLOCKED = "C-1009"
"""An account that the ERP has blocked."""
CREDIT_LIMIT_MINOR = 1_000_000_000


def scenario_of_house(overrides: dict[str, str]) -> Scenario:
    """The scenario of the test house with `--set` overrides. ScenarioError when one can't be used."""
    return load_scenario(str(SCENARIO), overrides)


def demand_of_house(scenario: Scenario) -> Demand:
    """Master data and opening stock, and no event: what happens is up to whoever knocks."""
    starts_at_us, duration_us = scenario.starts_at_us, scenario.duration_us
    assert starts_at_us is not None and duration_us is not None
    since_us = starts_at_us - MONTH_US
    skus = (*PRICES_MINOR, UNSTOCKED)
    stock = {sku: SCARCE.get(sku, OPENING) for sku in PRICES_MINOR}
    return Demand(
        starts_at_us=starts_at_us,
        ends_at_us=starts_at_us + duration_us,
        master=MasterData(
            customers=_customers(since_us),
            items=[_item(sku, since_us) for sku in skus],
            prices=[_price(customer, sku, since_us) for customer in (*CUSTOMERS, BLOCKED) for sku in skus],
            tax_rates=tax_rates(since_us),
        ),
        opening={node: dict(stock) for node in NODES},
        weights=dict.fromkeys(skus, 500),
        watched_skus=tuple(PRICES_MINOR),
        statement={"source": "test house"},
        all_events=(),
    )


def _customers(since_us: int) -> list[Customer]:
    accounts = {**CUSTOMERS, BLOCKED: ("small", "GB")}
    return [
        Customer(
            customer_id=customer_id,
            name=f"Customer {customer_id}",
            segment=segment,
            country=country,
            tax_jurisdiction=country,
            price_list=f"PL-{customer_id}",
            credit_limit_minor=CREDIT_LIMIT_MINOR,
            currency=CURRENCY,
            status="blocked" if customer_id == BLOCKED else "active",
            updated_at_us=since_us,
        )
        for customer_id, (segment, country) in accounts.items()
    ]


def _item(sku: str, since_us: int) -> Item:
    cases = (Unit("CS", CASES[sku]),) if sku in CASES else ()
    return Item(sku, f"Article {sku}", "standard", (Unit("EA", 1), *cases), updated_at_us=since_us)


def _price(customer_id: str, sku: str, since_us: int) -> Price:
    return Price(
        f"PL-{customer_id}", sku, PRICES_MINOR.get(sku, 100), since_us, currency=CURRENCY, updated_at_us=since_us
    )
