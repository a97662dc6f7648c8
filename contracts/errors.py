"""What this package raises.

ContractsError
├── ContractBreach      our own side broke a contract: a bug, never an answer
├── UnknownContract     a document, operation, event type or problem key that is not there
├── PagesUnavailable    what renders pages is not installed; the message names the extra
├── UnreadableContract  a document or pact that can't be read or compared as it stands; a user can mend it
├── MalformedValue      a wire value (timestamp, traceparent) that cannot be read; also a ValueError
├── BadSignature        a webhook that is unsigned, wrongly signed or too old
└── ProblemError        a refusal that goes to the caller as RFC 9457 problem+json
"""

from collections.abc import Mapping


class ContractsError(Exception):
    """Base of every error of the contracts package."""


class ContractBreach(ContractsError):
    """An answer, event or route of ours that its contract does not allow."""


class PagesUnavailable(ContractsError):
    """Pages were asked for, and what renders them is not installed."""


class UnknownContract(ContractsError):
    """Something was asked for by a name that the contracts do not know."""


class UnreadableContract(ContractsError):
    """A document, schema or pact that can't be parsed, or refers to what is not there; the message names the place."""


class MalformedValue(ContractsError, ValueError):
    """A text on the wire that is not what it should be."""


class BadSignature(ContractsError):
    """A webhook whose signature proves nothing; the message says why, for the log."""


class ProblemError(ContractsError):
    """Raise in a handler to answer with a catalogued problem.

    `key` is a key of problems.yaml and gives type, title and status; `detail` is for people and shows the offending
    value; `headers` go onto the answer (Retry-After in whole seconds); `extensions` become members of the body.
    """

    def __init__(self, key: str, detail: str, headers: Mapping[str, str] | None = None, **extensions: object) -> None:
        super().__init__(f"{key}: {detail}")
        self.key = key
        self.detail = detail
        self.headers: dict[str, str] = dict(headers or {})
        self.extensions = extensions
