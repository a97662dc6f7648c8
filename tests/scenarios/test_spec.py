"""Scenario files become frozen scenarios; what can't be used is an error with file, line and the nearest valid key."""

from pathlib import Path

import pytest

from scenarios.durations import format_duration, parse_duration
from scenarios.errors import ScenarioError
from scenarios.spec import NODES, PARTNERS, Scenario, catalog, load

HEAD = """\
name: small
summary: A small one
starts_at: 2026-11-27T00:00:00Z
duration: 24h
"""


def write(tmp_path: Path, text: str) -> str:
    file = tmp_path / "small.yaml"
    file.write_text(HEAD + text, encoding="utf-8")
    return str(file)


def complaint(tmp_path: Path, text: str, **overrides: str) -> str:
    with pytest.raises(ScenarioError) as caught:
        load(write(tmp_path, text), {key.replace("__", "."): value for key, value in overrides.items()})
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "duration_us"),
    [("500ms", 500_000), ("90s", 90_000_000), ("20m", 1_200_000_000), ("1.5h", 5_400_000_000), ("5d", 432_000_000_000)],
)
def test_durations_carry_a_unit(text: str, duration_us: int) -> None:
    assert parse_duration(text) == duration_us
    assert parse_duration(format_duration(duration_us)) == duration_us


@pytest.mark.parametrize("text", ["24", 24, "-3s", "h", "1y", None, "401d", True])
def test_a_duration_without_a_readable_unit_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match=r"is not a duration|is longer than 400d"):
        parse_duration(text)


def test_every_scenario_of_the_catalog_loads_and_survives_being_written_back() -> None:
    names = [name for name, _ in catalog()]
    assert names == ["exploration", "flash-sale", "order-file", "ordinary-day", "peak-season"]
    for name in names:
        scenario = load(name)
        assert Scenario.from_plain(scenario.plain()) == scenario


def test_what_is_left_out_has_its_usual_value(tmp_path: Path) -> None:
    scenario = load(write(tmp_path, ""))
    assert scenario.starts_at_us == 1_795_737_600_000_000
    assert scenario.duration_us == 86_400_000_000
    assert tuple(scenario.cast) == PARTNERS
    assert scenario.cast["erp"].profile == "midsize"
    assert tuple(scenario.freshness) == NODES


def test_an_unknown_key_names_its_line_and_the_nearest_key(tmp_path: Path) -> None:
    said = complaint(tmp_path, "demand:\n  orders: 5\n  oppening: {}\n")
    assert said.endswith("small.yaml:7: unknown key 'oppening'; did you mean 'opening'?")


