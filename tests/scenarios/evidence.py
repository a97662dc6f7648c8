"""Hand-made evidence for tests: small runs written row by row, in seconds after an arbitrary start.

`Evidence` starts with one warehouse, `wms-east`, known a second after it books. `order` is what the client saw, `chain`
all that the partners book for it. Nothing here is read from a simulator.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from contracts.evidence import COLUMNS, open_run
from scenarios.verdict import CheckResult, MetricResult, judge, list_checks, prepare, run_check

START_US = 1_795_600_800_000_000
"""2026-11-25T10:00:00Z."""

SECOND = 1_000_000

Line = tuple[int, str, int]
"""line_no, sku, quantity in base units."""


def at(seconds: float) -> int:
    return START_US + round(seconds * SECOND)


class Evidence:
    """Rows per kind, and the run directory that they are written to."""

    def __init__(self, directory: Path, *, nodes: Sequence[str] = ("wms-east",), freshness_s: float = 1) -> None:
        self.directory = directory
        self.rows: dict[str, list[dict[str, Any]]] = {kind: [] for kind in COLUMNS}
        self.balances: dict[tuple[str, str], list[int]] = {}
        self._labels = 0
        for node in nodes:
            self.fact("node", subject=node, text="threepl" if node == "threepl" else "wms")
            self.fact("freshness_us", subject=node, value=round(freshness_s * SECOND))

    def row(self, table: str, **columns: Any) -> None:
        unknown = set(columns) - set(COLUMNS[table])
        assert not unknown, f"{table} has no {sorted(unknown)}"
        self.rows[table].append({"seq": len(self.rows[table]) + 1, **columns})

    def fact(self, fact: str, *, subject: str = "", value: int | None = None, **columns: Any) -> None:
        self.row("facts", fact=fact, subject=subject, value=value, **columns)

    def contract(
        self, sku: str, price: int = 100, rate_bp: int = 2_000, *, since: float = -3_600, until: float | None = None
    ) -> None:
        """What customer C1 pays for a sku from `since` until before `until`, in the ERP's own master data."""
        if not self.rows["master"]:
            self.row("master", record="customer", customer_id="C1", price_list="PL", jurisdiction="GB")
            self.row("master", record="tax_rate", jurisdiction="GB", tax_category="standard", tax_rate_bp=rate_bp)
        if not any(row.get("sku") == sku for row in self.rows["master"]):
            self.row("master", record="item", sku=sku, tax_category="standard")
        self.row(
            "master", record="price", price_list="PL", sku=sku, unit_price_minor=price,
            valid_from_us=at(since), valid_to_us=None if until is None else at(until),
        )  # fmt: skip

    def limits(self, *, calls: int = 5, pause_s: float = 1, recovery_s: float = 1_200, parking_s: float = 300) -> None:
        """The retry budgets between the integration, the ERP and a warehouse, and the bounds that go with them."""
        for sender, receiver in (("integration", "erp"), ("integration", "carrier"), ("wms-east", "integration")):
            budget = {"value": calls, "value_to": round(pause_s * SECOND)}
            self.fact("retry_budget", subject=receiver, text=sender, **budget)
        self.fact("recovery_bound_us", value=round(recovery_s * SECOND))
        self.fact("parking_bound_us", value=round(parking_s * SECOND))

    def quiet(self, seconds: float, *, loaded: float = 0, bound_s: float = 3_600) -> None:
        self.fact("loaded_at_us", value=at(loaded))
        self.fact("healed_at_us", value=at(loaded))
        self.fact("drain_bound_us", value=round(bound_s * SECOND))
        self.fact("quiet_at_us", value=at(seconds))

    def still(self, seconds: float, *, loaded: float = 0, bound_s: float = 3_600) -> None:
        """Quiet never came, yet nothing has moved since then."""
        self.fact("loaded_at_us", value=at(loaded))
        self.fact("healed_at_us", value=at(loaded))
        self.fact("drain_bound_us", value=round(bound_s * SECOND))
        self.fact("still_at_us", value=at(seconds))

    def attempt(
        self,
        reference: str,
        lines: Sequence[Line],
        seconds: float,
        *,
        took: float = 0.1,
        outcome: str = "ok",
        operation: str = "place_order",
        key: str | None = None,
        **columns: Any,
    ) -> None:
        status = {"ok": 201, "fail": 422, "info": None}[outcome]
        self.row(
            "operations",
            **{
                "operation": operation,
                "client": "portal-1",
                "channel": "portal",
                "customer_id": "C1",
                "segment": "gold",
                "order_reference": reference,
                "key": key or f"key-{reference}",
                "attempt": 1,
                "fingerprint": "f1",
                "correlation_id": f"trace-{reference}",
                "lines": [_line(line) for line in lines],
                "invoked_at_us": at(seconds),
                "completed_at_us": at(seconds + took),
                "outcome": outcome,
                "status": status,
                "replayed": False,
            }
            | columns,
        )

    def order(
        self,
        reference: str,
        lines: Sequence[Line],
        seconds: float,
        *,
        backordered: int = 0,
        **columns: Any,
    ) -> None:
        """An order that the client was answered ok; `backordered` units of each line were not confirmed."""
        answer = [promise(number, sku, asked, asked - backordered, backordered) for number, sku, asked in lines]
        said: dict[str, Any] = {
            "order_id": f"ord-{reference}",
            "order_status": "accepted",
            "order_version": 1,
            "answer_lines": answer,
        }
        self.attempt(reference, lines, seconds, **(said | columns))

    def read(self, reference: str, seconds: float, status: str, version: int) -> None:
        self.attempt(
            reference, [], seconds, operation="read_order", key="", status=200, order_id=f"ord-{reference}",
            order_status=status, order_version=version,
        )  # fmt: skip

    def final(self, reference: str, lines: Sequence[dict[str, Any]], *, status: int = 200, **columns: Any) -> None:
        self.row(
            "final",
            **{
                "read": "order",
                "at_us": at(10_000),
                "status": status,
                "customer_id": "C1",
                "order_reference": reference,
                "order_id": f"ord-{reference}",
                "order_status": "invoiced",
                "order_version": 9,
                "lines": list(lines) if status == 200 else None,
            }
            | columns,
        )

    def published(self, sku: str, available: int, node: str = "wms-east") -> None:
        self.row("final", read="availability", at_us=at(10_000), status=200, sku=sku, node=node, available=available)

    def call(self, reference: str, seconds: float, *, took: float = 0.1, attempt: int = 1, **columns: Any) -> None:
        """One call of the integration to the ERP about an order, answered 201 unless told otherwise."""
        self.row(
            "exchanges",
            **{
                "source": "integration",
                "target": "erp",
                "method": "POST",
                "path": "/sales-orders",
                "route": "/sales-orders",
                "correlation_id": f"trace-{reference}",
                "key": f"book-{reference}",
                "attempt": attempt,
                "sent_at_us": at(seconds),
                "completed_at_us": at(seconds + took),
                "status": 201,
                "outcome": "answered",
                "copy": 0,
            }
            | columns,
        )

    def subscriber(self, name: str, *types: str, since: float | None = 0) -> None:
        """Somebody who is to be told; `since` None: never subscribed."""
        for kind in types:
            self.fact("subscriber", subject=name, text=kind, value=None if since is None else at(since))

    def take(self, name: str, event: str, reference: str, seconds: float, version: int = 1, **columns: Any) -> None:
        """A subscriber takes an event of an order, signed, unless told otherwise."""
        self.book(
            name, columns.pop("kind", "event_taken"), reference, seconds,
            **{"business_key": f"evt-{event}-{reference}", "status": event, "order_id": f"ord-{reference}",
               "order_version": version, "reason": ""} | columns,
        )  # fmt: skip

    def book(self, partner: str, kind: str, reference: str, seconds: float, **columns: Any) -> None:
        named = {"customer_id": "C1", "order_reference": reference, "correlation_id": f"trace-{reference}"}
        self.row("ledger", partner=partner, kind=kind, at_us=at(seconds), **((named if reference else {}) | columns))

    def move(
        self, kind: str, sku: str, quantity: int, seconds: float, *, node: str = "wms-east", **columns: Any
    ) -> None:
        """A booking that moves stock; `quantity` is signed as in the ledger."""
        balance = self.balances.setdefault((node, sku), [0, 0])
        if kind == "hold":
            balance[1] += quantity
        elif kind == "unhold":
            balance[1] -= quantity
        else:
            balance[0] += quantity
        self.book(
            node, kind, columns.pop("reference", ""), seconds, sku=sku, quantity=quantity, location="A",
            balance=balance[0], held_balance=balance[1], **columns,
        )  # fmt: skip

    def release(self, reference: str, line: Line, seconds: float, *, node: str = "wms-east", release: str = "") -> None:
        line_no, sku, quantity = line
        self.book(
            node, "release_accepted", reference, seconds, business_key=release or f"rel-{reference}",
            line_no=line_no, sku=sku, quantity=quantity,
        )  # fmt: skip

    def ship(self, reference: str, line: Line, seconds: float, *, node: str = "wms-east", release: str = "") -> None:
        line_no, sku, quantity = line
        self.move(
            "shipped", sku, -quantity, seconds, node=node, reference=reference, line_no=line_no,
            business_key=release or f"rel-{reference}", shipment_id=f"{release or 'rel-' + reference}.S",
        )  # fmt: skip

    def erp(self, kind: str, reference: str, seconds: float, line: Line | None = None, **columns: Any) -> None:
        if line is not None:
            columns = {"line_no": line[0], "sku": line[1], "quantity": line[2]} | columns
        self.book("erp", kind, reference, seconds, **columns)

    def label(self, reference: str, line: Line, seconds: float, *, parcel: str = "", tracking: str = "") -> None:
        self._labels += 1
        named = {"parcel_id": parcel or f"par-{reference}", "tracking_number": tracking or f"T{self._labels}"}
        self.book("carrier", "label", reference, seconds, **named)
        line_no, sku, quantity = line
        self.book("carrier", "label_line", reference, seconds, line_no=line_no, sku=sku, quantity=quantity, **named)

    def chain(self, reference: str, line: Line, seconds: float) -> None:
        """Booked, released, labelled, shipped, confirmed, invoiced and read back, a second each; 1.00 each, 20% tax."""
        shipment: dict[str, Any] = {"shipment_id": f"rel-{reference}.S"}
        net = 100 * line[2]
        money: dict[str, Any] = {"amount_minor": net, "tax_minor": net // 5}
        self.erp("order_booked", reference, seconds, business_key=f"SO-{reference}")
        self.erp("order_line", reference, seconds, line, business_key=f"SO-{reference}", amount_minor=net)
        self.release(reference, line, seconds + 1)
        self.label(reference, line, seconds + 2)
        self.ship(reference, line, seconds + 3)
        self.erp("shipment_confirmed", reference, seconds + 4, line, **shipment)
        self.erp("invoiced", reference, seconds + 5, line, business_key=f"INV-{reference}", **shipment, **money)
        total: dict[str, Any] = {"amount_minor": net + net // 5}
        self.erp("invoice", reference, seconds + 5, business_key=f"INV-{reference}", **shipment, **total)
        line_no, sku, quantity = line
        self.final(reference, [promise(line_no, sku, quantity, shipped=quantity)])

    def write(self) -> Path:
        for kind, rows in self.rows.items():
            (self.directory / f"{kind}.ndjson").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
        return self.directory

    def check(self, name: str) -> CheckResult:
        database = open_run(self.write())
        try:
            prepare(database)
            return run_check(database, next(check for check in list_checks() if check.name == name))
        finally:
            database.close()

    def measure(self, name: str) -> MetricResult:
        verdict = judge(self.write(), (), ())
        assert not verdict.checks, verdict.checks
        return next(metric for metric in verdict.metrics if metric.name == name)


def promise(
    line_no: int,
    sku: str,
    ordered: int,
    confirmed: int = 0,
    backordered: int = 0,
    *,
    shipped: int = 0,
    cancelled: int = 0,
    short: int = 0,
) -> dict[str, Any]:
    """A line of an order's answer."""
    return {
        "line_no": line_no, "sku": sku, "ordered": ordered, "confirmed": confirmed, "backordered": backordered,
        "shipped": shipped, "cancelled": cancelled, "short": short, "unit_price_minor": 100, "tax_rate_bp": 2_000,
    }  # fmt: skip


def told(result: CheckResult, *columns: str) -> list[tuple[Any, ...]]:
    """These columns of the counterexamples, in order of time, without the marks of first, worst and last."""
    rows = sorted(result.counterexamples, key=lambda row: (row["at_us"], str(row)))
    return [tuple(row[column] for column in columns) for row in rows]


def _line(line: Line) -> dict[str, Any]:
    return {"line_no": line[0], "sku": line[1], "quantity": line[2]}
