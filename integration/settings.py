"""What can be set about the integration. Durations are microseconds; defaults suit the simulated partners."""

import contextlib
import dataclasses
import difflib
import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from contracts.errors import MalformedValue
from contracts.validation import Contract
from contracts.wire import parse_duration
from integration.runtime import IntegrationError

MILLISECOND = 1_000
SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

OPERATIONS = "operations"
SHORTEST_EVENT_KEY = 32
# What a channel may be given that is bound to one customer: whatever else there is does not tell customers apart.
CUSTOMER_SCOPES = ("availability:read", "orders:read", "orders:write")


class SettingsError(IntegrationError):
    """A setting is unknown or can't be used."""


def _default_partners() -> Mapping[str, str]:
    return {name: f"http://{name}" for name in ("erp", "wms-east", "wms-west", "threepl", "carrier")}


def _default_lanes() -> Mapping[str, int]:
    return {"erp": 8, "wms-east": 4, "wms-west": 4, "threepl": 2, "carrier": 6, "events": 8}


def _default_rates() -> Mapping[str, float]:
    return {"erp": 20.0, "wms-east": 20.0, "wms-west": 20.0, "threepl": 1.5, "carrier": 10.0}


def _default_regions() -> Mapping[str, tuple[str, ...]]:
    return {"GB": ("wms-east", "wms-west", "threepl"), "IE": ("wms-west", "wms-east", "threepl")}


