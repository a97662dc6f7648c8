"""The reference of errors as Markdown, made from problems.yaml and the OpenAPI documents and nothing else.

`docs/errors.md` holds what it returns; a test compares them.
"""

from contracts.documents import DOCUMENTS
from contracts.problems import CATALOGUE, ProblemKind
from contracts.validation import Contract

_INTRO = (
    "Every error on any wire, made from `contracts/problems.yaml`. An error is RFC 9457 `application/problem+json`;"
    " compare its `type`, not its status. *Retryable*: the same request may succeed later without being changed."
    " *Definite*: the attempt certainly had no effect and never will; of any other, the outcome is unknown until it is"
    " queried, or repeated with the same key."
)


def errors_markdown() -> str:
    """All problems, in the order of the catalogue: an overview, then each with what to do and who answers it."""
    parts = ["# Errors", _INTRO, _overview()]
    parts += [_told(kind) for kind in CATALOGUE.values()]
    return "\n\n".join(parts) + "\n"


def answered_by(key: str) -> dict[str, list[str]]:
    """The operations that may answer a problem, by document."""
    found: dict[str, list[str]] = {}
    for name in DOCUMENTS:
        operations = Contract.load(name).operations
        able = [
            one.operation_id for one in operations if any(key in answer.problems for answer in one.answers.values())
        ]
        if able:
            found[name] = able
    return found


def _overview() -> str:
    rows = ["| problem | status | retryable | definite |", "|---|---|---|---|"]
    rows += [
        f"| [`{kind.key}`](#{kind.key}) | {kind.status} | {_yes(kind.retryable)} | {_yes(kind.definite)} |"
        for kind in CATALOGUE.values()
    ]
    return "\n".join(rows)


def _told(kind: ProblemKind) -> str:
    operations = "\n".join(f"- {name}: {_named(name, able)}" for name, able in answered_by(kind.key).items())
    detail = kind.example["detail"]
    return (
        f"## {kind.key}\n\n{kind.title}. `{kind.type}`, status {kind.status},"
        f" {'retryable' if kind.retryable else 'not retryable'}, {'definite' if kind.definite else 'not definite'}.\n\n"
        f"{kind.description}\n\n**What to do.** {kind.advice}\n\nFor example: {detail}\n\nAnswered by:\n\n{operations}"
    )


def _named(document: str, able: list[str]) -> str:
    every = len(able) == len(Contract.load(document).operations)
    return "every operation" if every else ", ".join(f"`{name}`" for name in able)


def _yes(value: bool) -> str:
    return "yes" if value else "no"
