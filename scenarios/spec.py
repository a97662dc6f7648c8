"""A scenario file as a frozen `Scenario`: what happens, what is expected to be seen, and which limits hold.

In the YAML durations carry a unit ("20m"); here they are integer microseconds (`*_us`). An unknown key is an error that
names its file, its line and the nearest valid key. `Scenario.plain()` writes it back, so that a run or a capsule
carries the scenario as it was run.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from contracts.validation import Contract, Events
from scenarios.durations import Duration, SignedDuration
from scenarios.errors import ScenarioError, nearest
from scenarios.loading import load_model
from simulators.kernel.faults import (
    BATCH_KINDS,
    EDGE_KINDS,
    HOST_KINDS,
    PROCESS_KINDS,
    TRANSACTION_KINDS,
    WEBHOOK_KINDS,
    Fault,
)

CATALOG = Path(__file__).parent / "catalog"
NODES = ("wms-east", "wms-west", "threepl")
PARTNERS = ("erp", "wms-east", "wms-west", "threepl", "carrier")
HOSTS = ("integration", *PARTNERS)
CONTRACTS = {
    "integration": "orders",
    "erp": "erp",
    "wms-east": "wms",
    "wms-west": "wms",
    "threepl": "threepl",
    "carrier": "carrier",
}
CHANNELS = ("portal", "edi", "marketplace")
ENDS = (*HOSTS, *CHANNELS, "clerk", "monitor")
WAREHOUSES = ("wms-east", "wms-west")
SENDERS = (*WAREHOUSES, "carrier")
"""Partners that send webhooks."""
SWIZZLE = "swizzle"
FAULT_KINDS = (*HOST_KINDS, *EDGE_KINDS, SWIZZLE)
STRUCK_HOSTS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(PROCESS_KINDS, ("integration",)),
    **dict.fromkeys(("short_pick", "partial_shipment", "cycle_count", "backdated_adjustment", "stale_snapshot"), NODES),
    **dict.fromkeys(("slowdown", "rate_limit", "dedupe_expired"), PARTNERS),
    "ship_after_cancel": WAREHOUSES,
    "subscription_dropped": SENDERS,
    "missed_pickup": ("carrier",),
    **dict.fromkeys(BATCH_KINDS, ("threepl",)),
}
"""Kinds that only some hosts can play."""
_SHARES = ("short_pick", "partial_shipment", "ship_after_cancel", "cycle_count", "backdated_adjustment", SWIZZLE)
_DELAYS = ("delay", "latency_tail", "dedupe_expired", "backdated_adjustment", "clock_skew")
_WINDOWS = ("hold", "partition", SWIZZLE)

ORDER_EVENTS = ("order.accepted", "order.backordered", "order.cancelled", "order.shipped", "order.invoiced")
"""What a subscriber may be told of an order."""

SEEN = (
    "backorder",
    "cancel",
    "client_retry_same_key",
    "client_timeout",
    "contention",
    "duplicate_delivered",
    "erp_backlog",
    "fresh_key_refused",
    "rate_limited",
    "reordered",
    "reply_lost_after_effect",
    "short_pick",
    "split_order",
    "stock_moved",
)
"""What an `expects:` entry `seen:NAME` may name; scenarios/checks/it_happened.sql says how each is recognized."""

USUAL_PROFILES = {
    "erp": "midsize",
    "wms-east": "regional",
    "wms-west": "regional",
    "threepl": "regional",
    "carrier": "parcel",
}
USUAL_FRESHNESS_US = {"wms-east": 120_000_000, "wms-west": 120_000_000, "threepl": 1_200_000_000}
"""A webhook and its first retry; for the 3PL its stock poll of 15 min, the call and some slack."""

Share = Annotated[float, Field(ge=0.0, le=1.0)]
FROM_FILE = "from-file"


class Part(BaseModel):
    """What all parts of a scenario share: frozen, no unknown keys, YAML names as aliases."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=False)


class Channels(Part):
    """Shares of orders per channel; they sum to one."""

    portal: Share = 0.8
    edi: Share = 0.05
    marketplace: Share = 0.15

    @model_validator(mode="after")
    def _whole(self) -> Self:
        total = self.portal + self.edi + self.marketplace
        if abs(total - 1.0) > 1e-6:
            raise ValueError(f"shares of channels sum to {total:g}; make portal, edi and marketplace sum to 1")
        return self


