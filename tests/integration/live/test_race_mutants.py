"""Races that SQLite hides are caught on PostgreSQL under concurrent orders, by the check that judges every run."""

import itertools
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from random import Random

import pytest

from integration.live.ports import WallClock, gate_for
from integration.process.inventory import Inventory
from integration.process.reference import ReferenceSync
from integration.storage import Database
from integration.storage.schema import migrate
from scenarios.mutants.racing import RACES, place_of
from scenarios.verdict import CheckResult
from tests.benchmarks.intake import Books
from tests.integration.live.house import House, an_order, environment, free_port, house, wait_until
from tests.integration.live.partners import CUSTOMERS, SKUS
from tests.scenarios.evidence import Evidence

pytestmark = pytest.mark.long

ON_HAND, ORDERS, CALLERS, PROCESSES = 60, 150, 12, 2
HOT = SKUS[0]
NOBODY = "http://127.0.0.1:9"


def prepare(url: str) -> None:
    """Reference data, and sixty units of one article in one warehouse."""
    migrate(url)
    database = Database(url, gate_for(url), busy_timeout_ms=5_000)
    ReferenceSync(database, WallClock(), Books()).synchronize()
    inventory = Inventory(WallClock(), 0)
    for node, quantity in (("wms-east", ON_HAND), ("wms-west", 0), ("threepl", 0)):
        with database.write() as tx:
            inventory.take_snapshot(tx, node, 1, [{"sku": HOT, "on_hand": quantity, "held": 0}])
    database.close()


def sell(url: str, directory: Path, parts: str) -> CheckResult:
    """Everybody orders the same article at once, at two processes; what `no_oversell` says of it."""
    prepare(url)
    evidence = Evidence(directory)
    evidence.move("opening", HOT, ON_HAND, -10)
    began = time.monotonic()

    def place(made: House, number: int) -> tuple[str, float, float, int]:
        reference = f"PO-{number}"
        order = an_order(reference, Random(number)) | {
            "customer_id": CUSTOMERS[number % len(CUSTOMERS)], "fill_policy": "fill_or_kill",
            "lines": [{"line_no": 1, "sku": HOT, "quantity": 1, "unit": "EA"}],
        }  # fmt: skip
        invoked = time.monotonic() - began
        status, _, _ = made.call("POST", "/orders", order, idempotency_key=reference, timeout=30)
        return reference, invoked, time.monotonic() - began, status

    with ExitStack() as stack:
        houses = []
        for _ in range(PROCESSES):
            port = free_port()
            told = environment(url, NOBODY, f"http://127.0.0.1:{port}") | {"PEAKPROOF_PARTS": parts}
            houses.append(stack.enter_context(house(told, port, directory / "log", "api")))
        wait_until(lambda: all(made.answers() for made in houses), 40, "both processes answer")
        crowd = stack.enter_context(ThreadPoolExecutor(CALLERS))
        answers = list(crowd.map(place, itertools.cycle(houses), range(ORDERS)))
    for reference, invoked, completed, status in answers:
        assert status in (201, 409), f"{reference} was answered {status}"
        if status == 201:
            evidence.order(reference, [(1, HOT, 1)], invoked, took=completed - invoked)
        else:
            evidence.attempt(reference, [(1, HOT, 1)], invoked, took=completed - invoked, outcome="fail", status=409)
    return evidence.check("no_oversell")


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres_url"))
    return f"sqlite:///{tmp_path}/shop.db"


@pytest.mark.parametrize("race", RACES)
def test_a_race_is_caught_on_postgresql_and_hidden_by_sqlite(url: str, tmp_path: Path, race: str) -> None:
    result = sell(url, tmp_path, place_of(RACES[race]))
    assert result.name in RACES[race].caught_by
    if url.startswith("sqlite"):
        assert (result.outcome, result.examined, result.violations) == ("holds", ON_HAND, 0)
    else:
        assert (result.outcome, result.counterexamples[0]["kind"]) == ("violated", "oversold")
        assert result.examined > ON_HAND


def test_the_product_sells_the_last_unit_and_no_more(url: str, tmp_path: Path) -> None:
    result = sell(url, tmp_path, "")
    assert (result.outcome, result.examined, result.violations) == ("holds", ON_HAND, 0)
