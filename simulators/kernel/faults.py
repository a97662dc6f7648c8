"""The plan of faults, and how it strikes.

A fault is data. On an edge it strikes exchanges that its selector names ("the third reply of wms-east to POST
/releases"), by share or by count; on a host it holds for a window. Every window and every strike is evidence.

Kinds on an edge (`source` to `target`, narrowed by `method`, `route` and, for webhooks, `event`):
  request_lost   the request never arrives: the caller times out, nothing was done
  reply_lost     the work was done, its answer never arrives: the caller times out
  cut            the connection breaks on the leg of `direction`; on the reply leg the work was done
  delay          the leg of `direction` takes `delay_us` longer: what was sent later overtakes it
  duplicate      the request arrives `copies` times more, each `delay_us` later than the one before
  late_copy      a duplicate that comes very late: after `delay_us`, three hours unless given
  latency        both legs take `strength` times as long
  latency_tail   the leg of `direction` takes longer by a Pareto tail from `delay_us` on, capped at 100 times that
  garbled        the body on the leg of `direction` is cut or overwritten; its length is told right
  hold           what is sent in the window is held and released in a burst at its end, on the leg of `direction`
  partition      nothing passes from source to target: neither its requests nor its answers
  error_before   503 overloaded in place of the work
  error_after    500 internal-error in place of the answer, after the work
  throttle       429 rate-limited in place of the work; with a Retry-After of `delay_us`, or without when that is 0
  token_expired  401 token-expired in place of the work
  error_in_200   200 with an error in its body; by `direction` in place of the work, or of the answer after it
  schema_drift   a member of the answer, or of the body of a webhook named by `event`, is added, missing or retyped
Kinds on an edge that the sender of webhooks plays:
  unsigned       an attempt carries no signature
  badly_signed   an attempt is signed with another secret
  never_sent     the event is not sent at all
Kinds on a host, for their window:
  outage         connections to it are refused
  frozen         connections are accepted and nothing is answered until the window ends; then the work is done
  crash          its tasks end where they stand, open transactions roll back; at the window's end it starts again. With
                 `at` it crashes at the transaction boundaries selected and starts again `delay_us` later
  pause          its tasks make no progress until the window ends, then go on as if nothing had been
  overlap        a second instance of it is started, as in a deployment: new requests go to that one, while the first
                 goes on with what it has in hand until the window ends
  clock_skew     its clock is off by `delay_us`, which may be negative
  db_locked      a write transaction cannot begin
  db_serialization  a transaction fails at its commit and is rolled back
  db_ack_lost    a transaction commits, and whoever wrote it is told of an error
Kinds on a host that the partner plays, when it asks for them:
  slowdown       its service times are multiplied by `strength`
  short_pick     this share of lines more is picked short
  rate_limit     its quota is lowered to `strength` calls a minute and client
  partial_shipment      this share of releases leaves in two shipments
  ship_after_cancel     this share of acknowledged cancellations is shipped all the same
  cycle_count           at the window's start this share of skus is counted again and corrected
  backdated_adjustment  the same, but told to subscribers only `delay_us` later
  stale_snapshot        stock is read as of the window's start
  dedupe_expired        references older than `delay_us` are not recognized
  missed_pickup         parcels are collected `delay_us` late, a day unless given
  subscription_dropped  at the window's start every subscription is forgotten
  batch_missing         this share of polls for changes is answered with no rows, though there are some
  batch_twice           this share of polls is answered with the rows of the last answer that had any
  batch_disordered      this share of polls is answered with the rows in reverse
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulators.kernel.world import World

WEBHOOK_KINDS = ("unsigned", "badly_signed", "never_sent")
REPLACING_KINDS = ("error_before", "throttle", "token_expired", "error_in_200")
EDGE_KINDS = (
    "request_lost", "reply_lost", "cut", "delay", "duplicate", "late_copy", "latency", "latency_tail", "garbled",
    "hold", "partition", "error_after", "schema_drift", *REPLACING_KINDS, *WEBHOOK_KINDS,
)  # fmt: skip
TRANSACTION_KINDS = ("db_locked", "db_serialization", "db_ack_lost")
PROCESS_KINDS = ("pause", "overlap", "clock_skew", *TRANSACTION_KINDS)
BATCH_KINDS = ("batch_missing", "batch_twice", "batch_disordered")
HOST_KINDS = (
    "outage", "frozen", "crash", *PROCESS_KINDS, "slowdown", "short_pick", "rate_limit", "partial_shipment",
    "ship_after_cancel", "cycle_count", "backdated_adjustment", "stale_snapshot", "dedupe_expired", "missed_pickup",
    "subscription_dropped", *BATCH_KINDS,
)  # fmt: skip
BOUNDARIES = ("begin", "commit", "after_commit")
DRIFTS = ("added", "missing", "retyped")
CLOCKS = ("business", "protocol")
FOREVER_US = 2**62
DOWN_US = 30_000_000
"""How long a host stays down after a crash at a transaction boundary, unless the fault says."""

_BY_DIRECTION = frozenset({"cut", "delay", "latency_tail", "garbled", "hold", "error_in_200"})
_ON_REPLY = frozenset({"reply_lost", "error_after", "schema_drift"})
_BOUNDARY_OF = {"db_locked": "begin", "db_serialization": "commit", "db_ack_lost": "after_commit"}


@dataclass(frozen=True)
class Fault:
    """One entry of the plan. Times are absolute Unix microseconds; a selector left at its default strikes everything.

    `nth` counts matching exchanges (or transaction boundaries) from 1; `every` strikes each n-th, at most `limit` times
    (0: no limit); `share` strikes by keyed chance; `keys` strikes exchanges by their Idempotency-Key, webhook-id or
    path, or the one that a strike's detail names; `sticky` strikes every further attempt of what it struck. `at` is the
    boundary of a crash; `drift` and `field` are for schema_drift, an empty field is chosen by chance. `version` names
    what an overlap starts, empty for the same again; whoever makes the host knows it. `clock` says in which time its
    window and its delay are: business, or protocol (simulators/kernel/protocol.py).
    """

    id: str
    kind: str
    host: str = ""
    source: str = ""
    target: str = ""
    direction: str = "request"
    method: str = ""
    route: str = ""
    event: str = ""
    nth: tuple[int, ...] = ()
    sticky: bool = False
    every: int = 0
    limit: int = 0
    share: float = 0.0
    keys: tuple[str, ...] = ()
    from_us: int = 0
    to_us: int = FOREVER_US
    strength: float = 1.0
    delay_us: int = 0
    copies: int = 1
    at: str = ""
    drift: str = "added"
    field: str = ""
    version: str = ""
    clock: str = "business"

    def __post_init__(self) -> None:
        if self.kind not in EDGE_KINDS + HOST_KINDS:
            raise ValueError(f"fault {self.id!r} has unknown kind {self.kind!r}: use one of {EDGE_KINDS + HOST_KINDS}")
        if self.kind in HOST_KINDS and not self.host:
            raise ValueError(f"fault {self.id!r} of kind {self.kind!r} needs a host")
        if self.kind in EDGE_KINDS and not (self.source and self.target):
            raise ValueError(f"fault {self.id!r} of kind {self.kind!r} needs an edge: source and target")
        if self.at and (self.at not in BOUNDARIES or self.kind != "crash"):
            raise ValueError(f"fault {self.id!r} strikes at {self.at!r}: only a crash does, at one of {BOUNDARIES}")
        if self.drift not in DRIFTS:
            raise ValueError(f"fault {self.id!r} has unknown drift {self.drift!r}: use one of {DRIFTS}")
        if self.clock not in CLOCKS:
            raise ValueError(f"fault {self.id!r} has unknown clock {self.clock!r}: use one of {CLOCKS}")

    @property
    def aim(self) -> str:
        """What the fault is aimed at, in words."""
        if self.host:
            return f"{self.host} {self.at}".strip()
        what = " ".join(part for part in (self.method, self.route, self.event) if part)
        return f"{self.source} -> {self.target} {what}".strip()

    @property
    def boundary(self) -> str:
        """The transaction boundary that the fault strikes at; empty for one that strikes elsewhere."""
        return self.at or _BOUNDARY_OF.get(self.kind, "")

    @property
    def is_senders(self) -> bool:
        """Whether the sender of webhooks plays it, before it signs."""
        return self.kind in WEBHOOK_KINDS or (self.kind == "schema_drift" and self.event != "")


class Selector:
    """Decides which of the matching exchanges a fault strikes. `reply`: it strikes their reply leg."""

    __slots__ = ("_keys", "_nth", "_stuck", "fault", "matched", "reply", "struck")

    def __init__(self, fault: Fault, reply: bool = False) -> None:
        self.fault = fault
        self.reply = reply
        self.matched = 0
        self.struck = 0
        self._nth = frozenset(fault.nth)
        self._keys = frozenset(fault.keys)
        self._stuck: dict[tuple[object, ...], bool] = {}

    def takes(self, world: "World", key: tuple[object, ...]) -> bool:
        fault = self.fault
        if fault.sticky and key[:-1] in self._stuck:
            return True
        self.matched += 1
        if fault.nth:
            hit = self.matched in self._nth
        elif fault.every:
            hit = self.matched % fault.every == 0
        elif fault.share:
            hit = world.chance.hit(fault.share, fault.id, *key)
        elif fault.keys:
            hit = _words(key) in self._keys or any(str(part) in self._keys for part in key)
        else:
            hit = True
        if not hit or (fault.limit and self.struck >= fault.limit):
            return False
        self.struck += 1
        if fault.sticky:
            self._stuck[key[:-1]] = True
        return True

    def fits(self, world: "World", method: str, route: str, event: str) -> bool:
        """Whether the fault is meant for such an exchange, now."""
        fault = self.fault
        return (
            _holds(world, fault)
            and (not fault.method or fault.method == method)
            and (not fault.route or fault.route == route)
            and (not fault.event or fault.event == event)
        )


class Faults:
    """The plan at work. `heal` ends it: after that nothing strikes any more. `afflicted` are the hosts of faults."""

    def __init__(self, world: "World", plan: tuple[Fault, ...]) -> None:
        self._world = world
        self.plan = plan
        self.healed = False
        self.afflicted = frozenset(fault.host for fault in plan if fault.host)
        self._felt: dict[str, bool] = {}
        self._actions: dict[tuple[str, str], list[Callable[[Fault], None]]] = {}
        self._begins: dict[str, Callable[[str], None]] = {}
        self._ends: dict[str, Callable[[str], None]] = {}
        self._by_edge: dict[tuple[str, str], list[Selector]] = {}
        self._by_sender: dict[tuple[str, str], list[Selector]] = {}
        self._by_host: dict[tuple[str, str], list[Fault]] = {}
        self._by_boundary: dict[tuple[str, str], list[Selector]] = {}
        for fault in plan:
            self._file(fault)

    def _file(self, fault: Fault) -> None:
        """Put a fault where it is looked for."""
        edge = (fault.source, fault.target)
        if fault.boundary:
            self._by_boundary.setdefault((fault.host, fault.boundary), []).append(Selector(fault))
        elif fault.host:
            self._by_host.setdefault((fault.kind, fault.host), []).append(fault)
        elif fault.is_senders:
            self._by_sender.setdefault(edge, []).append(Selector(fault))
        elif fault.kind == "partition":
            self._by_edge.setdefault(edge, []).append(Selector(fault))
            self._by_edge.setdefault((fault.target, fault.source), []).append(Selector(fault, reply=True))
        else:
            self._by_edge.setdefault(edge, []).append(Selector(fault, _acts_on_reply(fault)))

    def arm(self) -> None:
        """Write the plan to evidence, once, at the start."""
        for fault in self.plan:
            self._note(fault, max(fault.from_us, self._world.starts_at_us), fault.to_us)

    def add(self, fault: Fault) -> None:
        """Put one more fault into the plan while the world runs. ValueError when its id is taken or all is healed."""
        if self.healed:
            raise ValueError(f"fault {fault.id!r} comes too late: every fault of this world has been healed")
        if any(one.id == fault.id for one in self.plan):
            raise ValueError(f"there is a fault {fault.id!r} already: give this one another id")
        world = self._world
        self.plan = (*self.plan, fault)
        if fault.host:
            self.afflicted |= {fault.host}
        self._file(fault)
        lasts_us = fault.to_us - _now_us(world, fault)
        ends_us = world.now_us() + lasts_us if fault.to_us < FOREVER_US else FOREVER_US
        self._note(fault, world.now_us(), ends_us)
        if fault.boundary:
            return
        actions = self._actions.get((fault.kind, fault.host), [])
        begin = self._begins.get(fault.kind)
        for action in actions if begin is None else [_on_host(begin)]:
            self._at(fault, fault.from_us, partial(self._begin, fault, action))
        self._end_later(fault)

    def remove(self, fault_id: str) -> Fault:
        """End one fault now: what it took down starts again. KeyError when no fault has this id."""
        fault = next((one for one in self.plan if one.id == fault_id), None)
        if fault is None:
            raise KeyError(fault_id)
        self.plan = tuple(one for one in self.plan if one is not fault)
        filed = (self._by_edge, self._by_sender, self._by_boundary)
        for selectors in (selectors for kind in filed for selectors in kind.values()):
            selectors[:] = [one for one in selectors if one.fault is not fault]
        for faults in self._by_host.values():
            faults[:] = [one for one in faults if one is not fault]
        if not fault.boundary:
            self._end(fault)
        return fault

    def _note(self, fault: Fault, from_us: int, to_us: int) -> None:
        """Write a window to evidence, in business time."""
        self._world.evidence.row(
            "faults",
            fault=fault.id,
            kind=fault.kind,
            target=fault.aim,
            event="window",
            from_us=from_us,
            to_us=None if to_us >= FOREVER_US else to_us,
        )

    def schedule(self, begins: dict[str, Callable[[str], None]], ends: dict[str, Callable[[str], None]]) -> None:
        """Arrange for each planned fault of these kinds, such as a crash; the network does the work, and ends it.

        A host that does not run in this world is left to whoever runs it: nothing strikes it here.
        """
        self._begins, self._ends = begins, ends
        for (kind, _), faults in self._by_host.items():
            begin = self._begins.get(kind)
            if begin is None:
                continue
            for fault in faults:
                self._at(fault, fault.from_us, partial(self._begin, fault, _on_host(begin)))
            for fault in faults:
                self._end_later(fault)

    def when(self, kind: str, host: str, action: Callable[[Fault], None]) -> None:
        """Have `action(fault)` called when each fault of this kind on a host begins; that is its strike."""
        self._actions.setdefault((kind, host), []).append(action)
        for fault in self._by_host.get((kind, host), ()):
            self._at(fault, fault.from_us, partial(self._begin, fault, action))

    def _end_later(self, fault: Fault) -> None:
        if fault.kind in self._ends and fault.to_us < FOREVER_US:
            self._at(fault, fault.to_us, partial(self._end, fault))

    def _end(self, fault: Fault) -> None:
        end = self._ends.get(fault.kind)
        if end is not None and self._world.network.has(fault.host):
            end(fault.host)

    def on_edge(self, source: str, target: str) -> list[Selector] | None:
        """The selectors on an edge, or None: the fast way out for every edge without faults."""
        return None if self.healed else self._by_edge.get((source, target))

    def strikes(
        self,
        selectors: list[Selector],
        reply: bool,
        method: str,
        route: str,
        event: str,
        key: tuple[object, ...],
        size: int = 1,
    ) -> list[Fault]:
        """The faults that strike this leg of this exchange, each written to evidence. `size` of its body, in bytes."""
        if self.healed:
            return []
        struck = []
        for selector in selectors:
            fault = selector.fault
            if (
                selector.reply == reply
                and selector.fits(self._world, method, route, event)
                and (size > 0 or fault.kind != "garbled")
                and selector.takes(self._world, key)
            ):
                self.record(fault, _words(key))
                struck.append(fault)
        return struck

    def of_sender(self, source: str, target: str, kinds: tuple[str, ...], event: str, *key: object) -> list[Fault]:
        """The faults of these kinds that the sender of a webhook must play on it."""
        if self.healed:
            return []
        struck = []
        for selector in self._by_sender.get((source, target), ()):
            fault = selector.fault
            fits = fault.kind in kinds and selector.fits(self._world, "POST", fault.route, event)
            if fits and selector.takes(self._world, (event, *key)):
                self.record(fault, _words((event, *key)))
                struck.append(fault)
        return struck

    def at_boundary(self, host: str, place: str, *key: object) -> list[Fault]:
        """The faults that strike at this boundary of this transaction of a host."""
        selectors = self._by_boundary.get((host, place))
        if selectors is None or self.healed:
            return []
        struck = []
        for selector in selectors:
            fault = selector.fault
            if _holds(self._world, fault) and selector.takes(self._world, (place, *key)):
                self.record(fault, _words((place, *key)))
                struck.append(fault)
        return struck

    def has(self, kind: str, host: str) -> bool:
        """Whether any fault of this kind is planned on a host."""
        return (kind, host) in self._by_host

    def in_force(self, kind: str, host: str) -> Fault | None:
        """The fault of this kind that now holds on a host, if any."""
        if self.healed:
            return None
        for fault in self._by_host.get((kind, host), ()):
            if _holds(self._world, fault):
                return fault
        return None

    def felt(self, kind: str, host: str) -> Fault | None:
        """As `in_force`, for a partner that acts on it: the first use is a strike."""
        fault = self.in_force(kind, host)
        if fault is not None and fault.id not in self._felt:
            self._felt[fault.id] = True
            self.record(fault, f"{kind} {fault.strength:g}")
        return fault

    def level(self, kind: str, host: str, default: float = 0.0) -> float:
        """The strength of a partner's own fault that now holds on a host, else `default`. The first use is a strike."""
        fault = self.felt(kind, host)
        return default if fault is None else fault.strength

    def hits(self, kind: str, host: str, *key: object) -> Fault | None:
        """The fault in force whose strength is the share of keys that it strikes, if this is one. That is a strike."""
        fault = self.in_force(kind, host)
        if fault is None or not self._world.chance.hit(fault.strength, fault.id, *key):
            return None
        self.record(fault, _words(key))
        return fault

    def record(self, fault: Fault, detail: str) -> None:
        """Write one strike to evidence."""
        now = self._world.now_us()
        self._world.evidence.row(
            "faults",
            fault=fault.id,
            kind=fault.kind,
            target=fault.aim,
            event="strike",
            from_us=now,
            to_us=now,
            detail=detail,
        )

    def lasting_us(self, fault: Fault, delay_us: int) -> int:
        """A delay of a fault, in protocol time."""
        return delay_us if fault.clock == "protocol" else self._world.protocol.span_us(delay_us)

    def left_us(self, fault: Fault) -> int:
        """How long a fault still holds, in protocol time."""
        return self.lasting_us(fault, fault.to_us - _now_us(self._world, fault))

    def heal(self) -> None:
        """End every fault. What is down, paused, held or frozen goes on at its own time."""
        self.healed = True

    def _begin(self, fault: Fault, action: Callable[[Fault], None]) -> None:
        is_elsewhere = fault.kind in self._begins and not self._world.network.has(fault.host)
        if not self.healed and not is_elsewhere and any(one is fault for one in self.plan):
            self.record(fault, fault.kind)
            action(fault)

    def _at(self, fault: Fault, moment_us: int, action: Callable[[], None]) -> None:
        world = self._world
        is_protocol = fault.clock == "protocol"
        left_us = max(0, moment_us - _now_us(world, fault))
        event = world.protocol.timeout(left_us) if is_protocol else world.env.timeout(left_us)
        event.callbacks.append(lambda _event: action())


def _on_host(begin: Callable[[str], None]) -> Callable[[Fault], None]:
    return lambda fault: begin(fault.host)


def _now_us(world: "World", fault: Fault) -> int:
    return world.protocol.now_us() if fault.clock == "protocol" else world.now_us()


def _holds(world: "World", fault: Fault) -> bool:
    return fault.from_us <= _now_us(world, fault) < fault.to_us


def _words(key: tuple[object, ...]) -> str:
    return " ".join(str(part) for part in key if part != "")


def _acts_on_reply(fault: Fault) -> bool:
    return fault.kind in _ON_REPLY or (fault.kind in _BY_DIRECTION and fault.direction == "reply")
