"""Who is told of business events: subscribe, look, unsubscribe. A channel sees its own subscriptions only."""

from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Response, g, request

from contracts.edge import ProblemError, body, reply
from contracts.errors import MalformedValue
from contracts.wire import iso, parse_iso, sign_webhook
from integration.experience.idempotency import Idempotency, fingerprint
from integration.messaging.event_log import EventLog, Subscription
from integration.runtime import Ids
from integration.settings import Settings
from integration.storage import Database, Transaction

MOST_PER_CHANNEL = 20


def create_blueprint(
    database: Database, ids: Ids, settings: Settings, log: EventLog, idempotency: Idempotency
) -> Blueprint:
    """The routes under /subscriptions."""
    blueprint = Blueprint("subscriptions", __name__)

    @blueprint.post("/subscriptions")
    def subscribe() -> Response:
        asked, channel = body(), g.caller.channel
        _refuse_unusable(settings, channel, asked)
        since_us = parse_iso(asked["since"]) if "since" in asked else None

        def work(tx: Transaction) -> tuple[int, dict[str, str], Any]:
            if not settings.keep_events_us:
                raise ProblemError("conflicting-state", "no events are kept here: the setting keep_events is 0")
            own = [one.url for one in log.of_channel(tx, channel)]
            if asked["url"] not in own and len(own) >= MOST_PER_CHANNEL:
                raise ProblemError("conflicting-state", f"channel {channel!r} has {len(own)} subscriptions already")
            made = log.subscribe(
                tx, ids.new("sub"), channel, asked["url"], asked.get("secret", ""), asked["types"], since_us
            )
            return 201, {}, _on_wire(made)

        key = str(request.environ["HTTP_IDEMPOTENCY_KEY"])
        kept = idempotency.run(f"{channel} subscribe", key, fingerprint("/subscriptions", asked), work)
        return reply(kept.body, kept.status, kept.headers)

    @blueprint.get("/subscriptions")
    def list_subscriptions() -> Response:
        with database.read() as tx:
            found = log.of_channel(tx, g.caller.channel)
        return reply({"items": [_on_wire(one) for one in found]})

    @blueprint.delete("/subscriptions/<subscription_id>")
    def unsubscribe(subscription_id: str) -> Response:
        channel = g.caller.channel

        def work(tx: Transaction) -> None:
            found = log.find(tx, subscription_id)
            if found is None or found.channel != channel:
                raise ProblemError("not-found", f"channel {channel!r} has no subscription {subscription_id!r}")
            log.unsubscribe(tx, subscription_id)

        database.transact(work)
        return reply(None, 204)

    return blueprint


def _refuse_unusable(settings: Settings, channel: str, asked: dict[str, Any]) -> None:
    """What JSON Schema can't say: where events may go, and that there is something to sign them with."""
    try:
        parts = urlsplit(asked["url"])
        host, _port = parts.hostname or "", parts.port
    except ValueError as error:
        raise ProblemError("invalid-request", f"url: {error}", pointer="/url") from error
    if not host or parts.username is not None:
        raise ProblemError("invalid-request", "url must name a host, and no user", pointer="/url")
    if settings.subscriber_hosts and host not in settings.subscriber_hosts:
        raise ProblemError("invalid-request", f"url: events are not sent to {host!r} from here", pointer="/url")
    secret = asked.get("secret") or settings.credentials.get(f"events:{channel}", "")
    if not secret:
        detail = f"give a secret: none was agreed for channel {channel!r}"
        raise ProblemError("invalid-request", detail, pointer="/secret")
    try:
        sign_webhook(secret, "", 0, b"")
    except MalformedValue as error:
        raise ProblemError("invalid-request", str(error), pointer="/secret") from error


def _on_wire(subscription: Subscription) -> dict[str, Any]:
    return {
        "subscription_id": subscription.subscription_id,
        "url": subscription.url,
        "types": list(subscription.types),
        "status": subscription.status,
        "created_at": iso(subscription.created_at_us),
    }
