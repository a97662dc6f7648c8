"""Who is let in: a good token is, no token, a made-up one and a stale one are not."""

from peakproof.certification.data import ROLES
from peakproof.certification.errors import CannotTell, NotRun, PromiseBroken
from peakproof.certification.partner import TOKEN_PATH, Ask
from peakproof.certification.session import Probe, Session
from peakproof.certification.waiting import SECOND_US

_SAID = {
    "refused": "nothing listens there",
    "unresolved": "the host name is not known",
    "tls": "the TLS connection could not be made",
    "time-out": "no answer came in time",
    "broken": "the connection broke before an answer",
    "garbage": "what came back is no HTTP",
}


def reachable(session: Session) -> str:
    answer = session.partner.ask(session.subject.ping())
    failure = answer.reply.failure
    if failure == "garbage":
        raise PromiseBroken(f"{_SAID[failure]}: {answer.reply.detail}")
    if failure:
        raise CannotTell(f"{_SAID[failure]}: {answer.reply.detail}")
    if answer.status in (401, 403):
        raise CannotTell(f"{answer}: the credentials of the test data are not taken")
    if not answer.good:
        raise CannotTell(f"{answer}: check --url and the test data, this read must succeed")
    if not isinstance(answer.parsed, dict):
        raise PromiseBroken(f"{answer}, but with a body that is no JSON object")
    return f"{answer} within {answer.reply.elapsed_us // 1000} ms"


def token_required(session: Session) -> str:
    ask = session.subject.ping()
    answer = session.refused(_with_token(ask, ""), (401,))
    session.facts.note("error envelope", answer.reply.headers.get("content-type", "none"))
    return str(answer)


def token_garbage(session: Session) -> str:
    return str(session.refused(_with_token(session.subject.ping(), "certify-made-this-token-up"), (401,)))


def credentials_checked(session: Session) -> str:
    form = {"grant_type": "client_credentials", "client_id": "certify-nobody", "client_secret": "certify-nothing"}
    return str(session.refused(Ask("POST", TOKEN_PATH, form, token=""), (401,)))


def token_expiry(session: Session) -> str:
    partner = session.partner
    answer = session.must(partner.fresh_token())
    lifetime_s = answer.member("expires_in")
    session.facts.see("token_lifetime", lifetime_s * SECOND_US, f"expires_in of a token was {lifetime_s}")
    if lifetime_s * SECOND_US > session.patience_us:
        raise NotRun(f"a token lives {lifetime_s} s, longer than the patience; raise --patience to see it expire")
    stale = partner.token
    session.waiter.wait((lifetime_s + 1) * SECOND_US)
    answer = session.refused(_with_token(session.subject.ping(), stale), (401, 403))
    said = "forbidden" if answer.status == 403 else "token-expired"
    session.facts.see("stale_token", said, f"a stale token: {answer}")
    session.must(partner.ask(session.subject.ping()))
    return f"a stale token: {answer}; a fresh one was taken"


def _with_token(ask: Ask, token: str) -> Ask:
    return Ask(ask.method, ask.path, ask.body, ask.key, ask.query, token)


REACHABLE = Probe("reachable", "The partner answers a read with the credentials that it gave out.", ROLES, reachable)
PROBES = (
    Probe("token-required", "A call without a token is answered 401.", ROLES, token_required),
    Probe("token-garbage", "A call with a made-up token is answered 401.", ROLES, token_garbage),
    Probe("credentials-checked", "Wrong client credentials get no token.", ("erp",), credentials_checked),
)
LATE_PROBES = (
    Probe(
        "token-expiry",
        "A token is refused once it has lived as long as was said, and a fresh one is taken.",
        ("erp",),
        token_expiry,
        may_be_missed=True,
    ),
)
