"""What of the APIs the pacts exercise, so that it can be joined with what other suites do."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from contracts.documents import DOCUMENTS
from contracts.errors import UnknownContract
from contracts.validation import Contract
from peakproof.live.pacts import PACTS, PactError, read_pacts
from scenarios.stage import CONTRACT_OF

Exercised = tuple[str, str, str, int]
"""Document, method, path template and status."""
HTTP = "Synchronous/HTTP"


def document_of(provider: str) -> str:
    """The OpenAPI document of a provider as pacts name it; PactError when it has none."""
    if provider in DOCUMENTS:
        return provider
    if provider not in CONTRACT_OF:
        raise PactError(f"provider {provider!r} has no OpenAPI document: there are {', '.join(DOCUMENTS)}")
    return CONTRACT_OF[provider]


def exercised_by(provider: str, interaction: Mapping[str, Any]) -> Exercised | None:
    """What one interaction of a pact exercises; None for a message. PactError for a call that no document has."""
    if interaction["type"] != HTTP:
        return None
    document, request = document_of(provider), interaction["request"]
    contract = Contract.load(document)
    try:
        operation = contract.operation(request["method"], contract.route_of(request["path"]))
    except UnknownContract as error:
        told = f"{request['method']} {request['path']}"
        raise PactError(f"{interaction['description']!r} calls {told}, which {document}.yaml does not have") from error
    return document, operation.method, operation.path, int(interaction["response"]["status"])


def exercised_by_pacts(directory: Path = PACTS) -> set[Exercised]:
    """Every operation and status that the pacts of a directory exercise."""
    return set(_all(directory))


def _all(directory: Path) -> Iterator[Exercised]:
    for pact in read_pacts(directory):
        for interaction in pact.document["interactions"]:
            found = exercised_by(pact.provider, interaction)
            if found is not None:
                yield found
