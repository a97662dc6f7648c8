"""Writes a small made-up run directory with every kind of evidence, so that reports are tested without running a world.

Order 3 (`C-003/PO-0003`) is the interesting one: its first release lost its reply, was tried again with a new key, and
shipped twice. All other orders go the usual way: accepted, booked, released, picked, shipped, invoiced.
"""

import hashlib
import math
import random
from pathlib import Path
from typing import Any

import orjson

DAY_START_US = 1_795_737_600_000_000  # 2026-11-27T00:00:00Z
MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US
SKUS = [f"SKU-{number:03d}" for number in range(12)]
FAULTS: list[dict[str, Any]] = [
    {"fault": "erp-outage", "kind": "outage", "target": "erp", "from": 11.0, "to": 11.5},
    {"fault": "lost-release-replies", "kind": "reply_lost", "target": "integration→wms-east", "from": 9.0, "to": 14.0},
    {"fault": "short-picks", "kind": "short_pick", "target": "wms-west", "from": 13.0, "to": 16.0},
    {"fault": "slow-carrier", "kind": "slowdown", "target": "carrier", "from": 15.0, "to": 15.75},
]


class FakeRun:
    """Collects rows per kind and writes the directory at the end."""

    def __init__(self, orders: int, seed: int = 42) -> None:
        self.rows: dict[str, list[dict[str, Any]]] = {
            kind: [] for kind in ("operations", "ledger", "exchanges", "faults", "gauges", "final", "facts")
        }
        self.random = random.Random(seed)
        self.orders = orders
        self.shipped: dict[str, int] = dict.fromkeys(SKUS, 0)

    def row(self, kind: str, /, **columns: Any) -> None:
        self.rows[kind].append({"seq": len(self.rows[kind]) + 1, **columns})

    def play(self) -> None:
        for fault in FAULTS:
            self.row(
                "faults",
                event="window",
                from_us=DAY_START_US + int(fault["from"] * HOUR_US),
                to_us=DAY_START_US + int(fault["to"] * HOUR_US),
                **{name: fault[name] for name in ("fault", "kind", "target")},
            )
        for number in range(1, self.orders + 1):
            self._order(number)
        self._gauges()

    def _order(self, number: int) -> None:
        at_us = DAY_START_US + int(self._hour(number) * HOUR_US)
        order = {"customer_id": f"C-{number % 40:03d}", "order_reference": f"PO-{number:04d}"}
        trace = hashlib.md5(str(number).encode()).hexdigest()
        lines = [
            {"line_no": line, "sku": SKUS[(number * line) % len(SKUS)], "quantity": self.random.randint(1, 12)}
            for line in range(1, self.random.randint(2, 6))
        ]
        node = ("wms-east", "wms-west", "threepl")[number % 3] if number != 3 else "wms-east"
        accepted_us = self._place(number, at_us, order, trace, lines)
        booked_us = max(accepted_us + self._seconds(2, 30), self._after_outage(accepted_us))
        self._post("erp", "/sales-orders", booked_us, trace, number)
        self._book("erp", "order_booked", booked_us, order, trace, business_key=f"SO-{number:05d}", status="open")
        released_us = booked_us + self._seconds(5, 120)
        if number == 3:
            self._lost_release(released_us, order, trace, lines)
            released_us += 40_000_000
        self._fulfill(number, released_us, order, trace, lines, node)
        self._final(number, order, lines)

    def _hour(self, number: int) -> float:
        if number == 3:
            return 10.1
        peak = self.random.choice((10.5, 14.2, 14.2, 17.0))
        return min(23.5, max(0.1, self.random.gauss(peak, 2.4)))

    def _seconds(self, low: float, high: float) -> int:
        return int(self.random.uniform(low, high) * 1_000_000)

    def _after_outage(self, at_us: int) -> int:
        start_us, end_us = DAY_START_US + 11 * HOUR_US, DAY_START_US + int(11.5 * HOUR_US)
        return end_us + self._seconds(1, 600) if start_us <= at_us < end_us else at_us

    def _place(self, number: int, at_us: int, order: dict[str, Any], trace: str, lines: list[dict[str, Any]]) -> int:
        busy = 1 + 2 * math.exp(-(((at_us - DAY_START_US) / HOUR_US - 14) ** 2) / 4)
        took_us = int(self.random.lognormvariate(11.2, 0.5) * busy)
        answer = [
            {**line, "ordered": line["quantity"], "confirmed": line["quantity"], "backordered": 0} for line in lines
        ]
        common = {
            **order,
            "client": f"portal-{number % 5}",
            "channel": ("portal", "edi", "marketplace")[number % 3],
            "operation": "place_order",
            "segment": "retail",
            "key": f"key-{number}",
            "correlation_id": trace,
            "lines": lines,
        }
        attempt = 1
        if number % 50 == 3:
            self.row(
                "operations",
                **common,
                attempt=1,
                invoked_at_us=at_us,
                completed_at_us=at_us + 10_000_000,
                outcome="info",
                detail="time-out after 10 s",
            )
            at_us, attempt = at_us + 12_000_000, 2
        self.row(
            "operations",
            **common,
            attempt=attempt,
            invoked_at_us=at_us,
            completed_at_us=at_us + took_us,
            outcome="ok",
            status=201,
            order_id=f"ord-{number:06d}-9f3a",
            order_status="accepted",
            order_version=1,
            answer_lines=answer,
            replayed=attempt == 2,
        )
        self._exchange("portal", "integration", "/orders", at_us, took_us, trace, status=201)
        return at_us + took_us

    def _exchange(
        self, source: str, target: str, route: str, at_us: int, took_us: int, trace: str, **more: Any
    ) -> None:
        self.row(
            "exchanges",
            source=source,
            target=target,
            method="POST",
            path=route,
            route=route,
            correlation_id=trace,
            attempt=1,
            sent_at_us=at_us,
            arrived_at_us=at_us + 10_000,
            handled_at_us=at_us + took_us - 10_000,
            completed_at_us=at_us + took_us,
            copy=0,
            **{"outcome": "answered", **more},
        )

    def _post(self, host: str, route: str, at_us: int, trace: str, number: int) -> None:
        if host == "erp" and number % 25 == 0:
            self._exchange(
                "integration", host, route, at_us - 9_000_000, 5_000_000, trace, outcome="refused", fault="erp-outage"
            )
            self._strike("erp-outage", at_us - 9_000_000, route)
        self._exchange("integration", host, route, at_us - 400_000, 800_000, trace, status=201)

    def _strike(self, fault: str, at_us: int, on: str) -> None:
        entry = next(each for each in FAULTS if each["fault"] == fault)
        self.row(
            "faults",
            fault=fault,
            kind=entry["kind"],
            target=entry["target"],
            event="strike",
            from_us=at_us,
            to_us=at_us,
            detail=f"POST {on}",
        )

    def _lost_release(self, at_us: int, order: dict[str, Any], trace: str, lines: list[dict[str, Any]]) -> None:
        """The warehouse takes the release and ships it, but the integration never hears of it."""
        self._exchange(
            "integration",
            "wms-east",
            "/releases",
            at_us,
            10_000_000,
            trace,
            outcome="timeout",
            fault="lost-release-replies",
        )
        self._strike("lost-release-replies", at_us, "/releases")
        self._fulfill(3, at_us + 200_000, order, trace, lines, "wms-east", suffix="a", tell=False)

    def _fulfill(
        self,
        number: int,
        at_us: int,
        order: dict[str, Any],
        trace: str,
        lines: list[dict[str, Any]],
        node: str,
        suffix: str = "",
        tell: bool = True,
    ) -> None:
        release, shipment = f"rel-{number:06d}{suffix}", f"shp-{number:06d}{suffix}"
        tracking, parcel = f"TRK{number:09d}{suffix.upper()}", f"par-{number:06d}{suffix}"
        if tell:
            self._exchange("integration", node, "/releases", at_us - 200_000, 400_000, trace, status=201)
        picked_us = at_us + self._seconds(1800, 14_400)
        shipped_us = picked_us + self._seconds(900, 5_400)
        common = {"business_key": release}
        for line in lines:
            self._book(node, "release_accepted", at_us, order, trace, **line, **common)
            self._book(node, "picked", picked_us, order, trace, **line, **common)
        self._book(
            "carrier",
            "label",
            picked_us + MINUTE_US,
            order,
            trace,
            business_key=parcel,
            parcel_id=parcel,
            tracking_number=tracking,
            amount_minor=695,
            currency="GBP",
        )
        for line in lines:
            self.shipped[line["sku"]] += line["quantity"]
            self._book(
                node,
                "shipped",
                shipped_us,
                order,
                trace,
                **{**line, "quantity": -line["quantity"]},
                **common,
                shipment_id=shipment,
            )
        self._webhook(node, shipped_us, trace)
        invoiced_us = shipped_us + self._seconds(30, 900)
        for line in lines:
            self._book("erp", "shipment_confirmed", invoiced_us - 9_000_000, order, trace, **line, shipment_id=shipment)
        self._book(
            "erp",
            "invoice",
            invoiced_us,
            order,
            trace,
            business_key=f"INV-{number:05d}{suffix}",
            shipment_id=shipment,
            amount_minor=123_456,
            currency="GBP",
        )

    def _webhook(self, node: str, at_us: int, trace: str) -> None:
        self._exchange(
            node,
            "integration",
            "/webhooks/{partner}",
            at_us + 500_000,
            120_000,
            trace,
            status=204,
            event_type="release.shipped",
        )

    def _book(self, partner: str, kind: str, at_us: int, order: dict[str, Any], trace: str, **columns: Any) -> None:
        self.row("ledger", partner=partner, kind=kind, at_us=at_us, correlation_id=trace, **order, **columns)

    def _final(self, number: int, order: dict[str, Any], lines: list[dict[str, Any]]) -> None:
        self.row(
            "final",
            read="order",
            at_us=DAY_START_US + 30 * HOUR_US,
            status=200,
            **order,
            order_id=f"ord-{number:06d}-9f3a",
            order_status="invoiced",
            order_version=9,
            lines=[],
        )

    def _gauges(self) -> None:
        for step in range(30 * 12):
            hour = step / 12
            at_us = DAY_START_US + step * 5 * MINUTE_US
            load = math.exp(-((hour - 14) ** 2) / 14)
            outage = max(0.0, 1 - abs(hour - 11.5) / 0.6) * 180
            depth = {
                "erp": 20 * load + outage,
                "wms-east": 9 * load,
                "wms-west": 7 * load,
                "threepl": 30 * load,
                "carrier": 12 * load + (60 if 15 <= hour <= 15.75 else 0),
            }
            for lane, value in depth.items():
                self._gauge(
                    at_us, "integration", "queue_depth", round(value * self.random.uniform(0.8, 1.2)), location=lane
                )
            self._gauge(at_us, "erp", "utilization", 0.0 if 11 <= hour < 11.5 else min(1, 0.1 + 0.8 * load))
            self._gauge(at_us, "erp", "calls_waiting", round(14 * load))
            for node in ("wms-east", "wms-west"):
                self._gauge(at_us, node, "pickers_busy", min(24, round(4 + 26 * load)))
                self._gauge(at_us, node, "pick_queue", max(0, round(120 * load * math.sin(step / 3) + 130 * load)))
                for index, sku in enumerate(SKUS[:6]):
                    left = 4000 - (300 + 90 * index) * hour / 3 + (2500 if hour > 18 else 0)
                    self._gauge(at_us, node, "stock", round(max(0, left)), sku=sku)

    def _gauge(self, at_us: int, source: str, name: str, value: float, sku: str = "", location: str = "") -> None:
        self.row("gauges", at_us=at_us, source=source, name=name, sku=sku, location=location, value=value)


