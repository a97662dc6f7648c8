"""Tasks: plain blocking code that SimPy resumes.

A task is a greenlet. Waiting parks it and goes back to the hub, the greenlet that steps SimPy; the event's callback
resumes it. Finished greenlets are pooled, because making a fresh one for each task halves the event rate.

    KernelError           the kernel was used wrongly, or a bound was met
      TaskFailed          a task raised; carries the task's name and the virtual time, and fails the run
      EscapedWorld        an application under test did what would leave virtual time: a real sleep, thread or socket

A crash ends the tasks of a host where they stand: they are kept parked (a strong reference, never resumed), so that no
`finally` of theirs can run its effects. Once evidence is closed, `TaskPool.end` unwinds all that is parked: the garbage
collector can't see into a parked greenlet, so a world that is just dropped would stay in memory with all that it holds.
"""

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import greenlet
import simpy

MOST_THROWS = 3
"""A task that swallows what ends it and waits again is told so often, and then left."""


class KernelError(Exception):
    """Something in the kernel, or in how it was used, is wrong. Never the target's fault."""


class TaskFailed(KernelError):
    """A task raised. `name` and `at_us` (Unix microseconds, virtual) say which and when; the cause is chained."""

    def __init__(self, name: str, at_us: int, error: BaseException) -> None:
        super().__init__(name, at_us, error)  # SimPy makes failures anew from their arguments
        self.name = name
        self.at_us = at_us
        self.error = error

    def __str__(self) -> str:
        moment = datetime.fromtimestamp(self.at_us // 1_000_000, UTC).isoformat()
        return (
            f"task {self.name!r} failed at virtual time {moment} ({self.at_us} us):"
            f" {type(self.error).__name__}: {self.error}"
        )


class EscapedWorld(KernelError):
    """An application under test did what only works in real time. Says what, where, and what to do instead."""


class Life:
    """One life of a host, from start to crash. Tasks of a life that has ended are never resumed.

    While it is `paused`, what would go on is kept in `stalled`. `number` counts the lives of a host from 1.
    """

    __slots__ = ("ended", "host", "number", "paused", "stalled")

    def __init__(self, host: str, number: int = 1) -> None:
        self.host = host
        self.number = number
        self.ended = False
        self.paused = False
        self.stalled: list[Callable[[], None]] = []


class Task:
    """One piece of blocking code in the making. `name` says what it is about; `decisions` counts its keyed draws."""

    __slots__ = ("_pool", "decisions", "life", "name", "worker")

    def __init__(self, name: str, life: Life | None, pool: "TaskPool", worker: greenlet.greenlet) -> None:
        self.name = name
        self.life = life
        self.decisions = 0
        self.worker = worker
        self._pool = pool

    def resume(self, event: simpy.Event | None) -> None:
        """Go on, in the hub's step. Does nothing, for ever, once the host of this task has crashed."""
        pool, life = self._pool, self.life
        if life is not None and (life.ended or life.paused):
            if life.ended:
                pool.parked.append(self)
            else:
                life.stalled.append(lambda: self.resume(event))
            return
        pool.current = self
        self.worker.switch(event)
        pool.current = None


class TaskPool:
    """Starts tasks on pooled greenlets and knows which one is running."""

    def __init__(self, env: simpy.Environment) -> None:
        self._env = env
        self._idle: list[greenlet.greenlet] = []
        self._workers: list[greenlet.greenlet] = []
        self.hub: greenlet.greenlet = greenlet.getcurrent()
        self.current: Task | None = None
        self.parked: list[Task] = []

    def start(self, name: str, life: Life | None, function: Callable[..., object], arguments: tuple[Any, ...]) -> None:
        """Run a task now, until its first wait. Must be called from the hub (an event's callback)."""
        worker = self._idle.pop() if self._idle else self._hire()
        task = Task(name, life, self, worker)
        self.current = task
        worker.switch(task, function, arguments)
        self.current = None

    def park(self) -> Any:
        """Leave the running task until its `resume` is called; returns what it was resumed with."""
        return self.hub.switch()

    def running(self) -> Task:
        """The task that is running. KernelError outside of any: only tasks can wait."""
        if self.current is None:
            raise KernelError("only a task can wait: start one with world.spawn(name, function)")
        return self.current

    def end(self) -> None:
        """Unwind every task. Call once, from outside of any, when nothing that they still do can matter."""
        for worker in self._workers:
            for _ in range(MOST_THROWS):
                if worker.dead:
                    break
                self.current = Task("unwound", None, self, worker)  # so that one that waits again comes back here
                with contextlib.suppress(Exception):  # what a `finally` does in a world that has ended
                    worker.throw(greenlet.GreenletExit)
        self.current = None
        self._workers.clear()
        self._idle.clear()
        self.parked.clear()

    def _hire(self) -> greenlet.greenlet:
        worker = greenlet.greenlet(self._work, parent=self.hub)
        self._workers.append(worker)
        return worker

    def _work(self, task: Task, function: Callable[..., object], arguments: tuple[Any, ...]) -> None:
        while True:
            try:
                function(*arguments)
            except BaseException as error:
                self.current = None
                if not isinstance(error, Exception):
                    raise
                failure = error if isinstance(error, TaskFailed) else TaskFailed(task.name, int(self._env.now), error)
                raise failure from error
            self._idle.append(task.worker)
            task, function, arguments = self.hub.switch()
