"""`peakproof contracts diff` over two commits: what it says, what it writes, and how it ends."""

import re
import shutil
import subprocess
from pathlib import Path

import orjson
import pytest
from junitparser import JUnitXml

from peakproof import exits
from peakproof.cli import execute
from tests.contracts.diff.trees import Json, exchange, pact

ROOT = Path(__file__).parent.parent.parent
GUIDE = (ROOT / "docs/contract-changes.md").read_text()
SENTENCE = "wms: POST /releases now requires `carrier`; the integration does not send it"
RELEASE = {
    "release_id": "ful-1",
    "customer_id": "C12346",
    "order_reference": "PO-4711",
    "service": "standard",
    "ship_to": {"name": "Gift Shop", "street": "High Street", "city": "Leeds", "postcode": "LS1 1AA", "country": "GB"},
    "lines": [{"line_no": 1, "sku": "85123A", "quantity": 6}],
}  # fmt: skip


def git(repository: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.com", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *identity, *arguments], cwd=repository, check=True, capture_output=True)


def releasing(body: Json) -> bytes:
    interaction = exchange(sends=body, path="/releases", status=201)
    return orjson.dumps(pact(interaction, consumer="integration", provider="wms"))


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with the product's contracts and one pact on branch main, and with it as working directory."""
    for folder in ("openapi", "events"):
        shutil.copytree(ROOT / "contracts" / folder, tmp_path / "contracts" / folder)
    shutil.copy(ROOT / "contracts/problems.yaml", tmp_path / "contracts")
    (tmp_path / "contracts/pacts").mkdir()
    (tmp_path / "contracts/pacts/integration-wms.json").write_bytes(releasing(RELEASE))
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    commit(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def commit(repository: Path) -> None:
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "--message", "As it stands")


def edit(repository: Path, document: str, *changes: tuple[str, str]) -> None:
    path = repository / "contracts/openapi" / document
    text = path.read_text()
    for old, new in changes:
        assert text.count(old) >= 1, f"{document} has no {old!r}"
        text = text.replace(old, new, 1)
    path.write_text(text)


def guide_edits() -> list[tuple[str, str]]:
    """The guide's diff as replacements: first `required`, then what comes below `properties`."""
    (shown,) = re.findall(r"```diff\n(.*?)```", GUIDE, flags=re.DOTALL)
    old, new, kept, added = (line for line in shown.splitlines())
    return [(f"{old[1:]}\n{kept[1:]}", f"{new[1:]}\n{kept[1:]}\n{added[1:]}")]


def test_the_guides_example(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken, compatible = re.findall(r"```text\n(.*?)```", GUIDE, flags=re.DOTALL)
    edit(repository, "wms.yaml", *guide_edits())
    assert execute(["contracts", "diff", "main"]) == exits.VIOLATED
    assert capsys.readouterr().out == broken
    edit(repository, "wms.yaml", (", carrier]", "]"))
    assert execute(["contracts", "diff", "main"]) == exits.HOLDS
    assert capsys.readouterr().out == compatible


def test_two_commits_and_what_is_written(
    repository: Path, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(repository, "wms.yaml", *guide_edits(), ("  /stock:\n    get:", "  /levels:\n    get:"))
    commit(repository)
    out = tmp_path_factory.mktemp("out")
    told, summary, cases = out / "told.json", out / "summary.md", out / "junit.xml"
    files = ["--json", str(told), "--markdown", str(summary), "--junit", str(cases)]
    assert execute(["contracts", "diff", "main~1", "main", "--quiet", *files]) == exits.VIOLATED
    assert capsys.readouterr().out == ""

    written = orjson.loads(told.read_bytes())
    assert (written["base"], written["head"]) == ("main~1", "main")
    assert written["counts"] == {
        "breaking for somebody": 1,
        "cannot be judged": 0,
        "breaking for nobody": 1,
        "compatible": 1,
    }
    assert written["changes"][0] == {
        "document": "wms",
        "verdict": "breaking for somebody",
        "sentence": SENTENCE,
        "where": ["POST /releases"],
        "words": "now requires `carrier`",
        "concerned": [{"consumer": "integration", "told": "does not send it", "interactions": ["a call for 201"]}],
    }
    assert summary.read_text() == (
        "## ❌ 1 breaking change\n\nContracts from `main~1` to `main`.\n\n"
        f"### ❌ Breaking\n\n- {SENTENCE}  \n  <sub>integration: “a call for 201”</sub>\n\n"
        "### Breaking for nobody\n\n- wms: GET /stock is gone\n\n### Compatible\n\n- wms: GET /levels is new\n"
    )
    (suite,) = JUnitXml.fromfile(str(cases))
    assert (suite.name, suite.tests, suite.failures, suite.errors) == ("wms", 3, 1, 0)
    failed = next(case for case in suite if case.result)
    assert failed.name == SENTENCE
    assert failed.result[0].text == "integration: a call for 201\n\nPOST /releases"


def test_a_consumer_deployed_with_the_change(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(repository, "wms.yaml", *guide_edits())
    (repository / "contracts/pacts/integration-wms.json").write_bytes(releasing({**RELEASE, "carrier": "DHL"}))
    assert execute(["contracts", "diff", "main"]) == exits.VIOLATED
    assert execute(["contracts", "diff", "main", "--together", "integration"]) == exits.HOLDS
    capsys.readouterr()
    assert execute(["contracts", "diff", "main", "--together", "integraton"]) == exits.USAGE
    assert "no pact of 'integraton'; did you mean 'integration'?" in capsys.readouterr().err


def test_a_problem_that_means_something_else(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = repository / "contracts/problems.yaml"
    path.write_text(path.read_text().replace("retryable: false", "retryable: true", 1))
    assert execute(["contracts", "diff", "main"]) == exits.HOLDS
    said = "problems: malformed-json is now retryable: the same request may succeed later"
    assert f"breaking for nobody  {said}\n" in capsys.readouterr().out


def test_nothing_changed(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cases = repository / "junit.xml"
    assert execute(["contracts", "diff", "main", "main", "--junit", str(cases)]) == exits.HOLDS
    none = "0 breaking for somebody, 0 cannot be judged, 0 breaking for nobody, 0 compatible"
    assert capsys.readouterr().out == f"0 changes from main to main: {none}\n"
    (suite,) = JUnitXml.fromfile(str(cases))
    assert [(case.name, case.result) for case in suite] == [("no change", [])]


def test_what_a_consumer_uses_and_nobody_can_judge_is_inconclusive(repository: Path) -> None:
    interaction = exchange(path="/releases", status=201, reads={"parcels": [{"parcel_id": "p"}]})
    used = repository / "contracts/pacts/portal-wms.json"
    used.write_bytes(orjson.dumps(pact(interaction, consumer="portal", provider="wms")))
    edit(
        repository,
        "common.yaml",
        ("pattern: '^[A-Za-z0-9][A-Za-z0-9._:~-]*$'", "pattern: '^[A-Za-z0-9][A-Za-z0-9._-]*$'"),
    )
    assert execute(["contracts", "diff", "main"]) == exits.INCONCLUSIVE
    used.unlink()
    assert execute(["contracts", "diff", "main"]) == exits.HOLDS


def test_directories_need_no_git(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    older = tmp_path_factory.mktemp("older") / "contracts"
    shutil.copytree(repository / "contracts", older)
    edit(repository, "wms.yaml", *guide_edits())
    assert execute(["contracts", "diff", str(older.parent), str(repository / "contracts")]) == exits.VIOLATED


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["man"], "'man' is neither a revision of the git repository "),
        (["--", "--output=/tmp/x"], "'--output=/tmp/x' is neither a revision of the git repository "),
        (["main:contracts"], "'main:contracts' is neither a revision of the git repository "),
        (["main", "--json", "nowhere/told.json"], "nowhere/told.json can't be written (No such file or directory)"),
    ],
)
def test_what_can_be_mended_is_one_sentence(
    repository: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert execute(["contracts", "diff", *arguments]) == exits.USAGE
    assert said in capsys.readouterr().err


def test_a_revision_without_contracts_and_a_document_that_is_none(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (repository / "contracts/openapi/wms.yaml").write_text("paths: [")
    assert execute(["contracts", "diff", "main"]) == exits.USAGE
    told = capsys.readouterr().err
    assert told.startswith("peakproof: contracts/openapi/wms.yaml in the working tree is no YAML: while parsing")
    assert told.count("\n") == 1
    git(repository, "rm", "-r", "--quiet", "--force", "contracts")
    (repository / "README").write_text("Nothing here.")
    commit(repository)
    assert execute(["contracts", "diff", "main", "main~1"]) == exits.USAGE
    assert re.fullmatch(
        r"peakproof: revision 'main' \([0-9a-f]{12}\) has no directory contracts/\n", capsys.readouterr().err
    )


def test_outside_of_a_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert execute(["contracts", "diff", "main"]) == exits.USAGE
    told = capsys.readouterr().err
    assert told.startswith(f"peakproof: {tmp_path} is in no git repository, so 'main' can't be read as a revision; ")