CHECKS = {
    "idempotent_reply": "per key at most one order exists, and every answer for a key is the same",
    "at_most_once": "per order line no more was released, shipped or invoiced than was ordered",
    "nothing_lost": "each accepted line ends shipped, cancelled or declared short by a partner's own booking",
    "no_oversell": "no acceptance promised more than could have been in stock",
    "ledgers_agree": "what the ERP invoiced is what the warehouses shipped and what the carrier's parcels held",
    "poison_is_parked": "a message that can never succeed does not hold up those behind it",
}
TWICE = {
    "customer_id": "C-003",
    "order_reference": "PO-0003",
    "line_no": 1,
    "sku": "SKU-003",
    "ordered": 6,
    "shipped": 12,
}


def verdict(outcome: str, exit_code: int) -> dict[str, Any]:
    """A verdict of the shape of run.json: one violated check when `outcome` is violated, else all hold."""
    checks = [
        {
            "name": name,
            "holds_when": words,
            "outcome": "holds",
            "examined": 1234,
            "violations": 0,
            "counterexamples": [],
            "seconds": 0.25,
        }
        for name, words in CHECKS.items()
    ]
    if outcome == "violated":
        checks[1] |= {"outcome": "violated", "violations": 2, "counterexamples": [TWICE]}
    if outcome == "broken":
        checks[5] |= {"name": "stock_conserved", "outcome": "violated", "violations": 1, "judges": "simulators"}
    if outcome in {"violated", "inconclusive"}:
        checks[5] |= {"outcome": "inconclusive", "examined": 0}
    return {
        "outcome": outcome,
        "exit_code": exit_code,
        "checks": checks,
        "metrics": [
            {
                "name": "acknowledgement_time",
                "clock": "protocol",
                "unit": "ms",
                "summary": "from asking to the first answer",
                "values": {"p(50)": 74.2, "p(95)": 412.0, "p(99)": 803.5, "max": 2210.0, "count": 2000},
            },
            {
                "name": "order_cycle_time",
                "clock": "business",
                "unit": "min",
                "summary": "from acceptance to shipment",
                "values": {"p(50)": 182.0, "p(95)": 301.0, "max": 330.0, "count": 2000},
            },
            {
                "name": "fill_rate",
                "clock": "count",
                "unit": "ratio",
                "summary": "units shipped of units ordered",
                "values": {"rate": 0.9871, "count": 31000},
            },
            {
                "name": "queue_depth",
                "clock": "business",
                "unit": "messages",
                "summary": "messages waiting in the integration, per lane",
                "values": {"max": 184.0, "avg": 11.5},
                "groups": {"erp": {"max": 184.0, "avg": 11.5}, "carrier": {"max": 84.0, "avg": 6.25}},
            },
        ],
        "thresholds": [
            {"metric": "acknowledgement_time", "expression": "p(95)<800", "observed": 412.0, "holds": True},
            {"metric": "fill_rate", "expression": "rate>0.99", "observed": 0.9871, "holds": exit_code == 0},
        ],
    }


