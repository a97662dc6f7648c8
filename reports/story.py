"""The story of one order across all partners, in time order and in words.

Merges what the client asked and was answered, the exchanges that carry the order's correlation ids, what the partners
booked, and the faults that struck. Reads evidence only.
"""

import difflib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from reports.rundir import ReportError, Run
from reports.words import clock, count, duration, listing, number

Tone = Literal["client", "booked", "exchange", "warn", "fault"]
MOST_CANDIDATES = 8


class UnknownOrder(ReportError):
    """No order, or more than one, answers to what was asked for."""


@dataclass(frozen=True, order=True)
class OrderKey:
    """What names an order from outside: a client's reference is unique per customer."""

    customer_id: str
    order_reference: str

    def __str__(self) -> str:
        return f"{self.customer_id}/{self.order_reference}"


@dataclass(frozen=True)
class Event:
    """One thing that happened. `who` is the host that did it or booked it; `tone` says how to show it."""

    at_us: int
    who: str
    text: str
    tone: Tone
    fault: str = ""


@dataclass(frozen=True)
class Story:
    key: OrderKey
    order_id: str
    summary: str
    ending: str
    events: list[Event] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def find(run: Run, asked: str) -> OrderKey:
    """The order that `asked` names: order id, reference, customer/reference, tracking number, or a partner's key.

    Raises UnknownOrder with the nearest references, or with all candidates when several customers use the reference.
    """
    keys = sorted({OrderKey(row["customer_id"], row["order_reference"]) for row in run.rows(_FIND, [asked] * 8)})
    if len(keys) == 1:
        return keys[0]
    if keys:
        names = listing([str(key) for key in keys], MOST_CANDIDATES)
        raise UnknownOrder(f"{asked!r} names {len(keys)} orders: {names}. Say which as customer/reference.")
    near = _nearest(run, asked)
    hint = f"Did you mean {listing(near, MOST_CANDIDATES)}?" if near else "The run has no orders at all."
    raise UnknownOrder(f"No order of this run answers to {asked!r}. {hint}")


_FIND = """
SELECT DISTINCT coalesce(customer_id, '') AS customer_id, order_reference FROM operations
WHERE order_reference <> '' AND (order_id = ? OR order_reference = ? OR customer_id || '/' || order_reference = ?)
UNION
SELECT DISTINCT coalesce(customer_id, '') AS customer_id, order_reference FROM ledger
WHERE order_reference <> '' AND (order_reference = ? OR customer_id || '/' || order_reference = ?
  OR tracking_number = ? OR shipment_id = ? OR business_key = ?)
"""


def _nearest(run: Run, asked: str) -> list[str]:
    rows = run.rows(
        "SELECT DISTINCT order_reference AS name FROM operations WHERE order_reference <> ''"
        " UNION SELECT DISTINCT order_id FROM operations WHERE order_id <> '' ORDER BY name"
    )
    names = [row["name"] for row in rows]
    return difflib.get_close_matches(asked, names, n=5, cutoff=0.3) or names[:3]


def tell(run: Run, key: OrderKey) -> Story:
    """The whole story of one order; an order that nobody ever mentioned has no events."""
    operations, booked = operations_of(run, key), _booked(run, key)
    exchanges = exchanges_of(run, key)
    events = [*_client_events(operations), *_booked_events(booked), *_exchange_events(exchanges)]
    events += _final_events(run, key)
    events.sort(key=lambda event: event.at_us)
    return Story(
        key=key,
        order_id=next((row["order_id"] for row in operations if row["order_id"]), ""),
        summary=_summary(operations),
        ending=_ending(run, key, booked),
        events=events,
        faults=_faults(run, events),
    )


def operations_of(run: Run, key: OrderKey) -> list[dict[str, Any]]:
    """The client's attempts at this order, in order of time."""
    return run.rows(f"{_OPERATIONS} ORDER BY invoked_at_us, seq", [key.customer_id, key.order_reference])


def exchanges_of(run: Run, key: OrderKey) -> list[dict[str, Any]]:
    """The exchanges that carry the order's correlation ids, in order of time."""
    return run.rows(_EXCHANGES, [_correlation_ids(operations_of(run, key), _booked(run, key))])