class Flash(Part):
    """A flash sale: `orders_share` of all orders ask for one of the `skus` most wanted ones within the window.

    The hot skus are drawn by Zipf weights (`zipf`): real demand is flatter, a flash sale is not. `cover` is the stock
    of a hot sku over its demand.
    """

    skus: Annotated[int, Field(ge=1, le=1_000)] = 3
    orders_share: Share = 0.4
    from_us: Duration = Field(alias="from")
    for_us: Duration = Field(alias="for")
    zipf: Annotated[float, Field(ge=0.0, le=3.0)] = 1.0
    cover: Annotated[float, Field(ge=0.0, le=100.0)] = 0.5


class Clients(Part):
    """How the channels' systems behave. Shares are of orders.

    A good client repeats an order under the same key: after a time-out, a broken connection, a 5xx or 429 (after
    Retry-After) and while its first call is in flight. `fresh_key_share` repeat under a new key once more, as a
    re-import would. A bad client's `reused_key_share` use a key that has its answer for another request.
    """

    timeout_us: Duration = Field(default=10_000_000, alias="timeout")
    attempts: Annotated[int, Field(ge=1, le=20)] = 4
    backoff_us: Duration = Field(default=2_000_000, alias="backoff")
    fresh_key_share: Share = 0.0
    reused_key_share: Share = 0.0
    tracker_share: Share = 0.25
    track_after_us: Duration = Field(default=2_700_000_000, alias="track_after")
    availability_share: Share = 0.1
    quote_share: Share = 0.5
    stale_price_share: Share = 0.0


class Opening(Part):
    """Stock at the start, over the demand that is to come, and what comes in later.

    `cover` times its demand for most skus, `cover_scarce` for a `scarce_share` of them, at least `least` units per node
    for the others; `limit` cuts it to so many units per node and sku (shrinking). Scarce skus receive `replenish_cover`
    times their demand `replenish_after` the start.
    """

    cover: Annotated[float, Field(ge=0.0, le=1_000.0)] = 1.6
    cover_scarce: Annotated[float, Field(ge=0.0, le=1_000.0)] = 0.6
    scarce_share: Share = 0.08
    least: Annotated[int, Field(ge=0, le=1_000_000)] = 6
    limit: Annotated[int, Field(ge=0)] | None = None
    shares: dict[str, Share] = {"wms-east": 0.5, "wms-west": 0.35, "threepl": 0.15}
    replenish_after_us: Duration | None = Field(default=None, alias="replenish_after")
    replenish_cover: Annotated[float, Field(ge=0.0, le=1_000.0)] = 0.6

    @field_validator("shares")
    @classmethod
    def _nodes(cls, shares: dict[str, float]) -> dict[str, float]:
        for node in shares:
            if node not in NODES:
                raise ValueError(f"unknown node '{node}'{nearest(node, NODES)}")
        if abs(sum(shares.values()) - 1.0) > 1e-6:
            raise ValueError(f"shares of nodes sum to {sum(shares.values()):g}; make them sum to 1")
        return shares


class DemandSpec(Part):
    """Where orders come from: a generator fitted to real orders, or an order file.

    generated: `orders` on an ordinary day of the scenario's length times `multiplier`. `most_lines` cuts larger
    baskets; `lines_per_order` fixes them (benchmarks); `skus` keeps the assortment to so many most wanted. file:
    replayed with its own times, `compress` times as fast.
    `only_orders` keeps these order references, `quantity_limit` cuts each line to so many of its unit; all else stays
    as it was (shrinking).
    """

    source: Literal["generated", "file"] = "generated"
    profile: str = "retail-peak"
    file: str | None = None
    orders: Annotated[int, Field(ge=0, le=1_000_000)] = 200
    multiplier: Annotated[float, Field(gt=0.0, le=100.0)] = 1.0
    compress: Annotated[float, Field(gt=0.0, le=10_000.0)] = 1.0
    customers: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    channels: Channels = Channels()
    most_lines: Annotated[int, Field(ge=1, le=2_000)] = 2_000
    lines_per_order: Annotated[int, Field(ge=1, le=2_000)] | None = None
    skus: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    cancel_share: Share = 0.05
    cancel_lag_us: Duration = Field(default=1_200_000_000, alias="cancel_lag")
    quick_repeat_share: Share | None = None
    adjustments_per_day: Annotated[float, Field(ge=0.0, le=10_000.0)] = 10.0
    price_change_share: Share = 0.0
    fill_or_kill_share: Share = 0.03
    express_share: Share = 0.15
    case_share: Share = 0.3
    blocked_share: Share = 0.0
    tight_credit_share: Share = 0.0
    flash: Flash | None = None
    clients: Clients = Clients()
    opening: Opening = Opening()
    only_orders: tuple[str, ...] | None = None
    quantity_limit: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.source == "file" and not self.file:
            raise ValueError("source is 'file' but no file is named; set demand.file to an order file")
        if self.source == "file" and self.multiplier != 1.0:
            raise ValueError("a file is replayed as it is; leave multiplier out, or use compress to press its time")
        if self.source == "generated" and self.compress != 1.0:
            raise ValueError("compress presses the time of a file; for generated demand use orders and multiplier")
        if self.source == "generated" and self.orders * self.multiplier > 1_000_000:
            raise ValueError(
                f"{self.orders * self.multiplier:,.0f} orders are more than 1,000,000; lower the multiplier"
            )
        return self


