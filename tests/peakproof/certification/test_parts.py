"""The parts of certification on their own: budget, log, verdict, waiting, and what an answer is judged by."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import orjson
import pytest

from contracts.validation import Contract
from peakproof.certification.budget import Budget
from peakproof.certification.data import Credentials, Limits, TestData, Waiver
from peakproof.certification.errors import BudgetSpent
from peakproof.certification.log import ExchangeLog
from peakproof.certification.partner import judged
from peakproof.certification.run import Plan as CertifyPlan
from peakproof.certification.run import certify
from peakproof.certification.session import Finding, Weight, Word
from peakproof.certification.transport import Reply, Request
from peakproof.certification.verdict import judge, waived
from peakproof.certification.waiting import wait_until


class Clock:
    """Time that passes only when somebody waits."""

    def __init__(self) -> None:
        self.at_us = 0

    def now_us(self) -> int:
        return self.at_us

    def wait(self, duration_us: int) -> None:
        self.at_us += duration_us


def finding(outcome: Word, weight: Weight = "blocking", may_be_missed: bool = False, probe: str = "p") -> Finding:
    return Finding(probe, "It holds.", weight, may_be_missed, outcome, "seen")


def test_no_second_holds_more_requests_than_allowed() -> None:
    clock, sent = Clock(), []
    budget = Budget(clock, 30, 4.0)
    for _ in range(30):
        budget.take()
        sent.append(clock.now_us())
    assert max(sum(1 for each in sent if start <= each < start + 1_000_000) for start in sent) == 4
    assert sent[-1] == 7_000_000
    with pytest.raises(BudgetSpent, match="the budget of 30 requests is spent"):
        budget.take()


def test_less_than_one_a_second_is_spaced_and_more_at_once_than_allowed_is_refused() -> None:
    clock = Clock()
    budget = Budget(clock, 10, 0.5)
    budget.take()
    budget.take()
    assert clock.now_us() == 2_000_000
    with pytest.raises(BudgetSpent, match=r"3 at once are above 0\.5 a second"):
        budget.take(3)
    assert budget.sent == 2


def test_waiting_ends_at_the_first_moment_seen_or_with_the_patience() -> None:
    clock = Clock()
    assert wait_until(clock, lambda: clock.at_us >= 900_000, 5_000_000)
    assert clock.at_us < 1_500_000
    began_us = clock.at_us
    assert not wait_until(clock, lambda: False, 5_000_000)
    assert clock.at_us == began_us + 5_000_000


def test_the_log_blacks_out_secrets_wherever_they_stand(tmp_path: Path) -> None:
    with ExchangeLog(tmp_path / "log") as log:
        log.hide("top-secret")
        number = log.write(
            request_headers={"Authorization": "Bearer top-secret", "x-note": "top-secret here"},
            request_body=b'{"client_secret": "other", "deep": [{"access_token": "x"}], "n": 1}',
            response_body=b"not json, top-secret",
        )
    entry = orjson.loads((tmp_path / "log").read_bytes())
    assert number == 1
    assert entry["request_headers"] == {"Authorization": "***", "x-note": "*** here"}
    assert orjson.loads(entry["request_body"]) == {"client_secret": "***", "deep": [{"access_token": "***"}], "n": 1}
    assert entry["response_body"] == "not json, ***"


@pytest.mark.parametrize(
    ("findings", "standing", "score"),
    [
        ([finding("passed"), finding("passed", "advisory")], "fit", 100),
        ([finding("passed"), finding("failed", "advisory")], "fit", 75),
        ([finding("passed"), finding("not run", may_be_missed=True)], "fit", 100),
        ([finding("passed"), finding("not run")], "undecided", 50),
        ([finding("passed"), finding("inconclusive")], "undecided", 50),
        ([finding("passed"), finding("failed", may_be_missed=True)], "unfit", 50),
        ([finding("inconclusive"), finding("failed")], "unfit", 0),
    ],
)
def test_the_verdict_hangs_on_blocking_promises(findings: list[Finding], standing: str, score: int) -> None:
    verdict = judge(findings, "wms")
    assert (verdict.standing, verdict.score) == (standing, score)


def test_a_waiver_holds_to_the_end_of_its_day() -> None:
    waiver = Waiver(probe="p", reason="known and mended soon", expires=date(2026, 3, 31))
    broken = [finding("failed"), finding("passed", probe="q")]
    assert judge(waived(broken, [waiver], date(2026, 3, 31)), "wms").standing == "fit"
    assert judge(waived(broken, [waiver], date(2026, 4, 1)), "wms").standing == "unfit"


def test_an_answer_is_judged_by_its_operation() -> None:
    operation = Contract.load("wms").operation("GET", "/releases/{release_id}")
    problem = {"type": "urn:peakproof:problem:not-found", "title": "None", "status": 404, "detail": "no"}

    def said(status: int, body: object, media_type: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return judged(operation, Reply(status, {"content-type": media_type}, orjson.dumps(body), 0))

    assert said(404, problem, "application/problem+json") == ((), ())
    assert said(404, problem, "text/html")[1] == (
        "GET /releases/{release_id}: 404 came as text/html, not application/problem+json",
    )
    assert '"customer_id" is a required property' in said(200, {"release_id": "r"}, "application/json")[0][0]
    assert (
        "not documented"
        in said(404, {**problem, "type": "urn:peakproof:problem:bad-token"}, "application/problem+json")[1][0]
    )
    assert "does not document status 302" in said(302, {}, "application/json")[0][0]


class ChargedTransport:
    """A carrier that answers quotes, and notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def send(self, request: Request) -> Reply:
        self.asked.append((request.method, request.path))
        rates = [{"service": "standard", "amount_minor": 499, "currency": "GBP", "transit_days": 2}]
        return Reply(200, {"content-type": "application/json"}, orjson.dumps({"rates": rates}), 1_000)

    def together(self, requests: Sequence[Request]) -> list[Reply]:
        return [self.send(request) for request in requests]

    def cut(self, request: Request) -> None:
        self.send(request)


def test_no_label_is_bought_unless_charges_are_allowed(tmp_path: Path) -> None:
    transport = ChargedTransport()
    data = TestData(credentials=Credentials(token="test-token"), customer_id="C-1", skus=("A", "B"))
    plan = CertifyPlan("carrier", "http://carrier.test", data, Limits(100, 50, False, 1_000_000))
    done = certify(plan, transport, Clock(), tmp_path)
    assert ("POST", "/labels") not in transport.asked
    by_name = {each.probe: each for each in done.verdict.findings}
    assert by_name["duplicate-sequential"].outcome == "not run"
    assert by_name["duplicate-sequential"].said == "createLabel costs money; --allow-charges lets it be called"
    assert done.verdict.standing in ("undecided", "unfit")
