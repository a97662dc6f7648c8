"""Accepted orders per second through intake on PostgreSQL, beside a floor of the same server, database, client and
number of processes, whose handler parses the request and writes it with one insert. Prints one line of JSON.

python -m tests.benchmarks.intake [SECONDS]
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any

import sqlalchemy as sa
from flask import Flask, Response, jsonify, request
from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels

from integration.live.door import Door
from integration.live.ports import OpenGate
from integration.process.inventory import Inventory
from integration.process.reference import ReferenceSync
from integration.storage import Database
from integration.storage.schema import migrate
from peakproof.live.postgres import running
from tests.benchmarks.callers import Figures, calls_per_second
from tests.integration.live.house import TOKEN, an_order, environment, free_port, wait_until
from tests.integration.live.partners import CUSTOMERS, SKUS

SECONDS = 6.0
CONNECTIONS = 8
WORKERS, THREADS = 1, 4
NODES = ("wms-east", "wms-west", "threepl")
FLOOR_TABLE = sa.table("floor", sa.column("body", sa.Text), sa.column("at_us", sa.BigInteger))
_INSERT = sa.insert(FLOOR_TABLE)


class Books:
    """Reference data as an ERP tells them."""

    def customers(self, _since: str | None) -> list[dict[str, Any]]:
        base = {"status": "active", "segment": "retail", "country": "GB", "tax_jurisdiction": "GB", "currency": "GBP",
                "price_list": "STD", "credit_limit_minor": 10**12, "credit_exposure_minor": 0,
                "updated_at": "1970-01-01T00:00:00.000000Z"}  # fmt: skip
        return [{**base, "customer_id": name, "name": name} for name in CUSTOMERS]

    def items(self, _since: str | None) -> list[dict[str, Any]]:
        base = {"description": "", "status": "active", "tax_category": "standard", "weight_g": 100,
                "units": [{"unit": "EA", "factor": 1}], "updated_at": "1970-01-01T00:00:00.000000Z"}  # fmt: skip
        return [{**base, "sku": sku} for sku in SKUS]

    def prices(self, _since: str | None) -> list[dict[str, Any]]:
        base = {"price_list": "STD", "currency": "GBP", "unit_price_minor": 100, "valid_to": None,
                "valid_from": "1970-01-01T00:00:00.000000Z", "updated_at": "1970-01-01T00:00:00.000000Z"}  # fmt: skip
        return [{**base, "sku": sku} for sku in SKUS]

    def tax_rates(self, _since: str | None) -> list[dict[str, Any]]:
        return [{"jurisdiction": "GB", "tax_category": "standard", "rate_bp": 2000,
                 "updated_at": "1970-01-01T00:00:00.000000Z"}]  # fmt: skip


class Clock:
    def now_us(self) -> int:
        return time.time_ns() // 1_000

    def steady_us(self) -> int:
        return time.monotonic_ns() // 1_000

    def sleep(self, duration_us: int) -> None:
        time.sleep(duration_us / 1_000_000)


def create_floor() -> Door:
    """The floor behind the same door; granian calls it in its worker."""
    database = Database(os.environ["PEAKPROOF_DATABASE_URL"], OpenGate())
    app = Flask("floor")

    @app.post("/orders")
    def place() -> tuple[Response, int]:
        body = request.get_json()
        with database.write() as tx:
            tx.execute(_INSERT, {"body": json.dumps(body), "at_us": time.time_ns() // 1_000})
        return jsonify(accepted=body["order_reference"]), 201

    return Door(app.wsgi_app, THREADS)


def serve(target: str, port: int) -> None:
    """Serve a target as `integration.live.api` would."""
    server: Any = Granian(target, port=port, interface=Interfaces.RSGI, workers=WORKERS,
                                  factory=True, http=HTTPModes.http1, log_level=LogLevels.critical)  # fmt: skip
    server.serve()


def requests_of(name: str, count: int) -> list[bytes]:
    """Whole requests, each an order of its own."""
    chance = Random(1)
    made = []
    for number in range(count):
        body = json.dumps(an_order(f"{name}-{number}", chance)).encode()
        head = (
            f"POST /orders HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n"
            f"Content-Type: application/json\r\nIdempotency-Key: {name}-{number}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        made.append(head.encode() + body)
    return made


def measured(target: str, told: dict[str, str], port: int, seconds: float) -> Figures:
    """What the target takes per second, warmed up."""
    command = [sys.executable, "-m", "tests.benchmarks.intake", "serve", target, str(port)]
    server = subprocess.Popen(command, env=told)
    try:
        wait_until(lambda: _answers(port), 30, f"{target} answers")
        calls_per_second(port, requests_of(f"warm {target}", 300), CONNECTIONS, 60.0)
        return calls_per_second(port, requests_of(target, round(3_000 * seconds)), CONNECTIONS, seconds)
    finally:
        server.terminate()
        server.wait(20)


def _answers(port: int) -> bool:
    try:
        return calls_per_second(port, [b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"], 1, 5.0).answers > 0
    except OSError:
        return False


def prepare(url: str) -> None:
    """A shop that can sell everything."""
    migrate(url)
    database = Database(url, OpenGate())
    clock = Clock()
    ReferenceSync(database, clock, Books()).synchronize()
    inventory = Inventory(clock, 0)
    rows = [{"sku": sku, "on_hand": 10**9, "held": 0} for sku in SKUS]
    for node in NODES:
        with database.write() as tx:
            inventory.take_snapshot(tx, node, 1, rows)
    with database.write() as tx:
        tx.execute(sa.text("CREATE TABLE floor (id BIGSERIAL PRIMARY KEY, body TEXT NOT NULL, at_us BIGINT NOT NULL)"))
    database.close()


def main(seconds: float) -> None:
    """Measure both, in turn and twice, on one durable server; print one line of JSON."""
    with tempfile.TemporaryDirectory(prefix="peakproof-bench-") as scratch, running(Path(scratch) / "data") as postgres:
        url = postgres.create("intake")
        prepare(url)
        port = free_port()
        told = environment(url, "http://127.0.0.1:9", f"http://127.0.0.1:{port}") | {
            "PEAKPROOF_API_THREADS": str(THREADS)
        }
        floors, intakes = [], []
        for _ in range(2):
            floors.append(measured("tests.benchmarks.intake:create_floor", told, port, seconds))
            intakes.append(measured("integration.live.api:create_door", told, port, seconds))
    floor, intake = max(floors, key=lambda f: f.per_second), max(intakes, key=lambda f: f.per_second)
    figures = {
        "floor_per_second": round(floor.per_second, 1),
        "accepted_per_second": round(intake.per_second, 1),
        "ratio_to_floor": round(intake.per_second / floor.per_second, 3),
        "refused": sum(found.others for found in (*floors, *intakes)),
    }
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(sys.argv[2], int(sys.argv[3]))
    else:
        main(float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS)
