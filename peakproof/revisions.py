"""The contracts as they stand in a git revision, in the working tree, or in a directory."""

import io
import subprocess
import tarfile
from pathlib import Path

from contracts.diff.tree import PROBLEMS, Tree
from contracts.errors import UnreadableContract

WORKING_TREE = "the working tree"

_FOLDER = "contracts"
_FOLDERS = ("openapi", "events", "pacts")
_ENDINGS = (".yaml", ".json")


def read_tree(asked: str | None) -> Tree:
    """The contracts of a directory or else of a git revision; None: of the working tree around the working directory.

    A directory is one that holds `openapi/`, or `contracts/` with it. UnreadableContract says what to do instead.
    """
    if asked is None:
        return _directory(_top() / _FOLDER, WORKING_TREE)
    for directory in (Path(asked), Path(asked) / _FOLDER):
        if (directory / _FOLDERS[0]).is_dir():
            return _directory(directory, asked)
    return _revision(asked)


def _directory(directory: Path, label: str) -> Tree:
    if not directory.is_dir():
        raise UnreadableContract(f"{label} has no directory {_FOLDER}/ at {directory.parent}")
    paths = [path for folder in _FOLDERS for path in sorted((directory / folder).rglob("*")) if path.suffix in _ENDINGS]
    paths += [path for path in (directory / PROBLEMS,) if path.is_file()]
    try:
        return Tree(label, {path.relative_to(directory).as_posix(): path.read_bytes() for path in paths})
    except OSError as error:
        raise UnreadableContract(f"{error.filename} can't be read: {error.strerror}") from error


def _revision(asked: str) -> Tree:
    top = _top(asked)
    found = _git(top, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{asked}^{{commit}}")
    if found.returncode:
        raise UnreadableContract(
            f"{asked!r} is neither a revision of the git repository {top} nor a directory of contracts; "
            "a branch that was not fetched is not there: git fetch it first"
        )
    commit = found.stdout.decode().strip()
    archive = _git(top, "archive", "--format=tar", commit, "--", _FOLDER)
    if archive.returncode:
        raise UnreadableContract(f"revision {asked!r} ({commit[:12]}) has no directory {_FOLDER}/")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
        members = [member for member in tar.getmembers() if member.isfile() and member.name.endswith(_ENDINGS)]
        held = {member.name.removeprefix(f"{_FOLDER}/"): tar.extractfile(member) for member in members}
        files = {
            path: content.read()
            for path, content in held.items()
            if content is not None and path.split("/")[0] in (*_FOLDERS, PROBLEMS)
        }
    return Tree(asked, files)


def _top(asked: str = WORKING_TREE) -> Path:
    """The root of the repository that the working directory lies in."""
    here = Path.cwd()
    try:
        found = _git(here, "rev-parse", "--show-toplevel")
    except FileNotFoundError as error:
        raise UnreadableContract(f"git is not installed, so {asked} can't be read; name a directory") from error
    if found.returncode:
        raise UnreadableContract(
            f"{here} is in no git repository, so {asked!r} can't be read as a revision; "
            "run this inside the repository, or name two directories that hold contracts"
        )
    return Path(found.stdout.decode().removesuffix("\n"))


def _git(where: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", "-C", str(where), *arguments], capture_output=True, check=False)
