"""Executors play tasks elsewhere: all of them, only as many as are wanted, and they say what broke.

The functions are at module level, because workers import them.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import closing
from itertools import count, islice
from typing import Any

import distributed
import pytest

from scenarios.errors import ScenarioError
from scenarios.executors import AHEAD, Dask, Executor, ExecutorError, Processes, WorkerLostError


def square(number: int) -> int:
    return number * number


def process_of(_number: int) -> int:
    return os.getpid()


def refuse_three(number: int) -> int:
    if number == 3:
        raise ScenarioError("three can't be used; give another number")
    return number


def end_the_process(_number: int) -> int:
    os._exit(9)


@pytest.fixture(scope="module")
def processes() -> Iterator[Executor]:
    with Processes(2) as executor:
        yield executor


@pytest.fixture(scope="module")
def cluster() -> Iterator[Executor]:
    local_cluster: Any = distributed.LocalCluster
    with (
        local_cluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as local,
        Dask(local.scheduler_address) as executor,
    ):
        yield executor


@pytest.mark.parametrize("kind", ["processes", "cluster"])
def test_every_task_is_played_once_by_another_process(kind: str, request: pytest.FixtureRequest) -> None:
    executor: Executor = request.getfixturevalue(kind)
    assert executor.workers == 2
    assert sorted(executor.map_unordered(square, range(20))) == [number * number for number in range(20)]
    assert list(executor.map_unordered(square, [])) == []
    assert os.getpid() not in list(executor.map_unordered(process_of, range(4)))


@pytest.mark.parametrize("kind", ["processes", "cluster"])
def test_an_endless_stream_is_taken_only_as_far_as_it_is_wanted(kind: str, request: pytest.FixtureRequest) -> None:
    executor: Executor = request.getfixturevalue(kind)
    taken: list[int] = []

    def tasks() -> Iterator[int]:
        for number in count():
            taken.append(number)
            yield number

    with closing(executor.map_unordered(square, tasks())) as results:
        assert len(list(islice(results, 5))) == 5
    assert 5 <= len(taken) <= 5 + executor.workers * AHEAD


@pytest.mark.parametrize("kind", ["processes", "cluster"])
def test_an_exception_in_a_task_is_raised_to_the_caller(kind: str, request: pytest.FixtureRequest) -> None:
    executor: Executor = request.getfixturevalue(kind)
    with pytest.raises(ScenarioError, match="three can't be used"):
        list(executor.map_unordered(refuse_three, [3]))
    assert list(executor.map_unordered(square, [2])) == [4]


def test_a_worker_that_is_killed_is_named_as_the_tools_failure() -> None:
    with Processes(1) as executor, pytest.raises(WorkerLostError, match="before its task did"):
        list(executor.map_unordered(end_the_process, [1]))


def test_a_cluster_that_does_not_answer_says_how_to_start_one() -> None:
    with pytest.raises(ExecutorError, match=r"no Dask scheduler answers at 'tcp://127\.0\.0\.1:9'; start one"):
        Dask("tcp://127.0.0.1:9")


def test_an_address_that_is_none_is_the_users_to_mend() -> None:
    with pytest.raises(ExecutorError, match="'gopher://x'"):
        Dask("gopher://x")


def test_without_the_extra_the_command_to_install_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ExecutorError, match=r"pip install 'peakproof\[dask\]'"):
        Dask("tcp://127.0.0.1:8786")
