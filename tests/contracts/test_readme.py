"""contracts/README.md is true: its steps are carried out in a copy, in their order, and say what the text says."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COPIED = ("contracts", "docs", "simulators", "scenarios", "integration", "reports", "peakproof", "pyproject.toml")
BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
README = (ROOT / "contracts" / "README.md").read_text(encoding="utf-8")
SECTIONS = re.findall(r"^## (.+)\n((?:.|\n)*?)(?=^## |\Z)", README, re.MULTILINE)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The repository as far as contracts need it, and beside it the contracts as they were `before`."""
    leave_out = shutil.ignore_patterns("__pycache__", "runs", "*.pyc")
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / name, ignore=leave_out)
        else:
            shutil.copy(source, tmp_path / name)
    lint = Path("tests") / "contracts" / "test_lint.py"
    (tmp_path / lint).parent.mkdir(parents=True)
    shutil.copy(ROOT / lint, tmp_path / lint)
    shutil.copytree(tmp_path / "contracts", tmp_path / "before" / "contracts")
    return tmp_path


def commands(console: str) -> Iterator[tuple[str, list[str]]]:
    """Each command of a console block, and the lines that it is said to print."""
    for part in re.split(r"^\$ ", console, flags=re.MULTILINE)[1:]:
        command, *lines = part.splitlines()
        yield command, lines


def run(command: str, directory: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": str(directory), "GIT_CEILING_DIRECTORIES": str(directory.parent)}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    done = subprocess.run(
        ["bash", "-c", command], cwd=directory, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize(("title", "text"), SECTIONS, ids=[title for title, _ in SECTIONS])
def test_the_steps_do_what_they_say(title: str, text: str, copy: Path) -> None:
    assert "```console" in text
    for language, place, content in BLOCK.findall(text):
        if language == "diff":
            (copy / "step.diff").write_text(content, encoding="utf-8")
            assert run("git apply step.diff", copy) == "", f"{title}: a patch does not apply any more"
        elif language == "console":
            for command, lines in commands(content):
                said = run(command, copy)
                missing = [line for line in lines if line not in said]
                assert not missing, f"{title}: $ {command}\nsaid\n{said}\nand not {missing}"
        else:
            assert place, f"{title}: a block of {language} does not say where it goes"
            (copy / place).write_text(content, encoding="utf-8")


def test_every_file_of_contracts_is_named() -> None:
    named = set(re.findall(r"`([\w/*.]+)`", README))
    files = {path.name for path in (ROOT / "contracts").iterdir() if path.suffix in (".py", ".yaml")}
    assert files - named - {"__init__.py", "errors.py", "problems.py", "documents.py", "evidence.py"} == set()
