"""The plan of faults, and how it strikes.

A fault is data. On an edge it strikes exchanges that its selector names ("the third reply of wms-east to POST
/releases"), by share or by count; on a host it holds for a window. Every window and every strike is evidence.

Kinds on an edge (`source` to `target`, narrowed by `method`, `route` and, for webhooks, `event`):
  request_lost   the request never arrives: the caller times out, nothing was done
  reply_lost     the work was done, its answer never arrives: the caller times out
  cut            the connection breaks on the leg of `direction`; on the reply leg the work was done
  delay          the leg of `direction` takes `delay_us` longer: what was sent later overtakes it
  duplicate      the request arrives `copies` times more, each `delay_us` later than the one before
  latency        both legs take `strength` times as long
Kinds on a host, for their window:
  outage         connections to it are refused
  crash          its tasks end where they stand, open transactions roll back; at the window's end it starts again
  slowdown       its service times are multiplied by `strength`; asked for by the partner
  short_pick     this share of lines more is picked short; asked for by the partner
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulators.kernel.world import World

EDGE_KINDS = ("request_lost", "reply_lost", "cut", "delay", "duplicate", "latency")
HOST_KINDS = ("outage", "crash", "slowdown", "short_pick")
FOREVER_US = 2**62


@dataclass(frozen=True)
class Fault:
    """One entry of the plan. Times are absolute Unix microseconds; a selector left at its default strikes everything.

    `nth` counts matching exchanges from 1; `every` strikes each n-th, at most `limit` times (0: no limit); `share`
    strikes by keyed chance.
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
    every: int = 0
    limit: int = 0
    share: float = 0.0
    from_us: int = 0
    to_us: int = FOREVER_US
    strength: float = 1.0
    delay_us: int = 0
    copies: int = 1

    def __post_init__(self) -> None:
        if self.kind not in EDGE_KINDS + HOST_KINDS:
            raise ValueError(f"fault {self.id!r} has unknown kind {self.kind!r}: use one of {EDGE_KINDS + HOST_KINDS}")
        if self.kind in HOST_KINDS and not self.host:
            raise ValueError(f"fault {self.id!r} of kind {self.kind!r} needs a host")
        if self.kind in EDGE_KINDS and not (self.source and self.target):
            raise ValueError(f"fault {self.id!r} of kind {self.kind!r} needs an edge: source and target")

    @property
    def aim(self) -> str:
        """What the fault is aimed at, in words."""
        if self.host:
            return self.host
        what = " ".join(part for part in (self.method, self.route, self.event) if part)
        return f"{self.source} -> {self.target} {what}".strip()


class Selector:
    """Decides which of the matching exchanges a fault strikes."""

    __slots__ = ("_nth", "fault", "matched", "struck")

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.matched = 0
        self.struck = 0
        self._nth = frozenset(fault.nth)

    def takes(self, world: "World", key: tuple[object, ...]) -> bool:
        fault = self.fault
        self.matched += 1
        if fault.nth:
            hit = self.matched in self._nth
        elif fault.every:
            hit = self.matched % fault.every == 0
        elif fault.share:
            hit = world.chance.hit(fault.share, fault.id, *key)
        else:
            hit = True
        if not hit or (fault.limit and self.struck >= fault.limit):
            return False
        self.struck += 1
        return True


class Faults:
    """The plan at work. `heal` ends it: after that nothing strikes any more."""

    def __init__(self, world: "World", plan: tuple[Fault, ...]) -> None:
        self._world = world
        self.plan = plan
        self.healed = False
        self._felt: dict[str, bool] = {}
        self._by_edge: dict[tuple[str, str], list[Selector]] = {}
        self._by_host: dict[tuple[str, str], list[Fault]] = {}
        for fault in plan:
            if fault.kind in EDGE_KINDS:
                self._by_edge.setdefault((fault.source, fault.target), []).append(Selector(fault))
            else:
                self._by_host.setdefault((fault.kind, fault.host), []).append(fault)

    def arm(self) -> None:
        """Write the plan to evidence, once, at the start."""
        for fault in self.plan:
            self._world.evidence.row(
                "faults",
                fault=fault.id,
                kind=fault.kind,
                target=fault.aim,
                event="window",
                from_us=max(fault.from_us, self._world.starts_at_us),
                to_us=None if fault.to_us >= FOREVER_US else fault.to_us,
            )

    def schedule_crashes(self, crash: Callable[[str], None], restart: Callable[[str], None]) -> None:
        """Arrange for each planned crash; the network does the work."""
        for (kind, host), faults in self._by_host.items():
            if kind != "crash":
                continue
            for fault in faults:
                self._at(fault.from_us, lambda fault=fault, host=host: self._crash(fault, host, crash))  # type: ignore[misc]
                self._at(fault.to_us, lambda host=host: restart(host))  # type: ignore[misc]

    def on_edge(self, source: str, target: str) -> list[Selector] | None:
        """The selectors on an edge, or None: the fast way out for every edge without faults."""
        return None if self.healed else self._by_edge.get((source, target))

    def strikes(
        self, selectors: list[Selector], reply: bool, method: str, route: str, event: str, key: tuple[object, ...]
    ) -> list[Fault]:
        """The faults that strike this leg of this exchange, each written to evidence."""
        if self.healed:
            return []
        now = self._world.now_us()
        struck = []
        for selector in selectors:
            fault = selector.fault
            if (
                _acts_on_reply(fault) == reply
                and fault.from_us <= now < fault.to_us
                and (not fault.method or fault.method == method)
                and (not fault.route or fault.route == route)
                and (not fault.event or fault.event == event)
                and selector.takes(self._world, key)
            ):
                self.record(fault, " ".join(str(part) for part in key if part != ""))
                struck.append(fault)
        return struck

    def in_force(self, kind: str, host: str) -> Fault | None:
        """The fault of this kind that now holds on a host, if any."""
        if self.healed:
            return None
        now = self._world.now_us()
        for fault in self._by_host.get((kind, host), ()):
            if fault.from_us <= now < fault.to_us:
                return fault
        return None

    def level(self, kind: str, host: str, default: float = 0.0) -> float:
        """The strength of a partner's own fault that now holds on a host, else `default`. The first use is a strike."""
        fault = self.in_force(kind, host)
        if fault is None:
            return default
        if fault.id not in self._felt:
            self._felt[fault.id] = True
            self.record(fault, f"{kind} {fault.strength:g}")
        return fault.strength

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

    def heal(self) -> None:
        """End every fault. A host that is down by a crash still starts at its time."""
        self.healed = True

    def _crash(self, fault: Fault, host: str, crash: Callable[[str], None]) -> None:
        if not self.healed:
            self.record(fault, "crash")
            crash(host)

    def _at(self, moment_us: int, action: Callable[[], None]) -> None:
        world = self._world
        world.env.timeout(max(0, moment_us - world.now_us())).callbacks.append(lambda _event: action())


def _acts_on_reply(fault: Fault) -> bool:
    if fault.kind == "reply_lost":
        return True
    return fault.kind in ("cut", "delay") and fault.direction == "reply"