def booked_events(run: Run, key: OrderKey) -> list[Event]:
    """What the partners booked for this order, in words."""
    return _booked_events(_booked(run, key))


def _booked(run: Run, key: OrderKey) -> list[dict[str, Any]]:
    return run.rows(_LEDGER, [key.customer_id, key.order_reference])


_OPERATIONS = "SELECT * FROM operations WHERE customer_id = ? AND order_reference = ?"

_LEDGER = """
SELECT partner, kind, at_us, business_key, shipment_id, parcel_id, tracking_number, status,
  min(seq) AS seq, count(DISTINCT line_no) AS lines, sum(abs(quantity)) AS units, sum(amount_minor) AS amount_minor,
  any_value(currency) AS currency, list(DISTINCT reason) FILTER (reason <> '') AS reasons,
  list(DISTINCT correlation_id) FILTER (correlation_id <> '') AS correlation_ids
FROM ledger WHERE customer_id = ? AND order_reference = ?
GROUP BY ALL ORDER BY at_us, seq
"""

_EXCHANGES = "SELECT * FROM exchanges WHERE list_contains(?::VARCHAR[], correlation_id) ORDER BY sent_at_us, seq"


def _correlation_ids(operations: list[dict[str, Any]], booked: list[dict[str, Any]]) -> list[str]:
    ids = {row["correlation_id"] for row in operations if row["correlation_id"]}
    ids |= {name for row in booked for name in row["correlation_ids"] or []}
    return sorted(ids)


# What the client saw.


def _client_events(operations: list[dict[str, Any]]) -> list[Event]:
    events: list[Event] = []
    seen_status = ""
    for row in operations:
        if row["operation"] == "read_order":
            if row["order_status"] and row["order_status"] != seen_status:
                seen_status = row["order_status"]
                at_us = row["completed_at_us"] or row["invoked_at_us"]
                events.append(Event(at_us, _client(row), f"sees the order as {_said(seen_status)}", "client"))
            continue
        seen_status = row["order_status"] or seen_status
        events += _attempt_events(row)
    return events


def _client(row: dict[str, Any]) -> str:
    return str(row["channel"] or row["client"] or "client")


def _attempt_events(row: dict[str, Any]) -> list[Event]:
    verb = {"place_order": "orders", "cancel_order": "asks to cancel"}.get(row["operation"], _said(row["operation"]))
    again = f" (attempt {row['attempt']})" if (row["attempt"] or 1) > 1 else ""
    asked = Event(row["invoked_at_us"], _client(row), f"{verb} {_lines_asked(row)}{again}", "client")
    if row["completed_at_us"] is None:
        return [asked, Event(row["invoked_at_us"], _client(row), "was never answered", "warn")]
    took = f" after {duration(row['completed_at_us'] - row['invoked_at_us'])}"
    tone: Tone = "client" if row["outcome"] == "ok" else "warn"
    return [asked, Event(row["completed_at_us"], _client(row), f"{_answer(row)}{took if row['status'] else ''}", tone)]


def _lines_asked(row: dict[str, Any]) -> str:
    lines = row["lines"] or []
    if not lines:
        return "the whole order"
    return f"{count(len(lines), 'line')} of {count(sum(line['quantity'] or 0 for line in lines), 'unit')}"


def _answer(row: dict[str, Any]) -> str:
    if row["outcome"] == "ok":
        replay = ", a replay of the first answer" if row["replayed"] else ""
        return f"is told {row['status']} {_said(row['order_status'] or 'ok')}{_promised(row)}{replay}"
    if row["status"]:
        problem = (row["problem"] or "").rpartition(":")[2]
        return f"is told {row['status']}{' ' + problem if problem else ''}"
    return f"gets no answer ({row['detail'] or 'outcome unknown'})"


def _promised(row: dict[str, Any]) -> str:
    lines = row["answer_lines"] or []
    if row["operation"] != "place_order" or not lines:
        return ""
    confirmed = sum(line["confirmed"] or 0 for line in lines)
    backordered = sum(line["backordered"] or 0 for line in lines)
    later = f", {number(backordered)} backordered" if backordered else ""
    return f": {number(confirmed)} confirmed{later}"


