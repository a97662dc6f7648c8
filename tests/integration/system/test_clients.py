"""What answers, problems and broken exchanges amount to, and that access is renewed once and quietly."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest

from integration.messaging.message import Stamp
from integration.messaging.outcomes import Done, ErrorClass, Outcome, Refused, Retry, Uncertain
from integration.runtime import ReadFailed
from integration.system.carrier import CarrierClient
from integration.system.erp import ErpClient
from integration.system.wms import WmsClient

SECOND_US = 1_000_000
STAMP = Stamp("release:f1", "ab" * 16, 1)
RELEASE = {"release_id": "f1", "customer_id": "C1", "order_reference": "R1", "lines": []}


@dataclass(frozen=True)
class Reply:
    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


def reply(status: int, body: Any, **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, body if isinstance(body, bytes) else orjson.dumps(body), named)


def problem(status: int, key: str, **more: Any) -> Reply:
    return reply(status, {"type": f"urn:peakproof:problem:{key}", "title": key, "status": status, **more})


class Network:
    """Answers by a list; an exception in it is raised."""

    def __init__(self, *answers: Reply | Exception) -> None:
        self.answers = list(answers)
        self.sent: list[tuple[str, str, Mapping[str, str], Any]] = []

    def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes, timeout_us: int) -> Reply:
        self.sent.append((method, url, headers, orjson.loads(body) if body else None))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def release_over(*answers: Reply | Exception) -> tuple[Outcome, Network]:
    network = Network(*answers)
    return WmsClient(network, "http://wms-east/", "t0", SECOND_US).release(RELEASE, STAMP), network


def test_a_write_carries_token_key_and_trace() -> None:
    outcome, network = release_over(reply(201, {"release_id": "f1", "lines": []}))
    assert outcome == Done({"release_id": "f1", "lines": []})
    method, url, headers, body = network.sent[0]
    assert (method, url, body) == ("POST", "http://wms-east/releases", RELEASE)
    assert headers["authorization"] == "Bearer t0"
    assert headers["idempotency-key"] == "release:f1"
    assert headers["traceparent"].startswith(f"00-{'ab' * 16}-")
    assert headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (TimeoutError(), Uncertain),
        (ConnectionResetError(), Uncertain),
        (ConnectionRefusedError(), Retry),
        (reply(500, {}), Uncertain),
        (reply(200, {"Success": False}), Uncertain),
        (reply(201, b'{"release_id": "f'), Uncertain),
        (reply(422, b"\x00"), Uncertain),
        (problem(401, "bad-token"), Retry),
        (problem(400, "malformed-json"), Retry),
        (problem(409, "request-in-flight"), Retry),
        (problem(422, "unknown-sku"), Refused),
        (problem(422, "idempotency-key-reused"), Refused),
        (problem(409, "conflicting-state"), Refused),
    ],
)
def test_what_an_exchange_amounts_to(answer: Reply | Exception, expected: type) -> None:
    outcome, network = release_over(answer)
    assert isinstance(outcome, expected)
    assert len(network.sent) == 1


def test_a_refusal_has_the_class_of_whose_fault_it_is() -> None:
    data, _ = release_over(problem(422, "unknown-sku"))
    partner, _ = release_over(problem(409, "conflicting-state"))
    assert isinstance(data, Refused)
    assert isinstance(partner, Refused)
    assert (data.error_class, partner.error_class) == (ErrorClass.DATA, ErrorClass.PARTNER)
    assert data.problem == "unknown-sku"


def test_retry_after_is_read_in_seconds() -> None:
    limited, _ = release_over(reply(429, {"type": "urn:peakproof:problem:rate-limited"}, retry_after="7"))
    overloaded, _ = release_over(reply(503, {}, retry_after="30"))
    assert isinstance(limited, Retry)
    assert (limited.after_us, limited.healthy) == (7 * SECOND_US, True)
    assert isinstance(overloaded, Uncertain)
    assert overloaded.after_us == 30 * SECOND_US


def test_a_release_that_exists_already_is_read() -> None:
    there = {"release_id": "f1", "lines": [], "status": "released"}
    outcome, network = release_over(problem(409, "duplicate-reference"), reply(200, there))
    assert outcome == Done(there)
    assert [(method, url) for method, url, _, _ in network.sent] == [
        ("POST", "http://wms-east/releases"),
        ("GET", "http://wms-east/releases/f1"),
    ]


def test_ids_with_any_character_survive_the_path() -> None:
    network = Network(reply(200, {"release_id": "a/b c+d", "lines": []}))
    WmsClient(network, "http://wms-east", "t0", SECOND_US).read_release("a/b c+d", "")
    assert network.sent[0][1] == "http://wms-east/releases/a%2Fb%20c%2Bd"


TOKEN = {"access_token": "t1", "token_type": "Bearer", "expires_in": 600}
ORDER = {"erp_order_id": "E1", "lines": []}
BODY = {"customer_id": "C1", "order_reference": "R1"}


def erp_over(ports: Any, *answers: Reply | Exception) -> tuple[ErpClient, Network]:
    network = Network(*answers)
    return ErpClient(network, ports.clock, "http://erp", "integration", "secret", SECOND_US), network


def tokens_of(network: Network) -> list[str]:
    return [headers["authorization"] for _, url, headers, _ in network.sent if "oauth" not in url]


def test_a_token_is_fetched_once_and_used_again(ports: Any) -> None:
    erp, network = erp_over(ports, reply(200, TOKEN), reply(201, ORDER), reply(201, ORDER))
    erp.book_order(BODY, STAMP)
    assert erp.book_order(BODY, STAMP) == Done(ORDER)
    assert tokens_of(network) == ["Bearer t1", "Bearer t1"]
    assert len(network.sent) == 3


@pytest.mark.parametrize("turned_away", [problem(401, "token-expired"), problem(403, "forbidden")])
def test_a_stale_token_is_renewed_once_and_the_call_goes_on(ports: Any, turned_away: Reply) -> None:
    renewed = {**TOKEN, "access_token": "t2"}
    erp, network = erp_over(ports, reply(200, TOKEN), turned_away, reply(200, renewed), reply(201, ORDER))
    assert erp.book_order(BODY, STAMP) == Done(ORDER)
    assert tokens_of(network) == ["Bearer t1", "Bearer t2"]


def test_being_turned_away_with_a_fresh_token_is_no_refusal_of_the_message(ports: Any) -> None:
    no = problem(403, "forbidden")
    erp, network = erp_over(ports, reply(200, TOKEN), no, reply(200, TOKEN), no)
    outcome = erp.book_order(BODY, STAMP)
    assert isinstance(outcome, Retry)
    assert outcome.error_class is ErrorClass.PLATFORM
    assert len(network.sent) == 4


def test_a_token_is_renewed_before_it_ends(ports: Any) -> None:
    erp, network = erp_over(ports, reply(200, TOKEN), reply(201, ORDER), reply(200, TOKEN), reply(201, ORDER))
    erp.book_order(BODY, STAMP)
    ports.clock.sleep(570 * SECOND_US)
    erp.book_order(BODY, STAMP)
    assert [url for _, url, _, _ in network.sent].count("http://erp/oauth/token") == 2


def test_no_token_means_that_the_order_certainly_was_not_booked(ports: Any) -> None:
    erp, network = erp_over(ports, TimeoutError())
    assert isinstance(erp.book_order(BODY, STAMP), Retry)
    assert len(network.sent) == 1


def test_a_duplicate_order_is_a_success_that_is_looked_up(ports: Any) -> None:
    erp, network = erp_over(
        ports, reply(200, TOKEN), problem(409, "duplicate-order", erp_order_id="E1"), reply(200, {"items": [ORDER]})
    )
    assert erp.book_order(BODY, STAMP) == Done(ORDER)
    assert network.sent[-1][1] == "http://erp/sales-orders?customer_id=C1&order_reference=R1"


def test_reference_data_come_page_by_page_in_the_size_that_the_erp_serves(ports: Any) -> None:
    erp, network = erp_over(
        ports,
        reply(200, TOKEN),
        problem(422, "page-size-exceeded"),
        reply(200, {"items": [{"sku": "A"}], "next_page": 2}),
        reply(200, {"items": [{"sku": "B"}], "next_page": None}),
    )
    assert [item["sku"] for item in erp.items("2026-01-01T00:00:00Z")] == ["A", "B"]
    assert "page_size" not in network.sent[-1][1]


def test_a_stock_read_that_spans_a_booking_starts_anew() -> None:
    def page(as_of: int, sku: str, following: int | None) -> Reply:
        return reply(200, {"as_of_sequence": as_of, "items": [{"sku": sku}], "next_page": following})

    network = Network(page(4, "A", 2), page(5, "B", None), page(5, "A", 2), page(5, "B", None))
    levels = WmsClient(network, "http://wms-east", "t0", SECOND_US).stock()
    assert levels.as_of_sequence == 5
    assert [row["sku"] for row in levels.items] == ["A", "B"]


def test_a_read_that_fails_says_how_long_to_wait() -> None:
    network = Network(reply(429, {}, retry_after="12"))
    with pytest.raises(ReadFailed) as failure:
        WmsClient(network, "http://wms-east", "t0", SECOND_US).stock()
    assert failure.value.after_us == 12 * SECOND_US


def test_a_label_that_exists_already_is_looked_up() -> None:
    voided = {"label_id": "L0", "tracking_number": "T0", "status": "voided"}
    active = {"label_id": "L1", "tracking_number": "T1", "status": "active"}
    network = Network(problem(409, "duplicate-reference"), reply(200, {"items": [voided, active]}))
    outcome = CarrierClient(network, "http://carrier", "t0", SECOND_US).create_label({"label_reference": "P1"}, STAMP)
    assert outcome == Done(active)
