"""`peakproof checks`: what must always hold."""

import click

from peakproof import exits
from peakproof.console import show_pairs
from scenarios.verdict import list_checks


@click.command()
def checks() -> int:
    """List the promises that every run is judged by."""
    show_pairs(("check", "holds when"), [(check.name, check.holds_when) for check in list_checks()])
    return exits.HOLDS
