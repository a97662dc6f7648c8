"""The certificate: a page for people and JUnit for CI, written from the directory of a certification alone."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import orjson
from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from reports import words
from reports.rundir import ReportError

RESULT_FILE, LOG_FILE, PAGE_FILE = "certification.json", "exchanges.ndjson", "report.html"
BADGES = {"fit": "Fit", "unfit": "Not fit", "undecided": "Undecided"}
_TONES = {"fit": "holds", "unfit": "violated", "undecided": "inconclusive"}
_RANK = {"failed": 0, "inconclusive": 1, "passed": 2, "not run": 3}
_PILLS = {"failed": "violated", "inconclusive": "inconclusive", "not run": "partial", "passed": "holds"}
_TEMPLATES = Path(__file__).parent / "templates"
_MOST_SHOWN = 6
_LONGEST_BODY = 600


def read(directory: Path) -> dict[str, Any]:
    """The result of a certification. ReportError when the directory holds none."""
    try:
        result: dict[str, Any] = orjson.loads((directory / RESULT_FILE).read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise ReportError(f"{directory} holds no {RESULT_FILE} that can be read ({error})") from error
    return result


def write_page(directory: Path) -> Path:
    """Write the page into the directory and return its path."""
    page = directory / PAGE_FILE
    page.write_text(render(directory), encoding="utf-8")
    return page


def render(directory: Path) -> str:
    """The whole page as text."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("certification.html").render(context(read(directory), _exchanges(directory)))


def context(result: Mapping[str, Any], exchanges: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    """What the template shows, as plain values."""
    findings = sorted(result["findings"], key=lambda each: (not each["withholds"], _RANK[each["outcome"]]))
    tally = [(word, sum(1 for each in findings if each["outcome"] == word)) for word in _RANK]
    return {
        "result": result,
        "tone": _TONES[result["standing"]],
        "badge": BADGES[result["standing"]],
        "findings": [{**each, "tone": _PILLS[each["outcome"]], "shown": _shown(each, exchanges)} for each in findings],
        "tally": [(word, count, _PILLS[word]) for word, count in tally if count],
        "took": words.duration(round(result["seconds"] * 1_000_000)),
        "value": _value,
    }


def write_junit(directory: Path, path: Path) -> None:
    """One test case per probe: failed is a failure, inconclusive an error, not run and waived are skipped."""
    result = read(directory)
    xml = JUnitXml(f"peakproof certify {result['role']}")
    suite = TestSuite(f"certify {result['role']}")
    suite.add_property("url", result["url"])
    suite.add_property("standing", result["standing"])
    suite.add_property("score", str(result["score"]))
    suite.add_testcases([_case(each, result["role"]) for each in result["findings"]])
    xml.add_testsuite(suite)
    xml.update_statistics()  # type: ignore[no-untyped-call]
    xml.write(str(path), pretty=True)


def _case(finding: Mapping[str, Any], role: str) -> TestCase:
    case = TestCase(finding["probe"], f"peakproof.certify.{role}", finding["seconds"])
    said = f"{finding['promise']} {finding['said']}"
    if finding["waived"] and finding["outcome"] != "passed":
        waiver = finding["waived"]
        case.result = [Skipped(f"waived until {waiver['expires']} ({waiver['reason']}): {said}")]
    elif finding["outcome"] == "failed":
        case.result = [Failure(said, finding["weight"])]
    elif finding["outcome"] == "inconclusive":
        case.result = [Error(said, "inconclusive")]
    elif finding["outcome"] == "not run":
        case.result = [Error(said, "not run")] if finding["withholds"] else [Skipped(said)]
    return case


def _exchanges(directory: Path) -> dict[int, Mapping[str, Any]]:
    try:
        lines = (directory / LOG_FILE).read_bytes().splitlines()
    except OSError:
        return {}
    return {entry["number"]: entry for entry in map(orjson.loads, lines)}


def _shown(finding: Mapping[str, Any], exchanges: Mapping[int, Mapping[str, Any]]) -> list[dict[str, str]]:
    """The last exchanges that a finding rests on, for those that are not plainly passed."""
    if finding["outcome"] == "passed":
        return []
    numbers: Sequence[int] = finding["evidence"][-_MOST_SHOWN:]
    return [_told(exchanges[number]) for number in numbers if number in exchanges]


def _told(entry: Mapping[str, Any]) -> dict[str, str]:
    answered = str(entry["status"]) if entry["status"] else f"no answer: {entry.get('failure', '')}"
    return {
        "number": str(entry["number"]),
        "asked": f"{entry['method']} {entry['path']}",
        "answered": answered,
        "sent": entry.get("request_body", "")[:_LONGEST_BODY],
        "came": entry.get("response_body", "")[:_LONGEST_BODY] or str(entry.get("detail", ""))[:_LONGEST_BODY],
    }


def _value(key: str, value: object) -> str:
    """A learned value as people write it; durations of a profile are microseconds."""
    last = key.rpartition(".")[2]
    timed = last in {"median", "token_lifetime", "delay", "spread", "retries", "at_most"}
    if timed and isinstance(value, list):
        return ", ".join(words.duration(each) for each in value)
    if timed and isinstance(value, int):
        return words.duration(value)
    if isinstance(value, dict):
        return ", ".join(f"{name} {words.duration(each) if name == 'per' else each}" for name, each in value.items())
    return str(value).lower() if isinstance(value, bool) else str(value)
