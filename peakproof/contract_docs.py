"""`peakproof contracts docs`: the contracts for people to read."""

from pathlib import Path

import click

from contracts.documents import DOCUMENTS
from contracts.errors import PagesUnavailable
from contracts.event_pages import events_json, events_page
from contracts.handbook import errors_markdown
from contracts.pages import json_of, page_of
from peakproof import exits
from scenarios.errors import ScenarioError


@click.group()
def docs() -> None:
    """The contracts as pages and as a reference of errors."""


@docs.command()
def errors() -> int:
    """Print every error on any wire as Markdown; docs/errors.md holds the same."""
    click.echo(errors_markdown(), nl=False)
    return exits.HOLDS


@docs.command()
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
def html(directory: Path) -> int:
    """Write a page and a bundled JSON of every API and of the events into DIRECTORY. The pages need no network."""
    try:
        written = {name: (page_of(name), json_of(name)) for name in DOCUMENTS}
    except PagesUnavailable as error:
        raise ScenarioError(str(error)) from error
    written["events"] = (events_page(), events_json())
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, (page, document) in written.items():
            (directory / f"{name}.html").write_text(page, encoding="utf-8")
            (directory / f"{name}.json").write_bytes(document)
    except OSError as error:
        raise ScenarioError(f"{directory}: cannot be written ({error.strerror}); name another directory") from error
    click.echo(f"{len(written)} pages and documents in {directory}")
    return exits.HOLDS