@dataclass(frozen=True)
class Settings:
    """Everything that can differ between two installations.

    `credentials` holds, per partner name, the token or client secret that we present, and under `webhook:<partner>` the
    secrets that sign what the partner sends, blank-separated: the first is the one to be used, further ones still hold.
    Under `events` it holds the keys that the secrets of subscriptions are made of, in the same way.
    `channel_tokens` maps a bearer token to the channel that it speaks for, `channel_scopes` a channel to what it may
    do: one that is not named may do everything but operate, and `operations` everything. `channel_customers` binds a
    channel to one customer, for whom the orders of others are not there.
    """

    database_url: str = field(default="sqlite:///integration.db", repr=False)
    sqlite_synchronous: str = "NORMAL"
    sqlite_busy_timeout_ms: int = 0
    database_connections: int = 20
    create_tables: bool = True
    public_url: str = "http://integration"
    # Whether this process talks to the partners, as one that only answers channels and webhooks does not.
    dispatches: bool = True
    partners: Mapping[str, str] = field(default_factory=_default_partners)
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)
    channel_tokens: Mapping[str, str] = field(default_factory=dict, repr=False)
    channel_scopes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    channel_customers: Mapping[str, str] = field(default_factory=dict)

    # Nodes in the order in which they are preferred, and those that poll instead of calling us.
    nodes: tuple[str, ...] = ("wms-east", "wms-west", "threepl")
    polled_nodes: tuple[str, ...] = ("threepl",)
    node_preference: Mapping[str, tuple[str, ...]] = field(default_factory=_default_regions)
    safety_stock: int = 0
    max_splits: int = 3
    # Open fulfillments beyond which a node is asked last; a node that is not named has no such limit.
    node_capacity: Mapping[str, int] = field(default_factory=dict)

    # Intake
    reference_every_us: int = 15 * MINUTE
    reference_max_age_us: int = 4 * HOUR
    stale_policy: str = "hold"
    stale_retry_after_us: int = 60 * SECOND
    hold_recheck_every_us: int = MINUTE
    # For the whole installation; each of its API processes allows its equal share. One command counts its own workers;
    # whoever runs it on several machines sets how many there are in all.
    channel_rate_per_second: float = 0.0
    api_processes: int = 1

    # Webhooks in
    webhook_tolerance_us: int = 5 * MINUTE
    webhook_types: tuple[str, ...] = (
        "release.picked", "release.packed", "release.shipped", "release.cancelled", "inventory.changed",
    )  # fmt: skip
    carrier_webhook_types: tuple[str, ...] = ("tracking.updated",)
    hide_failures: bool = True

    # Stock
    reconcile_every_us: int = HOUR
    reconcile_retry_us: int = 30 * SECOND
    threepl_poll_every_us: int = 5 * MINUTE
    threepl_stock_every_us: int = 15 * MINUTE

    # Releases of which nothing was heard for so long are read at their warehouse; 0 leaves them alone.
    release_check_after_us: int = 4 * HOUR
    release_check_every_us: int = 15 * MINUTE

    # What is kept: longer than any sender repeats, and the audit trail for as long as questions are asked.
    keep_idempotency_us: int = 7 * DAY
    keep_inbox_us: int = 7 * DAY
    keep_audit_us: int = 400 * DAY
    prune_every_us: int = 6 * HOUR

    # Events out: how long they are kept to be told again, 0 for none at all; how often availability is compared with
    # what was told; how long a subscriber may fail before he is told nothing more; how long his former secret holds
    # beside a new one. Where hosts are named, events go to no other. Networks are those that events may go to though
    # they are no public ones, such as 10.1.0.0/16.
    keep_events_us: int = 0
    availability_told_every_us: int = 5 * SECOND
    subscriber_patience_us: int = 3 * DAY
    subscriber_secret_overlap_us: int = DAY
    subscriber_hosts: tuple[str, ...] = ()
    subscriber_networks: tuple[str, ...] = ()

    # Lanes out
    lane_workers: Mapping[str, int] = field(default_factory=_default_lanes)
    lane_rate_per_second: Mapping[str, float] = field(default_factory=_default_rates)
    lane_burst: int = 20
    lane_memory_queue: int = 500
    lane_poll_every_us: int = MINUTE
    lease_us: int = 2 * MINUTE
    lease_margin_us: int = 30 * SECOND
    request_timeout_us: int = 10 * SECOND
    carrier_timeout_us: int = 20 * SECOND
    retry_first_us: int = SECOND
    retry_factor: float = 2.0
    retry_longest_us: int = 10 * MINUTE
    retry_jitter_share: float = 0.2
    retry_attempts: int = 30
    # How long after an uncertain purchase of a label the carrier is asked whether there are two.
    label_check_after_us: int = 15 * MINUTE
    breaker_failures: int = 8
    breaker_first_us: int = 5 * SECOND
    breaker_open_us: int = 30 * SECOND

    # Backorders
    backorder_max_age_us: int = 3 * DAY
    backorder_check_every_us: int = 15 * MINUTE

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Self:
        """Settings with some values replaced; durations may be given as `reconcile_every: 15m` or in microseconds.

        Raises SettingsError for an unknown name, naming the nearest known one.
        """
        return dataclasses.replace(cls(), **cls._known(values))

    @classmethod
    def _known(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        fields = {entry.name: entry for entry in dataclasses.fields(cls)}
        known: dict[str, Any] = {}
        for name, value in values.items():
            full = name if name in fields else f"{name}_us"
            if full not in fields:
                near = difflib.get_close_matches(name, fields, 1)
                advice = f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(sorted(fields))}"
                raise SettingsError(f"unknown integration setting {name!r}{advice}")
            default = getattr(cls(), full)
            known[full] = duration_us(name, value) if full.endswith("_us") else _like(name, default, value)
        if known.get("stale_policy", "hold") not in {"hold", "refuse"}:
            raise SettingsError(f"stale_policy is {known['stale_policy']!r}; it can be 'hold' or 'refuse'")
        for channel, scopes in known.get("channel_scopes", {}).items():
            known["channel_scopes"][channel] = _scopes(channel, scopes)
        for network in known.get("subscriber_networks", ()):
            _check_network(network)
        return known

    def updated(self, values: Mapping[str, Any]) -> Self:
        """These settings with some values replaced; mappings are merged. Raises SettingsError as `from_mapping`."""
        changes = self._known(values)
        for name, value in changes.items():
            if isinstance(value, Mapping):
                changes[name] = {**getattr(self, name), **value}
        return dataclasses.replace(self, **changes)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Settings of a live process.

        `PEAKPROOF_DATABASE_URL` and `PEAKPROOF_PUBLIC_URL`; per partner (name in upper case, dashes as underscores)
        `PEAKPROOF_<PARTNER>_URL`, `_CREDENTIAL`, `_WEBHOOK_SECRET`; per channel `PEAKPROOF_CHANNEL_<CHANNEL>_TOKEN`,
        and, where it is to have its own, `_SCOPES` (blank-separated) and `_CUSTOMER`; `PEAKPROOF_EVENT_KEY`, of which
        the secrets of subscriptions are made. A token, webhook secret or event key may be several, blank-separated,
        while one takes the other's place. Raises SettingsError for what can't be used.
        """
        base = cls()
        partners, credentials = dict(base.partners), {}
        for partner, url in base.partners.items():
            prefix = f"PEAKPROOF_{partner.upper().replace('-', '_')}"
            partners[partner] = environment.get(f"{prefix}_URL", url)
            if f"{prefix}_CREDENTIAL" in environment:
                credentials[partner] = environment[f"{prefix}_CREDENTIAL"]
            if f"{prefix}_WEBHOOK_SECRET" in environment:
                credentials[f"webhook:{partner}"] = environment[f"{prefix}_WEBHOOK_SECRET"]
        if "PEAKPROOF_EVENT_KEY" in environment:
            credentials["events"] = environment["PEAKPROOF_EVENT_KEY"]
        scopes = _of_channels(environment, "_SCOPES")
        return dataclasses.replace(
            base,
            database_url=environment.get("PEAKPROOF_DATABASE_URL", base.database_url),
            public_url=environment.get("PEAKPROOF_PUBLIC_URL", base.public_url),
            sqlite_busy_timeout_ms=5_000,
            partners=partners,
            credentials=credentials,
            channel_tokens=_tokens(environment),
            channel_scopes={channel: _scopes(channel, given.split()) for channel, given in scopes.items()},
            channel_customers=_of_channels(environment, "_CUSTOMER"),
        )

    def webhook_secrets(self, partner: str) -> tuple[str, ...]:
        """The secrets that may sign what `partner` sends, newest first; none for one that sends nothing."""
        return tuple(self.credentials.get(f"webhook:{partner}", "").split())

    def webhook_secret(self, partner: str) -> str:
        """The secret that `partner` is to sign with; raises SettingsError when none is set."""
        secrets = self.webhook_secrets(partner)
        if not secrets:
            raise SettingsError(f"no webhook secret for {partner!r}; set credentials 'webhook:{partner}'")
        return secrets[0]

    def event_keys(self) -> tuple[str, ...]:
        """What the secrets of subscriptions are made of, newest first. Raises SettingsError for a key that is short."""
        keys = tuple(self.credentials.get("events", "").split())
        for key in keys:
            if len(key) < SHORTEST_EVENT_KEY:
                told = f"an event key has {len(key)} characters, {SHORTEST_EVENT_KEY} are the least"
                raise SettingsError(f"{told}; set PEAKPROOF_EVENT_KEY to the output of: openssl rand -hex 32")
        return keys

    def scopes_of(self, channel: str) -> tuple[str, ...]:
        """What a channel may do. Raises SettingsError for one of a customer's that is to do more than customers may."""
        customer_id = self.channel_customers.get(channel)
        if channel in self.channel_scopes:
            scopes = self.channel_scopes[channel]
        elif customer_id is not None:
            scopes = CUSTOMER_SCOPES
        else:
            known = Contract.load("orders").scopes
            scopes = tuple(scope for scope in known if channel == OPERATIONS or not scope.startswith(OPERATIONS))
        beyond = [scope for scope in scopes if customer_id is not None and scope not in CUSTOMER_SCOPES]
        if beyond:
            bound = f"channel {channel!r} is bound to customer {customer_id!r}"
            raise SettingsError(f"{bound} and can't have {', '.join(beyond)}; it may have {', '.join(CUSTOMER_SCOPES)}")
        return scopes


