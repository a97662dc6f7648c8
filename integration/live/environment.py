"""What a live process is told by its environment, and the application made of it.

| variable | meaning |
|---|---|
| `PEAKPROOF_DATABASE_URL` | SQLAlchemy's URL: `postgresql://user:password@host/name`, or `sqlite:////path/to/file.db` |
| `PEAKPROOF_PUBLIC_URL` | where partners reach this integration with their webhooks |
| `PEAKPROOF_<PARTNER>_URL`, `_CREDENTIAL`, `_WEBHOOK_SECRET` | per partner: ERP, WMS_EAST, WMS_WEST, THREEPL, CARRIER |
| `PEAKPROOF_CHANNEL_<CHANNEL>_TOKEN` | per channel its bearer token; OPERATIONS may use the operations pages |
| `PEAKPROOF_CHANNEL_<CHANNEL>_SCOPES` | optional: all that it may do, such as `orders:read availability:read` |
| `PEAKPROOF_CHANNEL_<CHANNEL>_CUSTOMER` | optional: the one customer whose orders and invoices are there for it |
| `PEAKPROOF_EVENT_KEY` | optional: of which the secrets of subscriptions are made, 32 characters or more |
| `PEAKPROOF_NATS_URL`, `PEAKPROOF_NATS_STREAM` | optional: a JetStream that gets all events; `peakproof` |
| `PEAKPROOF_INTEGRATION` | optional: further settings as a JSON object, `{"reconcile_every": "15m"}` |
| `PEAKPROOF_SPEED` | optional: how many business seconds a second of the wall clock has, 1 |
| `PEAKPROOF_BUSINESS_US`, `PEAKPROOF_BUSINESS_AT_US` | optional: what the business clock showed, and when |
| `PEAKPROOF_BUSINESS_FILE` | optional: a file that tells how business time goes, and when that changes |
| `PEAKPROOF_PARTS` | optional, for tests on one machine: `module:name` of a `Parts`, or of what makes one |

Secrets come from here alone: no option and no file names one. While a token, webhook secret or event key takes the
place of another, both stand in the variable, the new one first, with a blank between them.
"""

import dataclasses
import importlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson

from integration.bootstrap import Application, Parts, build
from integration.experience.access import callers_of
from integration.live.abroad import Borders, WayAbroad, bounded_http
from integration.live.http import PooledHttp
from integration.live.ports import RandomIds, ThreadTasks, ToldClock, WallClock, business_clock, gate_for, guard
from integration.live.stream import DEFAULT_NAME, JetStream
from integration.live.telemetry import Watch
from integration.runtime import SILENT, Clock, Duty, Http, Ports, always
from integration.settings import DAY, MILLISECOND, Settings, SettingsError

_LOOPBACK = ("127.0.0.1", "::1", "localhost")
# Lanes of a live process look often, for what other processes put does not wake them.
_POLL_EVERY_US = 200 * MILLISECOND
# For a stream there are events, and as much of them as it may have missed, unless a setting says how much.
_KEEP_EVENTS_US = 7 * DAY
# Schedules of the business: how often partners are read and old promises looked at.
_SCHEDULES = (
    "reference_every_us",
    "reconcile_every_us",
    "threepl_poll_every_us",
    "threepl_stock_every_us",
    "backorder_check_every_us",
)


