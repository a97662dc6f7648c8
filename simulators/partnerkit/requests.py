"""What the contract of a request can't say, but every node must check."""

from collections.abc import Mapping, Sequence
from typing import Any

from contracts.edge import ProblemError


def by_number(rows: Sequence[Mapping[str, Any]], name: str = "line_no", place: str = "/lines") -> dict[Any, Any]:
    """Rows by their number or id, in order; one that is given twice is the problem `invalid-request`."""
    found: dict[Any, Any] = {}
    for position, row in enumerate(rows):
        if row[name] in found:
            detail = f"{name} {row[name]!r} is given twice"
            raise ProblemError("invalid-request", detail, pointer=f"{place}/{position}/{name}")
        found[row[name]] = row
    return found


def same_order(asked: Mapping[str, Any], customer_id: str, order_reference: str) -> None:
    """The problem `invalid-request` unless the request names the order that the resource belongs to."""
    for name, known in (("customer_id", customer_id), ("order_reference", order_reference)):
        if asked[name] != known:
            detail = f"this belongs to {name} {known!r}, not {asked[name]!r}"
            raise ProblemError("invalid-request", detail, pointer=f"/{name}")