class CastMember(Part):
    """The profile that a partner plays, and settings that replace single ones of it.

    An empty profile is the partner's usual one (`USUAL_PROFILES`).
    """

    profile: str = ""
    settings: dict[str, Any] = {}


class NetworkSpec(Part):
    """Ordinary latency of one leg of an exchange; anything slower is a fault."""

    least_us: Duration = Field(default=5_000, alias="least")
    most_us: Duration = Field(default=40_000, alias="most")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.least_us > self.most_us:
            raise ValueError("least is more than most; swap them")
        return self


class Select(Part):
    """Which exchanges an edge fault strikes: the nth ones, every Nth (at most `limit`), a share of them, or by `keys`.

    A key is an Idempotency-Key, a webhook-id or a path (all attempts), or what the `detail` of a strike says (that
    one). `sticky`: what was struck once is struck again at each further attempt, as a message is that cannot succeed.
    """

    nth: tuple[Annotated[int, Field(ge=1)], ...] | None = None
    every: Annotated[int, Field(ge=1)] | None = None
    limit: Annotated[int, Field(ge=1)] | None = None
    share: Share | None = None
    keys: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    sticky: bool = False

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = [name for name in ("nth", "every", "share", "keys") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError("give exactly one of nth, every, share and keys")
        if self.limit is not None and self.every is None and self.share is None:
            raise ValueError("limit goes with every or share; leave it out")
        return self


class Window(Part):
    """From an offset after the start, to another or for a while."""

    from_us: Duration = Field(alias="from")
    to_us: Duration | None = Field(default=None, alias="to")
    for_us: Duration | None = Field(default=None, alias="for")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.to_us is None) == (self.for_us is None):
            raise ValueError("give one of 'to' and 'for'")
        if self.to_us is not None and self.to_us <= self.from_us:
            raise ValueError("'to' is not after 'from'")
        return self

    @property
    def ends_us(self) -> int:
        """Offset of the end, in microseconds after the start."""
        return self.to_us if self.to_us is not None else self.from_us + (self.for_us or 0)


