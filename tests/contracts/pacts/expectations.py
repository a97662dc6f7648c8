"""What consumers expect of providers: each an interaction, and the consumer's own code put to it.

An expectation is declared once and used twice: its test runs the consumer against a mock of the provider that answers
as declared, and the pact file that the provider is held to is written from the same declaration.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from pact import Pact

SPECIFICATION = "V4"
HOST = "127.0.0.1"

# Declares the interaction; gives what the consumer then does, with the client or the inbox that it is given.
Declare = Callable[[Any], Callable[[Any], None]]


@dataclass(frozen=True, eq=False)
class Expectation:
    """One interaction of a pact."""

    consumer: str
    provider: str
    description: str
    state: str
    parameters: Mapping[str, Any]
    kind: str
    declare: Declare
    along: tuple[str, ...] = ()
    """Descriptions of what the client also does of itself, before or after it, which a mock must know, too."""
    connect: Callable[[str], Any] | None = None
    """A client of its own, which does nothing else of itself."""

    def put_into(self, pact: Pact) -> Callable[[Any], None]:
        """Declare it in a pact; gives the consumer's side."""
        upon: Any = pact.upon_receiving(self.description, self.kind)  # type: ignore[call-overload]
        return self.declare(upon.given(self.state, **self.parameters))

    def __str__(self) -> str:
        return f"{self.consumer} of {self.provider}: {self.description}"


@dataclass
class Contract:
    """What one consumer expects of one provider, in the order declared."""

    consumer: str
    provider: str
    connect: Callable[[str], Any]
    """The consumer's client for a provider at a URL."""
    beforehand: str = ""
    """The description of what the client does of itself before anything else."""
    inbox: Callable[[Path], Any] | None = None
    """What takes the consumer's messages; it may keep files in a directory."""
    expectations: list[Expectation] = field(default_factory=list)

    def expects(
        self,
        description: str,
        *,
        given: str,
        kind: str = "HTTP",
        along: tuple[str, ...] = (),
        connect: Callable[[str], Any] | None = None,
        **parameters: Any,
    ) -> Callable[[Declare], Declare]:
        """Add an expectation; `given` and `parameters` are the provider's state."""

        def added(declare: Declare) -> Declare:
            one = Expectation(
                self.consumer, self.provider, description, given, parameters, kind, declare, along, connect
            )
            self.expectations.append(one)
            return declare

        return added

    def new_pact(self) -> Pact:
        return Pact(self.consumer, self.provider).with_specification(SPECIFICATION)

    def try_out(self, expectation: Expectation) -> None:
        """Run the consumer against a mock that answers as expected; an AssertionError or a mismatch when it fails."""
        pact = self.new_pact()
        others = expectation.along if expectation.connect else (self.beforehand, *expectation.along)
        for other in self.expectations:
            if other is not expectation and other.description in others:
                other.put_into(pact)
        use = expectation.put_into(pact)
        connect = expectation.connect or self.connect
        with pact.serve(HOST) as server:
            use(connect(str(server.url)))

    def try_message(self, expectation: Expectation, directory: Path) -> None:
        """Have the consumer's inbox take a message such as it expects."""
        assert self.inbox, f"{self.consumer} takes no messages of {self.provider}"
        inbox, pact = self.inbox(directory), self.new_pact()
        use = expectation.put_into(pact)

        def handle(body: str | bytes | None, metadata: dict[str, object]) -> None:
            assert body, metadata
            inbox.message = body if isinstance(body, bytes) else body.encode()
            use(inbox)

        pact.verify(handle, "Async")

    def write(self, directory: Path) -> Path:
        """Write the pact file, in the same bytes whoever writes it: no version of any tool stays in it."""
        pact = self.new_pact()
        for expectation in self.expectations:
            expectation.put_into(pact)
        pact.write_file(directory, overwrite=True)
        path = directory / f"{self.consumer}-{self.provider}.json"
        document = orjson.loads(path.read_bytes())
        document["metadata"].pop("pactRust", None)
        options = orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
        path.write_bytes(orjson.dumps(document, option=options))
        return path


def write_all(contracts: Sequence[Contract], directory: Path) -> list[Path]:
    """Write all pacts."""
    directory.mkdir(parents=True, exist_ok=True)
    return [contract.write(directory) for contract in contracts]
