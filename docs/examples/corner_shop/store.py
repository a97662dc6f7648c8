"""What the shop remembers: one SQLite file, one short transaction per step, never open across a call to a partner."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock

_TABLES = """
CREATE TABLE IF NOT EXISTS orders (
    order_id TEXT PRIMARY KEY, customer_id TEXT, order_reference TEXT, currency TEXT, service TEXT, ship_to TEXT,
    status TEXT, version INTEGER, accepted_at TEXT, net_minor INTEGER, tax_minor INTEGER, trace TEXT, erp_order_id TEXT,
    UNIQUE (customer_id, order_reference)
);
CREATE TABLE IF NOT EXISTS lines (
    order_id TEXT, line_no INTEGER, sku TEXT, ordered INTEGER, confirmed INTEGER, shipped INTEGER, short INTEGER,
    unit_price_minor INTEGER, tax_rate_bp INTEGER, PRIMARY KEY (order_id, line_no)
);
CREATE TABLE IF NOT EXISTS keys (idempotency_key TEXT PRIMARY KEY, fingerprint TEXT, answer TEXT);
CREATE TABLE IF NOT EXISTS stock (sku TEXT PRIMARY KEY, on_hand INTEGER, held INTEGER, reserved INTEGER);
CREATE TABLE IF NOT EXISTS stock_as_of (sequence INTEGER);
CREATE TABLE IF NOT EXISTS inbox (webhook_id TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS jobs (
    job_id INTEGER PRIMARY KEY, kind TEXT, order_id TEXT, subject TEXT, due_us INTEGER, attempts INTEGER
);
CREATE TABLE IF NOT EXISTS parcels (
    parcel_id TEXT PRIMARY KEY, order_id TEXT, release_id TEXT, weight_g INTEGER, lines TEXT, tracking_number TEXT
);
CREATE TABLE IF NOT EXISTS shipments (
    shipment_id TEXT PRIMARY KEY, order_id TEXT, shipped_at TEXT, tracking_numbers TEXT, lines TEXT, invoice_id TEXT
);
"""


class Store:
    """The tables, made when they are not there yet."""

    def __init__(self, path: str) -> None:
        self._lock = RLock()  # the worker and the requests share the connection
        self._connection = sqlite3.connect(path, check_same_thread=False)
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.executescript(_TABLES)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Commits at the end, rolls back on an exception."""
        with self._lock, self._connection:
            yield self._connection


def set_status(tx: sqlite3.Connection, order_id: str, status: str) -> None:
    """A change that customers see."""
    tx.execute("UPDATE orders SET status = ?, version = version + 1 WHERE order_id = ?", (status, order_id))


def put_job(tx: sqlite3.Connection, kind: str, order_id: str, subject: str, now_us: int) -> None:
    """Work to be done once this transaction is committed."""
    values = (kind, order_id, subject, now_us)
    tx.execute("INSERT INTO jobs (kind, order_id, subject, due_us, attempts) VALUES (?, ?, ?, ?, 0)", values)
