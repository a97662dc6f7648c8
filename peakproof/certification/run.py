"""One certification from end to end: probes, conformance, verdict, learned profile, and the files that tell of it."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import orjson

from contracts.validation import Contract
from contracts.wire import iso
from peakproof.certification.budget import Budget
from peakproof.certification.conformance import conformance
from peakproof.certification.data import Limits, Role, TestData, Waiver
from peakproof.certification.errors import CannotTell, NotRun, PromiseBroken
from peakproof.certification.learned import Learned, learn, write
from peakproof.certification.listener import Listener, serving
from peakproof.certification.log import ExchangeLog
from peakproof.certification.pacts import pacts
from peakproof.certification.partner import Partner
from peakproof.certification.probes import FIRST, LONG, probes_of
from peakproof.certification.session import Facts, Finding, Probe, Session, Word
from peakproof.certification.subjects import Names, subject_of
from peakproof.certification.tidying import tidy_up
from peakproof.certification.transport import Transport
from peakproof.certification.verdict import Verdict, judge, waived
from peakproof.certification.waiting import SECOND_US, Waiter
from peakproof.fuzzing.errors import MISSING

RESULT_FILE, LOG_FILE, PROFILE_FILE = "certification.json", "exchanges.ndjson", "learned-profile.yaml"


@dataclass(frozen=True)
class Plan:
    """What is to be certified, and how far certification may go.

    `listen_url` is where the partner reaches the listener, `listen_on` host and port that it is served on; without the
    latter somebody else serves it, through `attach` of `certify`.
    """

    role: Role
    url: str
    data: TestData
    limits: Limits = field(default_factory=Limits)
    waivers: tuple[Waiver, ...] = ()
    listen_url: str = ""
    listen_on: tuple[str, int] | None = None
    seed: int = 1
    only: frozenset[str] = frozenset()
    """Names of probes, where not all are wanted; the first one is made and answers are examined in any case."""


@dataclass(frozen=True)
class Certified:
    """What came of it."""

    verdict: Verdict
    learned: Learned | None
    told: Mapping[str, Any]
    """The content of certification.json."""


More = Callable[[Plan, Partner], Sequence[Finding]]
"""Something that makes findings of its own, within the same budget, log and credentials."""


def certify(
    plan: Plan,
    transport: Transport,
    waiter: Waiter,
    directory: Path,
    attach: Callable[[Listener], None] | None = None,
    more: Mapping[str, More] = MappingProxyType({}),
    progress: Callable[[Finding], None] = lambda _finding: None,
) -> Certified:
    """Make every probe of a role and write the files of the run into `directory`."""
    started_us = waiter.now_us()
    contract = Contract.load(plan.role)
    with ExitStack() as stack:
        log = stack.enter_context(ExchangeLog(directory / LOG_FILE))
        budget = Budget(waiter, plan.limits.max_requests, plan.limits.max_per_second)
        forbidden = () if plan.limits.allow_charges else plan.data.charged
        partner = Partner(transport, contract, plan.data.credentials, waiter, budget, log, forbidden)
        session = _session(plan, partner, waiter, started_us)
        if plan.listen_url:
            session.listener = Listener(plan.listen_url, waiter.now_us, log)
            stack.callback(session.listener.close)
            if plan.listen_on:
                stack.enter_context(serving(session.listener, *plan.listen_on))
            elif attach:
                attach(session.listener)
        probes = [each for each in probes_of(plan.role) if not plan.only or each.name in plan.only or each is FIRST]
        findings: list[Finding] = []
        _try(session, [each for each in probes if each not in LONG], findings, progress)
        if findings[0].outcome == "passed":
            tidy_up(session)
            for name, source in more.items():
                if not plan.only or name in plan.only:
                    findings += _noted(source(plan, partner), progress)
        _try(session, [each for each in probes if each in LONG], findings, progress)
        if findings[0].outcome == "passed":
            tidy_up(session)
            findings += _noted(conformance(contract, partner.exchanges), progress)
    today = datetime.fromtimestamp(started_us / SECOND_US, UTC).date()
    verdict = judge(waived(findings, plan.waivers, today), plan.role)
    learned = None
    if findings[0].outcome == "passed":
        learned = learn(plan.role, session.facts, partner.exchanges, session.kept.get("desk"), plan.url)
        write(learned, directory / PROFILE_FILE)
    told = _told(plan, verdict, learned, session, started_us)
    (directory / RESULT_FILE).write_bytes(orjson.dumps(told, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS))
    return Certified(verdict, learned, told)


def pacts_of_consumers(plan: Plan, partner: Partner) -> Sequence[Finding]:
    """The pacts whose states are mapped."""
    return pacts(plan.role, plan.data.pact_states, partner)


def short_fuzz(plan: Plan, partner: Partner) -> Sequence[Finding]:
    """Some generated requests; one finding that says what to install where Schemathesis is missing."""
    try:
        from peakproof.certification.fuzz import fuzz  # noqa: PLC0415 - comes with an extra
    except ModuleNotFoundError:
        return [Finding("fuzzing", "Contracts hold beyond the probes.", "blocking", True, "not run", MISSING)]
    return fuzz(plan.role, plan.data, plan.url, plan.seed, partner)


SOURCES: Mapping[str, More] = {"pacts": pacts_of_consumers, "fuzzing": short_fuzz}
"""What is asked beside the probes."""


def known_probes(role: Role) -> tuple[str, ...]:
    """The names that a waiver may have."""
    operations = tuple(f"schema-{each.operation_id}" for each in Contract.load(role).operations)
    probes = tuple(probe.name for probe in probes_of(role))
    return (*probes, *operations, "problem-details", "no-server-errors", "pacts", "fuzzing", "fuzzing-advice")


def _session(plan: Plan, partner: Partner, waiter: Waiter, started_us: int) -> Session:
    run = f"{_base36(started_us // SECOND_US)}{plan.seed}"
    names = Names(run)
    subject = subject_of(plan.role, partner, plan.data, names)
    return Session(plan.role, plan.data, partner, subject, names, waiter, plan.limits.patience_us, facts=Facts())


def _try(
    session: Session, probes: Sequence[Probe], findings: list[Finding], progress: Callable[[Finding], None]
) -> None:
    """Make probes, as long as the very first one of all passed."""
    for probe in probes:
        if findings and findings[0].outcome != "passed":
            finding = _finding(probe, "not run", "the partner could not be examined at all")
        else:
            finding = _made(probe, session)
        findings.append(finding)
        progress(finding)


def _made(probe: Probe, session: Session) -> Finding:
    partner, began_us = session.partner, session.waiter.now_us()
    partner.probe = probe.name
    before = len(partner.exchanges)
    outcome: Word
    try:
        said = probe.run(session)
        outcome = "passed"
    except PromiseBroken as error:
        outcome, said = "failed", str(error)
    except NotRun as error:
        outcome, said = "not run", str(error)
    except CannotTell as error:
        outcome, said = "inconclusive", str(error)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        # An answer that is not shaped as the contract says trips the reading of it; the schema finding tells how.
        outcome, said = "inconclusive", f"an answer could not be read ({type(error).__name__}: {error})"
    partner.probe = ""
    evidence = tuple(each.number for each in partner.exchanges[before:])
    seconds = (session.waiter.now_us() - began_us) / SECOND_US
    return _finding(probe, outcome, said, evidence, seconds)


def _finding(probe: Probe, outcome: Word, said: str, evidence: tuple[int, ...] = (), seconds: float = 0.0) -> Finding:
    return Finding(probe.name, probe.promise, probe.weight, probe.may_be_missed, outcome, said, evidence, seconds)


def _noted(findings: Sequence[Finding], progress: Callable[[Finding], None]) -> list[Finding]:
    for finding in findings:
        progress(finding)
    return list(findings)


def _told(plan: Plan, verdict: Verdict, learned: Learned | None, session: Session, started_us: int) -> dict[str, Any]:
    budget = session.partner.budget
    return {
        "role": plan.role,
        "url": plan.url,
        "seed": plan.seed,
        "started_at": iso(started_us),
        "seconds": (session.waiter.now_us() - started_us) / SECOND_US,
        "standing": verdict.standing,
        "exit_code": verdict.exit_code,
        "score": verdict.score,
        "headline": verdict.headline,
        "findings": [_plain(finding) for finding in verdict.findings],
        "budget": {
            "sent": budget.sent, "max_requests": budget.max_requests, "max_per_second": budget.max_per_second,
            "allow_charges": plan.limits.allow_charges,
        },
        "patience_seconds": plan.limits.patience_us / SECOND_US,
        "notes": dict(session.facts.notes),
        "learned": None if learned is None else {
            "file": PROFILE_FILE,
            "seen": [{"key": key, "value": fact.value, "how": fact.how} for key, fact in learned.seen.items()],
            "unseen": list(learned.unseen),
        },
    }  # fmt: skip


def _plain(finding: Finding) -> dict[str, Any]:
    return {
        "probe": finding.probe,
        "promise": finding.promise,
        "weight": finding.weight,
        "outcome": finding.outcome,
        "withholds": finding.withholds,
        "said": finding.said,
        "evidence": list(finding.evidence),
        "seconds": finding.seconds,
        "waived": finding.waived and dict(finding.waived),
        "expired": finding.expired and dict(finding.expired),
    }


def _base36(number: int) -> str:
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    text = ""
    while number:
        number, rest = divmod(number, 36)
        text = digits[rest] + text
    return text or "0"
