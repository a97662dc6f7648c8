"""`peakproof replay`: play a capsule again and say whether it is the same to the last event."""

from pathlib import Path

import click

from peakproof import exits
from peakproof.console import say, show_verdict, stdout
from peakproof.run import RUNS, claim, free_directory, note
from reports import open_directory, write_all
from scenarios.capsule import Replay, read_capsule
from scenarios.capsule import replay as play_again


@click.command()
@click.argument("capsule", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help=f"Directory of the run.  [default: {RUNS}/CAPSULE]",
)
@click.option(
    "--judge-only",
    is_flag=True,
    help="End with the verdict's exit code even when events differ, as they do once the bug is mended.",
)
def replay(capsule: Path, out: Path | None, judge_only: bool) -> int:
    """Play the finding in the file CAPSULE again, and the nearest plan that passed beside it.

    Ends with the verdict's exit code, 1, when the replay is the same to the last event; else the first event that
    differs is named, and the exit code is 3.
    """
    console = stdout()
    loaded = read_capsule(capsule)
    directory = claim(out or free_directory(RUNS, capsule.stem))
    say(console, f"{loaded.story.headline} ({loaded.check}: {loaded.kind})")
    replayed = play_again(loaded, directory)
    note(directory, ["peakproof", "replay", str(capsule)])
    page = write_all(directory)[0]
    with open_directory(directory) as run:
        show_verdict(console, run, page)
    say(console, _compared(replayed, loaded.check, loaded.kind))
    return replayed.result.exit_code if replayed.exact or judge_only else exits.BROKEN


def _compared(replayed: Replay, check: str, kind: str) -> str:
    if replayed.exact:
        return f"Same       to the last event: {replayed.digest}"
    again = "is found again" if replayed.found_again else "is not found again"
    return f"Different  {check}: {kind} {again}; {replayed.difference or 'the events are the same'}"
