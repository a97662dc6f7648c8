"""A short fuzz of a partner within the budget: requests of every kind, judged by the promises of peakproof.fuzzing."""

from collections.abc import Sequence

from peakproof.certification.data import Role, TestData
from peakproof.certification.errors import BudgetSpent, Outcome
from peakproof.certification.partner import Partner
from peakproof.certification.session import Finding, Word
from peakproof.certification.transport import Reply, Request
from peakproof.fuzzing.door import PLACEHOLDER, Door, header
from peakproof.fuzzing.engine import Plan, play
from peakproof.fuzzing.findings import Findings
from peakproof.fuzzing.known import Known
from simulators.kernel.chance import Chance

MOST_REQUESTS = 150
FEWEST_REQUESTS = 20
_KEPT_BACK = 10
_EXAMPLES = 4
_PHASES = ("examples", "fuzzing")
_SHOWN = 4
BLOCKING = frozenset({"answered", "documented", "problem"})
"""Promises that hold for any request whatever; the others are advice, since a rule of a partner may break them."""


class PartnerTarget:
    """The partner as fuzzing sees it. `allowance` requests may be sent."""

    def __init__(self, partner: Partner, role: Role, base_url: str, allowance: int) -> None:
        self.role: str = role
        self.contract = partner.contract
        self.base_url = base_url
        self.sent = 0
        self._partner = partner
        self._allowance = allowance

    def send(self, request: Request) -> Reply:
        if self.sent >= self._allowance:
            raise BudgetSpent(f"{self._allowance} requests were set aside for fuzzing")
        self.sent += 1
        return self._partner.carry(request).reply

    def together(self, requests: Sequence[Request]) -> list[Reply]:
        return [self.send(request) for request in requests]

    def sealed(self, request: Request, draw: int) -> Request:  # noqa: ARG002 - no draw: nothing is signed here
        if header(request, "Authorization") != PLACEHOLDER:
            return request
        headers = {name: value for name, value in request.headers.items() if name.lower() != "authorization"}
        headers["Authorization"] = f"Bearer {self._partner.token}"
        return Request(request.method, request.path, headers, request.body)

    def books(self) -> None:
        """A partner's books can't be seen from outside."""


def fuzz(role: Role, data: TestData, base_url: str, seed: int, partner: Partner) -> list[Finding]:
    """Two findings: what holds for any request whatever, and what is advice."""
    allowance = min(MOST_REQUESTS, partner.budget.left - _KEPT_BACK)
    if allowance < FEWEST_REQUESTS:
        told = f"{partner.budget.left} requests are left of the budget; raise --max-requests"
        return [_finding("fuzzing", "blocking", "not run", told)]
    target = PartnerTarget(partner, role, base_url, allowance)
    found = Findings()
    master = {"sku": list(data.skus), "customer_id": [data.customer_id], "currency": [data.money.currency]}
    door = Door(target, Known(master, Chance(seed)), seed, found)
    partner.probe = "fuzzing"
    examples = max(1, min(_EXAMPLES, allowance // (4 * len(partner.contract.operations))))
    try:
        play(door, Plan(seed, phases=_PHASES, most_examples=examples, stateful_runs=1, at_most=allowance))
    except Outcome as error:
        return [_finding("fuzzing", "blocking", "inconclusive", str(error))]
    finally:
        partner.probe = ""
    return _judged(target, found)


def _judged(target: PartnerTarget, found: Findings) -> list[Finding]:
    blocking = [f"{each.operation}: {each.promise}, {each.told}" for each in found if each.promise in BLOCKING]
    advice = [f"{each.operation}: {each.promise}, {each.told}" for each in found if each.promise not in BLOCKING]
    sent = f"{target.sent} requests"
    findings = []
    for name, told in (("fuzzing", blocking), ("fuzzing-advice", advice)):
        outcome: Word = "failed" if told else "passed"
        more = f" (and {len(told) - _SHOWN} more)" if len(told) > _SHOWN else ""
        said = f"{sent}: {'; '.join(told[:_SHOWN])}{more}" if told else f"{sent} and no finding"
        findings.append(_finding(name, "blocking" if name == "fuzzing" else "advisory", outcome, said))
    return findings


def _finding(name: str, weight: str, outcome: Word, said: str) -> Finding:
    promise = "Requests of every kind are answered as documented, never with 5xx."
    if weight == "advisory":
        return Finding(name, "Generated requests are taken and refused as the contract leads to expect.", "advisory",
                       True, outcome, said)  # fmt: skip
    return Finding(name, promise, "blocking", True, outcome, said)
