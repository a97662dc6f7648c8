"""Each provider of the test house keeps what its consumers expect, one case per interaction."""

from functools import cache

import pytest

from peakproof.live.pacts import PACTS, Interaction, read_pacts, registry_of, verify_files
from tests.contracts.pacts.consumers import EXPECTATIONS
from tests.contracts.pacts.expectations import Expectation


@cache
def verified(provider: str) -> dict[tuple[str, str], Interaction]:
    """All interactions of a provider, by consumer and description; each is tried once."""
    pacts = [pact for pact in read_pacts(PACTS) if pact.provider == provider]
    return {(one.consumer, one.description): one for one in verify_files(registry_of(provider), pacts)}


@pytest.mark.parametrize("expectation", EXPECTATIONS, ids=str)
def test_the_provider_keeps_what_is_expected(expectation: Expectation) -> None:
    interaction = verified(expectation.provider)[expectation.consumer, expectation.description]
    assert interaction.differences == ()
    assert interaction.holds
