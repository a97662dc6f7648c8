"""Quantities: stock after adjustments, receipts, cancels and shipments; order lines and money after each booking."""

from typing import Any

from contracts.wire import iso
from peakproof.certification.data import NODES
from peakproof.certification.errors import PromiseBroken
from peakproof.certification.partner import Ask, Exchange
from peakproof.certification.session import Probe, Session
from peakproof.certification.shipping import Level, level, voyage
from peakproof.certification.subjects import Draft, ErpSubject


def stock_adjustments(session: Session) -> str:
    sku = session.data.skus[-1]
    start = level(session, sku)
    number = session.names.next("A")
    more = {"adjustment_id": number, "sku": sku, "quantity_delta": 5, "reason": "certification"}
    _posted_twice(session, "/adjustments", more)
    _check(level(session, sku), start.on_hand + 5, "an adjustment of 5, posted twice", start)
    less = {**more, "adjustment_id": session.names.next("A"), "quantity_delta": -5}
    session.must(session.partner.ask(Ask("POST", "/adjustments", less, session.names.next("K"))))
    _check(level(session, sku), start.on_hand, "an adjustment of -5", start)
    receipt = {"receipt_id": session.names.next("I"), "sku": sku, "quantity": 3, "reason": "certification"}
    _posted_twice(session, "/receipts", receipt)
    _check(level(session, sku), start.on_hand + 3, "a receipt of 3, posted twice", start)
    back = {**more, "adjustment_id": session.names.next("A"), "quantity_delta": -3}
    session.must(session.partner.ask(Ask("POST", "/adjustments", back, session.names.next("K"))))
    too_much = {**more, "adjustment_id": session.names.next("A"), "quantity_delta": -(start.on_hand + 1_000_000)}
    refused = session.refused(Ask("POST", "/adjustments", too_much, session.names.next("K")))
    _check(level(session, sku), start.on_hand, f"a refused adjustment ({refused.status})", start)
    return f"{sku} went from {start.on_hand} by +5, -5, +3 and -3 back to {start.on_hand}; repeats booked nothing"


def _posted_twice(session: Session, path: str, body: dict[str, object]) -> None:
    ask = Ask("POST", path, body, session.names.next("K"))
    session.must(session.partner.ask(ask))
    session.partner.ask(ask)


def _check(now: Level, on_hand: int, after: str, start: Level) -> None:
    if now.on_hand != on_hand:
        raise PromiseBroken(
            f"after {after} there are {now.on_hand} on hand, not {on_hand} (it began at {start.on_hand})"
        )
    if now.sequence <= start.sequence:
        raise PromiseBroken(f"after {after} as_of_sequence is {now.sequence}, not above {start.sequence}")


def stock_after_cancel(session: Session) -> str:
    sku = session.data.skus[0]
    before = level(session, sku)
    draft = session.subject.draft()
    posted = session.post(draft)
    reserved = level(session, sku)
    session.must(
        session.partner.ask(session.subject.cancel(draft, session.subject.identity(posted), session.names.next("K")))
    )
    after = level(session, sku)
    if (after.on_hand, after.held) != (before.on_hand, before.held):
        raise PromiseBroken(f"an order was cancelled before it was picked, and {before} became {after}")
    session.facts.note("reservation", f"on hand {before.on_hand} before, {reserved.on_hand} with an order waiting")
    return f"{before.on_hand} on hand before and after a cancelled order"


def stock_after_shipment(session: Session) -> str:
    made = voyage(session)
    assert made.after is not None
    shipped = sum(_shipped(cargo.last) for cargo in (made.alone, made.disturbed))
    fallen = made.before.on_hand - made.after.on_hand
    if fallen != shipped:
        raise PromiseBroken(
            f"{shipped} units of {session.data.skus[1]} were shipped and on hand went from {made.before.on_hand} to "
            f"{made.after.on_hand}, by {fallen}"
        )
    _check_lines(made.alone.last)
    return f"{shipped} units were shipped and on hand fell by {fallen}"


def _shipped(order: Exchange) -> int:
    return sum(line["shipped"] for line in order.member("lines"))


def _check_lines(order: Exchange) -> None:
    for line in order.member("lines"):
        done = line["shipped"] + line["short"] + line["cancelled"]
        if done != line["quantity"]:
            raise PromiseBroken(
                f"line {line['line_no']} asked for {line['quantity']}, shipped, short and cancelled are {done}"
            )


