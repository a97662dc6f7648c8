"""The list of checks and metrics as Markdown, made from the headers of their files and nothing else.

`docs/checks.md` and `docs/metrics.md` hold what these functions return; a test compares them.
"""

from collections.abc import Iterable

from scenarios.verdict import list_checks, list_metrics

_CLOCKS = {
    "protocol": "protocol (requests as they go)",
    "business": "business (hours and cut-offs)",
    "count": "none (counts and shares)",
}


def checks_markdown() -> str:
    """Every check: when it holds, what it rests on, and what it takes into account."""
    intro = (
        "What must always hold. Each check is one file in `scenarios/checks/`: what it examined, and counterexamples."
        " It holds, is violated, or is inconclusive where there was nothing to examine. What a run cannot show is not"
        " observable: it is listed, and tells on the exit code only where a scenario names the check."
    )
    parts = ["# Checks", intro]
    for check in list_checks():
        parts.append(f"## {check.name}")
        parts.append(f"Holds when {check.holds_when}.")
        if check.notes:
            parts.append(check.notes)
        rest = "yes, or one in which nothing moves any more" if check.needs_rest else "no"
        facts = [("Rests on", ", ".join(check.requires)), ("Needs a quiet end", "yes" if check.needs_quiet else rest)]
        if check.applies_when:
            facts.append(("Applies when", check.applies_when))
        if check.judges != "target":
            facts.append(("Judges", check.judges))
        parts.append(_listed(facts))
    return _joined(parts)


def metrics_markdown() -> str:
    """Every metric: what it measures, by which clock and in which unit."""
    intro = (
        "What can be measured, and used in `thresholds`. Each metric is one file in `scenarios/metrics/`. Samples offer"
        " count, avg, min, max, med, rate (the share that is not 0) and p(N); others offer what their summary names."
    )
    parts = ["# Metrics", intro]
    for metric in list_metrics():
        parts.append(f"## {metric.name}")
        parts.append(f"{metric.summary}.")
        if metric.notes:
            parts.append(metric.notes)
        clock = ("Clock", _CLOCKS[metric.clock])
        parts.append(
            _listed([("Unit", metric.unit), clock, ("Yields", metric.yields), ("Rests on", _kinds(metric.requires))])
        )
    return _joined(parts)


def _kinds(requires: Iterable[str]) -> str:
    return ", ".join(requires)


def _listed(facts: Iterable[tuple[str, str]]) -> str:
    return "\n".join(f"- {name}: {value}" for name, value in facts)


def _joined(parts: Iterable[str]) -> str:
    return "\n\n".join(parts) + "\n"
