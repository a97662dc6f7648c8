"""Reports, written from a run directory alone: a page for people, JUnit and Markdown for CI, JSON for programs."""

from pathlib import Path

from reports import html, junit, markdown, summary
from reports.rundir import ReportError, Run, open_directory

__all__ = ["ReportError", "Run", "open_directory", "write_all"]

_WRITERS = {
    "report.html": html.write,
    "junit.xml": junit.write,
    "summary.json": summary.write,
    "summary.md": markdown.write,
}


def write_all(run_directory: Path) -> list[Path]:
    """Writes every report into the run directory and returns their paths, the page for people first.

    Raises ReportError when it is not a run directory.
    """
    with open_directory(run_directory) as run:
        for name, write in _WRITERS.items():
            write(run, run_directory / name)
    return [run_directory / name for name in _WRITERS]
