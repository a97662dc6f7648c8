"""A stage for the processes: a real database, real lanes without tasks, and partners that note what they are asked."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from sqlalchemy import insert, select

from contracts.wire import iso
from integration.messaging.dispatcher import Dispatcher, DispatcherSettings
from integration.messaging.inbox import Inbox
from integration.messaging.keys import BusinessKeys
from integration.messaging.lane import Lane, LaneLimits
from integration.messaging.outbox import Outbox
from integration.messaging.outcomes import Done, ErrorClass, Outcome, Refused
from integration.messaging.retry import RetryPolicy
from integration.process.backorders import Backorders
from integration.process.billing import ChangeOrder, ConfirmShipment, InvoiceShipment
from integration.process.cancellation import Cancellation, CancelRelease
from integration.process.desk import Desk
from integration.process.fulfillment import BookOrder, ReleaseFulfillment
from integration.process.inventory import Inventory
from integration.process.labels import AttachLabels, CheckLabels, CreateLabel
from integration.process.progress import Progress
from integration.process.reservations import Reservations
from integration.process.shipping import Shipping
from integration.process.threepl import ThreePlPoll
from integration.storage import Database
from integration.storage.tables import (
    audit as audit_table,
)
from integration.storage.tables import (
    fulfillment_lines,
    fulfillments,
    order_lines,
    orders,
    outbox,
    stock,
)

SECOND_US = 1_000_000
NODES = ("wms-east", "wms-west", "threepl")
TRACE = "ab" * 16
ADDRESS = '{"name":"A","street":"1 High St","city":"Leeds","postcode":"LS1 1AA","country":"GB"}'
NOT_FOUND = Refused("not-found", "no such resource", ErrorClass.DATA)


class Partner:
    """Notes calls as (name, body or id); `script` overrides answers by call name, first come first used."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []
        self.keys: list[tuple[str, str]] = []
        self.script: dict[str, list[Outcome | Callable[[], Outcome]]] = {}

    def answer(self, name: str, about: Any, usual: Outcome, key: str = "") -> Outcome:
        self.calls.append((name, about))
        if key:
            self.keys.append((name, key))
        scripted = self.script.get(name)
        if not scripted:
            return usual
        chosen = scripted.pop(0)
        return chosen() if callable(chosen) else chosen

    def bodies(self, name: str) -> list[Any]:
        return [about for called, about in self.calls if called == name]


class FakeErp(Partner):
    """Keeps what was cancelled per line, as an ERP's sales order tells it."""

    def book_order(self, body: Any, stamp: Any) -> Outcome:
        return self.answer("book_order", body, Done({"erp_order_id": f"E-{body['order_id']}", "lines": []}), stamp.key)

    def find_order(self, customer_id: str, order_reference: str, correlation_id: str) -> Outcome:
        return self.answer("find_order", (customer_id, order_reference), Done({}))

    def change_order(self, erp_order_id: str, body: Any, stamp: Any) -> Outcome:
        lines = [{"line_no": line["line_no"], "cancelled": line["cancelled"]} for line in body["lines"]]
        done = Done({"erp_order_id": erp_order_id, "lines": lines})
        return self.answer("change_order", body, done, stamp.key)

    def confirm_shipment(self, body: Any, stamp: Any) -> Outcome:
        return self.answer("confirm_shipment", body, Done({"shipment_id": body["shipment_id"]}), stamp.key)

    def invoice(self, body: Any, stamp: Any) -> Outcome:
        return self.answer("invoice", body, Done({"invoice_id": f"I-{body['shipment_id']}"}), stamp.key)


