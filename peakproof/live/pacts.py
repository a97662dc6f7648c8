"""Holds the providers of the test house to the pacts of their consumers, by Pact's own verifier over real HTTP.

PactError       a pact, a provider or a broker that can't be used; the message says what to do
"""

import logging
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import orjson

from contracts.documents import OPENAPI
from peakproof.live.provider import MESSAGES, STATES, Provider, Retell, Trouble, Wrap, as_told, serve, unbroken
from peakproof.live.states import REGISTRIES
from peakproof.live.states.registry import Registry
from scenarios.errors import ScenarioError, nearest

if TYPE_CHECKING:
    from pact import Verifier

PACTS = OPENAPI.with_name("pacts")
"""The pacts of our own consumers."""
HOST = "127.0.0.1"
MISSING = 'Pact is not installed: pip install "peakproof[contracts]"'
_WHERE = {
    "BodyMismatch": "body",
    "HeaderMismatch": "header",
    "MetadataMismatch": "metadata",
    "StatusMismatch": "status",
}
# A broker that has no pact of a provider; whatever follows the URL is a reason why it could not be asked.
_NO_PACTS = re.compile(r"No pacts found for provider '[^']*' matching [^']*in pact broker '[^']*'")
_NOT_PUBLISHED = "Publishing of verification results failed"
_MILLISECONDS = re.compile(r"(\d+)\s*ms")


class PactError(ScenarioError):
    """Something that the user can mend."""


@dataclass(frozen=True)
class Interaction:
    """How one interaction of a pact came out. `differences` are in words; none when it holds.

    A `pending` one does not count against the provider: a broker says which are.
    """

    consumer: str
    provider: str
    description: str
    states: tuple[str, ...]
    holds: bool
    pending: bool
    duration_ms: int
    differences: tuple[str, ...]

    @property
    def counts(self) -> bool:
        """Whether it makes the verification fail."""
        return not self.holds and not self.pending

    def __str__(self) -> str:
        return f"{self.consumer} of {self.provider}: {self.description}"


@dataclass(frozen=True)
class PactFile:
    """One pact as read from a file."""

    path: Path
    consumer: str
    provider: str
    document: Mapping[str, Any]


def registry_of(provider: str) -> Registry:
    """The states of a provider; PactError names those that there are."""
    if provider not in REGISTRIES:
        raise PactError(f"there is no provider {provider!r}{nearest(provider, REGISTRIES)}")
    return REGISTRIES[provider]


def read_pacts(directory: Path) -> list[PactFile]:
    """Every pact of a directory, in order of name. PactError when there is none, or one can't be read."""
    if not directory.is_dir():
        raise PactError(f"{directory} is no directory: name one that holds pact files (*.json)")
    found = [_read(path) for path in sorted(directory.glob("*.json"))]
    if not found:
        raise PactError(f"{directory} holds no pact file (*.json)")
    return found


def _read(path: Path) -> PactFile:
    try:
        document = orjson.loads(path.read_bytes())
        consumer, provider = str(document["consumer"]["name"]), str(document["provider"]["name"])
        version = str(document["metadata"]["pactSpecification"]["version"])
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        why = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise PactError(f"{path} is no pact: {why}") from error
    if not isinstance(document.get("interactions"), list) or not document["interactions"]:
        raise PactError(f"{path} holds no interaction (Pact specification {version})")
    return PactFile(path, consumer, provider, document)


Source = Callable[["Verifier"], object]


def verify_files(
    registry: Registry, pacts: Sequence[PactFile], wrap: Wrap = unbroken, retell: Retell = as_told
) -> list[Interaction]:
    """Hold one provider to pacts. `wrap` and `retell` are for a test that breaks it."""

    def add(verifier: "Verifier") -> None:
        for pact in pacts:
            verifier.add_source(pact.path)

    return verify(registry, add, wrap, retell)