def order_arithmetic(session: Session) -> str:
    """Book 3, cancel 1, ship 2, invoice: quantities and money must follow, repeats must book nothing."""
    subject = session.subject
    assert isinstance(subject, ErpSubject)
    draft = subject.draft()
    units = session.data.units
    booked = session.post(draft)
    order_id = subject.identity(booked)
    left = units - 1 if units > 1 else units
    if units > 1:
        change = subject.change(draft, order_id, session.names.next("K"), units - left)
        for _ in range(2):
            session.must(session.partner.ask(change))
    _check_line(subject.read(draft, order_id), cancelled=units - left, shipped=0, invoiced=0)
    shipment = _shipment(session, draft, order_id, left)
    for _ in range(2):
        session.must(session.partner.ask(Ask("POST", "/shipments", shipment, session.names.next("K"))))
    _check_line(subject.read(draft, order_id), cancelled=units - left, shipped=left, invoiced=0)
    invoice = _invoiced(session, shipment)
    _check_line(subject.read(draft, order_id), cancelled=units - left, shipped=left, invoiced=left)
    late = session.refused(subject.change(draft, order_id, session.names.next("K"), units))
    return (
        f"{units} booked, {units - left} cancelled, {left} shipped and invoiced {invoice}; a late cancel: {late.status}"
    )


def _shipment(session: Session, draft: Draft, order_id: str, units: int) -> dict[str, Any]:
    return {
        "shipment_id": session.names.next("S"),
        "erp_order_id": order_id,
        "customer_id": session.data.customer_id,
        "order_reference": draft.order_reference,
        "node": session.data.node,
        "shipped_at": iso(session.waiter.now_us()),
        "tracking_numbers": [session.names.next("T")],
        "lines": [{"line_no": 1, "sku": session.data.skus[0], "quantity": units}],
    }


def _invoiced(session: Session, shipment: dict[str, Any]) -> str:
    asked = {name: shipment[name] for name in ("shipment_id", "erp_order_id", "customer_id", "order_reference")}
    answers = [
        session.must(session.partner.ask(Ask("POST", "/invoices", asked, session.names.next("K")))) for _ in range(2)
    ]
    if answers[0].member("invoice_id") != answers[1].member("invoice_id"):
        raise PromiseBroken(
            f"a shipment invoiced twice got {' and '.join(str(each.member('invoice_id')) for each in answers)}"
        )
    money, units = session.data.money, shipment["lines"][0]["quantity"]
    net_minor = units * money.unit_price_minor
    tax_minor = (net_minor * money.tax_rate_bp + 5_000) // 10_000
    found = tuple(answers[0].member(name) for name in ("net_minor", "tax_minor", "total_minor"))
    if found != (net_minor, tax_minor, net_minor + tax_minor):
        wanted = (net_minor, tax_minor, net_minor + tax_minor)
        raise PromiseBroken(f"the invoice says net, tax, total {found}, the order {wanted}")
    return f"{net_minor + tax_minor} {money.currency} minor units"


def _check_line(order: Exchange, **wanted: int) -> None:
    line = order.member("lines")[0]
    found = {name: line[name] for name in wanted}
    if found != wanted:
        raise PromiseBroken(f"{order}: the line says {found}, expected {wanted}")


def label_price(session: Session) -> str:
    """Learn the tariff from quotes, then see that a label costs what was quoted."""
    quotes = {weight_g: _rates(session, weight_g) for weight_g in (1_000, 1_001, 10_000)}
    for service in sorted(set(quotes[1_000]) & set(quotes[10_000])):
        low, high = (quotes[weight_g][service] for weight_g in (1_000, 10_000))
        per_kg = (high["amount_minor"] - low["amount_minor"]) / 9
        how = f"quotes of {low['amount_minor']} for 1 kg and {high['amount_minor']} for 10 kg"
        if per_kg == int(per_kg) and quotes[1_001][service]["amount_minor"] == low["amount_minor"] + per_kg:
            session.facts.see(f"{service}.per_kg_minor", int(per_kg), how)
            session.facts.see(f"{service}.base_minor", low["amount_minor"] - int(per_kg), how)
        session.facts.see(f"{service}.transit_days", max(1, low["transit_days"]), "quoted")
        session.facts.see("currency", low["currency"], "quoted")
    draft = session.subject.draft()
    bought = session.post(draft)
    quoted = _rates(session, draft.ask.body["weight_g"])[draft.ask.body["service"]]["amount_minor"]
    if bought.member("amount_minor") != quoted:
        raise PromiseBroken(f"a label quoted at {quoted} cost {bought.member('amount_minor')}")
    return f"a label cost {quoted}, as quoted"


def _rates(session: Session, weight_g: int) -> dict[str, Any]:
    body = {"ship_to": session.data.address.model_dump(), "weight_g": weight_g}
    answer = session.must(session.partner.ask(Ask("POST", "/rates", body)))
    return {rate["service"]: rate for rate in answer.member("rates")}


PROBES = (
    Probe("stock-adjustments", "Adjustments and receipts count once each.", NODES, stock_adjustments),
    Probe("stock-after-cancel", "A cancelled order leaves the stock as it was.", NODES, stock_after_cancel),
    Probe("order-arithmetic", "Bookings, changes, shipments and invoices add up.", ("erp",), order_arithmetic),
    Probe("label-price", "A label costs what was quoted.", ("carrier",), label_price),
)
LATE_PROBES = (
    Probe("stock-after-shipment", "On hand falls by what was shipped, and by no more.", NODES, stock_after_shipment),
)
