"""Deliberate bugs of the integration, one per class of bug, each put in at the composition root.

A check that no mutant can fail proves nothing. `MUTANTS` has them by name; `scenarios.matrix` plays them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from integration.bootstrap import Parts
from scenarios.mutants.answering import (
    AnswersByKeyAlone,
    CachesForHours,
    CancelsWithoutAsking,
    SnapshotWins,
    TakesShortForComplete,
    case_as_each,
)
from scenarios.mutants.calling import (
    NewKeyPerAttempt,
    RepeatsBlindly,
    RetriesTightly,
    TakesTimeoutForFailure,
    TakesTimeoutForSuccess,
)
from scenarios.mutants.mutant import Mutant
from scenarios.mutants.receiving import (
    ForgetfulInbox,
    InboxInMemory,
    LastArrivalWins,
    ShortMemory,
    after_acknowledgement,
    after_receipt,
)
from scenarios.mutants.reserving import (
    FreesAnything,
    FreesOnTimeout,
    FreesTwice,
    LooksBefore,
    NeverFrees,
    RefusesEverything,
    ReservesWhatItSaw,
)
from scenarios.mutants.sending import MarksBeforeSending, NoFence, OutboxInMemory, SendsInTurn, SendsLate

__all__ = ["MUTANTS", "Mutant"]

_WAREHOUSES = ("wms-east", "wms-west")


def _on_releases(kind: str, share: float = 0.3, **more: Any) -> tuple[Mapping[str, Any], ...]:
    """A fault on a share of the releases to each warehouse."""
    return tuple(
        {"id": f"own-{kind.replace('_', '-')}-{node}", "kind": kind, "edge": ["integration", node],
         "route": "POST /releases", "select": {"share": share}, **more}
        for node in _WAREHOUSES
    )  # fmt: skip


def _on_webhooks(
    kind: str, senders: Sequence[str] = _WAREHOUSES, share: float = 0.3, **more: Any
) -> tuple[Mapping[str, Any], ...]:
    """A fault on a share of the webhooks of each sender."""
    return tuple(
        {"id": f"own-{kind.replace('_', '-')}-{sender}", "kind": kind, "edge": [sender, "integration"],
         "select": {"share": share}, **more}
        for sender in senders
    )  # fmt: skip


def _stale_snapshots(since: str, length: str) -> tuple[Mapping[str, Any], ...]:
    """Each warehouse's stock is read as of the beginning of the window."""
    window = {"from": since, "for": length}
    return tuple(
        {"id": f"own-stale-{node}", "kind": "stale_snapshot", "host": node, "window": window} for node in _WAREHOUSES
    )


_CRASHES: Mapping[str, Any] = {"id": "own-crash", "kind": "crash", "host": "integration", "at": "after_commit",
                               "select": {"every": 31, "limit": 16}, "delay": "20s"}  # fmt: skip
_RUSH = "{skus: 1, orders_share: 0.9, from: 1h, for: 10ms, cover: 0.5}"
_SHORT_WAY = (
    "{pick_up: {low: 5m, high: 20m}, depart: {low: 5m, high: 20m}, hub: {low: 2h, high: 4h}, "
    "deliver: {low: 3h, high: 9h}, hold: {low: 12h, high: 36h}, search: {low: 48h, high: 96h}}"
)
# What is reserved beyond stock at one node shows only where another has none to spare.
_ONE_NODE = "{wms-east: 1.0, wms-west: 0.0, threepl: 0.0}"
_MANY_COUNTS = {"demand.adjustments_per_day": "200"}