_CHANNEL = "PEAKPROOF_CHANNEL_"


def duration_us(name: str, value: object) -> int:
    """A duration in microseconds from an integer of microseconds or a text such as `500ms`, `90s` or `4h`."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    with contextlib.suppress(MalformedValue):
        return parse_duration(value)
    raise SettingsError(f"{name} is {value!r}; a duration looks like 500ms, 90s, 15m, 4h or 3d")


def _of_channels(environment: Mapping[str, str], ending: str) -> dict[str, str]:
    """Channel -> value of its variable with that ending; empty ones are as not set."""
    names = [name for name in sorted(environment) if name.startswith(_CHANNEL) and name.endswith(ending)]
    return {
        name.removeprefix(_CHANNEL).removesuffix(ending).lower(): environment[name]
        for name in names
        if environment[name].strip()
    }


def _tokens(environment: Mapping[str, str]) -> dict[str, str]:
    """Token -> channel. Raises SettingsError when two channels share one."""
    tokens: dict[str, str] = {}
    for channel, given in _of_channels(environment, "_TOKEN").items():
        for token in given.split():
            if token in tokens:
                raise SettingsError(
                    f"channels {tokens[token]!r} and {channel!r} have the same token; give each its own"
                )
            tokens[token] = channel
    return tokens


def _check_network(network: str) -> None:
    try:
        ipaddress.ip_network(network)
    except ValueError as error:
        raise SettingsError(f"subscriber_networks has {network!r}: {error}; a network looks like 10.1.0.0/16") from None


def _scopes(channel: str, given: object) -> tuple[str, ...]:
    known = Contract.load("orders").scopes
    if not isinstance(given, list | tuple):
        raise SettingsError(f"the scopes of channel {channel!r} are {given!r}; expected a list of {', '.join(known)}")
    for scope in given:
        if scope not in known:
            near = difflib.get_close_matches(str(scope), known, 1)
            advice = f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(known)}"
            raise SettingsError(f"channel {channel!r} has the unknown scope {scope!r}{advice}")
    return tuple(given)


def _like(name: str, default: object, value: object) -> object:
    if isinstance(default, tuple) and isinstance(value, list | tuple):
        return tuple(value)
    if isinstance(default, float) and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(default, Mapping) and isinstance(value, Mapping):
        return dict(value)
    if type(value) is type(default):
        return value
    raise SettingsError(f"{name} is {value!r}; expected something like {default!r}")
