"""`peakproof contracts`: what crosses a wire, held to its documents."""

import click


@click.group()
def contracts() -> None:
    """Verify, fuzz and compare the contracts that the wires are held to."""
