"""The enclosure: functions of the standard library and of HTTP clients, replaced for the tasks of one host.

A replacement asks `inside()` who calls. A task of an enclosed host gets the world's version, all other code of the
process (partners, the runner, other threads) the original. Patches are put in when the first enclosure opens and taken
out when the last one closes.
"""

import sqlite3
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, wraps
from pathlib import Path
from sysconfig import get_paths
from threading import RLock
from types import FrameType
from typing import Any, NoReturn
from weakref import WeakSet

import greenlet

from simulators.kernel.tasks import EscapedWorld, Life
from simulators.kernel.world import World

Function = Callable[..., Any]
_OURS = str(Path(__file__).parents[2])
_LIBRARIES = tuple(get_paths()[name] for name in ("stdlib", "platstdlib", "purelib", "platlib"))


@dataclass(eq=False)
class Inside:
    """The world and the host whose task is calling, and the database connections that its present life opened."""

    world: World
    host: str
    life: Life | None = None
    connections: "WeakSet[sqlite3.Connection]" = field(default_factory=WeakSet)


@dataclass(frozen=True)
class Patch:
    """`replacement(inside, original, *arguments, **named)` serves calls to `owner.name` from enclosed tasks."""

    owner: Any
    name: str
    replacement: Function


_open: list[Inside] = []
_holds: list[Inside | None] = []
_originals: list[tuple[Patch, bool, Any]] = []
_lock = RLock()  # worlds in several threads of a worker process may open and close at once


def inside() -> Inside | None:
    """Whose task is calling; None for code that no world encloses."""
    here = greenlet.getcurrent()
    for entry in _open:
        task = entry.world.tasks.current
        if task is not None and task.worker is here and task.life is not None and task.life.host == entry.host:
            return entry
    return None


@contextmanager
def enclosed(patches: Sequence[Patch], entry: Inside | None = None) -> Iterator[None]:
    """Hold the patches. Without an entry they are only there to be bound, by `from time import sleep` say."""
    with _lock:
        if entry is not None:
            _open.append(entry)
        _holds.append(entry)
        if len(_holds) == 1:
            _put_in(patches)
    try:
        yield
    finally:
        with _lock:
            if entry is not None:
                _open.remove(entry)
            _holds.pop()
            if not _holds:
                _take_out()


def _put_in(patches: Sequence[Patch]) -> None:
    for patch in patches:
        own = patch.name in vars(patch.owner)
        original = getattr(patch.owner, patch.name)
        _originals.append((patch, own, vars(patch.owner).get(patch.name)))
        setattr(patch.owner, patch.name, _replaced(patch, original))


def _take_out() -> None:
    while _originals:
        patch, own, original = _originals.pop()
        if own:
            setattr(patch.owner, patch.name, original)
        else:
            delattr(patch.owner, patch.name)


@cache
def _replaced(patch: Patch, original: Function) -> Function:
    """One for ever per patch, so that what a module has bound stays good in later worlds."""

    @wraps(original)
    def call(*arguments: Any, **named: Any) -> Any:
        caller = inside()
        if caller is None:
            return original(*arguments, **named)
        return patch.replacement(caller, original, *arguments, **named)

    return call


def escape(caller: Inside, what: str, advice: str) -> NoReturn:
    """Raise EscapedWorld at the call site, and end the run even where the application swallows it."""
    error = EscapedWorld(f"{what} at {_call_site()} {advice}")
    caller.world.fail(error)
    raise error


def _call_site() -> str:
    """The nearest line that is neither ours nor a library's; where there is none, the nearest of a library."""
    frame: FrameType | None = sys._getframe(1)
    nearest = ""
    while frame is not None:
        file, place = frame.f_code.co_filename, f"{frame.f_code.co_filename}:{frame.f_lineno}"
        if not file.startswith((_OURS, *_LIBRARIES, "<")):
            return place
        nearest = nearest or ("" if file.startswith(_OURS) else place)
        frame = frame.f_back
    return nearest or "an unknown place"
