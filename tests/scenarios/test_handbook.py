"""docs/checks.md and docs/metrics.md are what the headers say, so a change of one without the other fails here."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from peakproof.checks import checks
from scenarios.handbook import checks_markdown, metrics_markdown
from scenarios.verdict import list_checks, list_metrics

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize(("name", "document"), [("checks", checks_markdown), ("metrics", metrics_markdown)])
def test_the_documents_are_up_to_date(name: str, document: Callable[[], str]) -> None:
    written = (DOCS / f"{name}.md").read_text("utf-8")
    assert written == document(), f"run `peakproof checks --markdown {name} > docs/{name}.md`"


def test_every_check_and_metric_has_its_section() -> None:
    assert checks_markdown().count("\n## ") == len(list_checks())
    assert metrics_markdown().count("\n## ") == len(list_metrics())


def test_notes_are_the_comment_above_the_queries_alone() -> None:
    notes = {check.name: check.notes for check in list_checks()}
    assert notes["no_oversell"].startswith("Commitments are taken when the client has its answer")
    assert not any("SELECT" in text or "examined\n" in text for text in notes.values())


def test_the_command_prints_the_document() -> None:
    printed = CliRunner().invoke(checks, ["--markdown", "metrics"], standalone_mode=False)
    assert (printed.return_value, printed.output) == (0, metrics_markdown())
