"""`peakproof report`: write the reports of a run again."""

from pathlib import Path

import click

from peakproof import exits
from peakproof.console import say, shown_path, stdout
from reports import write_all


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
def report(run: Path) -> int:
    """Write the reports of the run in directory RUN again, and say where they are."""
    for path in write_all(run):
        say(stdout(), shown_path(path))
    return exits.HOLDS
