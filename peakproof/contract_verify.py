"""`peakproof contracts verify` and `publish`: providers held to the pacts of their consumers."""

import os
from collections.abc import Sequence
from pathlib import Path

import click
from junitparser import Failure, JUnitXml, Skipped, TestCase, TestSuite
from rich.console import Console
from rich.table import Table

from peakproof import exits
from peakproof.console import say, stdout
from peakproof.live.broker import Broker, Version, read_selector
from peakproof.live.pacts import PACTS, Interaction, PactError, read_pacts, registry_of, verify, verify_files
from peakproof.live.states import REGISTRIES

_SELECTORS = ('{"mainBranch": true}', '{"deployedOrReleased": true}')
_VERSION = click.option(
    "--version", "number", envvar=["PACT_PROVIDER_VERSION", "GIT_COMMIT"], default="", metavar="NUMBER",
    help="Version that the broker is told, the commit as a rule [PACT_PROVIDER_VERSION, GIT_COMMIT]",
)  # fmt: skip
_BRANCH = click.option(
    "--branch", envvar=["PACT_PROVIDER_BRANCH", "GIT_BRANCH"], default="", metavar="NAME",
    help="Branch of that version [PACT_PROVIDER_BRANCH, GIT_BRANCH]",
)  # fmt: skip
_BUILD_URL = click.option("--build-url", default="", metavar="URL", help="Page of the build, for the broker")


@click.command("verify")
@click.option("--provider", "names", multiple=True, metavar="NAME", help="Only this provider; repeat it for several")
@click.option(
    "--pacts", type=click.Path(path_type=Path), default=None, metavar="DIR", help="Pact files [contracts/pacts]"
)
@click.option(
    "--junit", type=click.Path(path_type=Path), default=None, metavar="FILE", help="Write JUnit XML, a case each"
)
@click.option("--broker", "by_broker", is_flag=True, help="Take the pacts from the broker at PACT_BROKER_BASE_URL")
@click.option(
    "--selector", "selectors", multiple=True, metavar="JSON", help="Consumer versions to take from the broker"
)
@click.option(
    "--pending/--no-pending", default=True, help="Whether a pact's first failure may pass (the broker's word)"
)
@click.option("--wip-since", default="", metavar="DATE", help="Take pacts in work since then, too (2026-01-31)")
@click.option(
    "--publish", is_flag=True, envvar="PACT_BROKER_PUBLISH_VERIFICATION_RESULTS", help="Tell the broker the results"
)
@_VERSION
@_BRANCH
@_BUILD_URL
def verify_pacts(
    names: tuple[str, ...],
    pacts: Path | None,
    junit: Path | None,
    by_broker: bool,
    selectors: tuple[str, ...],
    pending: bool,
    wip_since: str,
    publish: bool,
    number: str,
    branch: str,
    build_url: str,
) -> int:
    """Hold the simulators and the integration to what their consumers expect of them.

    Exit code 1 when an interaction that counts differs.
    """
    if by_broker and pacts is not None:
        raise click.UsageError("--pacts and --broker name two sources: choose one")
    if not by_broker and (publish or selectors or wip_since):
        raise click.UsageError("--publish, --selector and --wip-since speak of a broker: add --broker")
    if by_broker:
        version = _version(number, branch, build_url) if publish else None
        chosen = [read_selector(text) for text in selectors or _SELECTORS]
        source = Broker.of_environment(os.environ).source(chosen, branch, pending, wip_since, version)
        registries = [registry_of(name) for name in names or REGISTRIES]
        results = [one for registry in registries for one in verify(registry, source)]
    else:
        results = _verify_directory(pacts or PACTS, names)
    console = stdout()
    _show(console, results)
    if junit is not None:
        junit_of(results).write(str(junit), pretty=True)
    return exits.VIOLATED if any(one.counts for one in results) else exits.HOLDS


@click.command("publish")
@click.option(
    "--pacts", type=click.Path(path_type=Path), default=PACTS, metavar="DIR", help="Pact files [contracts/pacts]"
)
@_VERSION
@_BRANCH
@_BUILD_URL
def publish_pacts(pacts: Path, number: str, branch: str, build_url: str) -> int:
    """Publish pacts to the broker at PACT_BROKER_BASE_URL, as those of a version of their consumers."""
    broker, version = Broker.of_environment(os.environ), _version(number, branch, build_url)
    console = stdout()
    for line in broker.publish(read_pacts(pacts), version):
        say(console, line)
    return exits.HOLDS


def _version(number: str, branch: str, build_url: str) -> Version:
    if not number:
        raise PactError("the broker needs a version: give --version, or set PACT_PROVIDER_VERSION or GIT_COMMIT")
    return Version(number, branch, build_url)


def _verify_directory(directory: Path, names: Sequence[str]) -> list[Interaction]:
    found = read_pacts(directory)
    asked = names or tuple(dict.fromkeys(pact.provider for pact in found))
    registries = [registry_of(name) for name in asked]
    results: list[Interaction] = []
    for registry in registries:
        mine = [pact for pact in found if pact.provider == registry.provider]
        if not mine:
            raise PactError(f"{directory} holds no pact with provider {registry.provider!r}")
        results += verify_files(registry, mine)
    return results


def _outcome(one: Interaction) -> str:
    if one.holds:
        return "holds"
    return "pending" if one.pending else "differs"


def _show(console: Console, results: Sequence[Interaction]) -> None:
    if console.is_terminal:
        console.print(_table(results))
    else:
        for one in results:
            say(console, "\t".join((_outcome(one), one.provider, one.consumer, one.description)))
    for one in results:
        if not one.holds:
            say(console, f"{one.provider}: {one.description} (for {one.consumer}; given {' and '.join(one.states)})")
            for difference in one.differences:
                say(console, f"  {difference}")
    held = sum(one.holds for one in results)
    pending = sum(not one.holds and one.pending for one in results)
    told = [f"{held} of {len(results)} interactions hold"]
    told += [f"{pending} of the others are pending"] if pending else []
    say(console, ", ".join(told) if results else "no pact to verify")


def _table(results: Sequence[Interaction]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("", "provider", "consumer", "interaction"):
        table.add_column(name, no_wrap=name != "interaction")
    colors = {"holds": "green", "differs": "red", "pending": "yellow"}
    for one in results:
        outcome = _outcome(one)
        table.add_row(f"[{colors[outcome]}]{outcome}[/]", one.provider, one.consumer, one.description)
    return table


def junit_of(results: Sequence[Interaction]) -> JUnitXml:
    """One suite per pact, one case per interaction. A pending one that differs is skipped: it does not count."""
    xml = JUnitXml("peakproof contracts")
    for provider, consumer in dict.fromkeys((one.provider, one.consumer) for one in results):
        suite = TestSuite(f"{provider} for {consumer}")
        mine = [one for one in results if (one.provider, one.consumer) == (provider, consumer)]
        suite.add_testcases([_case(one) for one in mine])
        xml.add_testsuite(suite)
    xml.update_statistics()  # type: ignore[no-untyped-call]
    return xml


def _case(one: Interaction) -> TestCase:
    case = TestCase(one.description, f"peakproof.pacts.{one.provider}.{one.consumer}", one.duration_ms / 1000)
    if not one.holds:
        first, told = one.differences[0], "\n".join((f"given {' and '.join(one.states)}", *one.differences))
        result = Skipped(first, "pending") if one.pending else Failure(first, "differs")
        result.text = told
        case.result = [result]
    return case