class FaultSpec(Part):
    """One fault: on a host, at its transaction boundaries, or on exchanges along an edge. simulators/kernel/faults.py
    says what each kind does.

    `swizzle` takes neither host nor edge: it holds a random share (`strength`) of all edges, one by one, and lets them
    go in another order within its window.
    """

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    kind: str
    host: str = ""
    edge: tuple[str, str] | None = None
    direction: Literal["request", "reply"] = "request"
    route: str = ""
    event: str = ""
    select: Select | None = None
    window: Window | None = None
    strength: Annotated[float, Field(ge=0.0, le=10_000.0)] | None = None
    delay_us: SignedDuration = Field(default=0, alias="delay")
    copies: Annotated[int, Field(ge=0, le=100)] = 1
    at: Literal["begin", "commit", "after_commit"] | None = None
    drift: Literal["added", "missing", "retyped"] = "added"
    field: str = ""
    version: Literal["", "next"] = ""
    clock: Literal["business", "protocol"] = "business"
    """In which time its window and its delay are, where the two differ: in real time."""

    @field_validator("kind")
    @classmethod
    def _known(cls, kind: str) -> str:
        if kind not in FAULT_KINDS:
            raise ValueError(f"unknown kind of fault '{kind}'{nearest(kind, FAULT_KINDS)}")
        return kind

    @field_validator("host")
    @classmethod
    def _host(cls, host: str) -> str:
        if host and host not in HOSTS:
            raise ValueError(f"unknown host '{host}'{nearest(host, HOSTS)}")
        return host

    @field_validator("edge")
    @classmethod
    def _edge(cls, edge: tuple[str, str] | None) -> tuple[str, str] | None:
        for end in edge or ():
            if end not in ENDS:
                raise ValueError(f"unknown host '{end}' in edge{nearest(end, ENDS)}")
        return edge

    @field_validator("route")
    @classmethod
    def _route(cls, route: str) -> str:
        method, _, path = route.partition(" ")
        if route and (method not in ("GET", "POST", "PUT", "PATCH", "DELETE") or not path.startswith("/")):
            raise ValueError(f"{route!r} is not a route; write the method and the path's template, 'POST /releases'")
        return route

    @model_validator(mode="after")
    def _aimed(self) -> Self:
        """A fault has a host or an edge, by its kind, and what else belongs to that."""
        kind = self.kind
        if kind == SWIZZLE:
            if self.host or self.edge is not None or self.route or self.event or self.select is not None:
                raise ValueError("swizzle draws its own edges; leave out host, edge, route, event and select")
        elif kind in HOST_KINDS:
            self._check_host()
        elif self.edge is None:
            raise ValueError(f"a fault of kind '{kind}' strikes exchanges; name them with edge: [from, to]")
        elif self.host:
            raise ValueError(f"a fault of kind '{kind}' strikes exchanges; leave out host")
        if kind in WEBHOOK_KINDS and self.edge is not None and self.edge[0] not in SENDERS:
            raise ValueError(f"'{self.edge[0]}' sends no webhooks; those who do are {', '.join(SENDERS)}")
        if kind in _WINDOWS and self.window is None:
            raise ValueError(f"a fault of kind '{kind}' needs a window: {{from: 12h, for: 20m}}")
        return self

    def _check_host(self) -> None:
        kind, at_boundary = self.kind, self.at is not None or self.kind in TRANSACTION_KINDS
        if not self.host:
            raise ValueError(f"a fault of kind '{kind}' strikes a host; name it with host")
        if self.edge is not None or self.route or (self.select is not None and not at_boundary):
            raise ValueError(f"a fault of kind '{kind}' strikes a host; leave out edge, route and select")
        if self.at is not None and kind != "crash":
            raise ValueError("only a crash has a transaction boundary to strike at; leave out at")
        if self.at is not None and self.select is None:
            raise ValueError("a crash at a transaction boundary needs a select, such as {nth: [7]}")
        if self.window is None and not at_boundary:
            raise ValueError(f"a fault of kind '{kind}' needs a window: {{from: 12h, for: 20m}}")
        hosts = ("integration",) if self.at is not None else STRUCK_HOSTS.get(kind, HOSTS)
        if self.host not in hosts:
            raise ValueError(f"'{self.host}' does not play {kind}; those who do are {', '.join(hosts)}")

    @model_validator(mode="after")
    def _measured(self) -> Self:
        """Strengths and delays are what the kind can do with them."""
        kind, strength = self.kind, self.strength
        if kind == "short_pick" and strength is None:
            raise ValueError("short_pick needs a strength: the share of lines that come short, 0 to 1")
        if kind in _SHARES and strength is not None and strength > 1.0:
            raise ValueError(f"the strength of {kind} is a share, 0 to 1")
        if kind in ("slowdown", "latency") and (strength is None or strength < 1.0):
            raise ValueError(f"{kind} needs a strength: how many times as slow, 1 or more")
        if kind == "rate_limit" and (strength is None or strength < 1.0):
            raise ValueError("rate_limit needs a strength: calls a minute, 1 or more")
        if kind in _DELAYS and self.delay_us == 0:
            raise ValueError(f"a fault of kind '{kind}' needs a delay, such as 30s")
        if self.delay_us < 0 and kind != "clock_skew":
            raise ValueError(f"the delay of {kind} is negative; only a clock can be off to that side")
        if self.version and kind != "overlap":
            raise ValueError(f"{kind} starts no other version; only an overlap does, leave out version")
        return self

    @model_validator(mode="after")
    def _on_the_wire(self) -> Self:
        """A route or an event that no contract knows would never be struck."""
        if self.edge is None:
            return self
        target = self.edge[1]
        if target not in CONTRACTS:
            raise ValueError(f"nothing listens on '{target}'; the target of an edge is one of {', '.join(HOSTS)}")
        if self.route:
            routes = [f"{found.method} {found.path}" for found in Contract.load(CONTRACTS[target]).operations]
            if self.route not in routes:
                raise ValueError(f"{target} has no route '{self.route}'{nearest(self.route, routes)}")
        if self.event and self.event not in Events.load().types:
            raise ValueError(f"unknown event '{self.event}'{nearest(self.event, Events.load().types)}")
        return self

    def planned(self, starts_at_us: int, ends_at_us: int) -> Fault:
        """The kernel's form, with absolute times (Unix microseconds); without a window it stands while load comes."""
        method, _, route = self.route.partition(" ")
        source, target = self.edge or ("", "")
        select = self.select or Select(every=1)
        window = self.window
        return Fault(
            id=self.id,
            kind=self.kind,
            host=self.host,
            source=source,
            target=target,
            direction=self.direction,
            method=method,
            route=route,
            event=self.event,
            nth=select.nth or (),
            sticky=select.sticky,
            every=select.every or 0,
            limit=select.limit or 0,
            share=select.share or 0.0,
            keys=select.keys or (),
            from_us=starts_at_us + window.from_us if window else starts_at_us,
            to_us=starts_at_us + window.ends_us if window else ends_at_us,
            strength=self.strength if self.strength is not None else 1.0,
            delay_us=self.delay_us,
            copies=self.copies,
            at=self.at or "",
            drift=self.drift,
            field=self.field,
            version=self.version,
            clock=self.clock,
        )