# What the partners booked.


def _booked_events(booked: list[dict[str, Any]]) -> list[Event]:
    return [
        Event(row["at_us"], row["partner"], _BOOKED.get(row["kind"], _booked_plainly)(row), _booked_tone(row["kind"]))
        for row in booked
        if row["kind"] not in _TOLD_BY_ANOTHER
    ]


# An order line or a label line says again, line by line, what the entry beside it says as a whole.
_TOLD_BY_ANOTHER = frozenset({"order_line", "label_line"})


def _booked_tone(kind: str) -> Tone:
    return "warn" if kind in {"short", "release_rejected", "order_voided"} else "booked"


def _extent(row: dict[str, Any]) -> str:
    lines = f"{count(row['lines'], 'line')} of " if row["lines"] else ""
    return f"{lines}{count(row['units'] or 0, 'unit')}{_because(row)}"


def _because(row: dict[str, Any]) -> str:
    return f" ({listing([_said(reason) for reason in sorted(row['reasons'])])})" if row["reasons"] else ""


def _money(row: dict[str, Any]) -> str:
    return f"{(row['amount_minor'] or 0) / 100:,.2f} {row['currency'] or ''}".strip()


def _named(row: dict[str, Any], column: str) -> str:
    return f" {row[column]}" if row[column] else ""


def _told(verb: str, *columns: str) -> Callable[[dict[str, Any]], str]:
    return lambda row: f"{verb} {_extent(row)}" + "".join(f",{_named(row, name)}" for name in columns if row[name])


_BOOKED: dict[str, Callable[[dict[str, Any]], str]] = {
    "release_accepted": _told("accepts release", "business_key"),
    "release_rejected": _told("rejects release", "business_key"),
    "release_cancelled": _told("cancels", "business_key"),
    "picked": _told("picks"),
    "short": _told("finds short"),
    "hold": _told("puts on hold"),
    "unhold": _told("takes off hold"),
    "packed": lambda row: f"packs{_named(row, 'parcel_id') or ' ' + _extent(row)}",
    "shipped": _told("ships", "shipment_id"),
    "order_booked": lambda row: f"books the sales order{_named(row, 'business_key')}",
    "order_changed": lambda row: f"changes the sales order: {_extent(row)}",
    "order_voided": lambda row: f"voids the sales order{_named(row, 'business_key')}{_because(row)}",
    "shipment_confirmed": _told("books the shipment of", "shipment_id"),
    "invoiced": _told("invoices", "shipment_id"),
    "invoice": lambda row: f"issues invoice{_named(row, 'business_key')} over {_money(row)}",
    "credited": lambda row: f"credits {_money(row)}",
    "label": lambda row: f"makes a label{_named(row, 'tracking_number')} for parcel{_named(row, 'parcel_id')}",
    "label_voided": lambda row: f"voids label{_named(row, 'tracking_number')}",
    "event_taken": lambda row: f"is told {row['status']}",
    "event_refused": lambda row: f"can't be told {row['status']}{_because(row)}",
    "event_unsigned": lambda row: f"turns {row['status']} away{_because(row)}",
    "scan": lambda row: f"scans{_named(row, 'tracking_number')}: {_said(row['status'] or '')}{_because(row)}",
}


def _booked_plainly(row: dict[str, Any]) -> str:
    return f"books {_said(row['kind'])}: {_extent(row)}"


# What went over the wires.


def _exchange_events(exchanges: list[dict[str, Any]]) -> list[Event]:
    return [_exchange_event(row) for row in exchanges if not _told_by_client(row)]


_CLIENTS = frozenset({"portal", "edi", "marketplace", "clerk", "monitor"})


def _told_by_client(row: dict[str, Any]) -> bool:
    """The client's own attempt says it already, unless a fault struck or the copy is one that no client sent."""
    return row["source"] in _CLIENTS and not row["fault"] and not row["copy"]