class FakeWarehouse(Partner):
    def release(self, body: Any, stamp: Any) -> Outcome:
        return self.answer("release", body, Done({"release_id": body["release_id"], "lines": []}), stamp.key)

    def read_release(self, release_id: str, correlation_id: str) -> Outcome:
        return self.answer("read_release", release_id, NOT_FOUND)

    def cancel_release(self, release_id: str, body: Any, stamp: Any) -> Outcome:
        lines = [{"line_no": line["line_no"], "cancelled": line["quantity"]} for line in body["lines"]]
        done = Done({"release_id": release_id, "lines": lines})
        return self.answer("cancel_release", (release_id, body), done, stamp.key)

    def attach_labels(self, release_id: str, body: Any, stamp: Any) -> Outcome:
        return self.answer(
            "attach_labels", (release_id, body), Done({"release_id": release_id, "lines": []}), stamp.key
        )


class FakeThreePl(Partner):
    def fulfill(self, body: Any, stamp: Any) -> Outcome:
        return self.answer("fulfill", body, Done({"reference": body["reference"], "status": "submitted"}), stamp.key)

    def read(self, reference: str, correlation_id: str) -> Outcome:
        return self.answer("read", reference, NOT_FOUND)

    def cancel(self, reference: str, body: Any, stamp: Any) -> Outcome:
        return self.answer("cancel", reference, Done({"reference": reference, "status": "cancelled"}), stamp.key)

    def changes(self, changed_since: int, limit: int = 200) -> Outcome:
        return self.answer("changes", changed_since, Done({"items": [], "latest_change": changed_since}))


class FakeCarrier(Partner):
    def create_label(self, body: Any, stamp: Any) -> Outcome:
        parcel_id = body["label_reference"]
        label = {"label_id": f"L-{parcel_id}", "tracking_number": f"T-{parcel_id}"}
        return self.answer("create_label", body, Done(label), stamp.key)

    def labels(self, label_reference: str, correlation_id: str) -> Outcome:
        return self.answer("labels", label_reference, Done({"items": []}))

    def void(self, label_id: str, body: Any, stamp: Any) -> Outcome:
        return self.answer("void", label_id, Done({"label_id": label_id}), stamp.key)


