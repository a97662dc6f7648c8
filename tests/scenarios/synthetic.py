"""Synthetic evidence of a clean run of any size: plain arithmetic over order numbers, no simulator, no chance.

A third of all first lines ask for one hot sku. Every order is booked, released to one of two nodes, labelled, shipped,
confirmed, invoiced and read at the end. After each hundredth another one is refused, rightly: there is none of its sku.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from tests.scenarios.evidence import SECOND, START_US, promise

NODES = ("wms-east", "wms-west")
HOT = "HOT"
GONE = "GONE"
REFUSED_EACH = 100
COLD_SKUS = 500
CUSTOMERS = 300
EVENTS = ("release.picked", "release.packed", "release.shipped", "tracking.updated", "inventory.changed")

Row = dict[str, Any]


def write_run(directory: Path, orders: int, lines_per_order: int, hot_stock: int | None = None) -> None:
    """A run directory of `orders` accepted orders, two seconds apart; `hot_stock` units of the hot sku at each node."""
    kinds = ("operations", "ledger", "exchanges", "final", "facts", "faults", "master")
    files = {kind: (directory / f"{kind}.ndjson").open("wb") for kind in kinds}
    counts = dict.fromkeys(files, 0)

    def put(kind: str, row: Row) -> None:
        counts[kind] += 1
        files[kind].write(orjson.dumps({"seq": counts[kind], **row}) + b"\n")

    try:
        stock = Stock(orders * lines_per_order, hot_stock)
        for kind, row in (*_facts(orders), *_master(), *stock.opening()):
            put(kind, row)
        for number in range(orders):
            for kind, row in _order(number, lines_per_order, stock):
                put(kind, row)
            if number % REFUSED_EACH == 0:
                put("operations", _refusal(number))
        for kind, row in stock.published():
            put(kind, row)
    finally:
        for file in files.values():
            file.close()


class Stock:
    """On hand per node and sku; every sku but the hot one opens with enough for the whole run at each node."""

    def __init__(self, plenty: int, hot: int | None) -> None:
        skus = [HOT, *(f"S{number:04d}" for number in range(COLD_SKUS))]
        self.on_hand = {(node, sku): plenty for node in NODES for sku in skus}
        if hot is not None:
            self.on_hand |= {(node, HOT): hot for node in NODES}

    def opening(self) -> Iterator[tuple[str, Row]]:
        for (node, sku), quantity in self.on_hand.items():
            yield "ledger", _stock_row(node, "opening", sku, quantity, quantity, START_US)

    def ship(self, node: str, sku: str) -> int:
        self.on_hand[node, sku] -= 1
        return self.on_hand[node, sku]

    def published(self) -> Iterator[tuple[str, Row]]:
        for (node, sku), quantity in self.on_hand.items():
            yield "final", {"read": "availability", "at_us": START_US, "sku": sku, "node": node, "available": quantity}


def _stock_row(node: str, kind: str, sku: str, quantity: int, balance: int, at_us: int) -> Row:
    return {"partner": node, "kind": kind, "location": "A", "sku": sku, "quantity": quantity, "balance": balance,
            "held_balance": 0, "at_us": at_us}  # fmt: skip


def _facts(orders: int) -> Iterator[tuple[str, Row]]:
    for node in NODES:
        yield "facts", {"fact": "node", "subject": node, "text": "wms"}
        yield "facts", {"fact": "freshness_us", "subject": node, "value": 60 * SECOND}
        yield "facts", {"fact": "label_by_carrier", "subject": node}
    end_us = START_US + (2 * orders + 100) * SECOND
    for fact in ("loaded_at_us", "healed_at_us", "quiet_at_us"):
        yield "facts", {"fact": fact, "subject": "", "value": end_us}
    for fact in ("drain_bound_us", "recovery_bound_us", "parking_bound_us"):
        yield "facts", {"fact": fact, "subject": "", "value": SECOND}
    for partner in (*NODES, "erp", "carrier"):
        yield (
            "facts",
            {"fact": "retry_budget", "text": "integration", "subject": partner, "value": 3, "value_to": SECOND},
        )


def _master() -> Iterator[tuple[str, Row]]:
    yield "master", {"record": "tax_rate", "jurisdiction": "GB", "tax_category": "standard", "tax_rate_bp": 2_000}
    for number in range(CUSTOMERS):
        customer = {"customer_id": f"C{number}", "price_list": "PL", "jurisdiction": "GB"}
        yield "master", {"record": "customer", **customer}
    for sku in (HOT, *(f"S{number:04d}" for number in range(COLD_SKUS))):
        yield "master", {"record": "item", "sku": sku, "tax_category": "standard"}
        price = {"price_list": "PL", "sku": sku, "unit_price_minor": 100, "valid_from_us": 0, "valid_to_us": None}
        yield "master", {"record": "price", **price}


def _order(number: int, lines_per_order: int, stock: Stock) -> Iterator[tuple[str, Row]]:
    at_us = START_US + 2 * number * SECOND
    node = NODES[number % 2]
    who = {
        "customer_id": f"C{number % CUSTOMERS}",
        "order_reference": f"PO-{number}",
        "correlation_id": f"{number:032x}",
    }
    lines = [
        (line_no, HOT if line_no == 1 and number % 3 == 0 else f"S{(number * 7 + line_no) % COLD_SKUS:04d}")
        for line_no in range(1, lines_per_order + 1)
    ]
    yield "operations", _attempt(number, at_us, who, lines)
    yield from _calls(node, at_us, str(number), who)
    yield from _erp(number, at_us, who, lines)
    for line_no, sku in lines:
        named = {**who, "line_no": line_no, "business_key": f"R{number}"}
        at_node = {"partner": node, "sku": sku, "quantity": 1, **named}
        for kind, late_s in (("release_accepted", 2), ("picked", 10)):
            yield "ledger", {**at_node, "kind": kind, "at_us": at_us + late_s * SECOND}
        shipped = _stock_row(node, "shipped", sku, -1, stock.ship(node, sku), at_us + 20 * SECOND)
        yield "ledger", {**shipped, **named, "shipment_id": f"R{number}.S"}
    yield from _parcel(number, at_us + 12 * SECOND, who, lines)
    told = [promise(line_no, sku, 1, shipped=1) for line_no, sku in lines]
    yield (
        "final",
        {
            "read": "order",
            "at_us": at_us + 90 * SECOND,
            "status": 200,
            **_named(who),
            "order_id": f"ord-{number}",
            "order_status": "invoiced",
            "order_version": 9,
            "lines": told,
        },
    )


def _refusal(number: int) -> Row:
    at_us = START_US + (2 * number + 1) * SECOND
    who = {
        "customer_id": f"C{number % CUSTOMERS}",
        "order_reference": f"NO-{number}",
        "correlation_id": f"f{number:031x}",
    }
    refused = {"outcome": "fail", "status": 409, "problem": "out-of-stock", "key": f"N{number}", "order_id": None,
               "order_status": None, "order_version": None, "answer_lines": None}  # fmt: skip
    return _attempt(number, at_us, who, [(1, GONE)]) | refused


def _named(who: Row) -> Row:
    return {name: who[name] for name in ("customer_id", "order_reference")}


def _attempt(number: int, at_us: int, who: Row, lines: list[tuple[int, str]]) -> Row:
    return {
        "client": "portal",
        "channel": "portal",
        "operation": "place_order",
        **who,
        "segment": "gold",
        "key": f"K{number}",
        "attempt": 1,
        "fingerprint": "f",
        "lines": [{"line_no": n, "sku": sku, "quantity": 1} for n, sku in lines],
        "invoked_at_us": at_us,
        "completed_at_us": at_us + 3 * SECOND,
        "outcome": "ok",
        "status": 201,
        "replayed": False,
        "order_id": f"ord-{number}",
        "order_status": "accepted",
        "order_version": 1,
        "answer_lines": [promise(n, sku, 1, 1) for n, sku in lines],
    }


def _calls(node: str, at_us: int, key: str, who: Row) -> Iterator[tuple[str, Row]]:
    """Seventeen exchanges per order: calls out to each partner, and the webhooks that come back."""
    routes = [("erp", "/sales-orders")] * 5 + [(node, "/releases")] * 4 + [("carrier", "/labels")] * 3
    for place, (target, route) in enumerate(routes):
        yield "exchanges", _exchange("integration", target, route, None, at_us + place * SECOND, f"{key}-{place}", who)
    for place, event in enumerate(EVENTS):
        sent_us = at_us + (20 + place) * SECOND
        yield "exchanges", _exchange(node, "integration", "/webhooks/{partner}", event, sent_us, f"w{key}-{place}", who)


def _exchange(source: str, target: str, route: str, event: str | None, at_us: int, key: str, who: Row) -> Row:
    return {
        "source": source, "target": target, "method": "POST", "path": route, "route": route, "event_type": event,
        "correlation_id": who["correlation_id"], "key": key, "attempt": 1, "sent_at_us": at_us,
        "arrived_at_us": at_us + 5_000, "handled_at_us": at_us + 9_000,
        "completed_at_us": at_us + 12_000, "status": 201, "outcome": "answered", "copy": 0,
        "request_bytes": 300, "answer_bytes": 300,
    }  # fmt: skip


def _erp(number: int, at_us: int, who: Row, lines: list[tuple[int, str]]) -> Iterator[tuple[str, Row]]:
    head = {"partner": "erp", "shipment_id": f"R{number}.S", **who}
    yield "ledger", {**head, "kind": "order_booked", "business_key": f"SO{number}", "at_us": at_us + SECOND}
    total = {"amount_minor": 120 * len(lines)}
    yield "ledger", {**head, "kind": "invoice", "business_key": f"I{number}", "at_us": at_us + 40 * SECOND, **total}
    for kind, key, late_s in (("order_line", "SO", 1), ("shipment_confirmed", "SO", 30), ("invoiced", "I", 40)):
        money = {} if kind == "shipment_confirmed" else {"amount_minor": 100, "tax_minor": 20}
        for line_no, sku in lines:
            entry = {**head, "kind": kind, "business_key": f"{key}{number}", "at_us": at_us + late_s * SECOND}
            yield "ledger", {**entry, "line_no": line_no, "sku": sku, "quantity": 1, **money}


def _parcel(number: int, at_us: int, who: Row, lines: list[tuple[int, str]]) -> Iterator[tuple[str, Row]]:
    named = {"partner": "carrier", **who, "parcel_id": f"P{number}", "tracking_number": f"T{number}"}
    yield "ledger", {**named, "kind": "label", "business_key": f"P{number}", "at_us": at_us}
    for line_no, sku in lines:
        yield "ledger", {**named, "kind": "label_line", "line_no": line_no, "sku": sku, "quantity": 1, "at_us": at_us}
    for scan in range(4):
        yield "ledger", {**named, "kind": "scan", "status": "in_transit", "at_us": at_us + (10 + scan) * SECOND}
