"""Leaves a partner as it was found, as far as it lets: what was ordered and not shipped is cancelled again."""

from peakproof.certification.errors import Outcome
from peakproof.certification.session import Session
from peakproof.certification.subjects import Draft

_KEPT = "tidied"


def tidy_up(session: Session) -> None:
    """Cancel what stands of each draft, within what is left of the budget, and note how far that came."""
    session.partner.probe = "tidying up"
    cancelled, kept = session.kept.get(_KEPT, (0, 0))
    drafts, session.subject.drafts = session.subject.drafts, []
    for draft in drafts:
        try:
            done, left = _taken_back(session, draft)
        except (Outcome, KeyError, TypeError, AttributeError):
            done, left = 0, 1
        cancelled, kept = cancelled + done, kept + left
    session.partner.probe = ""
    session.kept[_KEPT] = (cancelled, kept)
    if drafts:
        session.facts.note("tidied up", f"{cancelled} orders cancelled, {kept} were refused, shipped or never made")


def _taken_back(session: Session, draft: Draft) -> tuple[int, int]:
    subject, done, left = session.subject, 0, 0
    for identity in subject.standing(draft):
        answer = session.partner.ask(subject.cancel(draft, identity, session.names.next("K")))
        done, left = (done + 1, left) if answer.good else (done, left + 1)
    return done, left
