"""Reads and bad requests: what is not there is 404, what is wrong is refused, pages begin, follow on and end."""

from dataclasses import replace
from typing import Any

from peakproof.certification.data import ROLES, Role
from peakproof.certification.errors import CannotTell, PromiseBroken
from peakproof.certification.partner import Ask, Exchange
from peakproof.certification.session import Probe, Session

_MOST_PAGES = 5
_CAPS = {"erp": 1_000, "wms": 5_000, "threepl": 5_000}
_CAP_KEYS = {"erp": "pages.cap", "wms": "stock_page_size", "threepl": "stock_page_size"}
_IDS = {"/stock": "sku", "/customers": "customer_id", "/items": "sku"}


def unknown_ids(session: Session) -> str:
    said = [str(session.refused(Ask("GET", path.format("CERT-no-such-x")), (404,))) for path in session.subject.unknown]
    return "; ".join(said)


def unknown_sku(session: Session) -> str:
    draft = session.subject.draft()
    lines = [{**line, "sku": "CERT-NO-SUCH-SKU"} for line in draft.ask.body["lines"]]
    return str(session.refused(replace(draft.ask, body={**draft.ask.body, "lines": lines})))


def bad_requests(session: Session) -> str:
    draft = session.subject.draft()
    said = [str(session.refused(replace(draft.ask, body=b'{"cut off', key=session.names.next("K"))))]
    for name, body in (
        ("without lines", {key: value for key, value in draft.ask.body.items() if key != "lines"}),
        ("with no units", {**draft.ask.body, "lines": [{**draft.ask.body["lines"][0], "quantity": 0}]}),
    ):
        answer = session.refused(replace(draft.ask, body=body, key=session.names.next("K")))
        said.append(f"{name}: {answer.status}")
    return "; ".join(said)


def page_limits(session: Session) -> str:
    path, most = session.subject.lists[0], _CAPS[session.role]
    for query in ({"page_size": 0}, {"page": 0}, {"page_size": "many"}, {"page": "x!"}, {"page_size": most + 1}):
        session.refused(Ask("GET", path, query=query))
    if session.role == "threepl":
        for query in ({"limit": 0}, {"limit": 201}, {"changed_since": "garbage"}):
            session.refused(Ask("GET", "/fulfillment-orders", query=query))
    cap = _cap(session, path, most)
    session.facts.see(_CAP_KEYS[session.role], cap, f"pages of {path} up to {cap} are served, larger ones refused")
    beyond = session.must(session.partner.ask(Ask("GET", path, query={"page": 900_000, "page_size": 1})))
    if beyond.member("items") or beyond.member("next_page") is not None:
        raise PromiseBroken(f"{beyond}: a page far beyond the end holds items or names a next page")
    return f"up to {cap} items a page; nonsense is refused; beyond the end is an empty page"


def _cap(session: Session, path: str, most: int) -> int:
    """The largest page that is served, found by halving."""

    def served(size: int) -> bool:
        answer = session.partner.ask(Ask("GET", path, query={"page_size": size}))
        if answer.status == 422 and answer.problem == "page-size-exceeded":
            return False
        session.must(answer)
        return True

    if served(most):
        return most
    good, bad = 0, most
    while bad - good > 1:
        middle = (good + bad) // 2
        good, bad = (middle, bad) if served(middle) else (good, middle)
    if not good:
        raise PromiseBroken(f"GET {path} serves no page of any size")
    return good


def pages_end(session: Session) -> str:
    said = []
    for path in session.subject.lists:
        seen: set[str] = set()
        page, pages = 1, 0
        while pages < _MOST_PAGES:
            answer = session.must(session.partner.ask(Ask("GET", path, query={"page": page, "page_size": 2})))
            pages += 1
            _check_page(path, page, answer, seen)
            following = answer.member("next_page")
            if following is None:
                break
            if not isinstance(following, int) or following <= page:
                raise PromiseBroken(f"{path}: page {page} names {following!r} as the next one; reading would never end")
            page = following
        said.append(f"{path}: {pages} pages, {len(seen)} different items")
    return "; ".join(said)


def _check_page(path: str, page: int, answer: Exchange, seen: set[str]) -> None:
    items = answer.member("items")
    if len(items) > 2:
        raise PromiseBroken(f"{path}: a page of 2 holds {len(items)} items")
    marks = [_mark(path, item) for item in items]
    again = [mark for mark in marks if mark in seen]
    if again:
        raise PromiseBroken(f"{path}: page {page} lists {again[0]} a second time; reading would never end or miss some")
    seen.update(marks)


def _mark(path: str, item: Any) -> str:
    name = _IDS.get(path)
    return str(item.get(name)) if name else str(sorted(item.items()))


def pages_stable(session: Session) -> str:
    path = session.subject.lists[0]
    first, second = (session.must(session.partner.ask(Ask("GET", path, query={"page_size": 5}))) for _ in range(2))
    marks = [[_mark(path, item) for item in answer.member("items")] for answer in (first, second)]
    if marks[0] != marks[1]:
        raise PromiseBroken(f"{path} asked twice lists {marks[0]} and then {marks[1]}")
    if session.role == "erp":
        _default_page(session)
    return f"{path}: the same {len(marks[0])} items in the same order"


def _default_page(session: Session) -> None:
    """How long a page is when none is asked for: seen only where a list is longer than that."""
    for path in session.subject.lists:
        answer = session.must(session.partner.ask(Ask("GET", path)))
        if answer.member("next_page") is not None:
            size = len(answer.member("items"))
            session.facts.see("pages.default", size, f"{path} without page_size had {size} items and a next page")
            return


def changes_end(session: Session) -> str:
    subject = session.subject
    draft = subject.draft()
    session.post(draft)
    count = subject.count(draft)
    if not count:
        raise PromiseBroken(f"{draft.reference} is not in the list of changes")
    if count > 1:
        raise CannotTell(f"{count} orders of {draft.order_reference} are listed; see the probes of duplicates")
    return "a new order is found by reading the changes on and on"


_PAGED: tuple[Role, ...] = ("erp", "wms", "threepl")
PROBES = (
    Probe("unknown-ids", "What does not exist is answered 404 with a problem, never 5xx.", ROLES, unknown_ids),
    Probe("unknown-sku", "An unknown sku is refused.", _PAGED, unknown_sku),
    Probe("bad-requests", "Broken JSON and a body against the contract are refused, never 5xx.", ROLES, bad_requests),
    Probe("page-limits", "Page numbers and sizes out of bounds are refused.", _PAGED, page_limits),
    Probe("pages-end", "Pages follow on without repeating an item, and end.", _PAGED, pages_end),
    Probe("pages-stable", "The same page asked twice is the same.", _PAGED, pages_stable, "advisory"),
    Probe("changes-end", "Reading the list of changes finds a new order and ends.", ("threepl",), changes_end),
)
