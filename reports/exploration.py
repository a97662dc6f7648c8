"""An exploration in words, from its explore.json alone: Markdown for CI, and the same few lines for a terminal."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from reports import words
from reports.rundir import ReportError

EXPLORATION_FILE = "explore.json"
SUMMARY_FILE = "explore.md"
BADGES = {"holds": "HOLDS", "violated": "VIOLATED", "broken": "TOOL BROKE", "inconclusive": "INCONCLUSIVE"}

Record = Mapping[str, Any]


def read(directory: Path) -> dict[str, Any]:
    """An exploration's record. Raises ReportError when the directory holds none."""
    file = directory / EXPLORATION_FILE
    try:
        record: dict[str, Any] = orjson.loads(file.read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise ReportError(f"{file} can't be read ({error}): name a directory that `peakproof explore` wrote") from error
    return record


def write_markdown(directory: Path) -> Path:
    """Writes explore.md beside explore.json and returns its path."""
    file = directory / SUMMARY_FILE
    file.write_text(render(read(directory)), encoding="utf-8")
    return file


def headline(record: Record) -> str:
    """One sentence: how many findings in how many seeds."""
    name = record["name"] + (f" with mutant {record['mutant']}" if record["mutant"] else "")
    played = f"{words.count(record['seeds'], 'seed')} with {words.count(record['orders'], 'order')}"
    errors = len(record["errors"])
    broke = f"; the tool itself broke in {words.count(errors, 'seed')}" if errors else ""
    return f"{name}: {words.count(len(record['findings']), 'finding')} in {played}{broke}"


def finding_lines(finding: Record, started_at_us: int) -> list[str]:
    """A finding: how often, what it breaks, its first counterexample."""
    nearest = finding["passing_seed"]
    beside = f", nearest seed without a finding {nearest}" if nearest is not None else ""
    return [
        f"{named(finding)}: {words.count(finding['count'], 'seed')}, first {finding['seed']}{beside}",
        f"holds when {finding['holds_when']}",
        words.counterexample(finding["counterexample"], started_at_us),
    ]


def named(finding: Record) -> str:
    """The name of a finding: its check and the kind of counterexample."""
    return f"{finding['check']} {finding['kind']}".strip()


def coverage_lines(record: Record) -> list[str]:
    """What the batch saw, which faults struck, and what it failed to show."""
    total = record["seeds"] - len(record["errors"])
    seen = ", ".join(f"{words.spoken(name)} {_share(seeds, total)}" for name, seeds in record["seen"].items())
    struck = ", ".join(
        f"{words.spoken(kind)} {found['struck']} of {found['planned']}" for kind, found in record["faults"].items()
    )
    lines = [f"Seen, in shares of seeds: {seen or 'nothing'}"]
    if struck:
        lines.append(f"Faults that struck, of seeds that planned them: {struck}")
    return lines + [f"Vacuous: {gap}" for gap in record["vacuous"]]


def render(record: Record) -> str:
    """The whole as Markdown."""
    blocks = [f"## {BADGES[record['outcome']]}: {headline(record)}"]
    blocks += [_block(finding, record["started_at_us"]) for finding in record["findings"]]
    blocks += [
        f"### The tool broke in seed {error['seed']}\n\n```text\n{error['error'].strip()}\n```\n\n"
        f"```sh\n{error['command']}\n```"
        for error in record["errors"]
    ]
    blocks.append("\n".join(f"- {line}" for line in coverage_lines(record)))
    blocks.append(_examined(record))
    return "\n\n".join(blocks) + "\n"


def _block(finding: Record, started_at_us: int) -> str:
    title, promise, example = finding_lines(finding, started_at_us)
    listed = ", ".join(map(str, finding["seeds"])) + (", ..." if finding["count"] > len(finding["seeds"]) else "")
    return (
        f"### {title}\n\n{finding['check']} {promise}. First counterexample:\n\n"
        f"- `{example.replace('`', chr(39))}`\n\nSeeds: {listed}\n\n```sh\n{finding['command']}\n```"
    )


def _examined(record: Record) -> str:
    rows = [f"| {words.spoken(check)} | {words.number(seeds)} |" for check, seeds in record["examined"].items()]
    return "\n".join(["| Check | Seeds in which it examined something |", "| --- | ---: |", *rows])


def _share(seeds: int, total: int) -> str:
    return f"{round(100 * seeds / total)}%" if total else "0%"


def tallies(findings: Sequence[Record]) -> str:
    """Findings so far on one line."""
    return words.listing([f"{named(finding)} ({finding['count']})" for finding in findings]) if findings else "none"
