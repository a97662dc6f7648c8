"""Load within the stated budget: where the partner draws the line, and whether Retry-After tells the truth."""

from collections.abc import Sequence

from peakproof.certification.data import ROLES
from peakproof.certification.errors import NotRun, PromiseBroken
from peakproof.certification.partner import Exchange
from peakproof.certification.session import Probe, Session
from peakproof.certification.waiting import SECOND_US

_AT_ONCE = 6
_KEPT_BACK = 50
"""Requests left to the probes that come after."""
_CROWD = 64
_LIMIT_KEYS = {"erp": "quota", "carrier": "quota", "wms": "limit", "threepl": "limit"}


def rate_limit(session: Session) -> str:
    """Read as fast as the budget allows until refused, wait as long as was said, and read again."""
    partner = session.partner
    at_once = min(partner.budget.at_once, max(_AT_ONCE, partner.budget.at_once // 5))
    calls = 0
    while partner.budget.left - _KEPT_BACK >= at_once:
        answers = partner.together([session.subject.ping()] * at_once)
        calls += at_once
        refused = [each for each in answers if each.status == 429]
        if refused:
            return _honest(session, refused[0], calls)
    said = f"{calls} reads at up to {partner.budget.max_per_second:g} a second met no limit"
    session.facts.note("limit", said)
    raise NotRun(f"{said}; --max-requests and --max-per-second are the budget")


def _honest(session: Session, refused: Exchange, calls: int) -> str:
    key = _LIMIT_KEYS[session.role]
    learned = _learned(refused, session.partner.exchanges)
    if learned:
        session.facts.see(key, learned, f"{refused} with RateLimit-Policy {refused.reply.headers['ratelimit-policy']}")
    asked = refused.retry_after_s
    if asked is None:
        given = refused.reply.headers.get("retry-after")
        raise PromiseBroken(f"{refused} with Retry-After {given!r}, which is no number of seconds")
    if asked * SECOND_US > session.patience_us:
        raise NotRun(f"Retry-After asks for {asked} s, longer than the patience; raise --patience to try it")
    session.waiter.wait(asked * SECOND_US)
    again = session.partner.ask(session.subject.ping(), patient=False)
    if again.status == 429:
        raise PromiseBroken(f"after the {asked} s that Retry-After asked for: {again}")
    return f"after {calls} reads: 429 with Retry-After {asked}; after that wait: {again.status}"


def _learned(refused: Exchange, exchanges: Sequence[Exchange]) -> dict[str, object] | None:
    """A window or a bucket, from the policy that the refusal names and what had been admitted before it.

    A window of q calls admits q of them and no more in its length; a bucket of q admits what refills meanwhile, too.
    """
    terms = dict(
        part.split("=", 1) for part in refused.reply.headers.get("ratelimit-policy", "").split(";") if "=" in part
    )
    if not (terms.get("q", "").isdigit() and terms.get("w", "").isdigit()):
        return None
    quota, window_s = int(terms["q"]), int(terms["w"])
    since_us = refused.at_us - window_s * SECOND_US
    admitted = sum(
        1
        for each in exchanges
        if each.at_us >= since_us and each.status not in (0, 401, 429) and each.ask.token is None
    )
    if admitted > quota * 5 // 4:
        return {"kind": "bucket", "per_second": round(quota / window_s, 2), "burst": quota}
    return {"kind": "window", "calls": quota, "per": window_s * SECOND_US}


def concurrency(session: Session) -> str:
    """Knock at the same moment, more and more, until some are sent away at once."""
    partner = session.partner
    most = min(_CROWD, partner.budget.at_once, partner.budget.left - _KEPT_BACK)
    size = 4
    while size <= most:
        answers = partner.together([session.subject.ping()] * size)
        away = [each for each in answers if each.status in (429, 503)]
        if away:
            return _crowded(session, answers, away)
        size = size + 2 if size < 16 else size * 3 // 2
    raise NotRun(f"up to {max(0, most)} calls at once were served; --max-per-second and --max-requests are the budget")


def _crowded(session: Session, answers: Sequence[Exchange], away: Sequence[Exchange]) -> str:
    served = len(answers) - len(away)
    asked = away[0].retry_after_s
    if asked is None:
        raise PromiseBroken(f"{away[0]} without a Retry-After in seconds")
    if "ratelimit-policy" in away[0].reply.headers:
        session.waiter.wait(asked * SECOND_US)
        raise NotRun(f"{len(answers)} calls at once met the rate limit first")
    how = f"of {len(answers)} calls at once {served} were served and {len(away)} sent away with Retry-After {asked}"
    if session.role in ("erp", "carrier"):
        session.facts.see("desk.retry_after_s", asked, how)
    session.facts.note("desk", f"{how}: capacity and queue together are {served}")
    session.kept["desk"] = served
    return how


PROBES = (
    Probe(
        "concurrency", "Too many calls at once are sent away with Retry-After.", ROLES, concurrency, "advisory", True
    ),
    Probe(
        "rate-limit", "A refused caller that waits for Retry-After is served.", ROLES, rate_limit, may_be_missed=True
    ),
)
