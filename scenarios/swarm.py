"""Which faults a seed switches on: swarms, swizzles and crash sweeps, resolved to a plan that stands by itself.

A swarm gives each seed a random subset of a menu, with random strengths, selectors and windows: a seed that has few
faults reaches states that one with all of them never comes to. The default menu holds only faults that a correct
integration survives with every check holding. What is a partner's broken promise (`ship_after_cancel`,
`dedupe_expired`, a webhook that is never sent) can be named in a menu but is not in the default one.

Everything is keyed by seed and entry: taking an entry off the menu leaves the others as they were.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scenarios.durations import format_duration
from scenarios.errors import ScenarioError, nearest
from scenarios.spec import CHANNELS, NODES, PARTNERS, SENDERS, SWIZZLE, WAREHOUSES, FaultSpec, Scenario
from simulators.kernel import HOUR, MINUTE, SECOND, Chance
from simulators.kernel.faults import BOUNDARIES

EDGES = (
    *(("integration", partner) for partner in PARTNERS),
    *((sender, "integration") for sender in SENDERS),
    *((channel, "integration") for channel in CHANNELS),
)
"""All edges that an ordinary day uses."""
WRITES = (
    ("erp", "POST /sales-orders"),
    ("erp", "POST /sales-orders/{erp_order_id}/changes"),
    ("erp", "POST /shipments"),
    ("erp", "POST /invoices"),
    ("wms-east", "POST /releases"),
    ("wms-west", "POST /releases"),
    ("wms-east", "POST /releases/{release_id}/cancel"),
    ("wms-east", "POST /releases/{release_id}/labels"),
    ("wms-west", "POST /releases/{release_id}/labels"),
    ("threepl", "POST /fulfillment-orders"),
    ("carrier", "POST /labels"),
)
"""What the integration tells partners to do, by partner and route."""
SHORTEST_US = MINUTE
LONGEST_US = 20 * MINUTE

Plain = dict[str, Any]


@dataclass(frozen=True)
class Draw:
    """The draws of one entry under one seed. `span_us`: how long the load lasts."""

    chance: Chance
    entry: str
    span_us: int

    def number(self, name: str, low: float, high: float) -> float:
        """A number with three digits after the point, from `low` to `high`."""
        return round(low + (high - low) * self.chance.uniform("swarm", self.entry, name), 3)

    def integer(self, name: str, low: int, high: int) -> int:
        return self.chance.integer(low, high, "swarm", self.entry, name)

    def choose(self, name: str, options: Sequence[Any]) -> Any:
        return self.chance.choose(options, "swarm", self.entry, name)

    def duration(self, name: str, low_us: int, high_us: int) -> str:
        """A duration in whole milliseconds, as YAML writes it."""
        return format_duration(self.integer(name, low_us // 1_000, high_us // 1_000) * 1_000)

    def window(self, longest_us: int = LONGEST_US) -> Plain:
        """A window that begins in the first three quarters of the load and lasts a quarter of it at most."""
        most_us = max(SHORTEST_US, min(longest_us, self.span_us // 4))
        from_us = self.integer("from", 0, self.span_us * 3 // 4 // 1_000) * 1_000
        return {"from": format_duration(from_us), "for": self.duration("for", SHORTEST_US, most_us)}

    def long_window(self) -> Plain:
        """A window over most of the load, for what happens seldom: waves and departures."""
        from_us = self.integer("from", 0, self.span_us // 4 // 1_000) * 1_000
        return {"from": format_duration(from_us), "for": self.duration("for", self.span_us // 2, self.span_us * 3 // 4)}

    def share(self, low: float = 0.05, high: float = 0.4) -> Plain:
        """A selector by share."""
        return {"share": self.number("share", low, high)}

    def write(self) -> Plain:
        """An edge and a route on which the integration tells a partner to do something."""
        partner, route = self.choose("write", WRITES)
        return {"edge": ["integration", partner], "route": route}


Entry = Callable[[Draw], Plain]


def _on_write(kind: str, **more: object) -> Entry:
    """A fault on a share of what the integration tells one partner on one route."""
    return lambda draw: {"kind": kind, **draw.write(), "select": draw.share(), **more}


def _on_order(kind: str, **more: object) -> Entry:
    """A fault on a share of the orders and cancels of one channel."""

    def entry(draw: Draw) -> Plain:
        edge = [draw.choose("channel", CHANNELS), "integration"]
        return {"kind": kind, "edge": edge, "select": draw.share(0.05, 0.3), **more}

    return entry


def _on_webhook(kind: str, **more: object) -> Entry:
    """A fault on a share of one sender's webhooks, in a window that its later attempts outlast."""

    def entry(draw: Draw) -> Plain:
        edge = [draw.choose("sender", (*WAREHOUSES, *SENDERS)), "integration"]
        return {"kind": kind, "edge": edge, "select": draw.share(0.1, 0.5), "window": draw.window(40 * MINUTE), **more}

    return entry