class SubscriberSpec(Part):
    """Somebody who is told of business events, under the name of its host.

    It subscribes to `types` as `channel`. It takes `answers_in` over each delivery, fails a `fails` share of them with
    503, and every one within the window `down`.
    """

    channel: Literal["portal", "edi", "marketplace"] = "portal"
    types: Annotated[tuple[str, ...], Field(min_length=1)] = ORDER_EVENTS
    answers_in_us: Duration = Field(default=50_000, alias="answers_in")
    fails: Share = 0.0
    down: Window | None = None

    @field_validator("types")
    @classmethod
    def _told(cls, types: tuple[str, ...]) -> tuple[str, ...]:
        for name in types:
            if name not in ORDER_EVENTS:
                raise ValueError(f"unknown type of event '{name}'{nearest(name, ORDER_EVENTS)}")
        return types


class Swarm(Part):
    """Each seed switches on a random `share` of the `menu` of faults, with random strengths; scenarios/swarm.py."""

    menu: tuple[str, ...] | Literal["default"] = "default"
    share: Share = 0.15


class Threshold(Part):
    """Limits on a metric in k6's grammar, as text; scenarios.thresholds reads them."""

    metric: str
    limits: Annotated[tuple[str, ...], Field(min_length=1)]


def _moment(value: object) -> object:
    """A timestamp as RFC 3339 text; YAML may already have read it as a datetime."""
    if isinstance(value, datetime):
        aware = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
        return aware.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return value


def _switched(value: object) -> object:
    """`swarm: true` is a swarm with everything at its default."""
    return {} if value is True else None if value is False else value


def _or_from_file(value: object) -> object:
    return None if value == FROM_FILE else value


