"""A run directory as the reports see it: `run.json`, read into frozen models, and the evidence as a database.

Errors: ReportError is the one base of this package. Its message names the directory or field and what to do.
"""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

import duckdb
import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from contracts.evidence import open_run

RUN_FILE = "run.json"
COMMAND_FILE = "command.json"
Row = Mapping[str, Any]


class ReportError(Exception):
    """A run directory can't be read, or doesn't hold what was asked of it."""


class _Part(BaseModel):
    """A part of run.json. Fields that reports don't need are kept, so that a newer runner's file is still readable."""

    model_config = ConfigDict(frozen=True, extra="allow")


class Check(_Part):
    """One promise and whether it held.

    `judges` is `target` (the integration) or `simulators`; `reason` says why it is inconclusive or broken.
    `counterexamples` has the first, the worst and the last rows, then the next worst.
    """

    name: str
    holds_when: str = ""
    outcome: Literal["holds", "violated", "inconclusive", "broken"]
    judges: str = "target"
    reason: str = ""
    examined: int = 0
    violations: int = 0
    counterexamples: list[dict[str, Any]] = Field(default_factory=list)
    seconds: float = 0.0


class Metric(_Part):
    """One measurement: a number in `unit` per statistic such as `p(95)`, over all and per group."""

    name: str
    clock: str = ""
    unit: str = ""
    summary: str = ""
    values: dict[str, float | None] = Field(default_factory=dict)
    groups: dict[str, dict[str, float | None]] = Field(default_factory=dict)


class Threshold(_Part):
    """One limit on one metric; `holds` is null when there was nothing to measure."""

    metric: str
    expression: str
    observed: float | None = None
    holds: bool | None = None


class Verdict(_Part):
    outcome: Literal["holds", "violated", "inconclusive", "broken"]
    exit_code: int
    checks: list[Check] = Field(default_factory=list)
    metrics: list[Metric] = Field(default_factory=list)
    thresholds: list[Threshold] = Field(default_factory=list)


class RunFile(_Part):
    """run.json. Times are microseconds since the Unix epoch on the simulated clock."""

    name: str
    seed: int
    scenario: dict[str, Any] = Field(default_factory=dict)
    versions: dict[str, Any] = Field(default_factory=dict)
    started_at_us: int
    load_ended_at_us: int | None = None
    healed_at_us: int | None = None
    quiet_at_us: int | None = None
    ended_at_us: int | None = None
    complete: bool = False
    digest: str = ""
    demand: dict[str, Any] = Field(default_factory=dict)
    verdict: Verdict | None = None


@dataclass(frozen=True)
class Run:
    """One run directory, opened; `rows` answers SQL over the evidence tables of contracts.evidence.

    A context manager: the evidence is read into memory when first asked for, and let go at the end.
    """

    directory: Path
    file: RunFile

    @cached_property
    def evidence(self) -> duckdb.DuckDBPyConnection:
        return open_run(self.directory)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if "evidence" in self.__dict__:
            self.evidence.close()
            del self.__dict__["evidence"]

    def rows(self, sql: str, parameters: list[object] | None = None) -> list[dict[str, Any]]:
        cursor = self.evidence.execute(sql, parameters or [])
        names = [column[0] for column in cursor.description or []]
        return [dict(zip(names, values, strict=True)) for values in cursor.fetchall()]

    @property
    def ended_at_us(self) -> int:
        """The end of the run, or the last moment known of a partial one."""
        known = (self.file.ended_at_us, self.file.quiet_at_us, self.file.healed_at_us, self.file.load_ended_at_us)
        return next((at_us for at_us in known if at_us is not None), self.last_evidence_us)

    @cached_property
    def last_evidence_us(self) -> int:
        found = self.rows(
            "SELECT max(at_us) AS at_us FROM (SELECT at_us FROM ledger UNION ALL SELECT at_us FROM gauges)"
        )
        at_us = found[0]["at_us"]
        return int(at_us) if at_us is not None else self.file.started_at_us

    @property
    def reproduce(self) -> str:
        """The command that plays this run again, ready for a shell; with its overrides if `peakproof run` left them."""
        try:
            words = orjson.loads((self.directory / COMMAND_FILE).read_bytes())
        except (OSError, orjson.JSONDecodeError):
            words = ["peakproof", "run", self.file.name, "--seed", self.file.seed]
        return shlex.join(str(word) for word in words)


def open_directory(directory: Path) -> Run:
    """Reads a run directory. Raises ReportError when it is none, or when run.json can't be understood."""
    path = directory / RUN_FILE
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ReportError(
            f"{directory} is not a run directory: {RUN_FILE} can't be read ({error.strerror}). "
            "Give the directory that `peakproof run` printed."
        ) from error
    try:
        return Run(directory, RunFile.model_validate(orjson.loads(text)))
    except (orjson.JSONDecodeError, ValidationError) as error:
        raise ReportError(f"{path} can't be understood: {_first_problem(error)}. Run the scenario again.") from error


def _first_problem(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(str(part) for part in first['loc']) or 'the file'}: {first['msg']}"
    return str(error)
