"""What can be set about the integration. Durations are microseconds; defaults suit the simulated partners."""

import dataclasses
import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from integration.runtime import IntegrationError

MILLISECOND = 1_000
SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


class SettingsError(IntegrationError):
    """A setting is unknown or can't be used."""


def _default_partners() -> Mapping[str, str]:
    return {name: f"http://{name}" for name in ("erp", "wms-east", "wms-west", "threepl", "carrier")}


def _default_lanes() -> Mapping[str, int]:
    return {"erp": 8, "wms-east": 4, "wms-west": 4, "threepl": 2, "carrier": 6}


def _default_rates() -> Mapping[str, float]:
    return {"erp": 20.0, "wms-east": 20.0, "wms-west": 20.0, "threepl": 1.5, "carrier": 10.0}


def _default_regions() -> Mapping[str, tuple[str, ...]]:
    return {"GB": ("wms-east", "wms-west", "threepl"), "IE": ("wms-west", "wms-east", "threepl")}


@dataclass(frozen=True)
class Settings:
    """Everything that can differ between two installations.

    `credentials` holds, per partner name, the token or client secret that we present, and under `webhook:<partner>` the
    secret that signs what the partner sends. `channel_tokens` maps a bearer token to the channel that it speaks for;
    the channel `operations` may also use the operations pages.
    """

    database_url: str = "sqlite:///integration.db"
    sqlite_synchronous: str = "NORMAL"
    sqlite_busy_timeout_ms: int = 0
    public_url: str = "http://integration"
    partners: Mapping[str, str] = field(default_factory=_default_partners)
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)
    channel_tokens: Mapping[str, str] = field(default_factory=dict, repr=False)

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
    channel_rate_per_second: float = 0.0

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
        `PEAKPROOF_<PARTNER>_URL`, `_CREDENTIAL`, `_WEBHOOK_SECRET`; per channel `PEAKPROOF_CHANNEL_<CHANNEL>_TOKEN`.
        """
        base = cls()
        partners, credentials, tokens = dict(base.partners), {}, {}
        for partner, url in base.partners.items():
            prefix = f"PEAKPROOF_{partner.upper().replace('-', '_')}"
            partners[partner] = environment.get(f"{prefix}_URL", url)
            if f"{prefix}_CREDENTIAL" in environment:
                credentials[partner] = environment[f"{prefix}_CREDENTIAL"]
            if f"{prefix}_WEBHOOK_SECRET" in environment:
                credentials[f"webhook:{partner}"] = environment[f"{prefix}_WEBHOOK_SECRET"]
        for name in sorted(environment):
            if name.startswith("PEAKPROOF_CHANNEL_") and name.endswith("_TOKEN"):
                channel = name.removeprefix("PEAKPROOF_CHANNEL_").removesuffix("_TOKEN").lower()
                tokens[environment[name]] = channel
        return dataclasses.replace(
            base,
            database_url=environment.get("PEAKPROOF_DATABASE_URL", base.database_url),
            public_url=environment.get("PEAKPROOF_PUBLIC_URL", base.public_url),
            sqlite_busy_timeout_ms=5_000,
            partners=partners,
            credentials=credentials,
            channel_tokens=tokens,
        )

    def webhook_secret(self, partner: str) -> str:
        """The secret that signs what `partner` sends; raises SettingsError when none is set."""
        try:
            return self.credentials[f"webhook:{partner}"]
        except KeyError:
            raise SettingsError(f"no webhook secret for {partner!r}; set credentials 'webhook:{partner}'") from None


_UNITS_US = {"us": 1, "ms": MILLISECOND, "s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY}


def duration_us(name: str, value: object) -> int:
    """A duration in microseconds from an integer of microseconds or a text such as `500ms`, `90s` or `4h`."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str):
        number = value.rstrip("abcdefghijklmnopqrstuvwxyz")
        unit = value[len(number) :]
        if number.isdigit() and unit in _UNITS_US:
            return int(number) * _UNITS_US[unit]
    raise SettingsError(f"{name} is {value!r}; a duration looks like 500ms, 90s, 15m, 4h or 3d")


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
