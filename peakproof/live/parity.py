"""One scenario in both clocks: what must be the same, and what may differ by how much.

The same: the verdict of each check, and what is conserved (orders accepted and booked, units shipped, money invoiced).
Alike: shares, within bounds that repeats of tests/end_to_end/parity-day.yaml gave. Latencies are left out: they are not
the same thing in both.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from contracts.evidence import open_run

CONSERVED = {
    "orders accepted": "SELECT count(DISTINCT (customer_id, order_reference)) FROM operations"
    " WHERE operation = 'place_order' AND outcome = 'ok'",
    "orders booked": "SELECT count(*) FROM ledger WHERE kind = 'order_booked'",
    "lines booked": "SELECT count(*) FROM ledger WHERE kind = 'order_line'",
    "units shipped": "SELECT coalesce(-sum(quantity), 0) FROM ledger WHERE kind = 'shipped'",
    "units confirmed to the ERP": "SELECT coalesce(sum(quantity), 0) FROM ledger WHERE kind = 'shipment_confirmed'",
    "money invoiced, before tax": "SELECT coalesce(sum(amount_minor), 0) FROM ledger WHERE kind = 'invoiced'",
}
RATIOS = {
    "share of units confirmed at acceptance": "SELECT sum(p.confirmed) / sum(p.ordered) FROM"
    " (SELECT unnest(answer_lines) AS p FROM operations"
    " WHERE operation = 'place_order' AND outcome = 'ok' AND NOT replayed)",
    "share of units shipped by wms-east": "SELECT coalesce(sum(quantity) FILTER (partner = 'wms-east')"
    " / sum(quantity), 0) FROM ledger WHERE kind = 'shipped'",
    "share of lines found short": "SELECT count(*) FILTER (kind = 'short') / greatest(count(*) FILTER"
    " (kind = 'release_accepted'), 1) FROM ledger",
    "shipments per order": "SELECT count(DISTINCT shipment_id)"
    " / greatest(count(DISTINCT (customer_id, order_reference)), 1) FROM ledger WHERE kind = 'shipped'",
}
BOUNDS = {
    "share of units confirmed at acceptance": 0.0,
    "share of units shipped by wms-east": 0.02,
    "share of lines found short": 0.015,
    "shipments per order": 0.05,
}
"""How far a ratio may be from that in virtual time: see docs/real-time.md for the repeats."""


@dataclass(frozen=True)
class Difference:
    """Something that is not the same in both; `within` its bounds, or beyond them."""

    what: str
    virtual: str
    real: str
    within: bool

    def __str__(self) -> str:
        return f"{self.virtual} in virtual time, {self.real} in real time" + ("" if self.within else ": beyond bounds")


def compare(virtual: Path, real: Path) -> list[Difference]:
    """All differences between two runs of one scenario, those beyond their bounds first."""
    found = [*_outcomes(virtual, real), *_measured(virtual, real)]
    return sorted(found, key=lambda difference: difference.within)


def _outcomes(virtual: Path, real: Path) -> list[Difference]:
    one, other = (
        {
            check["name"]: check["outcome"]
            for check in orjson.loads((run / "run.json").read_bytes())["verdict"]["checks"]
        }
        for run in (virtual, real)
    )
    names = [name for name in sorted({**one, **other}) if one.get(name) != other.get(name)]
    return [Difference(name, str(one.get(name)), str(other.get(name)), within=False) for name in names]


def _measured(virtual: Path, real: Path) -> list[Difference]:
    queries = {**CONSERVED, **RATIOS}
    one, other = (_values(run, list(queries.values())) for run in (virtual, real))
    found = []
    for name, mine, its in zip(queries, one, other, strict=True):
        if mine != its:
            within = abs(mine - its) <= BOUNDS.get(name, 0.0) + 1e-9
            found.append(Difference(name, f"{mine:.10g}", f"{its:.10g}", within and name in BOUNDS))
    return found


def _values(run: Path, queries: Sequence[str]) -> list[float]:
    database = open_run(run)
    try:
        rows = [database.execute(query).fetchone() for query in queries]
        return [float(row[0] or 0) if row else 0.0 for row in rows]
    finally:
        database.close()