def _exchange_event(row: dict[str, Any]) -> Event:
    what = f"tells {row['target']} {row['event_type']}" if row["event_type"] else _request(row)
    copy = " (a second copy)" if row["copy"] else ""
    return Event(
        row["sent_at_us"], row["source"], f"{what}{copy} → {_result(row)}", _wire_tone(row), row["fault"] or ""
    )


def _request(row: dict[str, Any]) -> str:
    again = f" (attempt {row['attempt']})" if (row["attempt"] or 1) > 1 else ""
    return f"{row['method']} {row['route'] or row['path']} to {row['target']}{again}"


def _result(row: dict[str, Any]) -> str:
    took = f" after {duration(row['completed_at_us'] - row['sent_at_us'])}" if row["completed_at_us"] else ""
    if row["outcome"] == "answered":
        problem = (row["problem"] or "").rpartition(":")[2]
        return f"{row['status']}{' ' + problem if problem else ''}{took}"
    handled = ", though it was handled" if row["handled_at_us"] else ""
    return f"{_UNANSWERED.get(row['outcome'] or '', _said(row['outcome'] or 'unknown'))}{took}{handled}"


_UNANSWERED = {"timeout": "no answer", "refused": "connection refused", "reset": "connection reset"}


def _wire_tone(row: dict[str, Any]) -> Tone:
    if row["fault"]:
        return "fault"
    return "exchange" if row["outcome"] == "answered" and (row["status"] or 0) < 400 else "warn"


# How it began and how it ended.


def _summary(operations: list[dict[str, Any]]) -> str:
    first = next((row for row in operations if row["operation"] == "place_order"), None)
    if first is None:
        return "No client asked for this order"
    attempts = sum(row["operation"] == "place_order" for row in operations)
    by = f" in {attempts} attempts" if attempts > 1 else ""
    return f"{_lines_asked(first)} ordered by {_client(first)}{by}"


def _ending(run: Run, key: OrderKey, booked: list[dict[str, Any]]) -> str:
    final = _final(run, key)
    counts = [
        (sum(row["kind"] == kind for row in booked), noun)
        for kind, noun in (("order_booked", "ERP order"), ("shipped", "shipment"), ("invoice", "invoice"))
    ]
    partners = listing([count(times, noun) for times, noun in counts])
    status = _said(final[0]["order_status"] or "unknown") if final else "not read at the end"
    return f"{status}; booked by the partners: {partners}"


def _final(run: Run, key: OrderKey) -> list[dict[str, Any]]:
    return run.rows(
        "SELECT * FROM final WHERE read = 'order' AND customer_id = ? AND order_reference = ?"
        " ORDER BY at_us DESC LIMIT 1",
        [key.customer_id, key.order_reference],
    )


def _final_events(run: Run, key: OrderKey) -> list[Event]:
    rows = _final(run, key)
    return [
        Event(
            row["at_us"], "monitor", f"reads the order at the end: {_said(row['order_status'] or 'unknown')}", "client"
        )
        for row in rows
    ]


def _faults(run: Run, events: list[Event]) -> list[str]:
    """Faults that struck this order's exchanges, and windows on a partner in which it worked on this order."""
    struck = {event.fault for event in events if event.fault}
    return [
        _fault_line(row, row["fault"] in struck, run.file.started_at_us)
        for row in run.rows(_WINDOWS)
        if row["fault"] in struck or _worked_within(row, events)
    ]


_WINDOWS = "SELECT fault, kind, target, from_us, to_us FROM faults WHERE event = 'window' ORDER BY from_us, fault"


def _worked_within(window: dict[str, Any], events: list[Event]) -> bool:
    return any(
        event.who == window["target"]
        and window["from_us"] <= event.at_us
        and (window["to_us"] is None or event.at_us < window["to_us"])
        for event in events
    )


def _fault_line(row: dict[str, Any], struck: bool, started_at_us: int) -> str:
    how = "struck this order" if struck else "was in force"
    window = f"{clock(row['from_us'], started_at_us)} to {clock(row['to_us'], started_at_us)}"
    return f"{row['fault']} ({_said(row['kind'])} on {row['target']}, {window}) {how}"


def _said(name: str) -> str:
    return name.replace("_", " ")
