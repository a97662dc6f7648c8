"""A capsule: one finding as the smallest story that was found, in one file that replays it.

It holds the explicit plan (a seed's meaning drifts with the code), the versions that played it, the evidence that it
left and the verdict with its counterexample. `replay` plays it again and says whether it is the same to the last event.

CapsuleError(ScenarioError)   a capsule that can't be read, is of another version, or names what this code has not
"""

import base64
import binascii
import platform
import shlex
import tempfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from contracts.evidence import COLUMNS
from integration.bootstrap import Parts
from scenarios.compare import first_difference
from scenarios.errors import ScenarioError, nearest
from scenarios.mutants import MUTANTS
from scenarios.runner import VERSIONED, RunResult, run_scenario
from scenarios.spec import Scenario
from scenarios.verdict import THOROUGH, Effort, Verdict

FORMAT = "peakproof-capsule/1"
MOST_EVIDENCE_BYTES = 4_000_000
"""Compressed evidence above this stays out of the capsule; its digests remain."""
RUN_COPY = "capsule.json"
"""The capsule beside the run that replayed it: reports read it there."""
NEIGHBOUR = "neighbour"
"""The directory, in a replayed run's, of the nearest plan that passed."""


class CapsuleError(ScenarioError):
    """A capsule that can't be used, and why."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Kept(_Part):
    """One kind of evidence: how many rows, the sha256 of the file, and the file itself (zlib, base64) if kept."""

    rows: int
    sha256: str
    lines: str = ""


class Neighbour(_Part):
    """The nearest plan that passed: the same seed, with the difference in words (`without the fault reply-lost`)."""

    said: str
    scenario: dict[str, Any]
    mutant: str | None


class Told(_Part):
    """The story: a headline, and one line per event."""

    headline: str = ""
    lines: tuple[str, ...] = ()


class Capsule(_Part):
    """What capsule files hold. `executions` were needed to shrink from `orders_before` orders and `faults_before`."""

    format: Literal["peakproof-capsule/1"] = "peakproof-capsule/1"
    story: Told
    command: str
    check: str
    kind: str
    counterexample: dict[str, Any]
    seed: int
    mutant: str | None
    app: str | None
    only_orders: tuple[str, ...]
    scenario: dict[str, Any]
    neighbour: Neighbour | None
    executions: int
    orders_before: int
    faults_before: int
    version: str
    versions: dict[str, str]
    verdict: dict[str, Any]
    digest: str
    evidence: dict[str, Kept]

    @property
    def played(self) -> Scenario:
        """The scenario of the capsule. Raises CapsuleError when this code has no such scenario any more."""
        return _scenario(self.scenario)


@dataclass(frozen=True)
class Replay:
    """How a replay compares: `difference` names the first event that is not the same, and is empty when all are."""

    result: RunResult
    digest: str
    difference: str
    found_again: bool

    @property
    def exact(self) -> bool:
        """Same evidence to the last event, and the same check violated by the same kind of counterexample."""
        return not self.difference and self.found_again


def write_capsule(capsule: Capsule, path: Path) -> None:
    """Write a capsule whole or not at all."""
    unfinished = path.with_name(path.name + ".part")
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished.write_bytes(orjson.dumps(capsule.model_dump(mode="json"), option=orjson.OPT_INDENT_2))
    unfinished.replace(path)


def read_capsule(path: Path) -> Capsule:
    """Read a capsule and make sure that it can be played. Raises CapsuleError."""
    try:
        content = orjson.loads(path.read_bytes())
    except OSError as error:
        raise CapsuleError(f"can't be read ({error.strerror}); give the file of a capsule", file=str(path)) from error
    except orjson.JSONDecodeError as error:
        raise CapsuleError(f"is no JSON ({error}); give the file of a capsule", file=str(path)) from error
    found = content.get("format") if isinstance(content, dict) else None
    if found != FORMAT:
        said = f"its format is {found!r}" if found else "it names no format"
        raise CapsuleError(f"no capsule that this version can read: {said}, not {FORMAT!r}", file=str(path))
    try:
        capsule = Capsule.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise CapsuleError(f"not a whole capsule: {place}: {first['msg']}", file=str(path)) from error
    try:
        parts_of(capsule.mutant)
        _scenario(capsule.scenario)
    except ScenarioError as error:
        raise CapsuleError(str(error), file=str(path)) from error
    return capsule


def replay(capsule: Capsule, out: Path) -> Replay:
    """Play a capsule into `out` (and its neighbour below it) and compare it with what the capsule holds."""
    result = play(capsule.played, capsule.seed, out, capsule.mutant, capsule.app)
    play_neighbour(capsule.neighbour, capsule.seed, out, capsule.app)
    write_capsule(capsule, out / RUN_COPY)
    digest = digest_of(out)
    difference = "" if digest == capsule.digest else _difference(capsule, out)
    return Replay(result, digest, difference, is_found(result.verdict, capsule.check, capsule.kind))


def play(
    scenario: Scenario,
    seed: int,
    out: Path,
    mutant: str | None = None,
    app: str | None = None,
    effort: Effort = THOROUGH,
) -> RunResult:
    """One run of the integration, of a mutant of it by name, or of an application by `module:factory`."""
    return run_scenario(scenario, seed, out, parts=parts_of(mutant), effort=effort, app=app, mutant=mutant)


def play_neighbour(neighbour: Neighbour | None, seed: int, out: Path, app: str | None) -> None:
    """Play the plan that passed below the run in `out`, in place of an earlier one."""
    if neighbour is not None:
        (out / NEIGHBOUR / "run.json").unlink(missing_ok=True)
        play(_scenario(neighbour.scenario), seed, out / NEIGHBOUR, neighbour.mutant, app)


def parts_of(mutant: str | None) -> Parts:
    """The parts of a mutant; the product's own for None. Raises CapsuleError for an unknown name."""
    if mutant is None:
        return Parts()
    if mutant not in MUTANTS:
        raise CapsuleError(f"unknown mutant '{mutant}'{nearest(mutant, MUTANTS)}")
    return MUTANTS[mutant].parts()


