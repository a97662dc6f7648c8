"""`peakproof serve` as a user meets it: what it prints, what it refuses, and how it ends."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import click
import httpx
import pytest

from peakproof import exits
from peakproof.cli import execute
from peakproof.live.order import ports_from
from peakproof.live.secrets import secrets_of
from peakproof.serve import chosen_hosts
from scenarios.spec import PARTNERS


def test_roles_and_hosts_are_served_in_their_own_order() -> None:
    assert chosen_hosts(None) == chosen_hosts("integration") == ("integration", *PARTNERS)
    assert chosen_hosts("carrier,wms") == ("wms-east", "wms-west", "carrier")
    assert chosen_hosts("wms-west, erp") == ("erp", "wms-west")
    with pytest.raises(click.BadParameter, match=r"no simulator 'wsm'; did you mean 'wms'"):
        chosen_hosts("wsm")


def test_a_host_has_the_same_port_whatever_else_is_served() -> None:
    assert ports_from(9000, ("wms-east", "carrier")) == {"wms-east": 9002, "carrier": 9005}
    assert ports_from(0, ("wms-east",)) == {"wms-east": 0}


def test_tokens_come_of_the_environments_secret_and_can_be_given_one_by_one() -> None:
    given = {"PEAKPROOF_TOKEN_WMS_EAST": "mine", "PEAKPROOF_TOKEN_ADMIN": "root", "PEAKPROOF_EVENT_KEY": "k" * 32}
    drawn, again, named, other = (
        secrets_of("", "secret", {}),
        secrets_of("", "secret", {}),
        secrets_of("", "secret", given),
        secrets_of("team", "secret", given),
    )
    assert drawn == again
    assert (named.keys.integration_at["wms-east"], named.admin) == ("mine", "root")
    assert named.keys.integration_at["erp"] == drawn.keys.integration_at["erp"]
    assert named.keys.clerk_at["wms-east"] == drawn.keys.clerk_at["wms-east"] != "mine"
    assert named.keys.webhook_secrets["wms-east"] == drawn.keys.webhook_secrets["wms-east"]
    assert named.keys.event_key == "k" * 32 != other.keys.event_key
    every = [
        other.keys.event_key,
        drawn.keys.event_key,
        *other.keys.integration_at.values(),
        *drawn.keys.integration_at.values(),
        other.admin,
        drawn.admin,
        "mine",
    ]
    assert len(set(every)) == len(every)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--only", "wsm"], "did you mean 'wms'"),
        (["--speed", "0"], "0 is not above 0"),
        (["peak-seson"], "did you mean 'peak-season'"),
        (["--set", "cast.erp.profile=tiny"], "tiny"),
        (["--port-base", "70000"], "70000"),
    ],
)
def test_what_cannot_be_served_is_said_in_a_sentence(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["serve", "--out", str(tmp_path / "run"), *arguments]) == exits.USAGE
    assert said in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_taken_port_leaves_nothing_behind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        base = taken.getsockname()[1] - 5
        arguments = ["serve", "--only", "carrier", "--port-base", str(base), "--out", str(tmp_path / "run")]
        assert execute(arguments) == exits.USAGE
    assert f"port {base + 5} on 127.0.0.1, for carrier, can't be had" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.long)])
def test_it_serves_until_told_to_end_and_leaves_complete_evidence(number: signal.Signals, tmp_path: Path) -> None:
    directory = tmp_path / "run"
    command = [sys.executable, "-m", "peakproof", "serve", "--only", "wms-east", "--port-base", "0", "--json"]
    environment = {**os.environ, "PEAKPROOF_TOKEN_WMS_EAST": "open-sesame"}
    with subprocess.Popen(
        [*command, "--out", str(directory)], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        url = ready["hosts"]["wms-east"]["url"]
        assert list(ready["hosts"]) == ["wms-east"]
        answer = httpx.get(f"{url}/stock", headers={"authorization": "Bearer open-sesame"})
        assert answer.status_code == 200
        process.send_signal(number)
        assert process.wait(20) == exits.HOLDS
    record = json.loads((directory / "live.json").read_text())
    lines = (directory / "exchanges.ndjson").read_bytes().splitlines()
    assert [json.loads(line)["route"] for line in lines] == ["/stock"]
    assert (record["complete"], record["evidence"]["exchanges"]["rows"], record["webhooks_undelivered"]) == (True, 1, 0)
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/stock")
