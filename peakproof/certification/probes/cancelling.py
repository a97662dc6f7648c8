"""Cancelling: early it is done, repeated it changes nothing, once goods have left it is refused."""

from peakproof.certification.data import NODES, ROLES
from peakproof.certification.errors import CannotTell, PromiseBroken
from peakproof.certification.session import Probe, Session
from peakproof.certification.shipping import voyage


def cancel_early(session: Session) -> str:
    subject = session.subject
    draft = subject.draft()
    posted = session.post(draft)
    identity = subject.identity(posted)
    ask = subject.cancel(draft, identity, session.names.next("K"))
    answer = session.must(session.partner.ask(ask))
    if not subject.is_cancelled(answer):
        raise PromiseBroken(f"{answer}, but the answer does not show it as cancelled")
    again = session.partner.ask(ask)
    if again.status >= 500:
        raise PromiseBroken(f"the same cancel again: {again}")
    if again.good and not subject.is_cancelled(again):
        raise PromiseBroken(f"the same cancel again: {again}, and it is not cancelled any more")
    return f"a new order was cancelled; the same cancel again: {again}"


def cancel_unknown(session: Session) -> str:
    draft = session.subject.draft()
    ask = session.subject.cancel(draft, "CERT-no-such-x", session.names.next("K"))
    return str(session.refused(ask, (404,)))


def cancel_late(session: Session) -> str:
    made = voyage(session)
    subject, disturbed = session.subject, made.disturbed
    said = []
    for stage, answer in disturbed.cancels.items():
        if answer.status >= 500:
            raise PromiseBroken(f"a cancel while {stage}: {answer}")
        if answer.good and disturbed.status == "shipped":
            raise PromiseBroken(f"a cancel while {stage} was accepted, and the goods were shipped all the same")
        said.append(f"while {stage}: {answer.status} {answer.problem}".strip())
    if made.alone.status != "shipped":
        raise CannotTell(f"the order ended {made.alone.status!r}: nothing was shipped that could be cancelled too late")
    last = session.partner.ask(subject.cancel(made.alone.draft, made.alone.draft.reference, session.names.next("K")))
    if last.reply.failure:
        raise CannotTell(str(last))
    if last.good:
        raise PromiseBroken(f"a cancel after the goods had left was accepted: {last}")
    if last.status >= 500:
        raise PromiseBroken(f"a cancel after the goods had left: {last}")
    session.facts.note("cancel", "; ".join([*said, f"when shipped: {last.status} {last.problem}"]))
    return "; ".join([*said, f"when shipped: {last.status} {last.problem}"])


PROBES = (
    Probe("cancel-early", "What is not in work yet can be cancelled, and again without harm.", ROLES, cancel_early),
    Probe("cancel-unknown", "Cancelling what does not exist is answered 404.", ROLES, cancel_unknown),
)
LATE_PROBES = (
    Probe("cancel-late", "What is cancelled does not ship, and what has shipped is not cancelled.", NODES, cancel_late),
)
