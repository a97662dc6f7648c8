"""The background work: one job after the other, each tried again later when a partner does not answer."""

import json
import sqlite3
from collections.abc import Callable
from typing import Any, Protocol

import requests

from .partners import WAREHOUSE, Clock, Partners
from .store import Store, put_job, set_status

SECOND_US = 1_000_000
FIRST_RETRY_US = 10 * SECOND_US
LONGEST_RETRY_US = 600 * SECOND_US


class Signal(Protocol):
    def set(self) -> None: ...

    def wait(self, timeout_us: int | None = None) -> bool: ...


class Tasks(Protocol):
    def spawn(self, name: str, function: Callable[..., object], *arguments: object) -> None: ...

    def signal(self) -> Signal: ...


class Worker:
    """Takes jobs from the store. `stable_release_ids` is how the service was mended."""

    def __init__(self, store: Store, partners: Partners, clock: Clock, tasks: Tasks, stable_release_ids: bool) -> None:
        self._store = store
        self._partners = partners
        self._clock = clock
        self._stable_release_ids = stable_release_ids
        self.wake = tasks.signal()

    def run(self) -> None:
        """Work for ever."""
        while True:
            job = self._next_job()
            if job is None:
                self.wake.wait(30 * SECOND_US)
            else:
                self._try(job)

    def _next_job(self) -> sqlite3.Row | None:
        with self._store.transaction() as tx:
            due = "SELECT * FROM jobs WHERE due_us <= ? ORDER BY due_us, job_id LIMIT 1"
            job: sqlite3.Row | None = tx.execute(due, (self._clock.now_us(),)).fetchone()
            return job

    def _try(self, job: sqlite3.Row) -> None:
        try:
            getattr(self, f"_{job['kind']}")(job)
        except requests.RequestException:
            pause_us = min(FIRST_RETRY_US << job["attempts"], LONGEST_RETRY_US)
            with self._store.transaction() as tx:
                later = (self._clock.now_us() + pause_us, job["job_id"])
                tx.execute("UPDATE jobs SET due_us = ?, attempts = attempts + 1 WHERE job_id = ?", later)

    def _book(self, job: sqlite3.Row) -> None:
        order, lines = self._order(job)
        fields = ("line_no", "sku", "unit_price_minor", "tax_rate_bp")
        body = {
            "order_id": order["order_id"],
            **_names(order),
            "currency": order["currency"],
            "ordered_at": order["accepted_at"],
            "lines": [
                {**{field: line[field] for field in fields}, "quantity": line["ordered"], "confirmed": line["ordered"]}
                | {"backordered": 0}
                for line in lines
            ],
            "total_minor": order["net_minor"] + order["tax_minor"],
            "tax_minor": order["tax_minor"],
        }
        booked = self._partners.book(order["order_id"], body, order["trace"])
        with self._store.transaction() as tx:
            update = "UPDATE orders SET erp_order_id = ? WHERE order_id = ?"
            tx.execute(update, (booked["erp_order_id"], order["order_id"]))
            set_status(tx, order["order_id"], "booked")
            self._done(tx, job, "release")

    def _release(self, job: sqlite3.Row) -> None:
        order, lines = self._order(job)
        release_id = f"{order['order_id']}.{job['attempts'] + 1}"
        if self._stable_release_ids:
            release_id = f"{order['order_id']}.1"
        body = {
            "release_id": release_id,
            **_names(order),
            "service": order["service"],
            "ship_to": json.loads(order["ship_to"]),
            "lines": [{"line_no": line["line_no"], "sku": line["sku"], "quantity": line["ordered"]} for line in lines],
        }
        self._partners.release(release_id, body, order["trace"])
        with self._store.transaction() as tx:
            status = "SELECT status FROM orders WHERE order_id = ?"
            if tx.execute(status, (order["order_id"],)).fetchone()["status"] == "booked":
                set_status(tx, order["order_id"], "released")
            self._done(tx, job)

    def _label(self, job: sqlite3.Row) -> None:
        order, _ = self._order(job)
        with self._store.transaction() as tx:
            parcel = tx.execute("SELECT * FROM parcels WHERE parcel_id = ?", (job["subject"],)).fetchone()
        body = {
            "label_reference": parcel["parcel_id"],
            "shipment_reference": parcel["release_id"],
            **_names(order),
            "service": order["service"],
            "ship_to": json.loads(order["ship_to"]),
            "weight_g": parcel["weight_g"],
            "lines": json.loads(parcel["lines"]),
        }
        label = self._partners.label(parcel["parcel_id"], body, order["trace"])
        with self._store.transaction() as tx:
            labelled = (label["tracking_number"], parcel["parcel_id"])
            tx.execute("UPDATE parcels SET tracking_number = ? WHERE parcel_id = ?", labelled)
            missing = "SELECT count(*) AS parcels FROM parcels WHERE release_id = ? AND tracking_number IS NULL"
            is_last = tx.execute(missing, (parcel["release_id"],)).fetchone()["parcels"] == 0
            self._done(tx, job, "attach" if is_last else "", parcel["release_id"])

    def _attach(self, job: sqlite3.Row) -> None:
        order, _ = self._order(job)
        with self._store.transaction() as tx:
            query = "SELECT parcel_id, tracking_number FROM parcels WHERE release_id = ? ORDER BY parcel_id"
            parcels = [dict(row) for row in tx.execute(query, (job["subject"],))]
        self._partners.attach_labels(job["subject"], {**_names(order), "parcels": parcels}, order["trace"])
        with self._store.transaction() as tx:
            self._done(tx, job)

    def _confirm(self, job: sqlite3.Row) -> None:
        order, _ = self._order(job)
        with self._store.transaction() as tx:
            shipment = tx.execute("SELECT * FROM shipments WHERE shipment_id = ?", (job["subject"],)).fetchone()
        body = {
            **_shipment(order, shipment["shipment_id"]),
            "node": WAREHOUSE,
            "shipped_at": shipment["shipped_at"],
            "tracking_numbers": json.loads(shipment["tracking_numbers"]),
            "lines": json.loads(shipment["lines"]),
        }
        self._partners.confirm_shipment(shipment["shipment_id"], body, order["trace"])
        with self._store.transaction() as tx:
            self._done(tx, job, "invoice", shipment["shipment_id"])

    def _invoice(self, job: sqlite3.Row) -> None:
        order, _ = self._order(job)
        invoice = self._partners.invoice(job["subject"], _shipment(order, job["subject"]), order["trace"])
        with self._store.transaction() as tx:
            invoiced = (invoice["invoice_id"], job["subject"])
            tx.execute("UPDATE shipments SET invoice_id = ? WHERE shipment_id = ?", invoiced)
            set_status(tx, order["order_id"], "invoiced")
            self._done(tx, job)

    def _order(self, job: sqlite3.Row) -> tuple[sqlite3.Row, list[sqlite3.Row]]:
        with self._store.transaction() as tx:
            order = tx.execute("SELECT * FROM orders WHERE order_id = ?", (job["order_id"],)).fetchone()
            lines = tx.execute("SELECT * FROM lines WHERE order_id = ? ORDER BY line_no", (job["order_id"],)).fetchall()
        return order, lines

    def _done(self, tx: sqlite3.Connection, job: sqlite3.Row, then: str = "", subject: str = "") -> None:
        """Take the job away and put the next one, in the transaction of its effect."""
        tx.execute("DELETE FROM jobs WHERE job_id = ?", (job["job_id"],))
        if then:
            put_job(tx, then, job["order_id"], subject, self._clock.now_us())


def _names(order: sqlite3.Row) -> dict[str, Any]:
    return {"customer_id": order["customer_id"], "order_reference": order["order_reference"]}


def _shipment(order: sqlite3.Row, shipment_id: str) -> dict[str, Any]:
    return {"shipment_id": shipment_id, "erp_order_id": order["erp_order_id"], **_names(order)}
