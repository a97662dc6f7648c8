"""`peakproof scenarios`: what can be played."""

import click

from peakproof import exits
from peakproof.console import show_pairs
from scenarios.spec import catalog


@click.command()
def scenarios() -> int:
    """List the scenarios of the catalog."""
    show_pairs(("scenario", "what happens"), catalog())
    return exits.HOLDS
