"""What all exchanges of a run say together: answers by their schemas, errors as problems, no failure of the server."""

from collections.abc import Sequence

from contracts.validation import Contract
from peakproof.certification.partner import Exchange
from peakproof.certification.session import Finding, Weight

_SHOWN = 3
_EXCUSED = (503, 504)
"""An overload that is told as such is no failure."""


def conformance(contract: Contract, exchanges: Sequence[Exchange]) -> list[Finding]:
    """One finding per operation, one for errors as problems, one for failures of the server."""
    findings = []
    for operation in contract.operations:
        of_it = [each for each in exchanges if each.operation is operation and each.status]
        wrong = [(each.number, said) for each in of_it for said in each.breaches]
        name = f"schema-{operation.operation_id}"
        promise = f"{operation.method} {operation.path} answers as the contract says."
        findings.append(_found(name, promise, len(of_it), wrong, may_be_missed=True))
    errors = [each for each in exchanges if each.status >= 400]
    bad = [(each.number, said) for each in errors for said in each.badly_refused]
    findings.append(
        _found("problem-details", "Every error is a documented problem+json.", len(errors), bad, may_be_missed=True)
    )
    answered = [each for each in exchanges if each.status]
    failed = [(each.number, str(each)) for each in answered if each.status >= 500 and each.status not in _EXCUSED]
    findings.append(_found("no-server-errors", "Nothing makes the partner answer 5xx.", len(answered), failed))
    return findings


def _found(
    name: str, promise: str, examined: int, wrong: Sequence[tuple[int, str]], *, may_be_missed: bool = False
) -> Finding:
    weight: Weight = "blocking"
    if wrong:
        told = "; ".join(dict.fromkeys(said for _, said in wrong[: _SHOWN * 3]))
        evidence = tuple(number for number, _ in wrong[:_SHOWN])
        return Finding(name, promise, weight, may_be_missed, "failed", f"{len(wrong)} of {examined}: {told}", evidence)
    if not examined:
        return Finding(name, promise, weight, may_be_missed, "not run", "no probe called it")
    return Finding(name, promise, weight, may_be_missed, "passed", f"{examined} answers examined")
