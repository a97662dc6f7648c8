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
    RefusesTooLate,
    SnapshotWins,
    TakesShortForComplete,
    before_it_is_kept,
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
    FreesElsewhere,
    FreesOnTimeout,
    FreesTwice,
    LooksBefore,
    NeverFrees,
    RefusesEverything,
    ReservesWhatItSaw,
)
from scenarios.mutants.sending import MarksBeforeSending, NoFence, OutboxInMemory, SendsInTurn, SendsLate
from scenarios.mutants.telling import EventsInMemory, TellsOnce

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


def _pauses() -> tuple[Mapping[str, Any], ...]:
    """The integration stands still for longer than its lease of two minutes, four times while releases go out."""
    return tuple(
        {"id": f"own-pause-{number}", "kind": "pause", "host": "integration",
         "window": {"from": f"{from_ms}ms", "for": "150s"}}
        for number, from_ms in enumerate((3_600_400, 3_750_800, 3_901_200, 4_051_600), 1)
    )  # fmt: skip


_CRASHES: Mapping[str, Any] = {"id": "own-crash", "kind": "crash", "host": "integration", "at": "after_commit",
                               "select": {"every": 31, "limit": 16}, "delay": "20s"}  # fmt: skip
_RESTART: Mapping[str, Any] = {"id": "own-restart", "kind": "crash", "host": "integration",
                               "window": {"from": "100m", "for": "20s"}}  # fmt: skip
_SLOW_AND_CARELESS = "{profile: careless, settings: {writes: {median: 1500ms, sigma: 0.2, at_most: 3s}}}"
_BUSY_HOUR = "{skus: 3, orders_share: 0.9, from: 1h, for: 1s, cover: 3.0}"