def settings_of(environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings of a live process. Raises SettingsError naming every variable that is missing."""
    needed = ["PEAKPROOF_DATABASE_URL", "PEAKPROOF_PUBLIC_URL"]
    base = Settings()
    for partner in base.partners:
        prefix = f"PEAKPROOF_{partner.upper().replace('-', '_')}"
        needed += [f"{prefix}_URL", f"{prefix}_CREDENTIAL"]
        if partner != "erp" and partner not in base.polled_nodes:
            needed.append(f"{prefix}_WEBHOOK_SECRET")
    missing = [name for name in needed if not environment.get(name)]
    if missing:
        raise SettingsError(f"not set in the environment: {', '.join(missing)}; see integration/live/environment.py")
    found = Settings.from_environment(environment)
    if not found.channel_tokens:
        raise SettingsError("no channel may call: set PEAKPROOF_CHANNEL_<CHANNEL>_TOKEN for at least one channel")
    callers_of(found)  # says what is wrong before any worker starts
    found.event_keys()
    live = dataclasses.replace(found, create_tables=False, lane_poll_every_us=_POLL_EVERY_US)
    if environment.get("PEAKPROOF_NATS_URL"):
        live = dataclasses.replace(live, keep_events_us=_KEEP_EVENTS_US)
    return paced(live.updated(_further(environment)), speed_of(environment))


def database_url_of(environment: Mapping[str, str]) -> str:
    """The database to use. Raises SettingsError when none is named."""
    url = environment.get("PEAKPROOF_DATABASE_URL")
    if not url:
        raise SettingsError("set PEAKPROOF_DATABASE_URL, such as postgresql://user:password@host/name")
    return url


def _further(environment: Mapping[str, str]) -> dict[str, Any]:
    given = environment.get("PEAKPROOF_INTEGRATION") or "{}"
    try:
        parsed = orjson.loads(given)
    except orjson.JSONDecodeError as error:
        raise SettingsError(f"PEAKPROOF_INTEGRATION is no JSON: {error}") from None
    if not isinstance(parsed, dict):
        raise SettingsError(f"PEAKPROOF_INTEGRATION is {given!r}; expected a JSON object of settings")
    return parsed


def speed_of(environment: Mapping[str, str]) -> float:
    """Business seconds per second. Raises SettingsError for what is no positive number."""
    given = environment.get("PEAKPROOF_SPEED") or "1"
    try:
        speed = float(given)
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        raise SettingsError(f"PEAKPROOF_SPEED is {given!r}; expected a positive number such as 60")
    return speed


def paced(settings: Settings, speed: float) -> Settings:
    """The same settings with the schedules of the business in wall time. Ages stay: the business clock tells them."""
    changes = {name: max(1, round(getattr(settings, name) / speed)) for name in _SCHEDULES}
    return dataclasses.replace(settings, **changes) if speed != 1 else settings


def ports_of(
    settings: Settings,
    environment: Mapping[str, str] = os.environ,
    on_duty: Duty = always,
    watch: Watch | None = None,
) -> Ports:
    """The ports of this process; `on_duty` returns when the periodic work falls to it, `watch` is told of its work."""
    borders = Borders(settings.subscriber_networks)
    seen = watch.http if watch else _unseen
    return Ports(
        clock=WallClock(),
        http=seen(PooledHttp()),
        tasks=ThreadTasks(),
        ids=RandomIds(),
        gate=gate_for(settings.database_url),
        business=_business_clock_of(environment),
        guard=guard,
        on_duty=on_duty,
        stream=_stream(settings, environment),
        abroad=WayAbroad(borders, seen(bounded_http(borders))),
        telemetry=watch or SILENT,
    )


def _unseen(http: Http) -> Http:
    return http


def _business_clock_of(environment: Mapping[str, str]) -> Clock:
    file = environment.get("PEAKPROOF_BUSINESS_FILE")
    if file:
        return ToldClock(Path(file))
    shown, at = environment.get("PEAKPROOF_BUSINESS_US"), environment.get("PEAKPROOF_BUSINESS_AT_US")
    for name, value in (("PEAKPROOF_BUSINESS_US", shown), ("PEAKPROOF_BUSINESS_AT_US", at)):
        if value and not value.isdigit():
            raise SettingsError(f"{name} is {value!r}; expected microseconds since the Unix epoch")
    return business_clock(speed_of(environment), int(shown) if shown else None, int(at) if at else None)


def _stream(settings: Settings, environment: Mapping[str, str]) -> JetStream | None:
    """Where this process publishes events; None for one that dispatches nothing."""
    url = environment.get("PEAKPROOF_NATS_URL")
    if not url or not settings.dispatches:
        return None
    name = environment.get("PEAKPROOF_NATS_STREAM") or DEFAULT_NAME
    if not name.replace("-", "").replace("_", "").isalnum():
        raise SettingsError(f"PEAKPROOF_NATS_STREAM is {name!r}; letters, digits, dashes and underscores name a stream")
    return JetStream(url, name, settings.keep_events_us)


def parts_of(environment: Mapping[str, str] = os.environ) -> Parts:
    """The product's parts, unless the environment names others. Raises SettingsError when they can't be had, and for an
    integration that others can call: a replaced part may be a deliberate bug."""
    named = environment.get("PEAKPROOF_PARTS", "")
    if not named:
        return Parts()
    url = environment.get("PEAKPROOF_PUBLIC_URL", "")
    if urlsplit(url).hostname not in _LOOPBACK:
        raise SettingsError(
            f"PEAKPROOF_PARTS is {named!r}: parts are replaced in tests on one machine alone, and this integration is"
            f" called at {url!r}; unset it"
        )
    module, _, name = named.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise SettingsError(f"PEAKPROOF_PARTS is {named!r}, which can't be imported: {error}") from error
    parts = found() if callable(found) else found
    if not isinstance(parts, Parts):
        raise SettingsError(f"PEAKPROOF_PARTS is {named!r}, which is no integration.bootstrap.Parts: {parts!r}")
    return parts


def application_of(
    settings: Settings,
    environment: Mapping[str, str] = os.environ,
    on_duty: Duty = always,
    watch: Watch | None = None,
) -> Application:
    """The integration of this process, with nothing begun."""
    return build(ports_of(settings, environment, on_duty, watch), settings, parts_of(environment))
