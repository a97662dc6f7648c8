"""The verdict as a small JSON file for other programs: a stable subset of run.json.

Format `peakproof-summary/1`; fields are added, never renamed or removed, within one number:

    format, scenario, seed, complete, outcome (holds, breached, violated, inconclusive, broken or partial), exit_code
    (null when nothing was judged), headline, digest, reproduce,
    checks      [{name, holds_when, outcome, examined, violations, counterexamples [row]}]
    thresholds  [{metric, expression, observed, holds}]
    metrics     [{name, clock, unit, values {statistic: number or null}}]
    faults      [{fault, kind, target, from_us, to_us, strikes}]
"""

from pathlib import Path
from typing import Any

import orjson

from reports import words
from reports.plots import fault_bands
from reports.rundir import Run

FORMAT = "peakproof-summary/1"
_CHECK = {"name", "holds_when", "outcome", "examined", "violations", "counterexamples"}
_FAULT = ("fault", "kind", "target", "from_us", "to_us", "strikes")


def write(run: Run, path: Path) -> None:
    path.write_bytes(orjson.dumps(summary(run), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def summary(run: Run) -> dict[str, Any]:
    file, verdict = run.file, run.file.verdict
    return {
        "format": FORMAT,
        "scenario": file.name,
        "seed": file.seed,
        "complete": file.complete,
        "outcome": words.standing(run),
        "exit_code": verdict.exit_code if verdict else None,
        "headline": words.headline(run),
        "digest": file.digest,
        "reproduce": run.reproduce,
        "checks": [check.model_dump(include=_CHECK) for check in verdict.checks] if verdict else [],
        "thresholds": [
            limit.model_dump(include={"metric", "expression", "observed", "holds"})
            for limit in (verdict.thresholds if verdict else [])
        ],
        "metrics": [
            metric.model_dump(include={"name", "clock", "unit", "values"})
            for metric in (verdict.metrics if verdict else [])
        ],
        "faults": [{name: getattr(band, name) for name in _FAULT} for band in fault_bands(run)],
    }
