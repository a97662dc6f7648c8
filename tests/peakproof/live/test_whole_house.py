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
