"""The runs of one process, by name: isolated from each other by base path and credentials."""

import re
from collections.abc import Mapping
from pathlib import Path

from peakproof.live.errors import LiveError
from peakproof.live.recipe import Recipe
from peakproof.live.run import LiveRun
from peakproof.live.secrets import secrets_of

MOST = 20
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


class Runs:
    """Makes runs, finds them and ends them. The one without a name is there from the start."""

    def __init__(self, recipe: Recipe, master: str, environment: Mapping[str, str], directory: Path) -> None:
        self._master = master
        self._environment = environment
        self._directory = directory
        self._runs: dict[str, LiveRun] = {}
        self.first = self._made("", recipe, directory)

    def get(self, name: str) -> LiveRun | None:
        """A run by its name."""
        return self._runs.get(name)

    def all(self) -> list[LiveRun]:
        """All runs, the oldest first."""
        return list(self._runs.values())

    def make(self, name: str, recipe: Recipe) -> LiveRun:
        """Begin one more run. LiveError when its name can't be used, ScenarioError when its scenario can't."""
        if not _NAME.fullmatch(name):
            raise LiveError(f"{name!r} is no name for a run: use up to 40 small letters, digits and dashes")
        if name in self._runs:
            raise LiveError(
                f"there is a run {name!r} already: end it with DELETE /__admin/runs/{name}, or name another"
            )
        if len(self._runs) >= MOST:
            raise LiveError(f"{MOST} runs are all that one process holds: end one with DELETE /__admin/runs/NAME")
        return self._made(name, recipe, self._directory / "runs" / name)

    def end(self, name: str) -> bool:
        """End a run and complete its evidence; False when there is none of that name."""
        run = self._runs.pop(name, None) if name else None
        if run is not None:
            run.close()
        return run is not None

    def close(self) -> None:
        """End them all."""
        for run in self.all():
            run.close()

    def _made(self, name: str, recipe: Recipe, directory: Path) -> LiveRun:
        run = LiveRun(name, recipe, secrets_of(name, self._master, self._environment), directory)
        run.open()
        self._runs[name] = run
        return run
