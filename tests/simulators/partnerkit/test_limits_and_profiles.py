"""Quotas count exactly on virtual time, and a profile that cannot be used says what is wrong with it."""

from pathlib import Path
from typing import Any

import pytest

from contracts.edge import ProblemError
from simulators.carrier.process import CarrierProfile
from simulators.erp.model import DuplicatePolicy
from simulators.erp.process import ErpProfile
from simulators.partnerkit import (
    BucketSettings,
    ProfileError,
    RateLimit,
    StaticTokens,
    TokenBucket,
    WindowLimit,
    WindowSettings,
    load,
)
from simulators.partnerkit.profile import parse_duration_us

SECOND = 1_000_000


def test_a_window_admits_its_calls_and_says_when_the_oldest_leaves() -> None:
    limit = WindowLimit(WindowSettings(calls=2, per=10 * SECOND))
    assert [limit.admit(0), limit.admit(3 * SECOND), limit.admit(4 * SECOND)] == [0, 0, 6 * SECOND]
    assert limit.admit(10 * SECOND) == 0, "the call at 0 has left the window"
    assert limit.admit(10 * SECOND) == 3 * SECOND, "the call at 3 s is still in it; the refused one did not count"
    assert limit.policy == '"default";q=2;w=10'


def test_a_bucket_has_its_burst_and_then_its_rate() -> None:
    bucket = TokenBucket(BucketSettings(per_second=2, burst=3))
    assert [bucket.admit(0) for _ in range(4)] == [0, 0, 0, 500_000]
    assert bucket.admit(499_999) == 1
    assert bucket.admit(500_000) == 0
    assert [bucket.admit(100 * SECOND) for _ in range(4)] == [0, 0, 0, 500_000], "saved credit ends at the burst"


def test_over_quota_is_a_problem_with_retry_after_for_that_client_alone(caller: Any) -> None:
    limit = RateLimit(caller.world, WindowSettings(calls=1, per=2_500_000))
    limit.check("a")
    with pytest.raises(ProblemError) as refused:
        limit.check("a")
    assert refused.value.key == "rate-limited"
    assert refused.value.headers["Retry-After"] == "3"
    assert refused.value.headers["RateLimit"] == '"default";r=0;t=3'
    limit.check("b")
    assert limit.refused == 1


def test_fixed_tokens_name_their_client_and_refuse_others() -> None:
    tokens = StaticTokens({"token-x": "integration"})
    assert tokens.check("Bearer token-x") == "integration"
    for header in ("", "token-x", "Basic token-x", "Bearer other"):
        with pytest.raises(ProblemError) as refused:
            tokens.check(header)
        assert refused.value.key == "bad-token"


@pytest.mark.parametrize(
    ("text", "expected_us"),
    [("250ms", 250_000), ("90s", 90_000_000), ("1.5h", 5_400_000_000), ("5d", 432_000_000_000), (7, 7)],
)
def test_durations_are_integer_microseconds(text: object, expected_us: int) -> None:
    assert parse_duration_us(text) == expected_us


def test_every_profile_that_is_shipped_loads() -> None:
    assert load(ErpProfile, "midsize").duplicate_policy is DuplicatePolicy.RETURN_EXISTING
    assert load(ErpProfile, "strict").stale_token == "forbidden"
    assert load(ErpProfile, "large").desk.capacity == 32
    parcel, double = load(CarrierProfile, "parcel"), load(CarrierProfile, "double-label")
    assert parcel.travel == double.travel
    assert (parcel.duplicate_policy.value, double.duplicate_policy.value) == ("return_existing", "create_second")


def test_overrides_reach_any_depth_and_leave_the_rest() -> None:
    profile = load(ErpProfile, "midsize", {"desk": {"capacity": 2}, "create": {"median": "3s"}})
    assert (profile.desk.capacity, profile.desk.queue_limit) == (2, 16)
    assert (profile.create.median, profile.create.per_line) == (3_000_000, 20_000)


def test_an_unknown_key_is_named_with_the_nearest_known_one(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("duplicate_polcy: reject\n")
    with pytest.raises(ProfileError, match=r"unknown key 'duplicate_polcy'; did you mean 'duplicate_policy'\?"):
        load(ErpProfile, file)


def test_an_unknown_profile_lists_those_that_there_are() -> None:
    with pytest.raises(ProfileError, match=r"no profile 'huge'.*large, midsize, strict"):
        load(ErpProfile, "huge")
    with pytest.raises(ProfileError, match=r"create\.median = 'soon': .*'soon' is not a duration"):
        load(ErpProfile, "midsize", {"create": {"median": "soon"}})
