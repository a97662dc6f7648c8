"""The same thing posted twice: one after the other, at the same moment, after a lost reply, under another key."""

from collections import Counter
from dataclasses import replace

from peakproof.certification.data import ROLES
from peakproof.certification.errors import CannotTell, NotRun, PromiseBroken
from peakproof.certification.partner import Exchange
from peakproof.certification.session import Probe, Session
from peakproof.certification.subjects import DUPLICATE_PROBLEMS, Draft
from peakproof.certification.waiting import SECOND_US

_SETTLE_US = 3 * SECOND_US
_AT_ONCE = 3
_SAID = {
    "return_existing": "answered with the one that stands",
    "reject": "refused as a duplicate",
    "create_second": "a second one was made",
}


def treatment(session: Session, draft: Draft, first: Exchange, second: Exchange) -> str:
    """What became of a second post, in the words of a profile's duplicate_policy."""
    if second.reply.failure:
        raise CannotTell(str(second))
    if second.status >= 500:
        raise PromiseBroken(f"the second post: {second}")
    count = session.subject.count(draft)
    if count is not None and count > 1:
        return "create_second"
    if not second.good:
        return _refusal(second)
    if session.subject.identity(second) != session.subject.identity(first):
        return "create_second"
    if second.replayed or second.status == 200 or count == 1:
        return "return_existing"
    return "create_second"


def _refusal(second: Exchange) -> str:
    if second.problem in DUPLICATE_PROBLEMS or second.status == 409:
        return "reject"
    raise CannotTell(f"the second post: {second}, which is no answer to a duplicate")


def sequential(session: Session) -> str:
    draft = session.subject.draft()
    first = session.post(draft)
    second = session.partner.ask(draft.ask)
    done = treatment(session, draft, first, second)
    if done == "create_second":
        raise PromiseBroken(f"the same post under the same key: {second}; {_SAID[done]}")
    return f"the same post under the same key: {second}; {_SAID[done]}"


def fresh_key(session: Session) -> str:
    draft = session.subject.draft()
    first = session.post(draft)
    second = session.partner.ask(draft.again(session.names.next("K")))
    done = treatment(session, draft, first, second)
    session.facts.see("duplicate_policy", done, f"the same reference under another key: {second}")
    if done == "create_second":
        raise PromiseBroken(f"the same reference under another key: {second}; {_SAID[done]}")
    return f"the same reference under another key: {second}; {_SAID[done]}"


def concurrent(session: Session) -> str:
    draft = session.subject.draft()
    at_once = min(_AT_ONCE, session.partner.budget.at_once)
    if at_once < 2:
        raise NotRun("two requests at once are above --max-per-second; raise it to 2 or more")
    answers = session.partner.together([draft.ask] * at_once)
    told = ", ".join(f"{answer.status} {answer.problem}".strip() for answer in answers)
    if any(answer.status >= 500 for answer in answers):
        raise PromiseBroken(f"{at_once} equal posts at once were answered {told}")
    in_flight = any(answer.problem == "request-in-flight" for answer in answers)
    session.facts.see("keys.in_flight", "refuse" if in_flight else "serve", f"{at_once} equal posts at once: {told}")
    made = [answer for answer in answers if answer.good and answer.status != 200 and not answer.replayed]
    good = [answer for answer in answers if answer.good]
    if not good:
        raise CannotTell(f"{at_once} equal posts at once were answered {told}: none was taken in")
    names = Counter(session.subject.identity(answer) for answer in good)
    count = session.subject.count(draft)
    if len(names) > 1 or (count or 0) > 1 or (count is None and len(made) > 1):
        raise PromiseBroken(f"{at_once} equal posts at once were answered {told}: it was booked more than once")
    return f"{at_once} equal posts at once were answered {told}: booked once"


def lost_reply(session: Session) -> str:
    draft = session.subject.draft()
    session.partner.cut(draft.ask)
    session.waiter.wait(_SETTLE_US)
    arrived = session.subject.exists(draft)
    second = session.partner.ask(draft.ask)
    if second.status == 409 and not arrived:
        raise CannotTell(f"after a lost reply: {second}, and nothing can be read")
    if arrived:
        return _after_arrival(session, draft, second)
    third = session.partner.ask(draft.ask)
    done = treatment(session, draft, session.must(second), third)
    if done == "create_second":
        raise PromiseBroken(f"the cut post had no effect, the next was taken in, and the one after that: {_SAID[done]}")
    return "the post whose connection was cut had no effect; the next one was taken in, once"


def _after_arrival(session: Session, draft: Draft, second: Exchange) -> str:
    if second.reply.failure:
        raise CannotTell(str(second))
    count = session.subject.count(draft)
    recognized = second.replayed or second.status in (200, 409) or (second.good and count == 1)
    if second.status >= 500 or not recognized or (count or 0) > 1:
        raise PromiseBroken(f"the post whose reply was lost had its effect, and asking again: {second}; booked twice")
    return f"the post whose reply was lost had its effect; asking again: {second}, and nothing was booked"


def key_reuse(session: Session) -> str:
    subject = session.subject
    draft = subject.draft()
    first = session.post(draft)
    before = subject.payload_of(first)
    second = session.partner.ask(subject.altered(draft))
    if second.status >= 500:
        raise PromiseBroken(f"the same key with another payload: {second}")
    count = subject.count(draft)
    if (count or 0) > 1 or (second.good and subject.payload_of(second) != before):
        raise PromiseBroken(f"the same key and reference with another payload: {second}; the new payload was booked")
    return f"the same key and reference with another payload: {second}; what stands is unchanged"


def key_other_reference(session: Session) -> str:
    first, other = session.subject.draft(), session.subject.draft()
    session.post(first)
    second = session.partner.ask(replace(other.ask, key=first.ask.key))
    taken = second.good and not second.replayed
    if taken or second.status in (409, 422):
        session.facts.see("keys.reuse", "ignore" if taken else "refuse", f"a known key for another request: {second}")
    if taken:
        raise PromiseBroken(f"a key that stands for {first.reference} was taken for {other.reference}, too: {second}")
    return f"a key that stands for another request: {second}"


PROBES = (
    Probe("duplicate-sequential", "The same post under the same key books once.", ROLES, sequential),
    Probe("duplicate-concurrent", "Equal posts at the same moment book once.", ROLES, concurrent),
    Probe("duplicate-lost-reply", "A post whose reply was lost can be repeated and books once.", ROLES, lost_reply),
    Probe("duplicate-fresh-key", "A known reference under another key is recognized.", ROLES, fresh_key, "advisory"),
    Probe("key-reuse", "A key with another payload changes nothing that stands.", ROLES, key_reuse),
    Probe(
        "key-other-reference",
        "A key that stands for one request is not taken for another.",
        ROLES,
        key_other_reference,
        "advisory",
    ),
)
