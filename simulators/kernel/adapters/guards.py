"""The ways out of a virtual world, closed for the application under test, each with advice.

Raise: real sleeps, threads, processes, sockets, event loops, waits on threads' locks. Answered from the world's clock:
`time.time`, `time.monotonic` and their kin. SQLite connections never wait for a lock in real time, since nobody else
can let go of it meanwhile, and what they hold open is rolled back when their host crashes.

`datetime.now`, `uuid4` and the global `random` can't be told from here: they do not stop a run, they only keep it from
being replayed. `run --twice` shows where.
"""

import asyncio
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import suppress
from functools import partial
from typing import Any
from weakref import WeakSet

from simulators.kernel.adapters.enclosure import Function, Inside, Patch, escape
from simulators.kernel.ports import Clock

_SLEEPS_VIRTUALLY = ("urllib3.util.retry",)
"""Modules whose sleeps are a part of an adapted client."""
_USE_CLIENT = "would leave the world: call partners with requests, httpx or the http port"
_SLEEP = "would stop the whole world: take the clock port and call clock.sleep({us})"
_THREAD = (
    "would run outside of the world's one queue of events: take the tasks port and call tasks.spawn(name, function)"
)
_WAIT = "would stop the whole world: take the tasks port and wait on tasks.signal()"
_LOOP = "waits in real time: write blocking code, the world runs each request and task of it by itself"
_PROCESS = "would run in real time: do the work in the application, or in tasks.spawn(name, function)"


def _sleep(caller: Inside, _original: Function, seconds: float) -> None:
    if sys._getframe(2).f_globals.get("__name__") in _SLEEPS_VIRTUALLY:
        caller.world.sleep(round(seconds * 1_000_000))
        return
    escape(caller, f"time.sleep({seconds:g})", _SLEEP.format(us=f"{round(seconds * 1_000_000):_}"))


def _closed(what: str, advice: str) -> Function:
    def refuse(caller: Inside, _original: Function, *_arguments: Any, **_named: Any) -> None:
        escape(caller, what, advice)

    return refuse


def _clock(is_wall: bool, per_second: int) -> Function:
    """The world's time as a whole number of that many parts of a second, or as float seconds for 1.

    A wall clock shows what the host's own shows, which a fault may have put wrong; a steady one never does.
    """

    def read(caller: Inside, _original: Function) -> float:
        world = caller.world
        now_us = Clock(world, caller.host).now_us() if is_wall else world.now_us()
        return now_us * (per_second // 1_000_000) if per_second > 1 else now_us / 1_000_000

    return read


class _Connection(sqlite3.Connection):
    """A connection that can be weakly kept: sqlite3's own can't."""


def _connect(caller: Inside, original: Function, *arguments: Any, **named: Any) -> sqlite3.Connection:
    """Connect with time-out 0 (positionally the second argument), and roll back when the host crashes."""
    if len(arguments) > 1:
        arguments = (arguments[0], 0.0, *arguments[2:])
    else:
        named["timeout"] = 0.0
    if len(arguments) < 6:
        named.setdefault("factory", _Connection)
    connection: sqlite3.Connection = original(*arguments, **named)
    network = caller.world.network
    life = network.life(caller.host)
    if caller.life is not life:
        caller.life, caller.connections = life, WeakSet()
        network.before_crash(caller.host, partial(_roll_back, caller.connections))
    caller.connections.add(connection)
    return connection


def _roll_back(connections: "WeakSet[sqlite3.Connection]") -> None:
    for connection in connections:  # in any order: each only gives up what it had not committed
        with suppress(sqlite3.ProgrammingError):  # closed long ago
            connection.rollback()


GUARDS: tuple[Patch, ...] = (
    Patch(time, "sleep", _sleep),
    Patch(time, "time", _clock(True, 1)),
    Patch(time, "time_ns", _clock(True, 1_000_000_000)),
    Patch(time, "monotonic", _clock(False, 1)),
    Patch(time, "monotonic_ns", _clock(False, 1_000_000_000)),
    Patch(time, "perf_counter", _clock(False, 1)),
    Patch(time, "perf_counter_ns", _clock(False, 1_000_000_000)),
    Patch(threading.Thread, "start", _closed("threading.Thread.start()", _THREAD)),
    Patch(threading.Condition, "wait", _closed("a wait for another thread", _WAIT)),
    Patch(subprocess.Popen, "__init__", _closed("subprocess.Popen()", _PROCESS)),
    Patch(socket, "create_connection", _closed("socket.create_connection()", _USE_CLIENT)),
    Patch(socket, "getaddrinfo", _closed("socket.getaddrinfo()", _USE_CLIENT)),
    Patch(socket.socket, "connect", _closed("socket.connect()", _USE_CLIENT)),
    Patch(socket.socket, "connect_ex", _closed("socket.connect_ex()", _USE_CLIENT)),
    Patch(asyncio.BaseEventLoop, "run_forever", _closed("an asyncio event loop", _LOOP)),
    Patch(sqlite3, "connect", _connect),
    Patch(sqlite3.dbapi2, "connect", _connect),
)
