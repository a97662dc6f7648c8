"""Drives orders through a node until they ship, and notes each state that was seen on the way."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from peakproof.certification.errors import CannotTell, NotRun
from peakproof.certification.partner import Ask, Exchange
from peakproof.certification.session import Session
from peakproof.certification.subjects import Draft
from peakproof.certification.waiting import SECOND_US

FINAL = frozenset({"shipped", "cancelled", "rejected", "short"})
EARLY = frozenset({"received", "released", "submitted", "accepted"})
"""States in which an order may still be cancelled."""
_LONGEST_POLL_US = 60 * SECOND_US
_KEPT = "voyage"


@dataclass(frozen=True, slots=True)
class Level:
    """What GET /stock said of a sku."""

    on_hand: int
    held: int
    sequence: int


@dataclass
class Cargo:
    """One order on its way. `path` is each status with the moment it was first seen, in microseconds."""

    draft: Draft
    last: Exchange
    path: list[tuple[str, int]] = field(default_factory=list)
    cancels: dict[str, Exchange] = field(default_factory=dict)
    """Status in which a cancel was tried -> its answer."""

    @property
    def status(self) -> str:
        return self.path[-1][0]


@dataclass
class Voyage:
    """Two orders of the same sku: one left alone, one that is asked to cancel at each late stage."""

    before: Level
    alone: Cargo
    disturbed: Cargo
    after: Level | None = None


def level(session: Session, sku: str) -> Level:
    """The stock of one sku. CannotTell when it is not listed."""
    answer = session.must(session.partner.ask(Ask("GET", "/stock", query={"sku": sku})))
    found = [item for item in answer.member("items") if item.get("sku") == sku]
    if not found:
        raise CannotTell(f"GET /stock?sku={sku} lists nothing; name skus in stock in the test data")
    return Level(found[0]["on_hand"], found[0]["held"], answer.member("as_of_sequence"))


def voyage(session: Session) -> Voyage:
    """The voyage of this session, made once. CannotTell each time when it did not end within the patience."""
    if _KEPT not in session.kept:
        try:
            session.kept[_KEPT] = _made(session)
        except CannotTell as error:
            session.kept[_KEPT] = error
    made = session.kept[_KEPT]
    if isinstance(made, CannotTell):
        raise made
    assert isinstance(made, Voyage)
    return made


def _made(session: Session) -> Voyage:
    if len(session.data.skus) < 2:
        raise NotRun("the test data name one sku; name a second one, which nothing else of this run orders")
    sku = session.data.skus[1]
    before = level(session, sku)
    if before.on_hand - before.held < 2 * session.data.units:
        raise CannotTell(f"{sku} has {before.on_hand - before.held} units available, too few to ship")
    cargoes: list[Cargo] = []
    for _ in range(2):
        draft = session.subject.draft(sku)
        posted = session.post(draft)
        status = str(posted.member("status"))
        cargoes.append(Cargo(draft, posted, [(status, session.waiter.now_us())]))
    made = Voyage(before, cargoes[0], cargoes[1])
    _follow(session, made)
    made.after = level(session, sku)
    if made.alone.status not in ("shipped", "short"):
        raise CannotTell(f"an order ended {made.alone.status!r}, so nothing was shipped; certify once more")
    told = " -> ".join(status for status, _ in made.alone.path)
    session.facts.note("status path", told)
    return made


def _follow(session: Session, made: Voyage) -> None:
    """Read both orders until they are at an end; the poll slows down while nothing changes."""
    ends_at_us = session.waiter.now_us() + session.patience_us
    step_us = SECOND_US
    while True:
        changed = False
        for cargo in (made.alone, made.disturbed):
            if cargo.status not in FINAL:
                changed |= _look(session, cargo, disturb=cargo is made.disturbed)
        if made.alone.status in FINAL and made.disturbed.status in FINAL:
            return
        left_us = ends_at_us - session.waiter.now_us()
        if left_us <= 0:
            said = f"an order was still {made.alone.status!r} after {session.patience_us / SECOND_US:g} s"
            raise CannotTell(f"{said}; raise --patience")
        step_us = SECOND_US if changed else min(_LONGEST_POLL_US, step_us * 3 // 2)
        session.waiter.wait(min(step_us, left_us))


def _look(session: Session, cargo: Cargo, disturb: bool) -> bool:
    """Read one order and do what its state asks for; True when the state is another one."""
    cargo.last = session.must(session.subject.read(cargo.draft, cargo.draft.reference))
    status = str(cargo.last.member("status"))
    if status == cargo.status:
        return False
    cargo.path.append((status, session.waiter.now_us()))
    if disturb and status not in EARLY and status not in cargo.cancels and status not in FINAL:
        cargo.cancels[status] = _cancel(session, cargo)
        return True
    if session.role == "wms" and status in ("packed", "picked", "labelled"):
        _label(session, cargo)
    return True


def _cancel(session: Session, cargo: Cargo) -> Exchange:
    ask = session.subject.cancel(cargo.draft, cargo.draft.reference, session.names.next("K"))
    answer = session.partner.ask(ask)
    if session.role == "wms" and cargo.status == "packed":
        _label(session, cargo)
    return answer


def _label(session: Session, cargo: Cargo) -> None:
    """Give packed parcels tracking numbers, so that they can leave."""
    parcels: list[Mapping[str, Any]] = [each for each in cargo.last.member("parcels") if not each["tracking_number"]]
    if not parcels:
        return
    body = {
        "customer_id": session.data.customer_id,
        "order_reference": cargo.draft.order_reference,
        "parcels": [{"parcel_id": each["parcel_id"], "tracking_number": session.names.next("T")} for each in parcels],
    }
    path = f"/releases/{quote(cargo.draft.reference, safe='')}/labels"
    session.partner.ask(Ask("POST", path, body, session.names.next("K")))
