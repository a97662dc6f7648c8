"""The worked example of docs/your-own-integration.md: a bug that some seeds show, its mended version, and the command
line with each ending. The example imports nothing of ours."""

import ast
import re
import sys
from pathlib import Path

import orjson
import pytest

from peakproof import exits
from peakproof.cli import execute
from scenarios.application import OFFERED
from scenarios.capsule import read_capsule
from scenarios.compare import first_difference
from scenarios.runner import RunResult, run_scenario
from scenarios.spec import load

EXAMPLES = Path(__file__).parents[2] / "docs/examples"
SCENARIO = EXAMPLES / "corner_shop/scenario.yaml"
OURS = {"contracts", "simulators", "integration", "scenarios", "reports", "peakproof", "loadtests", "tests"}
SEEDS_TO_FIND_IT = 10
Output = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def in_the_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(EXAMPLES)
    monkeypatch.syspath_prepend(str(EXAMPLES))


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> tuple[int, RunResult]:
    """The first seed that shows the bug, and its run."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(EXAMPLES)
        monkeypatch.syspath_prepend(str(EXAMPLES))
        for seed in range(1, SEEDS_TO_FIND_IT + 1):
            result = play("create_app", seed, tmp_path_factory.mktemp(f"seed{seed}") / "run")
            if result.exit_code:
                return seed, result
    raise AssertionError(f"no seed up to {SEEDS_TO_FIND_IT} shows the bug")


def play(factory: str, seed: int, directory: Path) -> RunResult:
    return run_scenario(load(str(SCENARIO)), seed, directory, app=f"corner_shop:{factory}")


def violated(result: RunResult) -> list[str]:
    return [check.name for check in result.verdict.checks if check.outcome == "violated"]


def test_the_example_imports_nothing_of_ours() -> None:
    files = sorted((EXAMPLES / "corner_shop").glob("*.py"))
    assert len(files) == 5
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [str(node.module)]
            assert not OURS.intersection(name.partition(".")[0] for name in names), file


def test_the_page_names_every_parameter_and_its_code_can_be_copied() -> None:
    page = (EXAMPLES.parent / "your-own-integration.md").read_text()
    table = page[page.index("| parameter |") : page.index("`factory(ports, settings)` works")]
    assert sorted(set(re.findall(r"`([a-z_]+)`", table.split("|---|---|")[1])) & set(OFFERED)) == sorted(OFFERED)
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 4
    for block in blocks:
        compile(block, "your-own-integration.md", "exec")


def test_some_seed_shows_the_bug_by_its_own_check(found: tuple[int, RunResult]) -> None:
    seed, result = found
    assert seed > 1  # the first ones pass: one run would have told nothing
    assert result.exit_code == 1
    (check,) = (entry for entry in result.verdict.checks if entry.name == "at_most_once")
    assert check.counterexamples[0]["kind"] == "released_twice"


def test_the_mended_shop_holds_under_the_same_seed(found: tuple[int, RunResult], tmp_path: Path) -> None:
    result = play("create_mended_app", found[0], tmp_path / "run")
    assert (result.exit_code, violated(result)) == (0, [])
    rows = [orjson.loads(line) for line in (tmp_path / "run/faults.ndjson").read_bytes().splitlines()]
    assert ("release-reply-lost", "strike") in [(row["fault"], row["event"]) for row in rows]


def test_an_application_replays(found: tuple[int, RunResult], tmp_path: Path) -> None:
    seed, result = found
    for name in [name for name in sys.modules if name.partition(".")[0] == "corner_shop"]:
        del sys.modules[name]
    play("create_app", seed, tmp_path / "again")
    assert first_difference(result.directory, tmp_path / "again") is None


def test_run_tells_the_verdict_and_how_to_see_it_again(
    found: tuple[int, RunResult], tmp_path: Path, capsys: Output
) -> None:
    arguments = ["run", "corner_shop/scenario.yaml", "--seed", str(found[0]), "--app", "corner_shop:create_app"]
    assert execute([*arguments, "--out", str(tmp_path / "run")]) == exits.VIOLATED
    said = capsys.readouterr().out
    assert "at_most_once" in said
    assert f"Reproduce  peakproof {' '.join(arguments)}" in said


def test_explore_shrinks_what_it_finds_to_a_capsule_that_replays(
    found: tuple[int, RunResult], tmp_path: Path, capsys: Output
) -> None:
    asked = ["corner_shop/scenario.yaml", "--app", "corner_shop:create_app", "--set", "checks=[nothing_lost]"]
    begun = ["--from", str(found[0]), "--seeds", "1", "--jobs", "1", "--out", str(tmp_path / "explored")]
    assert execute(["explore", *asked, *begun]) == exits.VIOLATED
    (file,) = (tmp_path / "explored").glob("*.capsule.json")
    capsule = read_capsule(file)
    assert (capsule.app, capsule.mutant, capsule.check) == ("corner_shop:create_app", None, "nothing_lost")
    assert (capsule.orders_before, len(capsule.only_orders)) == (16, 1)
    assert capsule.story.headline.startswith("1 order, 1 lost reply of wms-east")
    assert capsule.neighbour is not None
    assert capsule.neighbour.said == "without the fault release-reply-lost"
    capsys.readouterr()
    assert execute(["replay", str(file), "--out", str(tmp_path / "again")]) == exits.VIOLATED
    assert f"Same       to the last event: {capsule.digest}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("app", "said"),
    [
        ("corner_shop:creat_app", "corner_shop has no 'creat_app'"),
        ("scenarios.runner:run_scenario", "shadowed by the package 'scenarios'"),
        ("sleepy:create_app", "time.sleep(3)"),
    ],
)
def test_an_application_that_can_not_be_judged_ends_with_exit_2_and_advice(
    app: str, said: str, tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sleepy.py").write_text("import time\ndef create_app():\n    time.sleep(3)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    arguments = ["run", str(SCENARIO), "--app", app, "--out", str(tmp_path / "run")]
    assert execute(arguments) == exits.USAGE
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("peakproof: --app")
    assert said in last


def test_an_application_that_answers_nothing_useful_is_judged_not_the_tool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sick_shop.py").write_text(
        "def create_app():\n    def app(environ, start_response):\n        raise RuntimeError('sick')\n    return app\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    result = run_scenario(load(str(SCENARIO)), 1, tmp_path / "run", app="sick_shop:create_app")
    assert result.exit_code == 1
    assert "everything_ends" in violated(result)
    assert "RuntimeError: sick" in (tmp_path / "run/integration.log").read_text()
