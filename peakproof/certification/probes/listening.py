"""Webhooks, heard by a listener of certification's own. A stock adjustment makes a warehouse send one at once."""

from collections.abc import Sequence
from itertools import pairwise

from contracts.validation import Events
from peakproof.certification.data import Role
from peakproof.certification.errors import CannotTell, NotRun, PromiseBroken
from peakproof.certification.listener import FAILING, GOOD, Delivery, Mailbox
from peakproof.certification.partner import Ask
from peakproof.certification.session import Probe, Session
from peakproof.certification.waiting import SECOND_US, wait_until

_TYPE = "inventory.changed"
_BOX = "mailbox"
_BURST = 4
_QUIET_US = 20 * SECOND_US
_SURELY_OVER = 3
"""A schedule counts as over after a silence so many times as long as its longest interval."""
_ROLES: tuple[Role, ...] = ("wms",)


def _subscribed(session: Session, name: str) -> Mailbox:
    box = session.ears().open(f"{session.names.run}-{name}", f"certify-{session.names.run}-{name}-secret")
    body = {"url": box.url, "secret": box.secret, "types": [_TYPE]}
    session.must(session.partner.ask(Ask("POST", "/subscriptions", body)))
    return box


def _adjusted(session: Session, delta: int) -> tuple[str, int]:
    """Have an event sent: the adjustment's id, by which it is known, and when it was answered."""
    number = session.names.next("A")
    body = {"adjustment_id": number, "sku": session.data.skus[-1], "quantity_delta": delta, "reason": "certification"}
    session.must(session.partner.ask(Ask("POST", "/adjustments", body, session.names.next("K"))))
    return number, session.waiter.now_us()


def _about(box: Mailbox, number: str) -> list[Delivery]:
    """All attempts of the event of one adjustment."""
    return [each for each in box.deliveries if _reference(each) == number]


def _reference(delivery: Delivery) -> str:
    data = (delivery.event or {}).get("data")
    return str(data.get("reference", "")) if isinstance(data, dict) else ""


def _heard(session: Session, box: Mailbox, number: str, attempts: int = 1) -> list[Delivery]:
    """The attempts of an event once there are so many; CannotTell when they do not come."""
    if not wait_until(session.waiter, lambda: len(_about(box, number)) >= attempts, session.patience_us):
        told = f"{len(_about(box, number))} of {attempts} attempts"
        raise CannotTell(
            f"{told} of the webhook of adjustment {number} came within {session.patience_us / SECOND_US:g} s"
        )
    return _about(box, number)


