"""The verdict as JUnit XML: one test case per check and per threshold, so that any CI shows it without a plug-in.

A violated check and a breached threshold are failures. An inconclusive check, a threshold without a measurement and a
run that was never judged are errors: they are not passed, but neither did the integration fail.
"""

from pathlib import Path

from junitparser import Error, Failure, JUnitXml, TestCase, TestSuite

from reports import words
from reports.rundir import Check, Run, Threshold, Verdict


def write(run: Run, path: Path) -> None:
    document(run).write(str(path), pretty=True)


def document(run: Run) -> JUnitXml:
    xml = JUnitXml(f"peakproof {run.file.name} seed {run.file.seed}")
    verdict = run.file.verdict
    if verdict is None:
        xml.add_testsuite(_suite(run, "run", [_not_judged(run)]))
        return xml
    prefix = f"peakproof.{run.file.name}"
    xml.add_testsuite(_suite(run, "checks", [_check_case(run, check, prefix) for check in verdict.checks]))
    limits = [_threshold_case(verdict, threshold, prefix) for threshold in verdict.thresholds]
    if limits:
        xml.add_testsuite(_suite(run, "thresholds", limits))
    if verdict.outcome == "broken":
        xml.add_testsuite(_suite(run, "harness", [_broken(run, prefix)]))
    xml.update_statistics()  # type: ignore[no-untyped-call]
    return xml


def _suite(run: Run, name: str, cases: list[TestCase]) -> TestSuite:
    suite = TestSuite(f"{run.file.name} {name}")
    suite.add_property("seed", str(run.file.seed))
    suite.add_property("digest", run.file.digest)
    suite.add_property("reproduce", run.reproduce)
    suite.add_testcases(cases)
    return suite


def _check_case(run: Run, check: Check, prefix: str) -> TestCase:
    case = TestCase(check.name, f"{prefix}.checks", check.seconds)
    if check.outcome == "violated":
        failure = Failure(f"{words.count(check.violations, 'counterexample')}: {check.holds_when}", "violated")
        failure.text = "\n".join([*_told(run, check), f"Reproduce: {run.reproduce}"])
        case.result = [failure]
    elif check.outcome == "inconclusive":
        reason = check.reason or "nothing to examine"
        case.result = [Error(f"Inconclusive: {reason}. It holds when {check.holds_when}", "inconclusive")]
    elif check.outcome == "broken":
        case.result = [Error(f"The check itself failed: {check.reason}", "broken")]
    return case


def _told(run: Run, check: Check) -> list[str]:
    return [words.counterexample(row, run.file.started_at_us) for row in check.counterexamples]


def _threshold_case(verdict: Verdict, threshold: Threshold, prefix: str) -> TestCase:
    case = TestCase(f"{threshold.metric} {threshold.expression}", f"{prefix}.thresholds")
    said = f"{threshold.metric} {threshold.expression}: {words.observed(verdict, threshold)}"
    if threshold.holds is None:
        case.result = [Error(said, "not measured")]
    elif not threshold.holds:
        case.result = [Failure(said, "breached")]
    return case


def _broken(run: Run, prefix: str) -> TestCase:
    case = TestCase("harness", f"{prefix}.harness")
    case.result = [Error(words.headline(run), "broken")]
    return case


def _not_judged(run: Run) -> TestCase:
    case = TestCase("complete", f"peakproof.{run.file.name}.run")
    case.result = [Error(words.headline(run), "not judged")]
    return case
