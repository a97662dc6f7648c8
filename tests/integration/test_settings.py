"""Settings: durations read well, unknown names are refused with the nearest known one, secrets come from outside."""

import pytest

from integration.settings import HOUR, MINUTE, Settings, SettingsError


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
