"""States are registered once per provider, all of them are used, and one that is not known says what there is."""

import pytest

from peakproof.live.pacts import PACTS, PactError, read_pacts, registry_of
from peakproof.live.provider import Provider
from peakproof.live.states import REGISTRIES
from peakproof.live.states.registry import UnknownState, UnsuitableState


@pytest.mark.parametrize("provider", REGISTRIES)
def test_every_state_is_used_by_a_pact_and_every_pact_names_known_states(provider: str) -> None:
    asked = {
        state["name"]
        for pact in read_pacts(PACTS)
        if pact.provider == provider
        for interaction in pact.document["interactions"]
        for state in interaction["providerStates"]
    }
    assert asked == set(registry_of(provider).states)


def test_every_provider_of_the_pacts_has_a_registry() -> None:
    assert {pact.provider for pact in read_pacts(PACTS)} == set(REGISTRIES)


def test_a_state_that_is_not_known_says_which_is_nearest() -> None:
    with pytest.raises(UnknownState, match="did you mean 'a release was received'"):
        registry_of("wms").find("a release was recieved")


def test_a_provider_that_is_not_known_says_which_there_are() -> None:
    with pytest.raises(PactError, match="did you mean 'carrier'"):
        registry_of("carier")


def test_a_state_that_furnishes_the_house_must_come_first() -> None:
    provider = Provider(registry_of("wms"))
    try:
        provider.set_up("the warehouse stocks 85123A", {})
        with pytest.raises(UnsuitableState, match="name it before every other state"):
            provider.set_up("the client's quota is used up", {})
    finally:
        provider.close()
