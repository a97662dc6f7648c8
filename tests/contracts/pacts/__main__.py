"""Writes contracts/pacts anew from the consumers' expectations: `python -m tests.contracts.pacts`."""

from tests.contracts.pacts.consumers import CONTRACTS, PACTS
from tests.contracts.pacts.expectations import write_all

for path in write_all(CONTRACTS, PACTS):
    print(path.relative_to(PACTS.parents[1]))  # noqa: T201
