"""What a run is told as: lines for people, JUnit for CI."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from junitparser import Failure, JUnitXml, TestCase, TestSuite
from junitparser.junitparser import FinalResult

from peakproof.fuzzing.findings import Finding
from peakproof.fuzzing.run import Outcome


def replayed_by(outcome: Outcome, finding: Finding, address: str) -> str:
    """The command that plays the round of a finding again."""
    job = outcome.job
    parts = [f"peakproof contracts fuzz {job.role}", address, f"--seed {job.seed} --cases {job.cases}"]
    if finding.phase == "driven":
        parts.append("--phases driven")
    else:
        parts += [f"--phases {','.join(job.generates)}", f"--round {finding.round}"]
    return " ".join(part for part in parts if part)


def lines(outcome: Outcome, address: str = "") -> Iterator[str]:
    """One run: its sums, its findings with their examples, and its coverage."""
    job, findings = outcome.job, outcome.findings
    phases = ", ".join(f"{phase} {count:,}" for phase, count in outcome.cases.items()) or "none"
    yield (
        f"{job.role}: {outcome.cases.total():,} cases ({phases}), {outcome.requests:,} requests"
        f" in {outcome.elapsed_s:.0f} s, {len(findings)} findings"
    )
    for finding in findings:
        yield f"  {finding.operation}  {finding.promise}  ({findings.times(finding)} times, {finding.phase})"
        yield f"    {finding.told}"
        if finding.curl:
            yield f"    {finding.curl}"
            yield f"    answered {finding.answer}"
        yield f"    replay: {replayed_by(outcome, finding, address)}"
    for where, told in outcome.troubles:
        yield f"  not exercised: {where}: {told}"
    yield from outcome.coverage.lines()


def write_junit(outcomes: Sequence[Outcome], file: Path, address: str = "") -> None:
    """One suite per role, one case per operation; what was found at no documented operation has a case of its own."""
    xml = JUnitXml("peakproof contracts fuzz")
    for outcome in outcomes:
        suite = TestSuite(f"fuzz {outcome.job.role}")
        suite.add_property("seed", str(outcome.job.seed))
        known = list(dict.fromkeys(f"{method} {path}" for method, path, _ in outcome.documented))
        others = sorted({finding.operation for finding in outcome.findings} - set(known))
        suite.add_testcases([_case(outcome, name, address) for name in [*known, *others]])
        xml.add_testsuite(suite)
    xml.update_statistics()  # type: ignore[no-untyped-call]
    xml.write(str(file), pretty=True)


def _case(outcome: Outcome, operation: str, address: str) -> TestCase:
    case = TestCase(operation, f"peakproof.fuzz.{outcome.job.role}")
    results: list[FinalResult] = []
    for finding in outcome.findings:
        if finding.operation == operation:
            failure = Failure(f"{finding.promise}: {finding.told}", finding.promise)
            failure.text = "\n".join([finding.curl, finding.answer, replayed_by(outcome, finding, address)])
            results.append(failure)
    if results:
        case.result = results
    return case