_ALL = (
    Mutant(
        "check-then-act",
        "Looks at the stock before the transaction and reserves without a condition in it.",
        ("two orders interleaving",),
        ("no_oversell",),
        lambda: Parts(reservations=ReservesWhatItSaw(), idempotency=LooksBefore),
        shows_with_one_order=False,
        overrides={"demand.flash": _RUSH, "demand.opening.shares": _ONE_NODE, "network.most": "6ms"},
    ),
    Mutant(
        "blind-retry",
        "Repeats an unanswered release at once as a new one, without a business key that ties the two.",
        ("reply lost",),
        ("at_most_once",),
        lambda: Parts(warehouse=RepeatsBlindly),
        faults=_on_releases("reply_lost"),
    ),
    Mutant(
        "key-per-attempt",
        "Makes a new key and reference for every attempt, so that a retry is a new request to the partner.",
        ("reply lost",),
        ("at_most_once",),
        lambda: Parts(business_keys=NewKeyPerAttempt()),
        faults=_on_releases("reply_lost"),
    ),
    Mutant(
        "timeout-is-failure",
        "Takes a time-out for a refusal and has another node serve what the first one may have in work.",
        ("reply lost",),
        ("at_most_once", "ledgers_agree"),
        lambda: Parts(release=TakesTimeoutForFailure),
        faults=_on_releases("reply_lost"),
    ),
    Mutant(
        "timeout-is-success",
        "Takes a release for arrived because it was sent.",
        ("request lost",),
        ("nothing_lost", "everything_ends"),
        lambda: Parts(warehouse=TakesTimeoutForSuccess),
        faults=_on_releases("request_lost"),
    ),
    Mutant(
        "acknowledge-first",
        "Acknowledges an event and keeps it in memory until a worker comes round to it.",
        ("crash",),
        ("nothing_lost", "everything_ends"),
        lambda: Parts(effect=after_acknowledgement),
        faults=(_CRASHES,),
    ),
    Mutant(
        "no-outbox",
        "Keeps messages to partners in memory: those that were not sent are gone with the process.",
        ("crash",),
        ("nothing_lost", "everything_ends"),
        lambda: Parts(outbox=OutboxInMemory),
        faults=(_CRASHES,),
    ),
    Mutant(
        "marked-before-sent",
        "Marks a message done before it is sent.",
        ("crash",),
        ("nothing_lost", "everything_ends"),
        lambda: Parts(dispatcher=MarksBeforeSending),
        faults=(_CRASHES,),
    ),
    Mutant(
        "no-dedupe",
        "Takes every delivery of an event for a new event.",
        ("duplicate",),
        ("availability_agrees", "at_most_once", "nothing_lost"),
        lambda: Parts(inbox=ForgetfulInbox),
        faults=_on_webhooks("duplicate", delay="3s"),
    ),
    Mutant(
        "dedupe-in-memory",
        "Remembers received events in memory: after a restart a repeated one is new.",
        ("duplicate", "restart"),
        ("availability_agrees", "at_most_once", "nothing_lost"),
        lambda: Parts(inbox=InboxInMemory),
        overrides=_MANY_COUNTS,
        # A true snapshot at each restart would cover for the memory that was lost.
        faults=(_CRASHES, *_on_webhooks("duplicate", share=0.5, delay="2m"), *_stale_snapshots("1m", "178m")),
    ),
    Mutant(
        "dedupe-too-short",
        "Remembers received events for a minute, though senders repeat for hours.",
        ("very late copy",),
        ("availability_agrees", "at_most_once", "nothing_lost"),
        lambda: Parts(inbox=ShortMemory),
        overrides=_MANY_COUNTS,
        faults=_on_webhooks("late_copy", delay="3m"),
    ),
    Mutant(
        "dedupe-before-effect",
        "Commits the note that an event was received before its effect: in between, it is lost.",
        ("crash",),
        ("nothing_lost", "availability_agrees", "everything_ends"),
        lambda: Parts(effect=after_receipt),
        faults=(_CRASHES,),
    ),
    Mutant(
        "last-arrival-wins",
        "Believes the event that arrived last, not the one that happened last.",
        ("reordering",),
        ("causality",),
        lambda: Parts(shipping=LastArrivalWins),
        overrides={"cast.carrier.settings.travel": _SHORT_WAY},
        faults=_on_webhooks("request_lost", ("carrier",), 0.5),
    ),
    Mutant(
        "cancel-without-asking",
        "Cancels in its own books what a node has in work, and does not ask the node.",
        ("cancel",),
        ("causality",),
        lambda: Parts(cancellation=CancelsWithoutAsking),
    ),
    Mutant(
        "freed-on-timeout",
        "Gives a reservation back when the node does not answer, without asking whether it has the release.",
        ("reply lost", "contention"),
        ("no_oversell",),
        lambda: Parts(release=FreesOnTimeout),
        shows_with_one_order=False,
        faults=_on_releases("reply_lost"),
    ),
    Mutant(
        "freed-twice",
        "Frees a cancelled quantity for the node's answer and again for its event.",
        ("cancel told twice",),
        ("availability_agrees", "no_oversell"),
        lambda: Parts(progress=FreesTwice, reservations=FreesAnything()),
    ),
    Mutant(
        "never-freed",
        "Keeps the reservation of what was cancelled, refused or picked short.",
        ("cancel, refusal or short pick",),
        ("availability_agrees", "no_false_rejection"),
        lambda: Parts(progress=NeverFrees),
    ),
    Mutant(
        "cached-availability",
        "Answers for availability with what was true hours ago.",
        ("orders between two looks",),
        ("fresh_availability", "availability_agrees"),
        lambda: Parts(inventory=CachesForHours),
        overrides={"demand.clients.availability_share": "0.8"},
    ),
    Mutant(
        "snapshot-overwrites",
        "Sets stock to a snapshot and drops the changes that came while it was read.",
        ("snapshot racing changes",),
        ("availability_agrees", "no_oversell"),
        lambda: Parts(inventory=SnapshotWins),
        overrides={"integration.reconcile_every": "100m"},
        faults=_stale_snapshots("40m", "70m"),
    ),
    Mutant(
        "case-as-each",
        "Takes a number of cases for a number of single units.",
        ("mixed units",),
        ("nothing_lost", "money_adds_up"),
        lambda: Parts(base_quantity=case_as_each),
    ),
    Mutant(
        "short-as-complete",
        "Books and bills as shipped what was released, though less was picked.",
        ("short pick",),
        ("nothing_lost", "ledgers_agree"),
        lambda: Parts(progress=TakesShortForComplete),
    ),
    Mutant(
        "tight-retry",
        "Repeats at once what a partner turns away as too much.",
        ("throttling",),
        ("no_storm",),
        lambda: Parts(retry_policy=RetriesTightly()),
        faults=_on_releases("throttle", 0.6, delay="60s"),
    ),
    Mutant(
        "poison-blocks",
        "Sends each lane's messages strictly in turn: one that never works holds up all behind it.",
        ("garbled body",),
        ("poison_is_parked", "everything_ends"),
        lambda: Parts(dispatcher=SendsInTurn),
        faults=(
            {
                "id": "own-garbled",
                "kind": "garbled",
                "edge": ["integration", "erp"],
                "route": "POST /sales-orders",
                "select": {"nth": list(range(4, 20))},
            },
        ),
    ),
    Mutant(
        "no-fence",
        "Takes a message over when its lease has run out, without a fence against the one who still sends it.",
        ("pause longer than the lease",),
        ("at_most_once",),
        lambda: Parts(outbox=NoFence, dispatcher=SendsLate),
        overrides={"integration.lease": "6s", "integration.lease_margin": "1s", "cast.wms-east.profile": "careless"},
        faults=_on_releases("delay", 0.5, direction="reply", delay="8s"),
    ),
    Mutant(
        "key-alone",
        "Answers a key that is used again for another request as if it were the first one.",
        ("client bug",),
        ("idempotent_reply",),
        lambda: Parts(idempotency=AnswersByKeyAlone),
        overrides={"demand.clients.reused_key_share": "0.3"},
    ),
    Mutant(
        "refuse-everything",
        "Refuses every order as out of stock.",
        ("nothing",),
        ("no_false_rejection",),
        lambda: Parts(intake=RefusesEverything),
    ),
)
MUTANTS = {mutant.name: mutant for mutant in _ALL}