def write_fake_run(directory: Path, orders: int = 12, outcome: str | None = "violated", exit_code: int = 1) -> Path:
    """Writes the directory and returns it; `outcome=None` leaves out the verdict, as an interrupted run does."""
    fake = FakeRun(orders)
    fake.play()
    directory.mkdir(parents=True, exist_ok=True)
    for kind, rows in fake.rows.items():
        (directory / f"{kind}.ndjson").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    run = {
        "name": "peak-season",
        "seed": 7,
        "versions": {"peakproof": "0.1.0", "python": "3.11.2"},
        "scenario": {
            "name": "peak-season",
            "summary": "A 24-hour peak day at three times the usual load",
            "duration": "24h",
            "faults": FAULTS,
        },
        "started_at_us": DAY_START_US,
        "load_ended_at_us": DAY_START_US + 24 * HOUR_US,
        "healed_at_us": DAY_START_US + 24 * HOUR_US,
        "quiet_at_us": DAY_START_US + 29 * HOUR_US,
        "ended_at_us": DAY_START_US + 30 * HOUR_US,
        "complete": outcome is not None,
        "digest": "ab" * 32,
        "evidence": {kind: {"rows": len(rows), "sha256": "00" * 32} for kind, rows in fake.rows.items()},
        "demand": {
            "source": "generated",
            "profile": "retail_peak",
            "orders": orders,
            "multiplier": 3.0,
            "channels": {"portal": 0.5, "edi": 0.3, "marketplace": 0.2},
        },
        "verdict": verdict(outcome, exit_code) if outcome else None,
        "wall_seconds": {"run": 12.5, "judge": 2.25},
    }
    (directory / "run.json").write_bytes(orjson.dumps(run, option=orjson.OPT_INDENT_2))
    return directory
