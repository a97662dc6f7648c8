"""`peakproof contracts docs`: the reference of errors is not out of date, and the pages are written."""

from pathlib import Path

import pytest

from contracts.documents import DOCUMENTS
from contracts.handbook import answered_by, errors_markdown
from contracts.problems import CATALOGUE
from peakproof import exits
from peakproof.cli import execute

ERRORS = Path(__file__).parents[2] / "docs" / "errors.md"


def test_the_reference_of_errors_is_what_the_contracts_say() -> None:
    assert ERRORS.read_text(encoding="utf-8") == errors_markdown(), "write it again: peakproof contracts docs errors"


def test_every_problem_is_told_with_what_to_do_and_who_answers_it() -> None:
    text = errors_markdown()
    for kind in CATALOGUE.values():
        assert f"\n## {kind.key}\n" in text
        assert f"**What to do.** {kind.advice}" in text
        assert answered_by(kind.key), kind.key


def test_who_answers_what() -> None:
    assert answered_by("out-of-stock") == {"orders": ["placeOrder"]}
    assert answered_by("insufficient-stock") == {"wms": ["adjustStock"], "threepl": ["adjustStock"]}
    assert len(answered_by("forbidden")["erp"]) == 12


def test_errors_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["contracts", "docs", "errors"]) == exits.HOLDS
    assert capsys.readouterr().out == errors_markdown()


def test_pages_and_documents_are_written(tmp_path: Path) -> None:
    assert execute(["contracts", "docs", "html", str(tmp_path / "new" / "pages")]) == exits.HOLDS
    written = sorted(path.name for path in (tmp_path / "new" / "pages").iterdir())
    assert written == sorted(f"{name}.{kind}" for name in (*DOCUMENTS, "events") for kind in ("html", "json"))


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert execute(["contracts", "docs", "html", str(tmp_path / "file" / "pages")]) == exits.USAGE
    assert "cannot be written (Not a directory)" in capsys.readouterr().err