def verify(
    registry: Registry, add_source: Source, wrap: Wrap = unbroken, retell: Retell = as_told
) -> list[Interaction]:
    """Hold one provider to the pacts of a source, each interaction in a test house of its own."""
    provider = Provider(registry, wrap, retell)
    with serve(provider) as url:
        return verify_at(url, registry.provider, add_source, provider.troubles)


def verify_at(url: str, provider: str, add_source: Source, troubles: Sequence[Trouble] = ()) -> list[Interaction]:
    """Hold whatever answers at a URL to the pacts of a source; it must have the doors for states and messages, too."""
    verifier = _verifier_class()(provider, host=HOST)
    verifier.add_transport(url=url)
    verifier.add_transport(protocol="message", port=urlsplit(url).port, path=MESSAGES, scheme="http")
    verifier.state_handler(url + STATES, teardown=True, body=True)
    verifier.set_coloured_output(enabled=False)
    add_source(verifier)
    with _muted(), _listening() as complaints:
        try:
            verifier.verify()
        except RuntimeError:
            _refuse_without_interactions(verifier.results)
    if complaints:
        raise PactError(complaints[0])
    return [_interaction(row, troubles) for row in verifier.results["interactionResults"]]


def _refuse_without_interactions(results: Mapping[str, Any]) -> None:
    """The verifier raises for every failure: one without a single interaction is a source that can't be used."""
    if results["interactionResults"]:
        return
    first = results["errors"][0]
    told = str(first["mismatch"].get("message", "no reason given") if "mismatch" in first else first)
    if _NO_PACTS.fullmatch(told) is None:
        raise PactError(f"no pact could be verified: {told}")


def _verifier_class() -> "type[Verifier]":
    os.environ.setdefault("PACT_DO_NOT_TRACK", "true")  # its library counts its uses over the network otherwise
    try:
        from pact import Verifier  # noqa: PLC0415
    except ImportError as error:
        raise PactError(MISSING) from error
    return Verifier


@contextmanager
def _muted() -> Iterator[None]:
    """The verifier's library writes a report of its own to the process's standard output and error."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(descriptor) for descriptor in (1, 2)]
    with tempfile.TemporaryFile() as sink:
        for descriptor in (1, 2):
            os.dup2(sink.fileno(), descriptor)
        try:
            yield
        finally:
            for descriptor, copy in zip((1, 2), kept, strict=True):
                os.dup2(copy, descriptor)
                os.close(copy)


class _Complaints(logging.Handler):
    """Notes what the verifier only logs, though nothing came of what it was asked to do."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if message.startswith(_NOT_PUBLISHED):
            self.heard.append(message)


@contextmanager
def _listening() -> Iterator[list[str]]:
    logger, handler = logging.getLogger("pact"), _Complaints()
    logger.addHandler(handler)
    try:
        yield handler.heard
    finally:
        logger.removeHandler(handler)


def _interaction(row: Mapping[str, Any], troubles: Sequence[Trouble]) -> Interaction:
    states, description = tuple(row["providerStates"]), str(row["description"])
    mismatch = row.get("mismatch")
    differences = tuple(_differences(mismatch)) if mismatch else ()
    told = tuple(one.reason for one in troubles if one.concerns(description, states)) if mismatch else ()
    found = _MILLISECONDS.search(row.get("duration") or "")
    return Interaction(
        consumer=str(row["consumer"]),
        provider=str(row["provider"]),
        description=description,
        states=states,
        holds=row["result"] == "OK",
        pending=bool(row.get("pending")),
        duration_ms=int(found[1]) if found else 0,
        differences=tuple(dict.fromkeys(told)) or differences,
    )


def _differences(mismatch: Mapping[str, Any]) -> Iterator[str]:
    if mismatch.get("type") != "mismatches":
        yield str(mismatch.get("message", mismatch))
        return
    # The status says most: it comes first.
    for one in sorted(mismatch["mismatches"], key=lambda one: one["type"] != "StatusMismatch"):
        where = _WHERE.get(one["type"], "answer")
        place = one.get("path") or one.get("key") or ""
        yield f"{where} {place}: {one['mismatch']}" if place else f"{where}: {one['mismatch']}"
