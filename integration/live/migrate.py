"""Brings the database to this version: `python -m integration.live.migrate`. Safe to run from many places at once."""

import os
import sys

import click

from integration.live.environment import database_url_of
from integration.live.failures import told_in_a_sentence
from integration.storage.schema import migrate, newest, version_of


@click.command()
@told_in_a_sentence
def main() -> None:
    """Migrate the database of PEAKPROOF_DATABASE_URL."""
    url = database_url_of(os.environ)
    before = version_of(url)
    migrate(url)
    after = newest()
    sys.stdout.write(f"the database is of version {after}" + (f", was {before}\n" if before != after else " already\n"))


if __name__ == "__main__":
    main()
