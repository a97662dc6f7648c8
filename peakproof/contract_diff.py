"""`peakproof contracts diff`: what changed between two revisions of the contracts, and whom it breaks."""

from pathlib import Path
from typing import Any

import click
import orjson
from rich.console import Console

from contracts.diff.compare import Compared, Judged, Verdict, compare, consumers
from contracts.diff.tree import Tree
from peakproof import exits
from peakproof.console import say, stdout
from peakproof.revisions import read_tree
from reports import contract_changes as report
from reports import words
from scenarios.errors import nearest

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("base")
@click.argument("head", required=False)
@click.option("--together", multiple=True, metavar="CONSUMER", help="It is deployed with the change; repeatable.")
@click.option("--json", "json_file", type=_FILE, help="Write the changes with the interactions concerned.")
@click.option("--markdown", type=_FILE, help="Write a summary for a pull request.")
@click.option("--junit", type=_FILE, help="Write JUnit XML, one case per change.")
@click.option("--quiet", is_flag=True, help="Print nothing but errors.")
def diff(
    base: str,
    head: str | None,
    together: tuple[str, ...],
    json_file: Path | None,
    markdown: Path | None,
    junit: Path | None,
    quiet: bool,
) -> int:
    """Name what changed in the contracts from BASE to HEAD, and whom it breaks, by the pacts of both.

    BASE and HEAD are git revisions or directories; without HEAD it is the working tree. Ends with 1 when a consumer is
    broken, with 4 when a change that a consumer uses cannot be judged. A consumer named by --together is judged by its
    pacts in HEAD alone.
    """
    console = Console(quiet=True) if quiet else stdout()
    before, after = read_tree(base), read_tree(head)
    _check_consumers(together, before, after)
    compared = compare(before, after, together)
    told = to_json(compared, before.label, after.label)
    if json_file:
        _write(json_file, orjson.dumps(told, option=orjson.OPT_INDENT_2).decode())
    if markdown:
        _write(markdown, report.markdown(told))
    if junit:
        _write(junit, report.junit(told))
    _show(console, compared, before.label, after.label)
    return exit_code(compared)


def exit_code(compared: Compared) -> int:
    """1: somebody is broken; 4: nobody for certain, but somebody uses what cannot be judged; 0 otherwise."""
    if compared.of(Verdict.SOMEBODY):
        return exits.VIOLATED
    if any(change.concerned for change in compared.of(Verdict.UNJUDGED)):
        return exits.INCONCLUSIVE
    return exits.HOLDS


def to_json(compared: Compared, base: str, head: str) -> dict[str, Any]:
    """The comparison as plain values; the reports are written from this alone."""
    return {
        "base": base,
        "head": head,
        "counts": {verdict.value: len(compared.of(verdict)) for verdict in Verdict},
        "changes": [
            {
                "document": change.document,
                "verdict": change.verdict.value,
                "sentence": change.sentence,
                "where": list(change.where),
                "words": change.words,
                "concerned": [
                    {"consumer": who.consumer, "told": who.told, "interactions": list(who.interactions)}
                    for who in change.concerned
                ],
            }
            for change in compared.changes
        ],
        "remarks": list(compared.remarks),
    }


def _check_consumers(together: tuple[str, ...], *trees: Tree) -> None:
    known = consumers(*trees)
    for consumer in together:
        if consumer not in known:
            raise click.BadParameter(f"no pact of {consumer!r}{nearest(consumer, known)}", param_hint="--together")


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.BadParameter(f"{path} can't be written ({error.strerror})") from error


def _show(console: Console, compared: Compared, base: str, head: str) -> None:
    for change in compared.changes:
        say(console, f"{_mark(change)}  {change.sentence}")
    for remark in compared.remarks:
        say(console, f"Remark: {remark}")
    counts = ", ".join(f"{len(compared.of(verdict))} {verdict.value}" for verdict in Verdict)
    say(console, f"{words.count(len(compared.changes), 'change')} from {base} to {head}: {counts}")


def _mark(change: Judged) -> str:
    if change.verdict is Verdict.SOMEBODY:
        return f"BREAKING for {', '.join(who.consumer for who in change.concerned)}"
    return change.verdict.value
