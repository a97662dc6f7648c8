"""The whole house over real sockets: an order goes in at the integration's API and is invoiced, and all ends well."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from integration.live.ports import OpenGate
from integration.storage import Database
from integration.storage.tables import dispatchers
from peakproof import exits

ADDRESS = {"name": "Gift Shop", "street": "1 High Street", "city": "Leeds", "postcode": "LS1 1AA", "country": "GB"}
ORDER = {
    "customer_id": "C-1001",
    "order_reference": "PO-1",
    "currency": "GBP",
    "fill_policy": "fill_available",
    "service": "standard",
    "ship_to": ADDRESS,
    "lines": [{"line_no": 1, "sku": "22423", "quantity": 3, "unit": "EA"}],
}
WITHIN_S = 60.0


def until(ends_s: float, ask: Any, wanted: Any) -> Any:
    """What `ask` gives once that is wanted."""
    while not wanted(found := ask()):
        assert time.monotonic() < ends_s, f"not within {WITHIN_S} s; at last: {found}"
        Event().wait(0.2)
    return found


def answers(url: str) -> bool:
    try:
        httpx.get(url)
    except httpx.TransportError:
        return False
    return True


@pytest.mark.long
def test_an_order_is_invoiced_by_real_processes_and_books_agree(tmp_path: Path) -> None:
    directory = tmp_path / "run"
    arguments = ["serve", "--speed", "3600", "--port-base", "0", "--json", "--out", str(directory)]
    with subprocess.Popen(
        [sys.executable, "-m", "peakproof", *arguments], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        ends_s = time.monotonic() + WITHIN_S
        headers = {"authorization": f"Bearer {ready['channels']['portal']}", "idempotency-key": "order-1"}
        with httpx.Client(base_url=ready["integration"], headers=headers, timeout=15.0) as client:
            placed = until(ends_s, lambda: client.post("/orders", json=ORDER), lambda answer: answer.status_code == 201)
            path = f"/orders/{placed.json()['order_id']}"
            until(ends_s, lambda: client.get(path).json()["status"], lambda status: status == "invoiced")
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == exits.HOLDS
    rows = [json.loads(line) for line in (directory / "ledger.ndjson").read_text().splitlines()]
    kinds = [row["kind"] for row in rows if row["kind"] in ("order_booked", "picked", "shipped", "label", "invoice")]
    assert kinds == ["order_booked", "picked", "label", "shipped", "invoice"]
    record = json.loads((directory / "live.json").read_text())
    assert record["complete"] is True
    assert record["evidence"]["ledger"]["rows"] == len(rows)


@pytest.mark.long
def test_killed_it_leaves_no_process_of_the_house_behind(tmp_path: Path) -> None:
    """Nobody answers any more, and the dispatcher has said good-bye."""
    directory = tmp_path / "run"
    arguments = ["serve", "--port-base", "0", "--json", "--out", str(directory)]
    with subprocess.Popen(
        [sys.executable, "-m", "peakproof", *arguments], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        database = Database(f"sqlite:///{directory / 'integration.db'}", OpenGate())

        def dispatching() -> int:
            with database.read() as tx:
                return int(tx.one(select(func.count().label("n")).select_from(dispatchers)).n)

        urls = [ready["integration"], *(host["url"] for host in ready["hosts"].values())]
        ends_s = time.monotonic() + WITHIN_S
        until(ends_s, dispatching, lambda count: count == 1)
        assert [answers(url) for url in urls] == [True] * 6
        process.kill()
        until(ends_s, dispatching, lambda count: count == 0)
        until(ends_s, lambda: [answers(url) for url in urls], lambda found: not any(found))
    database.close()
    record = json.loads((directory / "live.json").read_text())
    assert record["complete"] is True


@pytest.mark.long
def test_the_integration_follows_a_business_clock_that_is_frozen_and_set_forward(tmp_path: Path) -> None:
    arguments = ["serve", "--port-base", "0", "--json", "--out", str(tmp_path / "run")]
    with subprocess.Popen(
        [sys.executable, "-m", "peakproof", *arguments], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        ends_s = time.monotonic() + WITHIN_S
        url, admin = ready["hosts"]["erp"]["url"], {"authorization": f"Bearer {ready['admin_token']}"}
        asked = {"freeze": True, "advance": "2h"}
        clock = httpx.post(f"{url}/__admin/clock", json=asked, headers=admin).json()
        assert clock["business_us"] >= ready["clock"]["business_us"] + 7_200_000_000
        headers = {"authorization": f"Bearer {ready['channels']['portal']}", "idempotency-key": "order-1"}
        with httpx.Client(base_url=ready["integration"], headers=headers, timeout=15.0) as client:
            placed = until(ends_s, lambda: client.post("/orders", json=ORDER), lambda answer: answer.status_code == 201)
        assert placed.json()["accepted_at"] == clock["business"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == exits.HOLDS