_ALL = (
    Mutant(
        "check-then-act",
        "Looks at the stock before the transaction and reserves without a condition in it.",
        ("two orders interleaving",),
        ("no_oversell",),
        lambda: Parts(reservations=ReservesWhatItSaw(), idempotency=LooksBefore),
        shows_with_one_order=False,
    ),
    Mutant(
        "blind-retry",
        "Repeats an unanswered release at once as a new one, without a business key that ties the two.",
        ("reply lost",),
        ("at_most_once",),
        lambda: Parts(warehouse=RepeatsBlindly),
        aids=_on_releases("reply_lost"),
    ),
    Mutant(
        "key-per-attempt",
        "Makes a new key and reference for every attempt, so that a retry is a new request to the partner.",
        ("reply lost",),
        ("at_most_once",),
        lambda: Parts(business_keys=NewKeyPerAttempt()),
        aids=_on_releases("reply_lost"),
    ),
    Mutant(
        "timeout-is-failure",
        "Takes a time-out for a refusal and has another node serve what the first one may have in work.",
        ("reply lost",),
        ("at_most_once", "ledgers_agree"),
        lambda: Parts(release=TakesTimeoutForFailure),
        aids=_on_releases("reply_lost"),
    ),
    Mutant(
        "timeout-is-success",
        "Takes a release for arrived because it was sent.",
        ("request lost",),
        ("nothing_lost", "everything_ends"),
        lambda: Parts(warehouse=TakesTimeoutForSuccess),
        aids=_on_releases("request_lost"),
    ),
    Mutant(
        "acknowledge-first",
        "Acknowledges an event and keeps it in memory until a worker comes round to it.",
        ("crash",),
        ("nothing_lost",),
        lambda: Parts(effect=after_acknowledgement),
        aids=(_CRASHES,),
    ),
    Mutant(
        "answer-first",
        "Answers for an order before the transaction that keeps it has committed.",
        ("crash, or two orders interleaving",),
        ("nothing_lost",),
        before_it_is_kept,
        aids=(_CRASHES,),
    ),
    Mutant(
        "no-outbox",
        "Keeps messages to partners in memory: those that were not sent are gone with the process.",
        ("crash",),
        ("nothing_lost",),
        lambda: Parts(outbox=OutboxInMemory),
        aids=(_CRASHES,),
    ),
    Mutant(
        "marked-before-sent",
        "Marks a message done before it is sent.",
        ("crash",),
        ("nothing_lost",),
        lambda: Parts(dispatcher=MarksBeforeSending),
        aids=(_CRASHES,),
    ),
    Mutant(
        "no-dedupe",
        "Takes every delivery of an event for a new event.",
        ("duplicate",),
        ("availability_agrees", "at_most_once", "nothing_lost"),
        lambda: Parts(inbox=ForgetfulInbox),
        aids=_on_webhooks("duplicate", delay="3s"),
    ),
    Mutant(
        "dedupe-in-memory",
        "Remembers received events in memory: after a restart a repeated one is new.",
        ("duplicate", "restart"),
        ("availability_agrees", "at_most_once", "nothing_lost"),
        lambda: Parts(inbox=InboxInMemory),
        aids=(_CRASHES, *_on_webhooks("duplicate", share=0.5, delay="2m")),
    ),
    Mutant(
        "dedupe-too-short",
        "Remembers received events for a minute, though senders repeat for hours.",
        ("very late copy",),
        ("availability_agrees", "at_most_once", "nothing_lost"),
        lambda: Parts(inbox=ShortMemory),
        aids=_on_webhooks("late_copy", delay="3m"),
    ),
    Mutant(
        "dedupe-before-effect",
        "Commits the note that an event was received before its effect: in between, it is lost.",
        ("crash",),
        ("nothing_lost", "availability_agrees", "at_most_once"),
        lambda: Parts(effect=after_receipt),
        aids=(_CRASHES,),
    ),
    Mutant(
        "last-arrival-wins",
        "Believes the event that arrived last, not the one that happened last.",
        ("reordering",),
        ("causality",),
        lambda: Parts(shipping=LastArrivalWins),
        aids=_on_webhooks("request_lost", ("carrier",), 0.5),
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
        aids=_on_releases("reply_lost"),
    ),
    Mutant(
        "freed-twice",
        "Frees a cancelled quantity for the node's answer and again for its event.",
        ("cancel told twice",),
        ("availability_agrees", "no_oversell"),
        lambda: Parts(progress=FreesTwice, reservations=FreesAnything()),
    ),
    Mutant(
        "freed-elsewhere",
        "Gives a reservation back at another node than the one at which it was made.",
        ("two nodes with one article",),
        ("availability_agrees", "no_oversell"),
        lambda: Parts(reservations=FreesElsewhere()),
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
    ),
    Mutant(
        "snapshot-overwrites",
        "Sets stock to a snapshot and drops the changes that came while it was read.",
        ("snapshot racing changes", "restart"),
        ("availability_agrees", "no_oversell"),
        lambda: Parts(inventory=SnapshotWins),
        aids=(_RESTART,),
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
        aids=_on_releases("throttle", 0.6, delay="60s"),
    ),
    Mutant(
        "poison-blocks",
        "Sends each lane's messages strictly in turn: one that never works holds up all behind it.",
        ("garbled body",),
        ("poison_is_parked", "everything_ends"),
        lambda: Parts(dispatcher=SendsInTurn),
        aids=(
            {
                "id": "own-garbled",
                "kind": "garbled",
                "edge": ["integration", "erp"],
                "route": "POST /sales-orders",
                "select": {"nth": [2, 7], "sticky": True},
            },
        ),
    ),
    Mutant(
        "no-fence",
        "Takes a message over when its lease has run out, without a fence against the one who still sends it.",
        ("pause longer than the lease",),
        ("at_most_once",),
        lambda: Parts(outbox=NoFence, dispatcher=SendsLate),
        # Many messages in hand at once, and a site that serves twice what it is told twice: so it would any copy that a
        # swarm makes, and the unmutated integration could not help it. What waits behind others is still unsent when
        # its lease runs out. One order alone shows it only where three of the pauses meet it, each at the right
        # moment: that is no story of two faults, so it is not counted among what one order shows.
        overrides={"demand.flash": _BUSY_HOUR, "cast.wms-east": _SLOW_AND_CARELESS, "swarm": "false"},
        faults=_pauses(),
        shows_with_one_order=False,
    ),
    Mutant(
        "key-alone",
        "Answers a key that is used again for another request as if it were the first one.",
        ("client bug",),
        ("idempotent_reply",),
        lambda: Parts(idempotency=AnswersByKeyAlone),
    ),
    Mutant(
        "refused-too-late",
        "Refuses an order for good after the transaction that took it has committed.",
        ("an order of several lines",),
        ("fail_means_never",),
        lambda: Parts(idempotency=RefusesTooLate),
    ),
    Mutant(
        "tells-once",
        "Takes an event for told when it was sent, and forgets it where the subscriber could not take it.",
        ("a subscriber that fails",),
        ("everyone_is_told",),
        lambda: Parts(delivery=TellsOnce),
    ),
    Mutant(
        "events-in-memory",
        "Keeps what subscribers are still to be told in memory only, so that nobody tells it after a restart.",
        ("a subscriber that is down", "restart"),
        ("everyone_is_told",),
        lambda: Parts(outbox=EventsInMemory),
        aids=(_RESTART,),
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
