"""The command line: which verbs there are, and which exit code an error ends with.

Verbs return their exit code. An error that the user can mend is one sentence on stderr and exit 2; anything unexpected
is the tool's own failure: exit 3 with a traceback.
"""

import sys
import traceback
from collections.abc import Sequence
from importlib.metadata import version

import click

from contracts.errors import UnreadableContract
from peakproof import exits
from peakproof.certify import certify
from peakproof.checks import checks
from peakproof.contracts import contracts
from peakproof.explain import explain
from peakproof.explore import explore
from peakproof.live.errors import LiveError, Undecided
from peakproof.load import load
from peakproof.load_worker import load_worker
from peakproof.mutants import mutants
from peakproof.replay import replay
from peakproof.report import report
from peakproof.run import run
from peakproof.scenarios import scenarios
from peakproof.serve import serve
from peakproof.shrink import shrink
from reports import ReportError
from scenarios.errors import ScenarioError

_MENDABLE = (ScenarioError, ReportError, UnreadableContract, LiveError)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(version("peakproof"), prog_name="peakproof")
def cli() -> None:
    """Proves, before peak season does, that an order-to-fulfillment integration keeps its promises.

    Exit codes: 0 every promise holds, 1 a promise was broken, 2 usage or configuration, 3 the tool itself broke,
    4 inconclusive, 99 only thresholds were breached, 130 interrupted.
    """


for _verb in (
    run,
    explore,
    mutants,
    shrink,
    replay,
    report,
    explain,
    scenarios,
    checks,
    contracts,
    certify,
    serve,
    load,
    load_worker,
):
    cli.add_command(_verb)


def main() -> None:
    sys.exit(execute(sys.argv[1:]))


def execute(arguments: Sequence[str]) -> int:
    """Carries out one command line and returns its exit code; nothing but the exit code reaches the caller."""
    try:
        code = cli.main(list(arguments), prog_name="peakproof", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return exits.USAGE
    except _MENDABLE as error:
        click.echo(f"peakproof: {error}", err=True)
        return exits.USAGE
    except Undecided as error:
        click.echo(f"peakproof: inconclusive: {error}", err=True)
        return exits.INCONCLUSIVE
    except (KeyboardInterrupt, click.Abort):
        click.echo("peakproof: interrupted", err=True)
        return exits.INTERRUPTED
    except Exception as error:
        traceback.print_exc()
        click.echo(f"peakproof: the tool itself broke ({type(error).__name__}: {error}); it says nothing about "
                   "your integration. Please report the traceback above with the command line.", err=True)  # fmt: skip
        return exits.BROKEN
    return code if isinstance(code, int) else exits.HOLDS
