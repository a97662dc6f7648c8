"""The determinism audit: the same command line twice, in fresh processes with different hash seeds, compared.

Whatever a run reads that its seed does not fix (the order of a set, a wall clock, an address in memory) shows as a
difference, and the first event at which the two runs part names the place to look.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import click
import orjson
from rich.console import Console

from peakproof import exits
from peakproof.console import say
from reports.rundir import RUN_FILE
from scenarios.compare import first_difference

HASH_SEEDS = ("1", "2")
AGAIN = "-again"


def play_twice(console: Console, arguments: Sequence[str], directory: Path) -> int:
    """Plays `peakproof ARGUMENTS` into `directory` and at the same time into the one named `-again`; compares the two.

    Returns the run's own exit code, or 3 when the two differ.
    """
    directories = (directory, directory.with_name(directory.name + AGAIN))
    runs = [_start(arguments, out, seed) for out, seed in zip(directories, HASH_SEEDS, strict=True)]
    try:
        codes = [run.wait() for run in runs]
    except KeyboardInterrupt:
        for run in runs:
            run.wait()  # the terminal has told them, too: each leaves a partial run
        raise
    for out, code in zip(directories, codes, strict=True):
        if not _is_judged(out):
            return code
    difference = first_difference(*directories)
    if difference is not None:
        click.echo(f"peakproof: the same scenario and seed left different evidence: {difference}", err=True)
        return exits.BROKEN
    seeds = " and ".join(HASH_SEEDS)
    say(console, f"Audit      both runs left the same evidence, under hash seeds {seeds}: {_digest(directory)}")
    return codes[0]


def _start(arguments: Sequence[str], out: Path, hash_seed: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "peakproof", *arguments, "--quiet", "--out", str(out)]
    return subprocess.Popen(command, env={**os.environ, "PYTHONHASHSEED": hash_seed})


def _is_judged(directory: Path) -> bool:
    file = directory / RUN_FILE
    return file.exists() and orjson.loads(file.read_bytes())["verdict"] is not None


def _digest(directory: Path) -> str:
    return str(orjson.loads((directory / RUN_FILE).read_bytes())["digest"])