def test_an_unknown_key_in_a_list_names_its_line(tmp_path: Path) -> None:
    text = "faults:\n  - {id: a, kind: outage, host: erp, window: {from: 1h, for: 1m}}\n  - id: b\n    kinds: crash\n"
    assert ":8: unknown key 'kinds'; did you mean 'kind'?" in complaint(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("demand: {orders: -1}\n", 5, "greater than or equal to 0 (got -1)"),
        ("demand: {orders: 99999999}\n", 5, "less than or equal to 1000000"),
        ("demand:\n  channels: {portal: 0.9}\n", 6, "shares of channels sum to 1.1"),
        ("demand:\n  source: file\n", 5, "no file is named"),
        ("demand: {compress: 14}\n", 5, "compress presses the time of a file"),
        ("drain_limit: 5\n", 5, "5 is not a duration"),
        ("cast: {epr: {}}\n", 5, "unknown partner 'epr'; did you mean 'erp'?"),
        ("expects: [fault:gone]\n", None, "no fault has that id"),
        ("expects: [seen:backorders]\n", None, "did you mean 'backorder'?"),
        ("expects: [backorder]\n", None, "write fault:ID or seen:NAME"),
    ],
)
def test_what_makes_no_sense_is_refused_where_it_stands(
    tmp_path: Path, text: str, line: int | None, words: str
) -> None:
    said = complaint(tmp_path, text)
    assert words in said
    assert f"small.yaml:{line}: " in said if line else "small.yaml: " in said


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("{id: a, kind: outige, host: erp}", "unknown kind of fault 'outige'; did you mean 'outage'?"),
        ("{id: a, kind: outage, host: epr, window: {from: 1h, for: 1m}}", "unknown host 'epr'; did you mean 'erp'?"),
        ("{id: a, kind: outage, host: erp}", "needs a window"),
        ("{id: a, kind: outage, edge: [portal, erp]}", "strikes a host; name it with host"),
        ("{id: a, kind: delay, edge: [portl, integration], delay: 3s}", "unknown host 'portl' in edge; did you mean"),
        ("{id: a, kind: delay, edge: [portal, integration]}", "needs a delay"),
        ("{id: a, kind: cut, edge: [integration, portal]}", "nothing listens on 'portal'"),
        ("{id: a, kind: cut, edge: [portal, integration], route: POST /order}", "did you mean 'POST /orders'?"),
        ("{id: a, kind: cut, edge: [wms-east, integration], event: release.shiped}", "did you mean 'release.shipped'?"),
        ("{id: a, kind: cut, edge: [portal, integration], route: /orders}", "'/orders' is not a route"),
        ("{id: a, kind: cut, edge: [portal, integration], select: {nth: [1], share: 0.1}}", "exactly one of"),
        ("{id: a, kind: short_pick, host: threepl, window: {from: 1h, to: 30m}, strength: 0.1}", "'to' is not after"),
        ("{id: a, kind: short_pick, host: threepl, window: {from: 1h, for: 30m}, strength: 3}", "0 to 1"),
        ("{id: a, kind: pause, host: erp, window: {from: 1h, for: 1m}}", "'erp' does not play pause; those who do are"),
        ("{id: a, kind: stale_snapshot, host: carrier, window: {from: 1h, for: 1m}}", "does not play stale_snapshot"),
        ("{id: a, kind: crash, host: erp, at: commit, select: {nth: [1]}}", "'erp' does not play crash"),
        ("{id: a, kind: crash, host: integration, at: commit}", "needs a select"),
        ("{id: a, kind: outage, host: erp, at: commit, select: {nth: [1]}}", "only a crash has a transaction boundary"),
        ("{id: a, kind: unsigned, edge: [threepl, integration]}", "'threepl' sends no webhooks; those who do are"),
        ("{id: a, kind: hold, edge: [portal, integration]}", "needs a window"),
        ("{id: a, kind: swizzle, host: erp, window: {from: 1h, for: 1m}}", "swizzle draws its own edges"),
        ("{id: a, kind: rate_limit, host: erp, window: {from: 1h, for: 1m}}", "rate_limit needs a strength"),
        ("{id: a, kind: clock_skew, host: integration, window: {from: 1h, for: 1m}}", "needs a delay"),
        ("{id: a, kind: pause, host: integration, version: next, window: {from: 1h, for: 1m}}", "no other version"),
        ("{id: a, kind: overlap, host: integration, version: last, window: {from: 1h, for: 1m}}", "'' or 'next'"),
        ("{id: a, kind: delay, edge: [portal, integration], delay: -3s}", "only a clock can be off to that side"),
        ("{id: a, kind: cycle_count, host: erp, window: {from: 1h, for: 1m}}", "those who do are wms-east, wms-west"),
    ],
)
def test_a_fault_that_cannot_be_played_is_refused(tmp_path: Path, fault: str, words: str) -> None:
    said = complaint(tmp_path, f"faults:\n  - {fault}\n")
    assert ":6: " in said
    assert words in said


def test_two_faults_cannot_share_an_id(tmp_path: Path) -> None:
    fault = "{id: a, kind: outage, host: erp, window: {from: 1h, for: 1m}}"
    assert "two faults have the id 'a'" in complaint(tmp_path, f"faults: [{fault}, {fault}]\n")


