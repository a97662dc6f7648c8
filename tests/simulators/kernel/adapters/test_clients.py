"""`requests`, `urllib3` and `httpx` over the world's network: answers, headers, virtual time-outs, the client's own
exceptions, and retries that sleep in virtual time. Nobody but tasks of the enclosed host is served so."""

from collections.abc import Callable
from wsgiref.types import WSGIEnvironment

import httpx
import pytest
import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from simulators.kernel import MINUTE, SECOND, Fault, World
from simulators.kernel.adapters import enclose
from tests.simulators.kernel.conftest import STARTS_AT_US, Bench, application

END = STARTS_AT_US + 10 * MINUTE


def edge(kind: str, **settings: object) -> Fault:
    return Fault(id=f"the-{kind}", kind=kind, source="shop", target="wms", **settings)  # type: ignore[arg-type]


def play(bench: Bench, work: Callable[[], object], *faults: Fault, status: int = 201) -> tuple[list[object], list[str]]:
    """Run `work` in a task of the enclosed host `shop`: what it gave or raised and when, and what wms was asked."""
    world = bench.world(*faults)
    seen: list[object] = []
    asked: list[str] = []

    def handle(environ: WSGIEnvironment) -> tuple[int, bytes]:
        body = environ["wsgi.input"].read().decode()
        asked.append(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}?{environ['QUERY_STRING']} {body}")
        asked.append(environ.get("HTTP_IDEMPOTENCY_KEY", ""))
        return status, b'{"done": true}'

    def client() -> None:
        try:
            seen.append((work(), world.now_us() - STARTS_AT_US))
        except Exception as error:
            seen.append((type(error), world.now_us() - STARTS_AT_US))

    world.network.attach("wms", lambda: application(handle))
    world.network.attach("shop", lambda: application(lambda _environ: (200, b"")))
    enclose(world, "shop")
    world.spawn("shop client", client, host="shop")
    world.run(END)
    return seen, asked


def with_requests() -> object:
    answer = requests.post(
        "http://wms/releases", params={"a": "1 2"}, json={"x": 1}, headers={"Idempotency-Key": "k"}, timeout=5
    )
    return answer.status_code, answer.json(), answer.headers["content-type"]


def with_httpx() -> object:
    headers = {"Idempotency-Key": "k"}
    answer = httpx.post("http://wms/releases", params={"a": "1 2"}, content='{"x": 1}', headers=headers, timeout=5)
    return answer.status_code, answer.json(), answer.headers["content-type"]


def with_urllib3() -> object:
    headers = {"Idempotency-Key": "k"}
    pool = urllib3.PoolManager()
    answer = pool.request("POST", "http://wms/releases?a=1+2", body=b'{"x": 1}', headers=headers, timeout=5, retries=0)
    return answer.status, answer.json(), answer.headers["content-type"]


@pytest.mark.parametrize("client", [with_requests, with_httpx, with_urllib3])
def test_a_client_crosses_the_worlds_network_unchanged(bench: Bench, client: Callable[[], object]) -> None:
    seen, asked = play(bench, client)

    assert seen == [((201, {"done": True}, "text/plain"), 20_000)]
    assert asked == ['POST /releases?a=1+2 {"x": 1}', "k"]


@pytest.mark.parametrize(
    ("client", "fault", "raised", "after_us"),
    [
        pytest.param(with_requests, edge("reply_lost"), requests.ReadTimeout, 5 * SECOND, id="requests, reply lost"),
        pytest.param(with_requests, edge("cut"), requests.ConnectionError, 10_000, id="requests, cut"),
        pytest.param(with_httpx, edge("reply_lost"), httpx.ReadTimeout, 5 * SECOND, id="httpx, reply lost"),
        pytest.param(with_httpx, edge("cut"), httpx.ReadError, 10_000, id="httpx, cut"),
        pytest.param(with_urllib3, edge("cut"), urllib3.exceptions.ProtocolError, 10_000, id="urllib3, cut"),
    ],
)
def test_faults_are_the_clients_own_exceptions_at_their_virtual_time(
    bench: Bench, client: Callable[[], object], fault: Fault, raised: type[Exception], after_us: int
) -> None:
    assert play(bench, client, fault)[0] == [(raised, after_us)]


@pytest.mark.parametrize(
    ("call", "raised"),
    [
        (lambda: requests.get("http://nobody/", timeout=5), requests.ConnectionError),
        (lambda: requests.get("http://wms:8080/", timeout=5), requests.ConnectionError),
        (lambda: httpx.get("http://nobody/", timeout=5), httpx.ConnectError),
    ],
)
def test_an_unknown_host_refuses(bench: Bench, call: Callable[[], object], raised: type[Exception]) -> None:
    assert play(bench, call)[0] == [(raised, 0)]


def test_a_retry_of_urllib3_sleeps_in_virtual_time(bench: Bench) -> None:
    def work() -> object:
        session = requests.Session()
        retry = Retry(3, backoff_factor=2, status_forcelist=[503], allowed_methods=None)
        session.mount("http://", HTTPAdapter(max_retries=retry))
        return session.post("http://wms/", timeout=5).status_code

    seen, asked = play(bench, work, status=503)
    # Four attempts of two legs, and pauses of 0, 4 and 8 s.
    assert seen == [(requests.exceptions.RetryError, 12 * SECOND + 4 * 20_000)]
    assert len(asked) == 8


def test_a_session_is_used_again_and_a_proxy_of_this_machine_is_not(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.invalid:3128")

    def work() -> object:
        session, client = requests.Session(), httpx.Client()
        return [session.get("http://wms/", timeout=5).status_code for _ in range(3)] + [
            client.get("http://wms/").status_code
        ]

    assert play(bench, work)[0] == [([201, 201, 201, 201], 80_000)]


def test_clients_are_as_they_were_when_the_world_stands_still(bench: Bench) -> None:
    before = (HTTPAdapter.send, urllib3.HTTPConnectionPool._make_request, httpx.HTTPTransport.handle_request)
    play(bench, with_requests)
    assert before == (HTTPAdapter.send, urllib3.HTTPConnectionPool._make_request, httpx.HTTPTransport.handle_request)


def test_a_task_of_another_host_is_not_enclosed(bench: Bench) -> None:
    world: World = bench.world()
    seen: list[str] = []

    def outsider() -> None:
        try:
            requests.get("http://wms.invalid/", timeout=0.01)
        except requests.ConnectionError as error:
            seen.append("resolve" if "resolve" in str(error) else str(error))

    world.network.attach("shop", lambda: application(lambda _environ: (200, b"")))
    enclose(world, "shop")
    world.spawn("clerk", outsider)
    world.run(END)
    assert seen == ["resolve"]