def _drawn(session: Session) -> tuple[Mailbox, list[tuple[str, int]]]:
    """The mailbox that answers well, with a burst of events, made once for the probes that look at them."""
    if _BOX not in session.kept:
        box = _subscribed(session, "good")
        sent = [_adjusted(session, delta) for delta in [1, -1] * (_BURST // 2)]
        wait_until(session.waiter, lambda: all(_about(box, number) for number, _ in sent), session.patience_us)
        session.kept[_BOX] = (box, sent)
    box, sent = session.kept[_BOX]
    return box, sent


def signed(session: Session) -> str:
    box, sent = _drawn(session)
    heard = _all_heard(box, sent)
    for delivery in heard:
        if delivery.signature:
            raise PromiseBroken(f"a webhook came with a bad signature: {delivery.signature}")
    _learn_delay(session, box, sent)
    return f"{len(heard)} webhooks came, each signed with the secret of its subscription"


def well_formed(session: Session) -> str:
    box, sent = _drawn(session)
    events = Events.load()
    for delivery in _all_heard(box, sent):
        event = delivery.event
        if event is None:
            raise PromiseBroken("a webhook's body is no JSON object")
        wrong = events.envelope_errors(event)
        if wrong:
            raise PromiseBroken(f"a webhook breaks its schema: {wrong[0].pointer or 'the whole'}: {wrong[0].message}")
        if event["id"] != delivery.webhook_id:
            raise PromiseBroken(f"webhook-id {delivery.webhook_id!r} is not the event's id {event['id']!r}")
    return "each webhook fits its schema, and webhook-id is the event's id"


def ordered(session: Session) -> str:
    box, sent = _drawn(session)
    heard = _all_heard(box, sent)
    if len(_first_attempts(heard)) < len(sent):
        raise CannotTell(f"{len(_first_attempts(heard))} of {len(sent)} events came")
    numbers = [each.event["data"]["stock"]["sequence"] for each in _first_attempts(heard) if each.event]
    if len(set(numbers)) < len(numbers):
        raise PromiseBroken(f"the events of different bookings carry the sequences {numbers}: their order is lost")
    said = "in order" if numbers == sorted(numbers) else "out of order"
    session.facts.note("webhook order", f"{len(numbers)} events in a row came {said}")
    return f"{len(numbers)} events came {said}; their sequences {numbers} put them right"


def _all_heard(box: Mailbox, sent: Sequence[tuple[str, int]]) -> list[Delivery]:
    known = {number for number, _ in sent}
    heard = [each for each in box.deliveries if _reference(each) in known or each.event is None]
    if not heard:
        raise CannotTell("no webhook came: is --listen-url reachable from the partner?")
    return heard


def _first_attempts(heard: Sequence[Delivery]) -> list[Delivery]:
    return list({_reference(each): each for each in reversed(heard)}.values())[::-1]


def _learn_delay(session: Session, box: Mailbox, sent: Sequence[tuple[str, int]]) -> None:
    delays = sorted(max(0, _about(box, number)[0].at_us - at_us) for number, at_us in sent if _about(box, number))
    if len(delays) >= 3:
        how = (
            f"{len(delays)} webhooks came {delays[0] // 1000} to {delays[-1] // 1000} ms after the booking was answered"
        )
        session.facts.see("webhooks.delay", _rounded(delays[0]), how)
        session.facts.see("webhooks.spread", _rounded(delays[-1] - delays[0]), how)


def _rounded(duration_us: int) -> int:
    """A tenth of a second below two seconds, whole seconds above: finer than that is the network's."""
    unit = SECOND_US if duration_us >= 2 * SECOND_US else 100_000
    return round(duration_us / unit) * unit


def retried(session: Session) -> str:
    """Refuse an event three times, then take it: it must come again, the same, under the same id."""
    box = _subscribed(session, "failing")
    box.answer = lambda before, _webhook_id: FAILING if len(before) < 2 else GOOD
    number, _ = _adjusted(session, 1)
    _adjusted_back(session)
    try:
        heard = _heard(session, box, number, 2)
    except CannotTell as error:
        if _about(box, number):
            raise PromiseBroken(f"an event that was answered {FAILING} did not come again: {error}") from error
        raise
    finally:
        box.closed = True
    for again in heard[1:]:
        if again.body != heard[0].body and _without_id(again) != _without_id(heard[0]):
            raise PromiseBroken("an event came again with another body")
    return f"an event that was answered {FAILING} came again after {_told([each.at_us for each in heard])}"


def _without_id(delivery: Delivery) -> dict[str, object]:
    return {name: value for name, value in (delivery.event or {}).items() if name != "id"}


def _adjusted_back(session: Session) -> None:
    """Take the unit back, so that certification leaves the stock as it found it."""
    _adjusted(session, -1)


def same_ids(session: Session) -> str:
    box = _subscribed(session, "ids")
    box.answer = lambda before, _webhook_id: FAILING if len(before) < 2 else GOOD
    number, _ = _adjusted(session, 1)
    _adjusted_back(session)
    heard = _heard(session, box, number, 2)
    box.closed = True
    ids = list(dict.fromkeys(each.webhook_id for each in heard))
    if len(ids) > 1:
        raise PromiseBroken(f"one event came under the ids {', '.join(ids)}: a receiver would book it twice")
    return f"{len(heard)} attempts of one event came under one id"


def gone(session: Session) -> str:
    box = _subscribed(session, "gone")
    first, _ = _adjusted(session, 1)
    _heard(session, box, first)
    box.closed = True
    refused, _ = _adjusted(session, -1)
    _heard(session, box, refused)
    later, _ = _adjusted(session, 1)
    _adjusted_back(session)
    came = wait_until(session.waiter, lambda: bool(_about(box, later)), min(session.patience_us, _QUIET_US))
    repeated = len(_about(box, refused)) > 1
    how = f"after an answer of 410 {'more events came' if came or repeated else 'nothing came any more'}"
    session.facts.see("webhooks.unsubscribe_on_gone", not (came or repeated), how)
    if came or repeated:
        raise PromiseBroken(how)
    return how


def schedule(session: Session) -> str:
    """Refuse one event for good and note when it comes again, as long as the patience lasts."""
    box = _subscribed(session, "schedule")
    box.answer = lambda _before, _webhook_id: FAILING
    number, _ = _adjusted(session, 1)
    ends_at_us = session.waiter.now_us() + session.patience_us
    _heard(session, box, number)
    while (left_us := ends_at_us - session.waiter.now_us()) > 0:
        known = len(_about(box, number))
        if not wait_until(session.waiter, lambda known=known: len(_about(box, number)) > known, left_us):  # type: ignore[misc]
            break
    box.closed = True
    _adjusted_back(session)
    at_us = [each.at_us for each in _about(box, number)]
    gaps = tuple(_rounded(after - before) for before, after in pairwise(at_us))
    if not gaps:
        raise CannotTell(f"no retry came within {session.patience_us / SECOND_US:g} s; raise --patience")
    quiet_us = session.waiter.now_us() - at_us[-1]
    silence = f"then not for {quiet_us // SECOND_US} s"
    how = f"an event refused for good came {len(at_us)} times, after {_told(at_us)}, {silence}"
    session.facts.see("webhooks.retries", gaps, how, partial=quiet_us < _SURELY_OVER * max(gaps))
    return how


def _told(at_us: Sequence[int]) -> str:
    return ", ".join(f"{(after - before) / SECOND_US:.1f} s" for before, after in pairwise(at_us))


PROBES = (
    Probe("webhook-signature", "Each webhook is signed with its subscription's secret.", _ROLES, signed),
    Probe("webhook-schema", "Each webhook fits its schema.", _ROLES, well_formed),
    Probe("webhook-order", "Events carry sequences that put them in order.", _ROLES, ordered, "advisory"),
    Probe("webhook-retries", "An event that was answered 500 comes again, with the same body.", _ROLES, retried),
    Probe("webhook-ids", "An event keeps its id over all attempts.", _ROLES, same_ids),
    Probe("webhook-gone", "A listener that answers 410 is left alone.", _ROLES, gone, "advisory"),
)


def tracked(session: Session) -> str:
    """Buy a label, and hear of the scans that the partner makes of it while we wait; the first one is refused once."""
    box = session.ears().open(f"{session.names.run}-scans", f"certify-{session.names.run}-scans-secret")
    body = {"url": box.url, "secret": box.secret, "types": ["tracking.updated"]}
    session.must(session.partner.ask(Ask("POST", "/subscriptions", body)))
    box.answer = lambda before, _webhook_id: GOOD if before else FAILING
    label = session.post(session.subject.draft()).member("tracking_number")
    repeated = wait_until(session.waiter, lambda: _came_twice(box, label), session.patience_us)
    box.closed = True
    heard = [each for each in box.deliveries if _tracking(each) == label]
    if not heard:
        raise NotRun(f"no scan of {label} was told; have the partner scan the parcel while certify waits (--patience)")
    for delivery in heard:
        if delivery.signature:
            raise PromiseBroken(f"a webhook came with a bad signature: {delivery.signature}")
        wrong = Events.load().envelope_errors(delivery.event)
        if wrong:
            raise PromiseBroken(f"a webhook breaks its schema: {wrong[0].pointer or 'the whole'}: {wrong[0].message}")
    if not repeated:
        raise PromiseBroken(f"a scan that was answered {FAILING} did not come again under its id")
    return f"{len(heard)} webhooks told of scans; the one that was refused came again under its id"


def _tracking(delivery: Delivery) -> str:
    data = (delivery.event or {}).get("data")
    return str(data.get("tracking_number", "")) if isinstance(data, dict) else ""


def _came_twice(box: Mailbox, label: str) -> bool:
    ids = [each.webhook_id for each in box.deliveries if _tracking(each) == label]
    return len(ids) > len(set(ids))


LATE_PROBES = (
    Probe(
        "webhook-tracking",
        "A scan is told by a signed webhook, which comes again when it was refused.",
        ("carrier",),
        tracked,
        may_be_missed=True,
    ),
    Probe(
        "webhook-schedule",
        "Retries go on for a while, at growing intervals.",
        _ROLES,
        schedule,
        "advisory",
        may_be_missed=True,
    ),
)
