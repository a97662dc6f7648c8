"""Where many independent runs are played: in processes of this machine, or on a Dask cluster.

Both take tasks as they go, so that an endless stream of them can be given and left when time is up, and both give
results as they come, in no order. Function, tasks and results must be picklable, and small.

ExecutorError (a ScenarioError)     the cluster can't be used
WorkerLostError                     a worker process ended before its task did: the tool's own failure
"""

import signal
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, ProcessPoolExecutor, wait
from importlib import import_module
from itertools import islice
from multiprocessing import get_context
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from scenarios.errors import ScenarioError

CONNECT_TIMEOUT_S = 10
AHEAD = 2
"""Tasks that are handed over per worker at a time: enough that none waits, few enough to stop soon."""

Task = TypeVar("Task")
Result = TypeVar("Result")


class ExecutorError(ScenarioError):
    """The cluster can't be used; the message says how to mend it."""


class WorkerLostError(Exception):
    """A worker process ended before its task did, killed or out of memory."""


class Executor(Protocol):
    """Plays tasks somewhere. Use as a context manager."""

    @property
    def workers(self) -> int:
        """How many tasks are played at once."""
        ...

    def map_unordered(self, function: Callable[[Task], Result], tasks: Iterable[Task]) -> Generator[Result, None, None]:
        """The function's results as they come; tasks are taken from the iterable only as workers need them.

        An exception in a task is raised here. Closing the generator early leaves what has not begun undone.
        """
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Processes:
    """So many processes of this machine. They stay warm: contracts, profiles and addresses are read once in each.

    They are spawned, not forked: a fork would copy a parent's threads (DuckDB's) in the middle of their work.
    """

    def __init__(self, jobs: int) -> None:
        self.workers = jobs
        self._pool = ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_leave_interrupts)

    def map_unordered(self, function: Callable[[Task], Result], tasks: Iterable[Task]) -> Generator[Result, None, None]:
        """See `Executor`."""
        waiting = iter(tasks)
        running: set[Future[Result]] = set()
        try:
            while True:
                for task in islice(waiting, self.workers * AHEAD - len(running)):
                    running.add(self._pool.submit(function, task))
                if not running:
                    return
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        except BrokenExecutor as error:
            raise WorkerLostError("a worker process ended before its task did: it was killed, or out of memory") from (
                error
            )
        finally:
            for future in running:
                future.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)


class Dask:
    """The workers of a Dask cluster, by the address of its scheduler, `tcp://host:8786`.

    Its workers need this version of Peakproof installed. Start them with `--nthreads 1`: a run keeps one processor
    busy.
    """

    def __init__(self, address: str) -> None:
        try:
            distributed: Any = import_module("distributed")  # an extra, and hardly typed
        except ImportError as error:
            raise ExecutorError("a Dask cluster needs the extra 'dask': pip install 'peakproof[dask]'") from error
        self._completed = distributed.as_completed
        try:
            self._client = distributed.Client(address, timeout=CONNECT_TIMEOUT_S, set_as_default=False)
        except (OSError, ValueError) as error:
            raise ExecutorError(
                f"no Dask scheduler answers at {address!r}; start one with `dask scheduler` and give its address"
            ) from error
        self.workers = sum(self._client.nthreads().values())
        if self.workers == 0:
            self._client.close()
            raise ExecutorError(f"the Dask cluster at {address} has no workers; start some: dask worker {address}")

    def map_unordered(self, function: Callable[[Task], Result], tasks: Iterable[Task]) -> Generator[Result, None, None]:
        """See `Executor`."""
        waiting = iter(tasks)

        def submitted(task: Task) -> Any:
            return self._client.submit(function, task, pure=False)

        running = self._completed(
            [submitted(task) for task in islice(waiting, self.workers * AHEAD)], loop=self._client.loop
        )
        try:
            for future in running:
                for task in islice(waiting, 1):
                    running.add(submitted(task))
                result: Result = future.result()
                yield result
        finally:
            self._client.cancel(list(running.futures))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()


def _leave_interrupts() -> None:
    """Ctrl-C reaches the whole group of processes; the parent ends the workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
