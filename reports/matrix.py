"""The page of the kill matrix: one row per deliberate bug, one column per check. Written from matrix.json alone."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from reports import words

_TEMPLATES = Path(__file__).parent / "templates"


def write(matrix: Mapping[str, Any], path: Path) -> None:
    """Write the page of a matrix as `matrix.json` has it."""
    path.write_text(render(matrix), encoding="utf-8")


def render(matrix: Mapping[str, Any]) -> str:
    """The whole page as text."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("matrix.html").render(context(matrix))


def context(matrix: Mapping[str, Any]) -> dict[str, Any]:
    """What the template shows, as plain values."""
    mutants, control = matrix["mutants"], matrix["control"]
    checks = shown_checks(mutants)
    return {
        "standing": "broken" if control["errors"] else "holds" if matrix["holds"] else "violated",
        "headline": headline(matrix),
        "scenario": matrix["scenario"],
        "overrides": matrix["overrides"],
        "most_seeds": matrix["most_seeds"],
        "checks": [(check, matrix["checks"].get(check, "")) for check in checks],
        "idle": [check for check in matrix["checks"] if check not in checks],
        "rows": [{**mutant, **_row(mutant, checks)} for mutant in mutants],
        "control": control,
        "join": shlex.join,
    }


def headline(matrix: Mapping[str, Any]) -> str:
    """The matrix in a sentence."""
    mutants, alarms = matrix["mutants"], matrix["control"]["alarms"]
    dead = sum(1 for mutant in mutants if mutant["killed"])
    told = f"{dead} of {words.count(len(mutants), 'deliberate bug')} caught, each by its own check"
    runs = words.count(matrix["control"]["seeds"], "run")
    return f"{told}; {words.count(len(alarms), 'false alarm')} in {runs} without a bug"


def shown_checks(mutants: Sequence[Mapping[str, Any]]) -> list[str]:
    """The columns: every check that some mutant has for its own or violated, by name."""
    return sorted({check for mutant in mutants for check in (*mutant["caught_by"], *mutant["checks"])})


def _row(mutant: Mapping[str, Any], checks: Sequence[str]) -> dict[str, Any]:
    return {"cells": [_cell(mutant, check) for check in checks], "blamed_words": blamed(mutant)}


def _cell(mutant: Mapping[str, Any], check: str) -> dict[str, Any]:
    """How one check stands to one mutant: killed it, missed it, saw it too, or nothing."""
    own = check in mutant["caught_by"]
    found = mutant["checks"].get(check)
    if found is None:
        return {"tone": "missed" if own and not mutant["killed"] else "own" if own else "", "text": "", "title": ""}
    share = f"{found['seeds']} of {words.count(mutant['seeds_played'], 'seed')}"
    kinds = ", ".join(words.spoken(kind) for kind in found["kinds"])
    return {"tone": "kill" if own else "seen", "text": "●" if own else "○", "title": f"{check}: {kinds} in {share}"}


def blamed(mutant: Mapping[str, Any]) -> str:
    """The faults that the bug took to show, in words."""
    if mutant["blamed"] is None:
        return "not caught"
    return ", ".join(words.spoken(kind) for kind in mutant["blamed"]) or "none: it shows on a good day"