def _on_host(kind: str, hosts: Sequence[str], **more: Callable[[Draw], object]) -> Entry:
    """A fault of one host for a window; `more` are draws."""

    def entry(draw: Draw) -> Plain:
        drawn = {name: draw_one(draw) for name, draw_one in more.items()}
        return {"kind": kind, "host": draw.choose("host", hosts), "window": draw.window(), **drawn}

    return entry


def _at_work(kind: str, hosts: Sequence[str], **more: Callable[[Draw], object]) -> Entry:
    """As `_on_host`, over most of the load."""
    entry = _on_host(kind, hosts, **more)
    return lambda draw: {**entry(draw), "window": draw.long_window()}


def _on_database(kind: str) -> Entry:
    return lambda draw: {"kind": kind, "host": "integration", "select": draw.share(0.02, 0.2), "window": draw.window()}


def _delayed(entry: Entry, low_us: int, high_us: int) -> Entry:
    """An entry with a drawn delay."""
    return lambda draw: {**entry(draw), "delay": draw.duration("delay", low_us, high_us)}


def _either_way(entry: Entry) -> Entry:
    """An entry with a drawn direction."""
    return lambda draw: {**entry(draw), "direction": draw.choose("direction", ("request", "reply"))}


def _latency(draw: Draw) -> Plain:
    edge = list(draw.choose("edge", EDGES))
    return {"kind": "latency", "edge": edge, "strength": draw.integer("strength", 2, 40), "window": draw.window()}


def _partition(draw: Draw) -> Plain:
    edge = ["integration", draw.choose("partner", PARTNERS)]
    return {"kind": "partition", "edge": edge[:: draw.choose("way", (1, -1))], "window": draw.window(10 * MINUTE)}


def _hold(draw: Draw) -> Plain:
    return {"kind": "hold", "edge": list(draw.choose("edge", EDGES)), "window": draw.window(10 * MINUTE)}


def _crash_at(draw: Draw) -> Plain:
    nth = [draw.integer("nth", 1, 200)]
    down = draw.duration("down", SECOND, 3 * MINUTE)
    return {
        "kind": "crash",
        "host": "integration",
        "at": draw.choose("at", BOUNDARIES),
        "select": {"nth": nth},
        "delay": down,
    }


def _crash_often(draw: Draw) -> Plain:
    """A crash after every so many commits, now here, now there in the middle of things."""
    down = draw.duration("down", SECOND, MINUTE)
    select = {"every": draw.integer("every", 17, 61), "limit": 12}
    return {"kind": "crash", "host": "integration", "at": "after_commit", "select": select, "delay": down}


def _recycled(draw: Draw) -> Plain:
    """The process is ended and started again after every so many commits, as a server does that recycles its workers
    or a container that keeps meeting its memory limit: whatever it kept in memory is gone, again and again."""
    select = {"every": draw.integer("every", 30, 90), "limit": 20}
    down = draw.duration("down", SECOND, 10 * SECOND)
    return {"kind": "crash", "host": "integration", "at": "after_commit", "select": select, "delay": down}


def _on_releases(kind: str, low: float, high: float, **more: object) -> Entry:
    """A fault on a share of what one warehouse is told to ship."""

    def entry(draw: Draw) -> Plain:
        edge = ["integration", draw.choose("warehouse", WAREHOUSES)]
        return {"kind": kind, "edge": edge, "route": "POST /releases", "select": draw.share(low, high), **more}

    return entry


def _all_day(kind: str, senders: Sequence[str], low: float, high: float) -> Entry:
    """A fault on a share of all that one sender tells, as long as load comes."""

    def entry(draw: Draw) -> Plain:
        edge = [draw.choose("sender", senders), "integration"]
        return {"kind": kind, "edge": edge, "select": draw.share(low, high)}

    return entry


