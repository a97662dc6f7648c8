"""The integration one version on, as a rolling deployment starts it beside the present one over the same database.

It writes what the present version does not know, and decides otherwise, as versions do. Every promise holds all the
same: what only the newer version understands waits for it.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from integration.bootstrap import Parts
from integration.messaging.dispatcher import Dispatcher
from integration.messaging.outbox import Outbox
from integration.settings import Settings
from integration.storage import Transaction

NEXT = "next"
_RENAMED: Mapping[str, str] = {"book_order": "book_sales_order", "release": "release_order"}


class _NextOutbox(Outbox):
    """Messages of some kinds have another name, and each carries a member that the present version does not read."""

    def put(
        self,
        tx: Transaction,
        lane: str,
        kind: str,
        business_key: str,
        payload: dict[str, Any],
        correlation_id: str,
        delay_us: int = 0,
    ) -> None:
        known_as = _RENAMED.get(kind, kind)
        super().put(tx, lane, known_as, business_key, {**payload, "version": NEXT}, correlation_id, delay_us)


class _NextDispatcher(Dispatcher):
    """Handles messages by the names that either version gives them."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        renamed = {after: self.handlers[before] for before, after in _RENAMED.items() if before in self.handlers}
        self.handlers = {**self.handlers, **renamed}
        self.outbox.kinds = tuple(self.handlers)


def next_version(settings: Settings, parts: Parts) -> tuple[Settings, Parts]:
    """What the next version is wired from; a bug in `parts` is in that version too."""
    preference = {region: tuple(reversed(nodes)) for region, nodes in settings.node_preference.items()}
    outbox = type("NextOutbox", (_NextOutbox, parts.outbox), {})
    dispatcher = type("NextDispatcher", (_NextDispatcher, parts.dispatcher), {})
    return replace(settings, node_preference=preference), replace(parts, outbox=outbox, dispatcher=dispatcher)