def test_faults_get_absolute_times(tmp_path: Path) -> None:
    text = (
        "faults:\n"
        "  - {id: away, kind: outage, host: erp, window: {from: 12h, for: 20m}}\n"
        "  - {id: lost, kind: cut, edge: [integration, wms-east], route: POST /releases, select: {nth: [3, 40]}}\n"
    )
    away, lost = load(write(tmp_path, text)).fault_plan(1_000_000, 9_000_000)
    assert (away.from_us, away.to_us) == (43_201_000_000, 44_401_000_000)
    assert (lost.source, lost.target, lost.method, lost.route) == ("integration", "wms-east", "POST", "/releases")
    assert (lost.nth, lost.every, lost.from_us, lost.to_us) == ((3, 40), 0, 1_000_000, 9_000_000)


def test_a_clock_may_be_behind_and_a_crash_may_wait_for_its_transaction(tmp_path: Path) -> None:
    text = (
        "faults:\n"
        "  - {id: behind, kind: clock_skew, host: integration, delay: -90s, window: {from: 1h, for: 1m}}\n"
        "  - {id: torn, kind: crash, host: integration, at: after_commit, select: {nth: [7]}, delay: 10s}\n"
        "  - {id: busy, kind: db_locked, host: integration, select: {share: 0.1}}\n"
    )
    scenario = load(write(tmp_path, text))
    behind, torn, busy = scenario.fault_plan(1_000_000, 9_000_000)
    assert behind.delay_us == -90_000_000
    assert (torn.at, torn.nth, torn.delay_us, torn.from_us, torn.to_us) == (
        "after_commit", (7,), 10_000_000, 1_000_000, 9_000_000
    )  # fmt: skip
    assert (busy.boundary, busy.share) == ("begin", 0.1)
    assert Scenario.from_plain(scenario.plain()) == scenario


def test_overrides_replace_and_add(tmp_path: Path) -> None:
    text = "faults:\n  - {id: away, kind: outage, host: erp, window: {from: 12h, for: 20m}}\n"
    scenario = load(
        write(tmp_path, text),
        {"seed": "7", "demand.clients.timeout": "3s", "faults.away.window.for": "1h", "cast.erp.profile": "strict"},
    )
    assert scenario.seed == 7
    assert scenario.demand.clients.timeout_us == 3_000_000
    assert scenario.faults[0].window is not None
    assert scenario.faults[0].window.for_us == 3_600_000_000
    assert scenario.cast["erp"].profile == "strict"


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("demand__clints__timeout", "3s", "unknown key 'clints'; did you mean 'clients'?"),
        ("faults__awya__host", "erp", "no entry 'awya'; did you mean 'away'?"),
        ("name__x", "1", "'name' holds one value, 'small'"),
        ("demand__orders", "many", "(got 'many')"),
        ("demand__channels__portal", "0.9", "sum to 1.1"),
    ],
)
def test_an_override_that_cannot_be_used_says_which(tmp_path: Path, path: str, value: str, words: str) -> None:
    text = "faults:\n  - {id: away, kind: outage, host: erp, window: {from: 12h, for: 20m}}\n"
    said = complaint(tmp_path, text, **{path: value})
    assert said.startswith(f"--set {path.replace('__', '.')}={value}: ")
    assert words in said


def test_unreadable_files_are_told_apart(tmp_path: Path) -> None:
    assert "small.yaml:6: not valid YAML" in complaint(tmp_path, "demand: [\n")
    with pytest.raises(ScenarioError, match=r"no scenario 'peak-saeson' in the catalog.*did you mean 'peak-season'"):
        load("peak-saeson")
    empty = tmp_path / "empty.yaml"
    empty.write_text("", encoding="utf-8")
    with pytest.raises(ScenarioError, match="holds no mapping"):
        load(str(empty))
