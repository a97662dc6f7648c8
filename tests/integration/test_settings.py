"""Settings: durations read well, unknown names are refused with the nearest known one, secrets come from outside."""

import re

import pytest

from contracts.validation import Contract
from integration.experience.access import Caller, callers_of
from integration.settings import CUSTOMER_SCOPES, HOUR, MINUTE, Settings, SettingsError


def test_durations_may_be_written_with_units() -> None:
    settings = Settings.from_mapping({"reconcile_every": "15m", "lease_us": 5, "safety_stock": 2})
    assert (settings.reconcile_every_us, settings.lease_us, settings.safety_stock) == (15 * MINUTE, 5, 2)
    assert settings.reference_max_age_us == 4 * HOUR


def test_an_unknown_setting_names_the_nearest() -> None:
    with pytest.raises(SettingsError, match=r"'reconcil_every'; did you mean 'reconcile_every_us'"):
        Settings.from_mapping({"reconcil_every": "15m"})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"reconcile_every": "soon"}, "reconcile_every is 'soon'"),
        ({"reconcile_every": True}, "reconcile_every is True"),
        ({"safety_stock": "two"}, "safety_stock is 'two'"),
        ({"stale_policy": "guess"}, "it can be 'hold' or 'refuse'"),
        (
            {"subscriber_networks": ["10.1.0.1/16"]},
            "'10.1.0.1/16': 10.1.0.1/16 has host bits set; a network looks like",
        ),
    ],
)
def test_unusable_values_are_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        Settings.from_mapping(values)


def test_updates_merge_mappings() -> None:
    settings = Settings().updated({"lane_workers": {"erp": 2}, "nodes": ["wms-east"]})
    assert (settings.lane_workers["erp"], settings.lane_workers["carrier"], settings.nodes) == (2, 6, ("wms-east",))


def test_a_live_process_is_set_up_from_its_environment() -> None:
    settings = Settings.from_environment(
        {
            "PEAKPROOF_DATABASE_URL": "postgresql+psycopg://db/app",
            "PEAKPROOF_WMS_EAST_URL": "http://10.0.0.5:8001",
            "PEAKPROOF_WMS_EAST_CREDENTIAL": "t1",
            "PEAKPROOF_WMS_EAST_WEBHOOK_SECRET": "s1",
            "PEAKPROOF_CHANNEL_PORTAL_TOKEN": "p1",
        }
    )
    assert settings.database_url == "postgresql+psycopg://db/app"
    assert settings.partners["wms-east"] == "http://10.0.0.5:8001"
    assert settings.credentials == {"wms-east": "t1", "webhook:wms-east": "s1"}
    assert settings.channel_tokens == {"p1": "portal"}
    assert settings.webhook_secret("wms-east") == "s1"
    with pytest.raises(SettingsError, match="webhook:carrier"):
        settings.webhook_secret("carrier")
    assert "t1" not in repr(settings)
    assert "p1" not in repr(settings)
    assert "db/app" not in repr(settings), "a database URL may hold a password"


def test_channels_have_scopes_customers_and_for_a_while_two_tokens() -> None:
    settings = Settings.from_environment(
        {
            "PEAKPROOF_CHANNEL_PORTAL_TOKEN": "new old",
            "PEAKPROOF_CHANNEL_TRACKER_TOKEN": "t1",
            "PEAKPROOF_CHANNEL_TRACKER_SCOPES": "orders:read availability:read",
            "PEAKPROOF_CHANNEL_ACME_TOKEN": "a1",
            "PEAKPROOF_CHANNEL_ACME_CUSTOMER": "C1",
            "PEAKPROOF_CHANNEL_OPERATIONS_TOKEN": "o1",
            "PEAKPROOF_CHANNEL_NOBODY_TOKEN": "",
        }
    )
    assert settings.channel_tokens == {
        "new": "portal", "old": "portal", "t1": "tracker", "a1": "acme", "o1": "operations",
    }  # fmt: skip
    assert settings.scopes_of("tracker") == ("orders:read", "availability:read")
    everything = ("availability:read", "orders:read", "orders:write", "subscriptions:read", "subscriptions:write")
    assert settings.scopes_of("portal") == everything
    assert (settings.channel_customers, settings.scopes_of("acme")) == ({"acme": "C1"}, CUSTOMER_SCOPES)
    assert settings.scopes_of("operations") == Contract.load("orders").scopes
    callers = callers_of(settings)
    assert callers["new"] == callers["old"] == Caller("portal", settings.scopes_of("portal"))
    assert callers["a1"] == Caller("acme", CUSTOMER_SCOPES, "C1")


def test_event_keys_are_several_for_a_while_and_none_is_short() -> None:
    settings = Settings.from_environment({"PEAKPROOF_EVENT_KEY": f"{'n' * 32} {'o' * 40}"})
    assert settings.event_keys() == ("n" * 32, "o" * 40)
    assert "nnn" not in repr(settings)
    with pytest.raises(SettingsError, match="an event key has 6 characters, 32 are the least; set PEAKPROOF_EVENT_KEY"):
        Settings.from_environment({"PEAKPROOF_EVENT_KEY": "guess1"}).event_keys()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"A_SCOPES": "orders:raed"}, "channel 'a' has the unknown scope 'orders:raed'; did you mean 'orders:read'"),
        ({"B_TOKEN": "t"}, "channels 'a' and 'b' have the same token; give each its own"),
        ({"B_SCOPES": "orders:read"}, "set for channel 'b', which has no token; known: a"),
        ({"A_CUSTOMER": "C1", "A_SCOPES": "operations:read"}, "bound to customer 'C1' and can't have operations:read"),
    ],
)
def test_channels_that_cannot_be_are_refused(changes: dict[str, str], message: str) -> None:
    given = {"PEAKPROOF_CHANNEL_A_TOKEN": "t"} | {f"PEAKPROOF_CHANNEL_{name}": value for name, value in changes.items()}
    with pytest.raises(SettingsError, match=re.escape(message)):
        callers_of(Settings.from_environment(given))


def test_scopes_in_a_scenario_are_lists() -> None:
    assert Settings.from_mapping({"channel_scopes": {"edi": []}}).scopes_of("edi") == ()
    with pytest.raises(SettingsError, match="the scopes of channel 'edi' are 'orders:read'; expected a list of "):
        Settings.from_mapping({"channel_scopes": {"edi": "orders:read"}})