class Scenario(Part):
    """All of a scenario. `starts_at` and `duration` may be `from-file` for demand that is replayed from one."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    summary: str
    starts_at: Annotated[str, BeforeValidator(_moment)]
    duration_us: Annotated[Duration | None, BeforeValidator(_or_from_file)] = Field(alias="duration")
    seed: Annotated[int, Field(ge=0)] = 1
    demand: DemandSpec = DemandSpec()
    cast: dict[str, CastMember] = Field(default={}, validate_default=True)
    network: NetworkSpec = NetworkSpec()
    integration: dict[str, Any] = {}
    freshness: dict[str, Duration] = Field(default={}, validate_default=True)
    faults: tuple[FaultSpec, ...] = ()
    subscribers: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")], SubscriberSpec] = {}
    swarm: Annotated[Swarm | None, BeforeValidator(_switched)] = None
    thresholds: tuple[Threshold, ...] = ()
    expects: tuple[str, ...] = ()
    drain_limit_us: Duration = Field(default=86_400_000_000, alias="drain_limit")
    gauges_every_us: Duration = Field(default=300_000_000, alias="gauges_every")
    checks: tuple[str, ...] | None = None

    @field_validator("starts_at")
    @classmethod
    def _readable(cls, text: str) -> str:
        if text != FROM_FILE:
            _timestamp_us(text)
        return text

    @field_validator("cast")
    @classmethod
    def _partners(cls, cast: dict[str, CastMember]) -> dict[str, CastMember]:
        for host in cast:
            if host not in PARTNERS:
                raise ValueError(f"unknown partner '{host}'{nearest(host, PARTNERS)}")
        given = {host: cast.get(host, CastMember()) for host in PARTNERS}
        return {
            host: member if member.profile else member.model_copy(update={"profile": USUAL_PROFILES[host]})
            for host, member in given.items()
        }

    @field_validator("freshness")
    @classmethod
    def _nodes(cls, freshness: dict[str, int]) -> dict[str, int]:
        for node in freshness:
            if node not in NODES:
                raise ValueError(f"unknown node '{node}'{nearest(node, NODES)}")
        return {node: freshness.get(node, USUAL_FRESHNESS_US[node]) for node in NODES}

    @field_validator("subscribers")
    @classmethod
    def _strangers(cls, subscribers: dict[str, SubscriberSpec]) -> dict[str, SubscriberSpec]:
        for name in subscribers:
            if name in ENDS:
                raise ValueError(f"subscriber '{name}' has the name of somebody else in the world; give it its own")
        return subscribers

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.demand.source == "generated" and (self.starts_at == FROM_FILE or self.duration_us is None):
            raise ValueError("generated demand has no file to take times from; give starts_at and duration")
        if self.duration_us == 0:
            raise ValueError("duration is 0; give a time such as 24h")
        ids = [fault.id for fault in self.faults]
        for fault_id in ids:
            if ids.count(fault_id) > 1:
                raise ValueError(f"two faults have the id '{fault_id}'; give each its own")
        for expected in self.expects:
            _check_expected(expected, ids)
        return self

    @cached_property
    def starts_at_us(self) -> int | None:
        """Unix microseconds of the start; None when the order file says."""
        return None if self.starts_at == FROM_FILE else _timestamp_us(self.starts_at)

    def fault_plan(self, starts_at_us: int, ends_at_us: int) -> tuple[Fault, ...]:
        """The kernel's faults, with absolute times, for load between these two (Unix microseconds)."""
        return tuple(fault.planned(starts_at_us, ends_at_us) for fault in self.faults)

    def plain(self) -> dict[str, Any]:
        """As the YAML would say it; `from_plain` reads it back to an equal scenario."""
        plain: dict[str, Any] = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        plain.setdefault("duration", FROM_FILE)
        return plain

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "Scenario":
        """The scenario that `plain` wrote. ScenarioError when it does not validate."""
        try:
            return cls.model_validate(dict(plain))
        except ValidationError as error:
            raise ScenarioError(f"not a scenario: {error.errors(include_url=False)[0]['msg']}") from error


def _timestamp_us(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a timestamp; write 2026-11-27T00:00:00Z or from-file") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond


def _check_expected(expected: str, fault_ids: list[str]) -> None:
    kind, _, name = expected.partition(":")
    if kind == "fault":
        if name not in fault_ids:
            raise ValueError(f"expects '{expected}', but no fault has that id{nearest(name, fault_ids)}")
    elif kind == "seen":
        if name not in SEEN:
            raise ValueError(f"expects '{expected}', which nothing recognizes{nearest(name, SEEN)}")
    else:
        raise ValueError(f"expects '{expected}'; write fault:ID or seen:NAME")


def load(name_or_path: str, overrides: Mapping[str, str] | None = None) -> Scenario:
    """A scenario of the catalog by name, or of a file, with `--set` overrides. ScenarioError when it can't be used."""
    return load_model(Scenario, find(name_or_path), overrides or {})


def find(name_or_path: str) -> Path:
    """The file of a scenario. ScenarioError names the nearest one in the catalog."""
    named = CATALOG / f"{name_or_path}.yaml"
    if "/" not in name_or_path and named.is_file():
        return named
    path = Path(name_or_path)
    if path.is_file():
        return path
    names = [file.stem for file in sorted(CATALOG.glob("*.yaml"))]
    raise ScenarioError(f"no scenario '{name_or_path}' in the catalog, and no such file{nearest(name_or_path, names)}")


def catalog() -> list[tuple[str, str]]:
    """Name and summary of every scenario of the catalog, by name."""
    scenarios = [load(file.stem) for file in sorted(CATALOG.glob("*.yaml"))]
    return [(scenario.name, scenario.summary) for scenario in scenarios]
