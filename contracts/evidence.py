"""The columns of evidence, declared once, and how to open a run directory as a database.

A run directory holds one NDJSON file per kind. Types are declared, never inferred: inference would turn a key that
looks like a date into a date, and fails on an empty file. Times are integer microseconds since the Unix epoch.
"""

from os import getpid
from pathlib import Path
from tempfile import gettempdir

import duckdb

MEMORY_LIMIT = "300MB"

_LINES = "STRUCT(line_no INTEGER, sku VARCHAR, quantity BIGINT)[]"
_PROMISES = (
    "STRUCT(line_no INTEGER, sku VARCHAR, ordered BIGINT, confirmed BIGINT, backordered BIGINT, shipped BIGINT,"
    " cancelled BIGINT, short BIGINT, unit_price_minor BIGINT, tax_rate_bp INTEGER)[]"
)

COLUMNS: dict[str, dict[str, str]] = {
    # One attempt by a client. `operation`: place_order, cancel_order, read_order, check_availability.
    # `lines` are asked quantities in base units; `answer_lines` is what an order answer said, line by line.
    # `outcome`: ok, fail (the problem is catalogued definite) or info (unknown: it may still happen).
    "operations": {
        "seq": "BIGINT",
        "client": "VARCHAR",
        "channel": "VARCHAR",
        "operation": "VARCHAR",
        "customer_id": "VARCHAR",
        "segment": "VARCHAR",
        "order_reference": "VARCHAR",
        "key": "VARCHAR",
        "attempt": "INTEGER",
        "fingerprint": "VARCHAR",
        "correlation_id": "VARCHAR",
        "fill_policy": "VARCHAR",
        "lines": _LINES,
        "intended_at_us": "BIGINT",
        "invoked_at_us": "BIGINT",
        "completed_at_us": "BIGINT",
        "outcome": "VARCHAR",
        "status": "INTEGER",
        "problem": "VARCHAR",
        "replayed": "BOOLEAN",
        "order_id": "VARCHAR",
        "order_status": "VARCHAR",
        "order_version": "BIGINT",
        "answer_lines": _PROMISES,
        # check_availability: what was published, `line_no` unused; out-of-stock refusals: what was said to be available
        "availability": "STRUCT(sku VARCHAR, node VARCHAR, available BIGINT)[]",
        "detail": "VARCHAR",
    },
    # One append-only entry in a partner's own books. `balance` and `held_balance` are on hand and held at
    # (partner, location, sku) after the entry; `quantity` is signed; `amount_minor` of a line is net of `tax_minor`.
    "ledger": {
        "seq": "BIGINT",
        "partner": "VARCHAR",
        "location": "VARCHAR",
        "kind": "VARCHAR",
        "at_us": "BIGINT",
        "business_key": "VARCHAR",
        "customer_id": "VARCHAR",
        "order_reference": "VARCHAR",
        "line_no": "INTEGER",
        "sku": "VARCHAR",
        "quantity": "BIGINT",
        "balance": "BIGINT",
        "held_balance": "BIGINT",
        "stock_sequence": "BIGINT",
        "amount_minor": "BIGINT",
        "tax_minor": "BIGINT",
        "currency": "VARCHAR",
        "correlation_id": "VARCHAR",
        "shipment_id": "VARCHAR",
        "parcel_id": "VARCHAR",
        "tracking_number": "VARCHAR",
        "status": "VARCHAR",
        "reason": "VARCHAR",
        # of what a subscriber was told: the order by its id, and the order's version
        "order_id": "VARCHAR",
        "order_version": "BIGINT",
    },
    # One HTTP exchange. `outcome`: answered, timeout, refused or reset, as the caller saw it. `retry_after_s` is the
    # answer's Retry-After in whole seconds, null where it had none.
    "exchanges": {
        "seq": "BIGINT",
        "source": "VARCHAR",
        "target": "VARCHAR",
        "method": "VARCHAR",
        "path": "VARCHAR",
        "route": "VARCHAR",
        "event_type": "VARCHAR",
        "correlation_id": "VARCHAR",
        "key": "VARCHAR",
        "attempt": "INTEGER",
        "sent_at_us": "BIGINT",
        "arrived_at_us": "BIGINT",
        "handled_at_us": "BIGINT",
        "completed_at_us": "BIGINT",
        "status": "INTEGER",
        "problem": "VARCHAR",
        "outcome": "VARCHAR",
        "fault": "VARCHAR",
        "copy": "INTEGER",
        "request_bytes": "INTEGER",
        "answer_bytes": "INTEGER",
        "retry_after_s": "BIGINT",
    },
    # `event`: window (from_us to to_us, the whole plan) or strike (one hit, `detail` says on what).
    "faults": {
        "seq": "BIGINT",
        "fault": "VARCHAR",
        "kind": "VARCHAR",
        "target": "VARCHAR",
        "event": "VARCHAR",
        "from_us": "BIGINT",
        "to_us": "BIGINT",
        "detail": "VARCHAR",
    },
    # One sample, e.g. name=queue_depth, source=integration, location=erp (the lane).
    "gauges": {
        "seq": "BIGINT",
        "at_us": "BIGINT",
        "source": "VARCHAR",
        "name": "VARCHAR",
        "sku": "VARCHAR",
        "location": "VARCHAR",
        "value": "DOUBLE",
    },
    # One read at the end through the public API. `read`: order or availability.
    "final": {
        "seq": "BIGINT",
        "read": "VARCHAR",
        "at_us": "BIGINT",
        "status": "INTEGER",
        "customer_id": "VARCHAR",
        "order_reference": "VARCHAR",
        "order_id": "VARCHAR",
        "order_status": "VARCHAR",
        "order_version": "BIGINT",
        "lines": _PROMISES,
        "parcels": "STRUCT(parcel_id VARCHAR, tracking_number VARCHAR, tracking_status VARCHAR)[]",
        "sku": "VARCHAR",
        "node": "VARCHAR",
        "available": "BIGINT",
    },
    # What the ERP is opened with, so that money can be reckoned without the target. `record`: customer (customer_id,
    # price_list, jurisdiction), item (sku, tax_category), price (price_list, sku, unit_price_minor, valid_from_us until
    # before valid_to_us, null: open) or tax_rate (jurisdiction, tax_category, tax_rate_bp).
    "master": {
        "seq": "BIGINT",
        "record": "VARCHAR",
        "customer_id": "VARCHAR",
        "price_list": "VARCHAR",
        "jurisdiction": "VARCHAR",
        "sku": "VARCHAR",
        "tax_category": "VARCHAR",
        "currency": "VARCHAR",
        "unit_price_minor": "BIGINT",
        "tax_rate_bp": "INTEGER",
        "valid_from_us": "BIGINT",
        "valid_to_us": "BIGINT",
    },
    # What the checks need to know of the scenario. Facts: freshness_us (subject=node), safety_stock (subject=node),
    # node (subject=node, text=wms|threepl: an eligible stock node), label_by_carrier (subject=node), drain_bound_us,
    # loaded_at_us, healed_at_us, quiet_at_us (absent when quiet never came), still_at_us (told when quiet never came:
    # since when nothing moved any more, absent when things still did), freshness_stretch_us (subject=node, value=from,
    # value_to=to: a window in which stock messages from that node were blocked), expects (text),
    # final_reads (value=rows read), retry_budget (text=sender, subject=receiver, value=calls under one key and route
    # at most, value_to=the shortest wait in us before it calls again), recovery_bound_us (how long after a fault work
    # flows again), parking_bound_us (how long a message may wait while another is tried again), clock_skew_us (by how
    # much the clock of the target, or of another who writes evidence, is off at most), protocol_second_us (business
    # time in a second of protocol time, absent where the two are one), unobservable (subject=check, text=why the
    # target can't be judged by it), subscriber
    # (subject=name, text=type of event, value=since when it is subscribed, null: it never was).
    "facts": {
        "seq": "BIGINT",
        "fact": "VARCHAR",
        "subject": "VARCHAR",
        "value": "BIGINT",
        "value_to": "BIGINT",
        "text": "VARCHAR",
    },
}


def open_run(directory: Path, threads: int | None = None) -> duckdb.DuckDBPyConnection:
    """A database with one table per kind of evidence; a missing or empty file is an empty table.

    It lives in memory, at most MEMORY_LIMIT of it; what is more spills to the system's directory for temporary files.
    `threads` None takes as many as there are processors.
    """
    spill = Path(gettempdir()) / f"peakproof-duckdb-{getpid()}"
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": MEMORY_LIMIT,
        "temp_directory": str(spill),
    }
    if threads is not None:
        config["threads"] = threads
    connection = duckdb.connect(":memory:", config=config)
    for kind, columns in COLUMNS.items():
        file = directory / f"{kind}.ndjson"
        declared = ", ".join(f'"{name}" {type_}' for name, type_ in columns.items())
        connection.execute(f'CREATE TABLE "{kind}" ({declared})')
        if not file.exists() or file.stat().st_size == 0:
            continue
        types = "{" + ", ".join(f"'{name}': '{type_}'" for name, type_ in columns.items()) + "}"
        connection.execute(
            f"INSERT INTO \"{kind}\" SELECT * FROM read_json(?, format='newline_delimited', columns={types})",
            [str(file)],
        )
    return connection
