"""`peakproof contracts fuzz`: Schemathesis on every API, with our own promises beside its checks."""

import importlib.util
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import click

from contracts.validation import Contract
from peakproof import exits
from peakproof.console import say, stdout
from peakproof.fuzzing.errors import MISSING, FuzzError

if TYPE_CHECKING:
    from peakproof.fuzzing.live import LiveTarget
    from peakproof.fuzzing.run import Job, Outcome

_ROLES = ("orders", "erp", "wms", "threepl", "carrier")
_PHASES = ("examples", "coverage", "fuzzing", "stateful", "driven")
_CASES = 2_000


@click.command()
@click.argument("role", required=False, metavar="[ROLE]")
@click.option("--all", "every", is_flag=True, help="Every role; --cases is their sum.")
@click.option("--url", help="Fuzz this live endpoint instead of the simulated one.")
@click.option("--cases", default=_CASES, show_default=True, type=click.IntRange(1), help="Cases to generate, about.")
@click.option("--seed", default=1, show_default=True, help="Fixes every request of a simulated role.")
@click.option("--phases", default=",".join(_PHASES), show_default=True, help="Which phases to play.")
@click.option("--round", "number", type=click.IntRange(0), help="Play only this round, as a finding says.")
@click.option("--minutes", type=float, help="Begin no round after so many minutes.")
@click.option("--header", "headers", multiple=True, metavar="NAME: VALUE", help="Send this header, with --url.")
@click.option("--token", envvar="PEAKPROOF_FUZZ_TOKEN", help="Bearer token to show, with --url; better by environment.")
@click.option("--client", metavar="ID", help="Fetch tokens as this client, with --url; the secret comes from"
              " PEAKPROOF_FUZZ_CLIENT_SECRET.")  # fmt: skip
@click.option("--timeout", default=10.0, show_default=True, help="Seconds to wait for an answer, with --url.")
@click.option("--jobs", default=0, help="Processes, with --all; as many as there are CPUs by default.")
@click.option("--pacts", default="contracts/pacts", show_default=True, type=click.Path(path_type=Path),
              help="Pacts whose interactions count in the coverage.")  # fmt: skip
@click.option("--junit", type=click.Path(dir_okay=False, path_type=Path), help="Write JUnit XML there.")
def fuzz(
    role: str | None, every: bool, url: str | None, cases: int, seed: int, phases: str, number: int | None,
    minutes: float | None, headers: tuple[str, ...], token: str | None, client: str | None, timeout: float, jobs: int,
    pacts: Path, junit: Path | None,
) -> int:  # fmt: skip
    """Fuzz the API of ROLE (orders, erp, wms, threepl, carrier): a simulated one, or a live one by --url.

    Exits 1 when something was found, 4 when nothing was exercised.
    """
    _need_schemathesis()
    from peakproof.fuzzing.run import Job, fuzz_live  # noqa: PLC0415 - comes with an extra

    chosen = _phases(phases)
    if every == (role is not None):
        raise FuzzError(f"name one role ({', '.join(_ROLES)}) or say --all, not both")
    if every and (url or number is not None):
        raise FuzzError("--all fuzzes simulated roles; --url and --round belong to one role")
    roles = _ROLES if every else (_role(role or ""),)
    share = max(1, cases // len(roles))
    plans = [Job(each, share, seed, chosen, minutes, number) for each in roles]
    if url is None:
        if headers or client:
            raise FuzzError("--header and --client are shown to a live endpoint: give its --url")
        outcomes = _fuzz_houses(plans, jobs)
        address = ""
    else:
        target, address = _live(roles[0], url, headers, token, client, timeout)
        outcomes = [fuzz_live(plans[0], target, tell=_tell)]
    return _told(outcomes, address, pacts, junit)


def _fuzz_houses(plans: Sequence["Job"], jobs: int) -> list["Outcome"]:
    from peakproof.fuzzing.run import fuzz_house  # noqa: PLC0415 - comes with an extra

    processes = min(len(plans), jobs or os.cpu_count() or 1)
    if processes == 1:
        return [fuzz_house(plan, _tell) for plan in plans]
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        waiting = {pool.submit(fuzz_house, plan): plan for plan in plans}
        for done in as_completed(waiting):
            outcome = done.result()
            _tell(f"{outcome.job.role}: {outcome.cases.total():,} cases, {len(outcome.findings)} findings")
        return [future.result() for future in waiting]


def _told(outcomes: Sequence["Outcome"], address: str, pacts: Path, junit: Path | None) -> int:
    from peakproof.fuzzing.report import lines, write_junit  # noqa: PLC0415 - comes with an extra

    is_empty = any(outcome.coverage.is_empty for outcome in outcomes)
    for outcome in outcomes:
        exercised = _seen_by_pacts(pacts, outcome.document)
        if exercised:
            outcome.seen["pact"] = exercised
        if outcome.job.is_whole and not address:
            outcome.note_unseen()
    console = stdout()
    for outcome in outcomes:
        for line in lines(outcome, address):
            say(console, line)
    if junit is not None:
        write_junit(outcomes, junit, address)
    if is_empty:
        say(console, "nothing was exercised: no documented answer was seen")
        return exits.INCONCLUSIVE
    if any(len(outcome.findings) for outcome in outcomes):
        return exits.VIOLATED
    return exits.HOLDS


def _seen_by_pacts(directory: Path, document: str) -> frozenset[tuple[str, str, int]]:
    """What the pacts in a directory exercise of a document; nothing where there is no such directory."""
    from peakproof.live.coverage import exercised_by_pacts  # noqa: PLC0415 - comes with an extra

    if not directory.is_dir():
        return frozenset()
    return frozenset(answered[1:] for answered in exercised_by_pacts(directory) if answered[0] == document)


def _live(
    role: str, url: str, headers: tuple[str, ...], token: str | None, client: str | None, timeout: float
) -> tuple["LiveTarget", str]:
    from peakproof.fuzzing.live import LiveTarget, live_transport  # noqa: PLC0415 - comes with an extra

    given = dict(_header(each) for each in headers)
    if token:
        given["Authorization"] = f"Bearer {token}"
    credentials = None
    if client:
        secret = os.environ.get("PEAKPROOF_FUZZ_CLIENT_SECRET", "")
        if not secret:
            raise FuzzError(f"--client {client!r} needs its secret in PEAKPROOF_FUZZ_CLIENT_SECRET")
        credentials = (client, secret)
    transport = live_transport(url, timeout)
    return LiveTarget(role, Contract.load(role), url, transport, given, credentials), f"--url {url}"


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise FuzzError(f"--header {text!r} is no header: write 'X-Client: peakproof'")
    return name.strip(), value.strip()


def _role(name: str) -> str:
    if name not in _ROLES:
        raise FuzzError(f"there is no role {name!r} to fuzz: choose one of {', '.join(_ROLES)}")
    return name


def _phases(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    unknown = [name for name in names if name not in _PHASES]
    if unknown or not names:
        raise FuzzError(f"--phases {text!r}: choose some of {', '.join(_PHASES)}")
    return names


def _need_schemathesis() -> None:
    if importlib.util.find_spec("schemathesis") is None:
        raise FuzzError(MISSING)


def _tell(line: str) -> None:
    click.echo(line, err=True)
