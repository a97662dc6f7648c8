"""The verdict as Markdown, short enough for a CI job's summary or a comment on a change."""

from pathlib import Path

from reports import words
from reports.plots import fault_bands
from reports.rundir import Check, Run, Verdict

MOST_COUNTEREXAMPLES = 3
_MARKS = {"holds": "✅", "violated": "❌", "inconclusive": "⚠️", "breached": "⚠️", "partial": "⚠️", "broken": "💥"}


def write(run: Run, path: Path) -> None:
    path.write_text(render(run), encoding="utf-8")


def render(run: Run) -> str:
    file, verdict = run.file, run.file.verdict
    standing = words.standing(run)
    blocks = [
        f"## {_MARKS[standing]} {words.BADGES[standing]}: {file.name}, seed {file.seed}",
        words.headline(run),
        *(_judged(verdict, file.started_at_us) if verdict else []),
        _faults(run),
        f"Reproduce:\n\n```sh\n{run.reproduce}\n```",
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _judged(verdict: Verdict, started_at_us: int) -> list[str]:
    failing = [check for check in verdict.checks if check.outcome == "violated"]
    return [_checks(verdict), *(_counterexamples(check, started_at_us) for check in failing), _thresholds(verdict)]


def _checks(verdict: Verdict) -> str:
    rows = [
        [f"{_MARKS[check.outcome]} {words.spoken(check.name)}", check.outcome, words.number(check.examined),
         words.number(check.violations)]
        for check in verdict.checks
    ]  # fmt: skip
    return _table(["Check", "Outcome", "Examined", "Violations"], rows)


def _counterexamples(check: Check, started_at_us: int) -> str:
    rows = check.counterexamples[:MOST_COUNTEREXAMPLES]
    listed = "\n".join(f"- `{words.counterexample(row, started_at_us).replace('`', chr(39))}`" for row in rows)
    return f"**{words.spoken(check.name).capitalize()}** holds when {check.holds_when}. Counterexamples:\n\n{listed}"


def _thresholds(verdict: Verdict) -> str:
    rows = [
        [
            words.measured(limit.metric),
            f"`{limit.expression}`",
            words.observed(verdict, limit),
            words.threshold_word(limit),
        ]
        for limit in verdict.thresholds
    ]
    return _table(["Measurement", "Limit", "Observed", "Result"], rows)


def _faults(run: Run) -> str:
    rows = [
        [
            band.fault,
            words.spoken(band.kind),
            band.target,
            f"{words.clock(band.from_us, run.file.started_at_us)} to "
            f"{words.clock(band.to_us, run.file.started_at_us) if band.to_us is not None else 'the end'}",
            words.count(band.strikes, "time"),
        ]
        for band in fault_bands(run)
    ]
    return _table(["Fault", "Kind", "Where", "When", "Struck"], rows)


def _table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table, or nothing when it has no rows."""
    if not rows:
        return ""
    lines = [head, ["---"] * len(head), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
