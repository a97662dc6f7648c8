"""Events go to public addresses only, whatever a URL or a name says: judged when subscribed and when sent."""

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from integration.live.abroad import Borders, WayAbroad, bounded_http
from tests.integration.experience.conftest import make_shop

SECOND_US = 1_000_000
NAMES = {
    "public.test": ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"],
    "inside.test": ["10.0.0.5"],
    "both.test": ["93.184.215.14", "127.0.0.1"],
    "home.test": ["127.0.0.1"],
}


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """What names lead to, instead of asking the network; addresses are read as ever."""
    known = {name: list(addresses) for name, addresses in NAMES.items()}
    real = socket.getaddrinfo

    def resolve(host: Any, port: Any, *args: Any, **named: Any) -> Any:
        if host in known:
            return [found for address in known[host] for found in real(address, port, *args, **named)]
        if not str(host).strip("[]").replace(".", "").replace(":", "").isalnum() or str(host).endswith(".invalid"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return real(host, port, *args, **named)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return known


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "2130706433", "0x7f.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254",
        "100.100.100.200", "168.63.129.16", "224.0.0.1", "255.255.255.255", "::1", "[::1]", "fe80::1", "fd00:ec2::254",
        "::ffff:127.0.0.1", "2002:7f00:1::", "64:ff9b::7f00:1", "inside.test", "both.test",
    ],
)  # fmt: skip
def test_what_is_not_public_is_refused(names: dict[str, list[str]], host: str) -> None:
    told = f"{host!r} is at no public address, and in no network that the setting subscriber_networks names"
    assert Borders([]).refusal(host) == told


@pytest.mark.parametrize("host", ["public.test", "8.8.8.8", "2606:4700::1111", "64:ff9b::808:808"])
def test_what_is_public_is_open(names: dict[str, list[str]], host: str) -> None:
    assert Borders([]).refusal(host) == ""


def test_a_setting_opens_networks_and_no_more(names: dict[str, list[str]]) -> None:
    borders = Borders(["10.0.0.0/24", "fd00::/8"])
    assert [borders.refusal(host) for host in ("inside.test", "10.0.0.255", "fd00:ec2::254", "::ffff:10.0.0.1")] == [
        ""
    ] * 4
    assert borders.refusal("10.0.1.0") != ""
    assert borders.refusal("127.0.0.1") != ""


def test_a_name_that_nobody_knows_now_is_judged_when_it_is_sent_to(names: dict[str, list[str]]) -> None:
    borders = Borders([])
    assert borders.refusal("later.invalid") == ""
    assert borders.refusal("a" * 70 + ".test") == f"{'a' * 70 + '.test'!r} can be no name of a host"
    with pytest.raises(ConnectionRefusedError, match="not known"):
        bounded_http(borders).send("POST", "http://later.invalid/", {}, b"", SECOND_US)


@pytest.fixture
def listener() -> Iterator[tuple[int, list[str]]]:
    """A port of loopback, and the Host headers of what came there."""
    came: list[str] = []

    class Taker(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            came.append(self.headers["Host"])
            self.send_response(204)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Taker)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port, came
    server.shutdown()
    server.server_close()


def test_nothing_is_sent_to_a_name_that_turns_inwards_after_it_was_subscribed(
    names: dict[str, list[str]], listener: tuple[int, list[str]]
) -> None:
    port, came = listener
    borders = Borders([])
    way = WayAbroad(borders, bounded_http(borders))
    assert way.refusal("public.test") == ""
    names["public.test"] = ["127.0.0.1"]
    with pytest.raises(ConnectionRefusedError, match=r"'public\.test' is at no public address"):
        way.send("POST", f"http://public.test:{port}/", {}, b"", SECOND_US)
    with pytest.raises(ConnectionRefusedError, match="no public address"):
        way.send("POST", f"https://public.test:{port}/", {}, b"", SECOND_US)
    assert came == []


def test_an_open_place_is_reached_under_its_name_at_whichever_address_answers(
    names: dict[str, list[str]], listener: tuple[int, list[str]]
) -> None:
    port, came = listener
    names["home.test"] = ["127.0.0.2", "127.0.0.1"]
    http = bounded_http(Borders(["127.0.0.0/8"]))
    for _ in range(2):
        assert http.send("POST", f"http://home.test:{port}/", {}, b"", SECOND_US).status == 204
    assert came == [f"home.test:{port}"] * 2


def test_whoever_subscribes_an_inner_address_is_told_in_a_sentence(
    names: dict[str, list[str]], ports: Any, database_url: str
) -> None:
    borders = Borders([])
    at_home = type(ports)(**{**vars(ports), "abroad": WayAbroad(borders, bounded_http(borders))})
    shop = make_shop(at_home, database_url, keep_events="7d", credentials={"events": "k" * 32})
    asked = {"types": ["order.shipped"]}
    refused = shop.post("/subscriptions", {**asked, "url": "http://inside.test/"}, key="k1")
    assert (refused.status_code, refused.json["pointer"]) == (422, "/url")
    assert refused.json["detail"] == (
        "url: 'inside.test' is at no public address, and in no network that the setting subscriber_networks names"
    )
    assert shop.post("/subscriptions", {**asked, "url": "https://public.test/"}, key="k2").status_code == 201
    keyless = make_shop(at_home, database_url, keep_events="7d")
    told = keyless.post("/subscriptions", {**asked, "url": "https://public.test/"}, key="k3")
    assert (told.status_code, told.json["detail"]) == (
        409,
        "no secret can be made here: PEAKPROOF_EVENT_KEY is not set",
    )
