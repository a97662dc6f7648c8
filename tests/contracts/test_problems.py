"""The catalogue says of every problem whether the attempt can still take effect: what `fail` and `info` rest on."""

import pytest

from contracts.errors import UnknownContract
from contracts.problems import CATALOGUE, is_definite, kind_of
from contracts.wire import problem_type

UNCERTAIN = ["request-in-flight", "idempotency-key-reused", "overloaded", "internal-error"]
RETRYABLE = [
    "token-expired",
    "request-in-flight",
    "rate-limited",
    "stale-reference-data",
    "overloaded",
    "internal-error",
]


def test_exactly_these_leave_the_outcome_open() -> None:
    assert [kind.key for kind in CATALOGUE.values() if not kind.definite] == UNCERTAIN


def test_exactly_these_may_succeed_unchanged_later() -> None:
    assert [kind.key for kind in CATALOGUE.values() if kind.retryable] == RETRYABLE


def test_statuses_are_errors_and_texts_are_there() -> None:
    for kind in CATALOGUE.values():
        assert 400 <= kind.status <= 599, kind.key
        assert kind.title, kind.key
        assert kind.description.endswith("."), kind.key
        assert kind.advice.endswith("."), kind.key
        assert kind.example["detail"], kind.key


def test_definiteness_goes_by_type() -> None:
    assert is_definite(problem_type("out-of-stock"))
    assert not is_definite(problem_type("overloaded"))
    assert not is_definite("about:blank")
    assert not is_definite(problem_type("no-such-problem"))


def test_an_unknown_key_names_the_file_to_change() -> None:
    with pytest.raises(UnknownContract, match=r"'gone-fishing' is not in contracts/problems\.yaml"):
        kind_of("gone-fishing")