class Stage:
    """Everything after the acceptance, without tasks: `settle` does what the workers would."""

    def __init__(self, database: Database, ports: Any) -> None:
        self.database, self.clock = database, ports.clock
        self.erp, self.carrier, self.threepl = FakeErp(), FakeCarrier(), FakeThreePl()
        self.east, self.west = FakeWarehouse(), FakeWarehouse()
        self.lanes = {
            name: Lane(name, LaneLimits(capacity=100), ports.tasks)
            for name in ("erp", "wms-east", "wms-west", "threepl", "carrier")
        }
        self.outbox = Outbox(ports.clock, self.lanes, 120 * SECOND_US)
        self.inventory = Inventory(ports.clock, 0)
        self.inbox = Inbox()
        self.desk = Desk(ports.clock, ports.ids, database, self.outbox, BusinessKeys(), Reservations(), self.inventory,
                         NODES, ("threepl",))  # fmt: skip
        self.backorders = Backorders(self.desk, 3_600 * SECOND_US, 60 * SECOND_US)
        self.inventory.when_stock_rises(self.backorders.when_stock_rises)
        self.progress = Progress(self.desk, self.backorders)
        self.shipping = Shipping(self.desk, self.progress)
        self.cancellation = Cancellation(self.desk, self.progress)
        self.stock_reads: list[str] = []
        self.poll = ThreePlPoll(self.desk, self.progress, "threepl", self.threepl,
                                self._read_threepl, 300 * SECOND_US, 30 * SECOND_US)  # fmt: skip
        self.dispatcher = Dispatcher(
            ports.clock, ports.tasks, database, self.outbox, self._handlers(),
            RetryPolicy(SECOND_US, jitter_share=0.0), DispatcherSettings(60 * SECOND_US, 30 * SECOND_US),
        )  # fmt: skip
        self._signal = ports.tasks.signal()
        self._sequences: dict[str, int] = {}

    def _handlers(self) -> dict[str, Any]:
        warehouses, threepls = {"wms-east": self.east, "wms-west": self.west}, {"threepl": self.threepl}
        return {
            "book_order": BookOrder(self.desk, self.erp, self.backorders.when_booked),
            "release": ReleaseFulfillment(self.desk, warehouses, threepls),
            "cancel_release": CancelRelease(self.desk, self.progress, warehouses, threepls),
            "create_label": CreateLabel(self.desk, self.carrier),
            "check_labels": CheckLabels(self.desk, self.carrier),
            "attach_labels": AttachLabels(self.desk, warehouses),
            "change_order": ChangeOrder(self.desk, self.erp),
            "confirm_shipment": ConfirmShipment(self.desk, self.erp),
            "invoice": InvoiceShipment(self.desk, self.erp),
        }

    def _read_threepl(self) -> None:
        self.stock_reads.append("threepl")

    def stock(self, node: str, **on_hand: int) -> None:
        rows = [{"node": node, "sku": sku, "on_hand": q, "held": 0, "reserved": 0, "safety": 0}
                for sku, q in on_hand.items()]  # fmt: skip
        with self.database.write() as tx:
            tx.execute(insert(stock), rows)

    def order(
        self, order_id: str, ordered: Mapping[int, tuple[str, int]], plan: Mapping[str, Mapping[int, int]]
    ) -> None:
        """An accepted order: (sku, quantity) by line number; planned by node and line, the rest is backordered."""
        now_us = self.clock.now_us()
        confirmed = {no: sum(lines.get(no, 0) for lines in plan.values()) for no in ordered}
        with self.database.write() as tx:
            tx.execute(insert(orders), {
                "order_id": order_id, "customer_id": "C1", "order_reference": f"R-{order_id}", "channel": "portal",
                "status": "accepted", "version": 1, "fill_policy": "fill_available", "service": "standard",
                "currency": "GBP", "net_minor": 100, "tax_minor": 20, "total_minor": 120, "ship_to": ADDRESS,
                "correlation_id": TRACE, "accepted_at_us": now_us,
            })  # fmt: skip
            tx.execute(insert(order_lines), [
                {"order_id": order_id, "line_no": no, "sku": sku, "ordered": q, "confirmed": confirmed[no],
                 "backordered": q - confirmed[no], "shipped": 0, "cancelled": 0, "short": 0, "unit_price_minor": 100,
                 "tax_rate_bp": 2000}
                for no, (sku, q) in ordered.items()
            ])  # fmt: skip
            for node, lines in plan.items():
                self._plan(tx, order_id, node, {no: (ordered[no][0], q) for no, q in lines.items()}, now_us)
            self.outbox.put(tx, "erp", "book_order", order_id, {"order_id": order_id}, TRACE)

    def _plan(self, tx: Any, order_id: str, node: str, lines: Mapping[int, tuple[str, int]], now_us: int) -> None:
        fulfillment_id = f"{order_id}.{node}"
        tx.execute(insert(fulfillments), {
            "fulfillment_id": fulfillment_id, "order_id": order_id, "customer_id": "C1",
            "order_reference": f"R-{order_id}", "node": node, "status": "planned", "event_sequence": 0,
            "correlation_id": TRACE, "created_at_us": now_us, "updated_at_us": now_us,
        })  # fmt: skip
        tx.execute(insert(fulfillment_lines), [
            {"fulfillment_id": fulfillment_id, "line_no": no, "sku": sku, "quantity": q, "picked": 0, "short": 0,
             "shipped": 0, "cancelled": 0, "reserved": q}
            for no, (sku, q) in lines.items()
        ])  # fmt: skip
        for sku, q in lines.values():
            assert self.desk.reservations.take(tx, node, sku, q)

    def settle(self) -> None:
        """Deliver whatever is in memory, in every lane, until nothing is."""
        busy = True
        while busy:
            busy = False
            for lane in self.lanes.values():
                while len(lane._queue):
                    busy = True
                    self.dispatcher.deliver(lane, lane.take(self._signal))

    def pass_time(self, seconds: int) -> None:
        """Let time go by, and the pollers with it."""
        for _ in range(seconds):
            self.clock.sleep(SECOND_US)
            for lane in self.lanes.values():
                self.dispatcher.poll_once(lane, self.clock.now_us())
            self.settle()

    def hear(self, node: str, event_type: str, data: dict[str, Any], message_id: str = "") -> bool:
        """One webhook, through the inbox."""
        release_id = data.get("release_id", "")
        if release_id and "sequence" not in data:
            self._sequences[release_id] = self._sequences.get(release_id, 0) + 1
            data["sequence"] = self._sequences[release_id]
        with self.database.write() as tx:
            name = message_id or f"{event_type} {release_id} {data.get('sequence')}"
            if not self.inbox.receive(tx, node, name, self.clock.now_us()):
                return False
            self.shipping.handle(tx, node, event_type, data)
        return True

    def picked(self, release_id: str, picked: Mapping[int, tuple[str, int, int]], **more: Any) -> dict[str, Any]:
        """Data of release.picked: (sku, picked, short) by line."""
        lines = [{"line_no": no, "sku": sku, "picked": p, "short": s, "reason": "could_not_locate" if s else None}
                 for no, (sku, p, s) in picked.items()]  # fmt: skip
        return {"release_id": release_id, "customer_id": "C1", "order_reference": "R", "lines": lines, **more}

    def packed(
        self, release_id: str, parcel_lines: Sequence[Sequence[tuple[int, str, int]]], **more: Any
    ) -> dict[str, Any]:
        found = [{"parcel_id": f"{release_id}.P{number}", "weight_g": 500, "lines": _lines(lines)}
                 for number, lines in enumerate(parcel_lines, 1)]  # fmt: skip
        return {"release_id": release_id, "customer_id": "C1", "order_reference": "R", "parcels": found, **more}

    def shipped(
        self, release_id: str, lines: Sequence[tuple[int, str, int]], stock_sequence: int, **more: Any
    ) -> dict[str, Any]:
        parcel_id = f"{release_id}.P1"
        deltas = [{"sku": sku, "on_hand_delta": -q, "held_delta": 0} for _, sku, q in lines]
        return {
            "release_id": release_id, "shipment_id": f"S-{release_id}", "customer_id": "C1", "order_reference": "R",
            "shipped_at": iso(self.clock.now_us()), "lines": _lines(lines),
            "parcels": [{"parcel_id": parcel_id, "tracking_number": f"T-{parcel_id}", "lines": _lines(lines)}],
            "stock": {"sequence": stock_sequence, "deltas": deltas}, **more,
        }  # fmt: skip

    def rows(self, table: Any) -> list[Any]:
        with self.database.read() as tx:
            return tx.rows(select(table).order_by(*table.primary_key.columns))

    def line(self, order_id: str, line_no: int = 1) -> dict[str, int]:
        """A line's books without zeros."""
        (row,) = [row for row in self.rows(order_lines) if (row.order_id, row.line_no) == (order_id, line_no)]
        parts = {name: getattr(row, name) for name in ("confirmed", "backordered", "shipped", "cancelled", "short")}
        assert sum(parts.values()) == row.ordered
        assert min(parts.values()) >= 0
        return {name: value for name, value in parts.items() if value}

    def status(self, order_id: str) -> str:
        return next(str(row.status) for row in self.rows(orders) if row.order_id == order_id)

    def statuses(self) -> dict[str, str]:
        return {row.fulfillment_id: row.status for row in self.rows(fulfillments)}

    def level(self, node: str, sku: str) -> tuple[int, int, int]:
        """On hand, held, reserved."""
        row = next(row for row in self.rows(stock) if (row.node, row.sku) == (node, sku))
        return row.on_hand, row.held, row.reserved

    def timeline(self) -> list[str]:
        return [row.event for row in self.rows(audit_table)]

    def undone(self) -> list[tuple[str, str]]:
        return [(row.kind, row.state) for row in self.rows(outbox) if row.state != "done"]


def _lines(lines: Sequence[tuple[int, str, int]]) -> list[dict[str, Any]]:
    return [{"line_no": no, "sku": sku, "quantity": q} for no, sku, q in lines]


@pytest.fixture
def stage(database: Database, ports: Any) -> Stage:
    return Stage(database, ports)
