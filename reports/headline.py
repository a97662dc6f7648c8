"""A small run in one line, as people tell it: `1 order, 1 lost reply of wms-east, 2 releases`."""

from collections.abc import Mapping
from typing import Any

from reports.rundir import Run
from reports.words import count, plain, spoken

MOST_FAULTS = 3

_STRUCK = {
    "request_lost": ("lost request to {target}", "lost requests to {target}"),
    "reply_lost": ("lost reply of {target}", "lost replies of {target}"),
    "duplicate": ("doubled message of {source}", "doubled messages of {source}"),
    "late_copy": ("late copy of a message of {source}", "late copies of messages of {source}"),
    "cut": ("broken connection to {target}", "broken connections to {target}"),
    "delay": ("late message of {source}", "late messages of {source}"),
    "crash": ("crash of {target}", "crashes of {target}"),
    "outage": ("call refused by {target}", "calls refused by {target}"),
    "throttle": ("call throttled by {target}", "calls throttled by {target}"),
}
"""One and many strikes of a kind of fault, where its name would not say it."""

_TOO_MANY = {
    "released_twice": ("release", "release_accepted", "business_key"),
    "shipped_twice": ("shipment", "shipped", "shipment_id"),
    "labelled_twice": ("label", "label_line", "tracking_number"),
    "two_labels": ("label", "label", "tracking_number"),
    "invoiced_twice": ("invoice", "invoice", "business_key"),
    "invoice_twice": ("invoice", "invoice", "business_key"),
    "booked_twice": ("ERP order", "order_booked", "business_key"),
}
"""What a kind of counterexample is about: a noun, the ledger entries of it, and the column that tells them apart."""


def headline(run: Run, row: Mapping[str, Any]) -> str:
    """How many orders, which faults struck how often, and what came of it for the counterexample in `row`."""
    orders = run.rows(
        "SELECT count(DISTINCT (customer_id, order_reference)) AS orders FROM operations"
        " WHERE operation = 'place_order'"
    )[0]["orders"]
    return ", ".join([count(orders, "order"), *_faults(run), _outcome(run, row)])


_STRIKES = """
SELECT kind, target, count(*) AS times, min(from_us) AS first_us
FROM faults WHERE event = 'strike' GROUP BY kind, target ORDER BY first_us, kind, target
"""


def _faults(run: Run) -> list[str]:
    """Each kind of fault with how often it struck; `no fault` when none did."""
    said = [_struck(row["kind"], row["target"], row["times"]) for row in run.rows(_STRIKES)]
    if len(said) > MOST_FAULTS:
        return [*said[: MOST_FAULTS - 1], f"{len(said) - MOST_FAULTS + 1} other faults"]
    return said or ["no fault"]


def _struck(kind: str, aim: str, times: int) -> str:
    """`aim` is what evidence calls the target: a host, or `source -> target` with what narrows it."""
    source, arrow, rest = aim.partition(" -> ")
    target = rest.partition(" ")[0] if arrow else aim
    one, many = _STRUCK.get(kind, (f"{spoken(kind)} on {{target}}",) * 2)
    return f"{times} {(one if times == 1 else many).format(source=source, target=target)}"


def _outcome(run: Run, row: Mapping[str, Any]) -> str:
    kind = str(row.get("kind") or "")
    if kind in _TOO_MANY and row.get("order_reference"):
        noun, entry, column = _TOO_MANY[kind]
        times = run.rows(
            f"SELECT count(DISTINCT {column}) AS times FROM ledger WHERE kind = ? AND order_reference = ?",
            [entry, row["order_reference"]],
        )[0]["times"]
        if times > 1:
            return count(times, noun)
    what = " at ".join(str(row[name]) for name in ("sku", "node") if row.get(name))
    told = [f"{plain(row[name])} {name}" for name in ("expected", "published") if row.get(name) is not None]
    return " ".join(part for part in (spoken(kind), what, f"({', '.join(told)})" if told else "") if part)
