"""The changes of the contracts as Markdown and as JUnit XML, from what `peakproof contracts diff --json` writes."""

from collections.abc import Mapping, Sequence
from typing import Any

from junitparser import Error, Failure, JUnitXml, TestCase, TestSuite

from reports import words

_HEADINGS = {
    "breaking for somebody": "❌ Breaking",
    "cannot be judged": "⚠️ Cannot be judged",
    "breaking for nobody": "Breaking for nobody",
    "compatible": "Compatible",
}
_NAMED = 3
"""So many interactions are named; the rest is counted."""


def markdown(told: Mapping[str, Any]) -> str:
    """A summary: what breaks somebody with the interactions that show it, the rest as lists."""
    broken = told["counts"]["breaking for somebody"]
    title = f"❌ {words.count(broken, 'breaking change')}" if broken else "✅ No consumer is broken"
    blocks = [f"## {title}", f"Contracts from `{told['base']}` to `{told['head']}`."]
    for verdict, heading in _HEADINGS.items():
        changes = [change for change in told["changes"] if change["verdict"] == verdict]
        if changes:
            blocks += [f"### {heading}", "\n".join(f"- {_line(change)}" for change in changes)]
    if told["remarks"]:
        blocks += ["### Remarks", "\n".join(f"- {remark}" for remark in told["remarks"])]
    return "\n\n".join(blocks) + "\n"


def junit(told: Mapping[str, Any]) -> str:
    """One case per change: a failure when it breaks somebody, an error when somebody uses what cannot be judged."""
    xml = JUnitXml("peakproof contracts diff")
    documents = dict.fromkeys(change["document"] for change in told["changes"])
    for document in documents:
        suite = TestSuite(document)
        suite.add_property("base", told["base"])
        suite.add_property("head", told["head"])
        suite.add_testcases([_case(change) for change in told["changes"] if change["document"] == document])
        xml.add_testsuite(suite)
    if not documents:
        suite = TestSuite("contracts")
        suite.add_testcase(TestCase("no change", "peakproof.contracts"))
        xml.add_testsuite(suite)
    xml.update_statistics()  # type: ignore[no-untyped-call]
    text: bytes = xml.tostring()  # type: ignore[no-untyped-call]
    return text.decode()


def _case(change: Mapping[str, Any]) -> TestCase:
    case = TestCase(change["sentence"], f"peakproof.contracts.{change['document']}")
    shown = "\n".join(f"{who['consumer']}: {name}" for who in change["concerned"] for name in who["interactions"])
    places = "\n".join(change["where"])
    if change["verdict"] == "breaking for somebody":
        case.result = [Failure(change["sentence"], change["verdict"])]
        case.result[0].text = f"{shown}\n\n{places}"
    elif change["verdict"] == "cannot be judged" and change["concerned"]:
        case.result = [Error(change["sentence"], change["verdict"])]
        case.result[0].text = f"{shown}\n\n{places}"
    return case


def _line(change: Mapping[str, Any]) -> str:
    shown = "; ".join(f"{who['consumer']}: {_names(who['interactions'])}" for who in change["concerned"])
    return f"{change['sentence']}  \n  <sub>{shown}</sub>" if shown else change["sentence"]


def _names(interactions: Sequence[str]) -> str:
    named = ", ".join(f"“{name}”" for name in interactions[:_NAMED])
    more = len(interactions) - _NAMED
    return f"{named} and {more} more" if more > 0 else named
