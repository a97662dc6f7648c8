"""Who may call at every route of every partner: whoever shows a token that holds there, and nobody else."""

from collections.abc import Iterator

import orjson
import pytest

from contracts.validation import Contract, Operation
from contracts.wire import problem_key
from peakproof.fuzzing.door import PLACEHOLDER
from peakproof.fuzzing.driven import plain
from peakproof.live.sandbox import Request, Sandbox
from scenarios.stage import CONTRACT_OF
from simulators.kernel.tampering import Answer

PARTNERS = ("erp", "wms-east", "wms-west", "threepl", "carrier")
# Operations that are open to everybody, each with the proof that it asks for instead.
OPEN = {("erp", "issueToken"): "client id and secret in the body"}
ROUTES = [(host, operation) for host in PARTNERS for operation in Contract.load(CONTRACT_OF[host]).operations]
LONG_US = 2 * 3_600_000_000


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    with Sandbox.open() as opened:
        yield opened


def asked(box: Sandbox, host: str, operation: Operation, authorization: str) -> Answer:
    request = plain(operation)
    headers = {name: value for name, value in request.headers.items() if value != PLACEHOLDER}
    headers |= {"Authorization": authorization} if authorization else {}
    return box.call(host, Request(request.method, request.path, headers, request.body))


def refusal(answer: Answer) -> tuple[int, str]:
    return answer.status, problem_key(orjson.loads(answer.body)["type"])


def test_what_is_open_to_everybody_is_on_the_list() -> None:
    assert {(host, one.operation_id) for host, one in ROUTES if not one.secured} == OPEN.keys()


@pytest.mark.parametrize(("host", "operation"), ROUTES, ids=lambda part: getattr(part, "operation_id", part))
def test_a_token_of_this_partner_is_asked_for(box: Sandbox, host: str, operation: Operation) -> None:
    if (host, operation.operation_id) in OPEN:
        return
    token = box.headers(host)["Authorization"].removeprefix("Bearer ")
    others = [box.headers(other)["Authorization"] for other in (*PARTNERS, "integration") if other != host]
    for wrong in ("", "Bearer", "Bearer guess", f"Basic {token}", f"Bearer {token}x", *others):
        assert (wrong, refusal(asked(box, host, operation, wrong))) == (wrong, (401, "bad-token"))
    assert asked(box, host, operation, f"Bearer {token}").status not in (401, 403)


def test_the_erp_issues_no_token_for_a_wrong_secret_and_takes_none_that_has_expired(box: Sandbox) -> None:
    form = {"grant_type": "client_credentials", "client_id": "integration", "client_secret": "guess"}
    content = {"Content-Type": "application/json"}
    answer = box.call("erp", Request("POST", "/oauth/token", content, orjson.dumps(form)))
    assert refusal(answer) == (401, "bad-credentials")
    stale = box.headers("erp")["Authorization"]
    box.advance(LONG_US)
    for operation in Contract.load("erp").operations:
        if operation.secured:
            assert refusal(asked(box, "erp", operation, stale)) == (401, "token-expired")
