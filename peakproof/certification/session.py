"""What a probe works with, and what it leaves behind: findings for the verdict, facts for the learned profile."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from peakproof.certification.data import Role, TestData
from peakproof.certification.errors import CannotTell, NotRun, PromiseBroken
from peakproof.certification.listener import Listener
from peakproof.certification.partner import Ask, Exchange, Partner
from peakproof.certification.subjects import Draft, Names, Subject
from peakproof.certification.waiting import Waiter

Weight = Literal["blocking", "advisory"]
Word = Literal["passed", "failed", "inconclusive", "not run"]


@dataclass(frozen=True, slots=True)
class Fact:
    """One manner of the partner by its dotted key in a profile, and how it was seen."""

    value: Any
    how: str
    partial: bool = False
    """Only the beginning of a list was seen; the usual profile's rest follows it."""


@dataclass
class Facts:
    """What was learned so far."""

    seen: dict[str, Fact] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    """What was seen of the partner that no profile has a key for."""

    def see(self, key: str, value: Any, how: str, partial: bool = False) -> None:
        self.seen[key] = Fact(value, how, partial)

    def note(self, what: str, said: str) -> None:
        self.notes[what] = said


@dataclass
class Session:
    """One certification in progress."""

    role: Role
    data: TestData
    partner: Partner
    subject: Subject
    names: Names
    waiter: Waiter
    patience_us: int
    listener: Listener | None = None
    facts: Facts = field(default_factory=Facts)
    kept: dict[str, Any] = field(default_factory=dict)
    """What a probe leaves for a later one, such as the shipment that several of them look at."""

    def post(self, draft: Draft) -> Exchange:
        """Post a draft for the first time; CannotTell unless it is taken in."""
        return self.must(self.partner.ask(draft.ask))

    def must(self, exchange: Exchange) -> Exchange:
        """An exchange that the probe rests on: PromiseBroken at a 5xx, CannotTell at anything else but 2xx."""
        if exchange.good:
            return exchange
        if exchange.status >= 500:
            raise PromiseBroken(f"{exchange}, though nothing was wrong with the request")
        raise CannotTell(f"{exchange}: {_detail(exchange)}")

    def refused(self, ask: Ask, statuses: range | tuple[int, ...] = range(400, 500)) -> Exchange:
        """An exchange that must be refused with one of `statuses`; PromiseBroken otherwise."""
        exchange = self.partner.ask(ask)
        if exchange.reply.failure:
            raise CannotTell(str(exchange))
        if exchange.status == 429:
            raise CannotTell(f"{exchange}: the partner's limit was met")
        if exchange.status not in statuses:
            wanted = "a refusal (4xx)" if isinstance(statuses, range) else " or ".join(map(str, statuses))
            raise PromiseBroken(f"{exchange}, expected {wanted}")
        return exchange

    def ears(self) -> Listener:
        """The listener; NotRun without one."""
        if self.listener is None:
            raise NotRun("no listener for webhooks; name one by --listen-url")
        return self.listener


@dataclass(frozen=True, slots=True)
class Probe:
    """One promise and how it is tried. `run` returns a sentence on what was seen, or raises an Outcome.

    A blocking promise that is broken, and one that could not be looked at unless it `may_be_missed`, withholds the
    certificate; an advisory one only costs points.
    """

    name: str
    promise: str
    roles: tuple[Role, ...]
    run: Callable[[Session], str]
    weight: Weight = "blocking"
    may_be_missed: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """How a probe ended. `evidence` are numbers of the exchange log."""

    probe: str
    promise: str
    weight: Weight
    may_be_missed: bool
    outcome: Word
    said: str
    evidence: tuple[int, ...] = ()
    seconds: float = 0.0
    waived: Mapping[str, str] | None = None
    """Reason and expiry of the waiver that holds for it."""
    expired: Mapping[str, str] | None = None
    """The same of one that no longer does."""

    @property
    def withholds(self) -> bool:
        """Whether it stands in the way of a certificate."""
        if self.weight == "advisory" or self.waived or self.outcome == "passed":
            return False
        return self.outcome == "failed" or not self.may_be_missed


def _detail(exchange: Exchange) -> str:
    body = exchange.parsed
    return str(body.get("detail", "")) if isinstance(body, dict) else "the body is no JSON object"
