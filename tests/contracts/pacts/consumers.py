"""All consumers whose expectations stand in contracts/pacts."""

from pathlib import Path

from tests.contracts.pacts import events, told  # noqa: F401 - add what is expected of webhooks and of events
from tests.contracts.pacts.carrier import CARRIER
from tests.contracts.pacts.erp import ERP
from tests.contracts.pacts.expectations import Contract, Expectation
from tests.contracts.pacts.shop import PORTAL, STOREFRONT
from tests.contracts.pacts.threepl import THREEPL
from tests.contracts.pacts.wms import WMS

PACTS = Path(__file__).parents[3] / "contracts" / "pacts"
CONTRACTS: tuple[Contract, ...] = (ERP, WMS, THREEPL, CARRIER, STOREFRONT, PORTAL)
EXPECTATIONS: dict[Expectation, Contract] = {one: contract for contract in CONTRACTS for one in contract.expectations}
CALLS = [one for one in EXPECTATIONS if one.kind == "HTTP"]
MESSAGES = [one for one in EXPECTATIONS if one.kind == "Async"]
