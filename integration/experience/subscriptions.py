"""Who is told of business events: subscribe, look, unsubscribe. A channel sees its own subscriptions only."""

from typing import Any
from urllib.parse import urlsplit

import orjson
from flask import Blueprint, Response, g, request

from contracts.edge import ProblemError, body, reply
from contracts.wire import iso, parse_iso
from integration.experience.idempotency import Idempotency, fingerprint
from integration.messaging.event_log import EventLog, Subscription
from integration.messaging.event_secrets import EventSecrets
from integration.runtime import Abroad, Ids
from integration.settings import Settings
from integration.storage import Database, Transaction

MOST_PER_CHANNEL = 20


def create_blueprint(
    database: Database,
    ids: Ids,
    settings: Settings,
    log: EventLog,
    secrets: EventSecrets,
    idempotency: Idempotency,
    abroad: Abroad | None,
) -> Blueprint:
    """The routes under /subscriptions. `abroad` judges where events may go; without it, everywhere."""
    blueprint = Blueprint("subscriptions", __name__)

    @blueprint.post("/subscriptions")
    def subscribe() -> Response:
        asked, channel = body(), g.caller.channel
        _refuse_unready(settings, secrets)
        _refuse_unusable(settings, abroad, asked["url"])
        since_us = parse_iso(asked["since"]) if "since" in asked else None

        def work(tx: Transaction) -> tuple[int, dict[str, str], Any]:
            own = [one.url for one in log.of_channel(tx, channel)]
            if asked["url"] not in own and len(own) >= MOST_PER_CHANNEL:
                raise ProblemError("conflicting-state", f"channel {channel!r} has {len(own)} subscriptions already")
            subscription, is_new = log.subscribe(
                tx, ids.new("sub"), channel, asked["url"], asked["types"], since_us, asked.get("new_secret", False)
            )
            # What is kept under the key tells which secret was shown, and not the secret.
            shown = subscription.secret_generation if is_new else None
            return 201, {}, {**_on_wire(subscription), "secret": shown}

        key = str(request.environ["HTTP_IDEMPOTENCY_KEY"])
        kept = idempotency.run(f"{channel} subscribe", key, fingerprint("/subscriptions", asked), work)
        told = {"secret": None, "secret_made_at": None, **orjson.loads(kept.body)}
        generation = told.pop("secret")
        if generation is not None:
            told["secret"] = secrets.shown(told["subscription_id"], generation)
        return reply(told, kept.status, kept.headers)

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


def _refuse_unready(settings: Settings, secrets: EventSecrets) -> None:
    """Refuse everybody where nothing could be told, or nothing signed."""
    if not settings.keep_events_us:
        raise ProblemError("conflicting-state", "no events are kept here: the setting keep_events is 0")
    if not secrets:
        raise ProblemError("conflicting-state", "no secret can be made here: PEAKPROOF_EVENT_KEY is not set")


def _refuse_unusable(settings: Settings, abroad: Abroad | None, url: str) -> None:
    """What JSON Schema can't say: where events may go."""
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname or "", parts.port
    except ValueError as error:
        raise ProblemError("invalid-request", f"url: {error}", pointer="/url") from error
    if not host or parts.username is not None:
        raise ProblemError("invalid-request", "url must name a host, and no user", pointer="/url")
    if settings.subscriber_hosts and host not in settings.subscriber_hosts:
        raise ProblemError("invalid-request", f"url: events are not sent to {host!r} from here", pointer="/url")
    refusal = abroad.refusal(host) if abroad else ""
    if refusal:
        raise ProblemError("invalid-request", f"url: {refusal}", pointer="/url")


def _on_wire(subscription: Subscription) -> dict[str, Any]:
    made_at_us = subscription.secret_made_at_us
    return {
        "subscription_id": subscription.subscription_id,
        "url": subscription.url,
        "types": list(subscription.types),
        "status": subscription.status,
        "created_at": iso(subscription.created_at_us),
        "secret_made_at": None if made_at_us is None else iso(made_at_us),
    }
