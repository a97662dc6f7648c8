"""`peakproof contracts docs`: the contracts for people to read."""

from pathlib import Path

import click

from contracts.documents import DOCUMENTS
from contracts.errors import PagesUnavailable
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
    """Write a page and a bundled JSON of every OpenAPI document into DIRECTORY. The pages need no network."""
    try:
        pages = {name: page_of(name) for name in DOCUMENTS}
    except PagesUnavailable as error:
        raise ScenarioError(str(error)) from error
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, page in pages.items():
            (directory / f"{name}.html").write_text(page, encoding="utf-8")
            (directory / f"{name}.json").write_bytes(json_of(name))
    except OSError as error:
        raise ScenarioError(f"{directory}: cannot be written ({error.strerror}); name another directory") from error
    click.echo(f"{len(pages)} pages and documents in {directory}")
    return exits.HOLDS
