"""`peakproof checks`: what must always hold."""

import click

from peakproof import exits
from peakproof.console import show_pairs
from scenarios.handbook import checks_markdown, metrics_markdown
from scenarios.verdict import list_checks

_DOCUMENTS = {"checks": checks_markdown, "metrics": metrics_markdown}


@click.command()
@click.option("--markdown", type=click.Choice(sorted(_DOCUMENTS)), help="Print the whole list as Markdown instead.")
def checks(markdown: str | None) -> int:
    """List the promises that every run is judged by."""
    if markdown is not None:
        click.echo(_DOCUMENTS[markdown](), nl=False)
    else:
        show_pairs(("check", "holds when"), [(check.name, check.holds_when) for check in list_checks()])
    return exits.HOLDS
