"""`peakproof contracts`: what crosses a wire, held to its documents."""

import click

from peakproof.contract_diff import diff
from peakproof.contract_docs import docs
from peakproof.contract_fuzz import fuzz
from peakproof.contract_verify import publish_pacts, verify_pacts


@click.group()
def contracts() -> None:
    """Verify, fuzz and compare the contracts that the wires are held to."""


contracts.add_command(diff)
contracts.add_command(docs)
contracts.add_command(fuzz)
contracts.add_command(publish_pacts)
contracts.add_command(verify_pacts)
