"""What the documents point at exists, and the commands that they show are understood."""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from peakproof.cli import cli

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", *sorted((ROOT / "docs").rglob("*.md"))]
README = (ROOT / "README.md").read_text()
VERBS = sorted({shlex.split(line)[1] for line in README.splitlines() if line.startswith(".venv/bin/peakproof ")})


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", document.read_text())
    missing = [target for target in targets if "://" not in target and not (document.parent / target).exists()]
    assert missing == []


@pytest.mark.parametrize("verb", VERBS)
def test_commands_in_the_readme_exist(verb: str) -> None:
    assert CliRunner().invoke(cli, [verb, "--help"]).exit_code == 0


def test_make_targets_in_the_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = re.findall(r"^make (\S+)", README, flags=re.MULTILINE)
    assert targets
    assert [target for target in targets if f"\n{target}:" not in makefile] == []


def test_architecture_names_every_room() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    rooms = [path.parent.name for path in sorted(ROOT.glob("*/__init__.py"))]
    assert [room for room in rooms if f"`{room}/" not in text] == []
