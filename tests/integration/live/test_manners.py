"""Bad days: what a process says and does when the database is down, at the start and later, or a port is taken."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from random import Random

import pytest

from integration.live.database import DatabaseMissing, prepare
from integration.live.environment import paced, parts_of, settings_of
from integration.process.reservations import Reservations
from integration.settings import Settings, SettingsError
from peakproof.live.postgres import Postgres
from tests.integration.live.house import ROOT, an_order, environment, free_port, house, wait_until
from tests.integration.live.partners import Partners, serving

NOBODY = "http://127.0.0.1:9"


def told(**changes: str) -> Mapping[str, str]:
    """A whole environment, with changes; an empty value takes a variable away."""
    whole = environment("sqlite:////tmp/none.db", NOBODY, "http://127.0.0.1:8080") | changes
    return {name: value for name, value in whole.items() if value}


def ended(module: str, environ: Mapping[str, str], *options: str) -> tuple[int, str]:
    """Exit code and last line of a process that ends by itself."""
    ran = subprocess.run(
        [sys.executable, "-m", f"integration.live.{module}", *options],
        cwd=ROOT, env=dict(environ), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return ran.returncode, (ran.stderr.strip().splitlines() or [""])[-1]


def test_what_is_missing_is_told_in_one_sentence() -> None:
    with pytest.raises(
        SettingsError, match=r"not set.*PEAKPROOF_DATABASE_URL, PEAKPROOF_ERP_CREDENTIAL; see"
    ) as missing:
        settings_of(told(PEAKPROOF_DATABASE_URL="", PEAKPROOF_ERP_CREDENTIAL=""))
    assert "PEAKPROOF_PUBLIC_URL" not in str(missing.value)
    nobody = {"PEAKPROOF_CHANNEL_PORTAL_TOKEN": "", "PEAKPROOF_CHANNEL_OPERATIONS_TOKEN": ""}
    with pytest.raises(SettingsError, match="no channel may call"):
        settings_of(told(**nobody))
    with pytest.raises(SettingsError, match="PEAKPROOF_SPEED is 'fast'"):
        settings_of(told(PEAKPROOF_SPEED="fast"))
    with pytest.raises(SettingsError, match="expected a JSON object"):
        settings_of(told(PEAKPROOF_INTEGRATION="[]"))
    with pytest.raises(SettingsError, match="unknown integration setting 'reconcile_evry'; did you mean"):
        settings_of(told(PEAKPROOF_INTEGRATION='{"reconcile_evry": "1s"}'))
    with pytest.raises(SettingsError, match="'nowhere:parts', which can't be imported"):
        parts_of({"PEAKPROOF_PARTS": "nowhere:parts", "PEAKPROOF_PUBLIC_URL": "http://127.0.0.1:8080"})


def test_parts_are_replaced_on_one_machine_alone() -> None:
    """A deliberate bug must never be put into an integration that serves anybody."""
    race = "scenarios.mutants.racing:checks_then_takes"
    replaced = parts_of({"PEAKPROOF_PARTS": race, "PEAKPROOF_PUBLIC_URL": "http://127.0.0.1:8080"})
    assert type(replaced.reservations).__name__ == "ChecksThenTakes"
    for url in ("https://shop.example/integration", "http://10.0.0.7:8080", ""):
        with pytest.raises(SettingsError, match=f"'{race}': parts are replaced in tests on one machine alone"):
            parts_of({"PEAKPROOF_PARTS": race, "PEAKPROOF_PUBLIC_URL": url})
    assert type(parts_of({"PEAKPROOF_PUBLIC_URL": "https://shop.example"}).reservations) is Reservations


def test_schedules_of_the_business_follow_its_clock_and_protocol_time_does_not() -> None:
    plain, fast = Settings(), paced(Settings(), 60)
    assert fast.reference_every_us * 60 == plain.reference_every_us
    assert fast.threepl_poll_every_us * 60 == plain.threepl_poll_every_us
    kept = ("lease_us", "request_timeout_us", "retry_first_us", "webhook_tolerance_us", "reference_max_age_us")
    assert [getattr(fast, name) for name in kept] == [getattr(plain, name) for name in kept]


def test_a_process_without_settings_ends_with_a_sentence_and_exit_code_2() -> None:
    code, line = ended("dispatch", {"PATH": os.environ["PATH"]})
    assert (code, line.startswith("not set in the environment: PEAKPROOF_DATABASE_URL, ")) == (2, True)


def test_a_database_that_stays_away_ends_with_a_sentence() -> None:
    with pytest.raises(DatabaseMissing, match=r"gave up on the database .*127\.0\.0\.1.* after 0\.3 s") as gone:
        prepare("postgresql://somebody:secret@127.0.0.1:1/none", threading.Event(), patience_s=0.3)
    assert "secret" not in str(gone.value)


@pytest.mark.parametrize("name", ["api", "dispatch 1"])
def test_a_process_that_waits_for_its_database_stops_when_it_is_told_to(name: str, tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "log"
    told = environment("postgresql://somebody:secret@127.0.0.1:1/none", NOBODY, f"http://127.0.0.1:{port}")
    with house(told, port, log, name) as made:
        wait_until(lambda: log.exists() and log.read_text().count("waiting for the database") == 4, 30, "it waits")
        assert made.terminate(name, 1.5) == 0  # it would look again after 3.2 s, and wait for a minute in all
    assert "stopped before the database answered" in log.read_text()


def test_a_port_that_is_taken_ends_with_a_sentence(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, line = ended("api", told(PEAKPROOF_DATABASE_URL=f"sqlite:///{tmp_path}/a.db"), "--port", str(port))
    assert (code, line) == (2, f"port {port} of 127.0.0.1 is taken; name another with --port")


@pytest.mark.long
def test_a_database_that_goes_away_puts_calls_off_and_all_goes_on_when_it_is_back(
    own_server: Postgres, tmp_path: Path
) -> None:
    partners = Partners()
    port = free_port()
    partners.integration = f"http://127.0.0.1:{port}"
    url = own_server.create("manners")
    with (
        serving(partners) as partners_url,
        house(
            environment(url, partners_url, partners.integration), port, tmp_path / "log", "api", "dispatch 1"
        ) as made,
    ):
        wait_until(made.answers, 30, "the API answers")
        first, second = (an_order(f"PO-{number}", Random(number)) for number in (1, 2))
        wait_until(lambda: made.call("POST", "/orders", first, idempotency_key="k1")[0] == 201, 30, "an order is taken")
        own_server.stop()
        status, body, headers = made.call("POST", "/orders", second, idempotency_key="k2")
        assert (status, body["type"], headers["Retry-After"]) == (503, "urn:peakproof:problem:overloaded", "1")
        assert "postgres" not in body["detail"]
        assert made.call("GET", "/availability")[0] == 503
        own_server.start()
        wait_until(lambda: made.call("POST", "/orders", second, idempotency_key="k2")[0] == 201, 30, "it is back")
        wait_until(lambda: len(partners.count("invoice")) == 2, 60, "both orders are invoiced")
        assert set(partners.count("booking").values()) == {1}
        assert made.terminate("dispatch 1") == 0
        assert made.terminate("api") == 0
