"""Events from partners: proved, understood, received once, and acknowledged only after their effect is committed."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from flask import Blueprint, Response

from contracts.edge import ProblemError, body, environ, raw_body, reply
from contracts.errors import BadSignature
from contracts.validation import Events, told
from contracts.wire import verify_webhook
from integration.runtime import Clock
from integration.settings import SECOND, Settings
from integration.storage import Database, Transaction, audit


class Inbox(Protocol):
    """Remembers what was received."""

    def receive(self, tx: Transaction, source: str, message_id: str, now_us: int) -> bool: ...


# Gives an event its effect: (transaction, partner, event type, data).
Handler = Callable[[Transaction, str, str, Mapping[str, Any]], object]


def create_blueprint(
    database: Database, clock: Clock, settings: Settings, inbox: Inbox, handlers: Mapping[str, Handler]
) -> Blueprint:
    """The route /webhooks/{partner}. `handlers` maps an event type to what takes it."""
    blueprint = Blueprint("webhooks", __name__)
    events = Events.load()

    @blueprint.post("/webhooks/<partner>")
    def receive(partner: str) -> Response:
        webhook_id = _prove(settings, clock.now_us(), partner)
        event = body()
        event_type = event["type"]
        handler = handlers.get(event_type)
        if handler is not None:
            _understand(events, event)

        def take(tx: Transaction) -> None:
            now_us = clock.now_us()
            if inbox.receive(tx, partner, webhook_id, now_us):
                if handler is None:
                    audit(tx, now_us, "event_ignored", entity="webhook", entity_id=webhook_id,
                          detail=f"{partner} sent {event_type!r}, which nobody here takes")  # fmt: skip
                else:
                    handler(tx, partner, event_type, event["data"])

        database.transact(take)
        return reply(None, 204)

    return blueprint


def _prove(settings: Settings, now_us: int, partner: str) -> str:
    """The webhook's id, once its signature holds; raises ProblemError `bad-signature` or `not-found`."""
    secrets = settings.webhook_secrets(partner)
    if not secrets:
        raise ProblemError("not-found", f"no partner {partner!r} sends webhooks here")
    asked = environ()
    webhook_id = str(asked.get("HTTP_WEBHOOK_ID", ""))
    try:
        verify_webhook(
            secrets,
            webhook_id,
            asked.get("HTTP_WEBHOOK_TIMESTAMP", ""),
            raw_body(),
            asked.get("HTTP_WEBHOOK_SIGNATURE", ""),
            now_s=now_us // SECOND,
            tolerance_s=settings.webhook_tolerance_us // SECOND,
        )
    except BadSignature as error:
        raise ProblemError("bad-signature", str(error)) from error
    return webhook_id


def _understand(events: Events, event: Mapping[str, Any]) -> None:
    """Refuse an event whose known members do not fit; further ones are the partner's business."""
    violations = events.received_errors(event)
    if violations:
        errors = [{"pointer": violation.pointer, "message": violation.message} for violation in violations]
        detail = f"event {event['type']}: {told(violations[:1])}"
        raise ProblemError("invalid-request", detail, pointer=violations[0].pointer, errors=errors)