def is_found(verdict: Verdict, check: str, kind: str) -> bool:
    """Whether a verdict has this check violated by this kind of counterexample, on simulators that kept their rules."""
    return verdict.outcome == "violated" and any(
        result.name == check and any(row["kind"] == kind for row in result.counterexamples) for result in verdict.checks
    )


def digest_of(directory: Path) -> str:
    """The digest of a run's evidence."""
    return str(run_file(directory)["digest"])


def run_file(directory: Path) -> dict[str, Any]:
    """A run's run.json. Raises CapsuleError when there is none."""
    try:
        record = orjson.loads((directory / "run.json").read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise CapsuleError(f"no run that can be read: {error}", file=str(directory)) from error
    assert isinstance(record, dict)
    return record


def kept_evidence(directory: Path) -> dict[str, Kept]:
    """A run's evidence as a capsule keeps it: whole while it is small, else as digests."""
    packed = {
        kind: base64.b64encode(zlib.compress((directory / f"{kind}.ndjson").read_bytes(), 9)).decode()
        for kind in COLUMNS
    }
    small = sum(map(len, packed.values())) <= MOST_EVIDENCE_BYTES
    return {
        kind: Kept(rows=found["rows"], sha256=found["sha256"], lines=packed[kind] if small else "")
        for kind, found in run_file(directory)["evidence"].items()
    }


def replay_command(path: Path) -> str:
    """The one command that replays a capsule."""
    return shlex.join(["peakproof", "replay", str(path)])


def versions() -> dict[str, str]:
    """What plays: Python and the packages on which a run's evidence depends."""
    return {"python": platform.python_version(), **{name: version(name) for name in VERSIONED}}


def summary_of(verdict: Mapping[str, Any]) -> dict[str, Any]:
    """A verdict in short, from run.json: its outcome and how often each violated check was."""
    checks = verdict["checks"]
    return {
        "outcome": verdict["outcome"],
        "exit_code": verdict["exit_code"],
        "violated": {check["name"]: check["violations"] for check in checks if check["outcome"] == "violated"},
    }


def _scenario(plain: Mapping[str, Any]) -> Scenario:
    return Scenario.from_plain(plain)


def _difference(capsule: Capsule, out: Path) -> str:
    """The first event at which the replay parts from the capsule, or the kinds that differ if rows were not kept."""
    if all(kept.lines or not kept.rows for kept in capsule.evidence.values()):
        with tempfile.TemporaryDirectory(prefix="peakproof-capsule-") as scratch:
            for kind, kept in capsule.evidence.items():
                (Path(scratch) / f"{kind}.ndjson").write_bytes(_unpacked(kind, kept))
            found = first_difference(Path(scratch), out)
        if found is not None:
            return str(found)
    rows = run_file(out)["evidence"]
    differing = [
        f"{kind} ({kept.rows} rows, now {rows[kind]['rows']})"
        for kind, kept in capsule.evidence.items()
        if kind in rows and kept.sha256 != rows[kind]["sha256"]
    ]
    return f"the runs part in {', '.join(differing) or 'evidence of other kinds'}"


def _unpacked(kind: str, kept: Kept) -> bytes:
    try:
        return zlib.decompress(base64.b64decode(kept.lines, validate=True)) if kept.lines else b""
    except (binascii.Error, zlib.error) as error:
        raise CapsuleError(
            f"the capsule's evidence of kind '{kind}' is damaged ({error}); get the file anew"
        ) from error