def _stock_told_again(draw: Draw) -> Plain:
    """A broker between redelivers most stock events, as where its acknowledgements time out."""
    edge = [draw.choose("sender", WAREHOUSES), "integration"]
    delay = draw.duration("delay", MINUTE, 40 * MINUTE)
    return {
        "kind": "duplicate",
        "edge": edge,
        "event": "inventory.changed",
        "select": draw.share(0.5, 0.9),
        "delay": delay,
    }


def _long_pause(draw: Draw) -> Plain:
    """A pause that is longer than any lease."""
    from_us = draw.integer("from", 0, draw.span_us * 3 // 4 // 1_000) * 1_000
    window = {"from": format_duration(from_us), "for": draw.duration("for", 130 * SECOND, 5 * MINUTE)}
    return {"kind": "pause", "host": "integration", "window": window}


def _garbled_bookings(draw: Draw) -> Plain:
    """Most bookings can't be read when they arrive: each has to be sent again and again."""
    select = draw.share(0.4, 0.9)
    return {"kind": "garbled", "edge": ["integration", "erp"], "route": "POST /sales-orders", "select": select}


def _poisoned(*writes: tuple[str, str]) -> Entry:
    """Two of the messages on one route can't be read whenever they are sent, as where a gateway chokes on what is in
    them: retrying doesn't help."""

    def entry(draw: Draw) -> Plain:
        partner, route = draw.choose("write", writes)
        nth = sorted({draw.integer("first", 1, 3), draw.integer("second", 2, 12)})
        select = {"nth": nth, "sticky": True}
        return {"kind": "garbled", "edge": ["integration", partner], "route": route, "select": select}

    return entry


def _skew(draw: Draw) -> Plain:
    sign = draw.choose("sign", ("", "-"))
    return {
        "kind": "clock_skew",
        "host": "integration",
        "window": draw.window(),
        "delay": sign + draw.duration("delay", SECOND, 2 * MINUTE),
    }


def _swizzle(draw: Draw) -> Plain:
    return {"kind": SWIZZLE, "strength": draw.number("strength", 0.2, 0.8), "window": draw.window()}


DEFAULT_MENU: Mapping[str, Entry] = {
    "write-reply-lost": _on_write("reply_lost"),
    "write-reply-lost-too": _on_write("reply_lost"),
    "write-request-lost": _on_write("request_lost"),
    "write-cut": _either_way(_on_write("cut")),
    "write-late": _delayed(_either_way(_on_write("delay")), SECOND, MINUTE),
    "write-twice": _delayed(_on_write("duplicate"), 10_000, MINUTE),
    "write-late-copy": _delayed(_on_write("late_copy"), 10 * MINUTE, 4 * HOUR),
    "write-tail": _delayed(_on_write("latency_tail"), 100_000, 2 * SECOND),
    "write-garbled": _either_way(_on_write("garbled")),
    "write-error-before": _on_write("error_before"),
    "write-error-after": _on_write("error_after"),
    "write-throttled": _delayed(_on_write("throttle"), SECOND, MINUTE),
    "write-throttled-untold": _on_write("throttle"),
    "write-token-expired": _on_write("token_expired"),
    "write-error-in-200": _either_way(_on_write("error_in_200")),
    "write-drifted": _on_write("schema_drift", drift="added"),
    "order-reply-lost": _on_order("reply_lost"),
    "order-request-lost": _on_order("request_lost"),
    "order-cut": _either_way(_on_order("cut")),
    "order-twice": _delayed(_on_order("duplicate"), 1_000, MINUTE),
    "order-late-copy": _delayed(_on_order("late_copy"), 10 * MINUTE, 4 * HOUR),
    "order-garbled": _either_way(_on_order("garbled")),
    "order-error-before": _on_order("error_before"),
    "order-error-after": _on_order("error_after"),
    "order-throttled": _delayed(_on_order("throttle"), SECOND, 20 * SECOND),
    "webhook-twice": _delayed(_on_webhook("duplicate"), 1_000, MINUTE),
    "webhook-late-copy": _delayed(_on_webhook("late_copy"), MINUTE, 4 * HOUR),
    "webhook-late": _delayed(_on_webhook("delay"), 10 * SECOND, 10 * MINUTE),
    "webhook-lost": _on_webhook("request_lost"),
    "webhook-reply-lost": _on_webhook("reply_lost"),
    "webhook-garbled": _on_webhook("garbled"),
    "webhook-unsigned": _on_webhook("unsigned"),
    "webhook-badly-signed": _on_webhook("badly_signed"),
    "webhook-error-before": _on_webhook("error_before"),
    "webhook-error-after": _on_webhook("error_after"),
    "release-reply-lost": _on_releases("reply_lost", 0.2, 0.5),
    "release-request-lost": _on_releases("request_lost", 0.2, 0.5),
    "release-throttled": _delayed(_on_releases("throttle", 0.4, 0.8), 20 * SECOND, 2 * MINUTE),
    "booking-garbled": _garbled_bookings,
    "booking-poisoned": _poisoned(("erp", "POST /sales-orders")),
    "write-poisoned": _poisoned(*WRITES),
    "told-twice": _delayed(_all_day("duplicate", WAREHOUSES, 0.2, 0.6), SECOND, 5 * MINUTE),
    "told-late-again": _delayed(_all_day("late_copy", WAREHOUSES, 0.2, 0.6), 2 * MINUTE, HOUR),
    "stock-told-again": _stock_told_again,
    "scan-lost": _all_day("request_lost", ("carrier",), 0.3, 0.7),
    "latency": _latency,
    "partition": _partition,
    "hold": _hold,
    "swizzle": _swizzle,
    "outage": _on_host("outage", PARTNERS),
    "frozen": _on_host("frozen", PARTNERS),
    "slowdown": _on_host("slowdown", PARTNERS, strength=lambda draw: draw.integer("strength", 2, 10)),
    "rate-limit": _on_host("rate_limit", PARTNERS, strength=lambda draw: draw.integer("strength", 2, 20)),
    "partner-crash": _on_host("crash", PARTNERS),
    "crash": _on_host("crash", ("integration",)),
    "crash-at-boundary": _crash_at,
    "crash-often": _crash_often,
    "recycled": _recycled,
    "pause": _on_host("pause", ("integration",)),
    "long-pause": _long_pause,
    "overlap": _on_host("overlap", ("integration",)),
    "next-version": _on_host("overlap", ("integration",), version=lambda _draw: "next"),
    "clock-skew": _skew,
    "db-locked": _on_database("db_locked"),
    "db-serialization": _on_database("db_serialization"),
    "db-ack-lost": _on_database("db_ack_lost"),
    "short-pick": _at_work("short_pick", NODES, strength=lambda draw: draw.number("strength", 0.1, 0.6)),
    "partial-shipment": _at_work("partial_shipment", NODES, strength=lambda draw: draw.number("strength", 0.2, 1.0)),
    "cycle-count": _on_host("cycle_count", NODES, strength=lambda draw: draw.number("strength", 0.2, 1.0)),
    "backdated": _delayed(
        _on_host("backdated_adjustment", NODES, strength=lambda draw: draw.number("strength", 0.2, 1.0)),
        MINUTE,
        20 * MINUTE,
    ),
    "stale-snapshot": _on_host("stale_snapshot", NODES),
    "batch-missing": _at_work("batch_missing", ("threepl",), strength=lambda draw: draw.number("strength", 0.2, 0.8)),
    "batch-twice": _at_work("batch_twice", ("threepl",), strength=lambda draw: draw.number("strength", 0.2, 0.8)),
    "batch-disordered": _at_work(
        "batch_disordered", ("threepl",), strength=lambda draw: draw.number("strength", 0.2, 0.8)
    ),
    "missed-pickup": _at_work("missed_pickup", ("carrier",)),
}
"""Faults that a correct integration survives with every check holding."""

MORE: Mapping[str, Entry] = {
    "never-sent": _on_webhook("never_sent"),
    "subscription-dropped": _on_host("subscription_dropped", SENDERS),
    "ship-after-cancel": _at_work(
        "ship_after_cancel", WAREHOUSES, strength=lambda draw: draw.number("strength", 0.3, 1.0)
    ),
    "dedupe-expired": _delayed(_on_host("dedupe_expired", PARTNERS), MINUTE, HOUR),
    "write-member-missing": _on_write("schema_drift", drift="missing"),
    "write-member-retyped": _on_write("schema_drift", drift="retyped"),
}
"""Faults that not every correct integration survives, or that are a partner's own breach: only for a menu that names
them."""

_ALL = {**DEFAULT_MENU, **MORE}


def swarm_plan(scenario: Scenario, seed: int) -> tuple[FaultSpec, ...]:
    """The faults that this seed switches on; none without a swarm. ScenarioError for an unknown entry of its menu.

    Ids are `swarm-<entry>`.
    """
    swarm = scenario.swarm
    if swarm is None:
        return ()
    if scenario.duration_us is None:
        raise ScenarioError("a swarm needs to know how long the load lasts; give duration", key="duration")
    chance = Chance(seed)
    names = list(DEFAULT_MENU) if swarm.menu == "default" else _named(swarm.menu)
    plan = []
    for name in names:
        if chance.hit(swarm.share, "swarm", name):
            drawn = _ALL[name](Draw(chance, name, scenario.duration_us))
            plan.append(FaultSpec.model_validate({"id": f"swarm-{name}", **drawn}))
    return tuple(plan)


def _named(menu: Sequence[str]) -> list[str]:
    """Entries by name, or all entries of a kind."""
    kinds: dict[str, list[str]] = {}
    for name, entry in _ALL.items():
        kinds.setdefault(entry(Draw(Chance(0), name, HOUR))["kind"], []).append(name)
    names: dict[str, None] = {}
    for wanted in menu:
        found = [wanted] if wanted in _ALL else kinds.get(wanted)
        if found is None:
            known = (*_ALL, *kinds)
            raise ScenarioError(f"unknown fault '{wanted}' in the menu{nearest(wanted, known)}", key="swarm.menu")
        names.update(dict.fromkeys(found))
    return list(names)


def resolved(scenario: Scenario, seed: int) -> Scenario:
    """The scenario with an explicit plan: what the swarm switches on, swizzles expanded. Resolving it again changes
    nothing."""
    faults: list[FaultSpec] = []
    first_of: dict[str, str] = {}
    for fault in (*scenario.faults, *swarm_plan(scenario, seed)):
        parts = _swizzled(fault, seed) if fault.kind == SWIZZLE else [fault]
        first_of[f"fault:{fault.id}"] = f"fault:{parts[0].id}"
        faults += parts
    expects = tuple(first_of.get(expected, expected) for expected in scenario.expects)
    return scenario.model_copy(update={"faults": tuple(faults), "swarm": None, "expects": expects})


def _swizzled(fault: FaultSpec, seed: int) -> list[FaultSpec]:
    """Some edges clogged one by one in the first half of the window, let go in another order in its second half."""
    assert fault.window is not None, f"swizzle {fault.id} has no window"
    chance = Chance(seed)
    share = fault.strength if fault.strength is not None else 0.5
    edges = [edge for edge in EDGES if chance.hit(share, "swizzle", fault.id, *edge)]
    edges = edges or [chance.choose(EDGES, "swizzle-one", fault.id)]
    clogged = sorted(edges, key=lambda edge: chance.bits("clog", fault.id, *edge))
    healed = sorted(edges, key=lambda edge: chance.bits("unclog", fault.id, *edge))
    step_us = (fault.window.ends_us - fault.window.from_us) // (2 * len(edges))
    middle_us = fault.window.from_us + step_us * len(edges)
    parts = []
    for number, edge in enumerate(clogged):
        window = {
            "from": format_duration(fault.window.from_us + number * step_us),
            "to": format_duration(middle_us + (healed.index(edge) + 1) * step_us),
        }
        plain = {"id": f"{fault.id}-{number + 1}", "kind": "hold", "edge": edge, "window": window}
        parts.append(FaultSpec.model_validate(plain))
    return parts


def crash_sweep(scenario: Scenario, transactions: range) -> Iterator[Scenario]:
    """The scenario once per transaction boundary of the integration: it crashes before the begin, before the commit and
    after the commit of each of these write transactions (counted from 1), and is down for ten seconds.

    Each expects its crash, so that a sweep past the last transaction does not hold.
    """
    for number in transactions:
        for place in BOUNDARIES:
            crash = {
                "id": "crash-sweep",
                "kind": "crash",
                "host": "integration",
                "at": place,
                "select": {"nth": [number]},
                "delay": "10s",
            }
            update = {
                "faults": (*scenario.faults, FaultSpec.model_validate(crash)),
                "expects": (*scenario.expects, "fault:crash-sweep"),
            }
            yield scenario.model_copy(update=update)
