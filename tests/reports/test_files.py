"""Each report file holds what its reader needs: CI what did not pass, programs a stable format, people a page."""

import re
from pathlib import Path

import orjson
import plotly.graph_objects as go  # type: ignore[import-untyped]
import pytest
from junitparser import JUnitXml

from reports import ReportError, open_directory, plots, write_all
from reports.html import metric_cells
from reports.summary import FORMAT
from tests.reports.fake_run import FAULTS, write_fake_run


@pytest.fixture(scope="module")
def violated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = write_fake_run(tmp_path_factory.mktemp("run"), orders=45)
    write_all(directory)
    return directory


def test_all_reports_are_written_into_the_run_directory(tmp_path: Path) -> None:
    paths = write_all(write_fake_run(tmp_path))
    assert [path.name for path in paths] == ["report.html", "junit.xml", "summary.json", "summary.md"]
    assert all(path.stat().st_size > 0 for path in paths)


def test_reports_need_nothing_but_the_evidence_that_there_is(tmp_path: Path) -> None:
    directory = write_fake_run(tmp_path, outcome=None)
    for file in directory.glob("*.ndjson"):
        file.unlink()
    write_all(directory)
    page = (directory / "report.html").read_text()
    assert "Not judged" in page
    assert "This run did not finish" in page


@pytest.mark.parametrize(("content", "said"), [(None, "can't be read"), ("{", "can't be understood"), ("{}", "name: ")])
def test_what_is_no_run_directory_is_refused_with_its_name(tmp_path: Path, content: str | None, said: str) -> None:
    if content is not None:
        (tmp_path / "run.json").write_text(content)
    with pytest.raises(ReportError, match=re.escape(said)) as caught:
        write_all(tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_junit_fails_what_was_violated_and_errs_on_what_proves_nothing(violated: Path) -> None:
    suites = list(JUnitXml.fromfile(str(violated / "junit.xml")))
    results = {case.name: [type(result).__name__ for result in case.result] for suite in suites for case in suite}
    assert results == {
        "idempotent_reply": [],
        "at_most_once": ["Failure"],
        "nothing_lost": [],
        "no_oversell": [],
        "ledgers_agree": [],
        "poison_is_parked": ["Error"],
        "acknowledgement_time p(95)<800": [],
        "fill_rate rate>0.99": ["Failure"],
    }
    text = (violated / "junit.xml").read_text()
    assert "order_reference=PO-0003" in text
    assert "Reproduce: peakproof run peak-season --seed 7" in text


def test_junit_of_a_run_that_was_never_judged_does_not_pass(tmp_path: Path) -> None:
    write_all(write_fake_run(tmp_path, outcome=None))
    suites = list(JUnitXml.fromfile(str(tmp_path / "junit.xml")))
    assert [(suite.tests, suite.errors) for suite in suites] == [(1, 1)]


def test_the_summary_keeps_its_format(violated: Path) -> None:
    summary = orjson.loads((violated / "summary.json").read_bytes())
    assert summary["format"] == FORMAT == "peakproof-summary/1"
    assert list(summary) == [
        "format", "scenario", "seed", "complete", "outcome", "exit_code", "headline", "digest", "reproduce", "checks",
        "thresholds", "metrics", "faults",
    ]  # fmt: skip
    assert summary["outcome"] == "violated"
    assert summary["exit_code"] == 1
    assert summary["checks"][1]["violations"] == 2
    assert summary["thresholds"][1] == {
        "metric": "fill_rate", "expression": "rate>0.99", "observed": 0.9871, "holds": False,
    }  # fmt: skip
    assert [fault["fault"] for fault in summary["faults"]] == [
        "lost-release-replies", "erp-outage", "short-picks", "slow-carrier",
    ]  # fmt: skip


def test_markdown_shows_the_counterexample_and_how_to_reproduce_it(violated: Path) -> None:
    text = (violated / "summary.md").read_text()
    assert text.startswith("## ❌ Violated: peak-season, seed 7\n")
    assert "`customer_id=C-003, order_reference=PO-0003, line_no=1, sku=SKU-003, ordered=6, shipped=12`" in text
    assert "```sh\npeakproof run peak-season --seed 7\n```" in text


def test_the_overrides_of_a_run_are_part_of_its_reproduction(tmp_path: Path) -> None:
    directory = write_fake_run(tmp_path)
    words = [
        *["peakproof", "run", "peak-season", "--seed", "7", "--set", "demand.orders=50", "--set"],
        "summary=two words",
    ]
    (directory / "command.json").write_bytes(orjson.dumps(words))
    assert open_directory(directory).reproduce == (
        "peakproof run peak-season --seed 7 --set demand.orders=50 --set 'summary=two words'"
    )


def test_the_page_is_whole_without_a_network(violated: Path) -> None:
    page = (violated / "report.html").read_text()
    own = page.replace(page[page.index("<script>/**") : page.index("const figures =")], "")
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", own)
    assert "url(" not in own


def test_the_page_tells_the_verdict_the_faults_and_the_story(violated: Path) -> None:
    page = (violated / "report.html").read_text()
    assert "One promise was broken: “at most once”, with 2 counterexamples." in page
    assert all(fault["fault"] in page for fault in FAULTS)
    assert "The story of C-003/PO-0003" in page
    assert "What this run can't show" in page


def test_hostile_text_in_evidence_stays_text(tmp_path: Path) -> None:
    directory = write_fake_run(tmp_path)
    run_file = directory / "run.json"
    hostile = b"<script>alert(1)</script>"
    run_file.write_bytes(run_file.read_bytes().replace(b"SKU-003", hostile))
    faults = directory / "faults.ndjson"
    faults.write_bytes(faults.read_bytes().replace(b"erp-outage", hostile))
    write_all(directory)
    page = (directory / "report.html").read_text()
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert(1)" not in page


def test_a_measurement_shows_the_statistics_that_mean_something_in_its_unit() -> None:
    samples = {"count": 2.0, "rate": 0.5, "avg": 0.5, "med": 0.5, "p(50)": 0.5, "p(95)": 0.95, "max": 1.0}
    assert metric_cells(samples, "share") == [("count", "2"), ("rate", "50 %")]
    assert [name for name, _ in metric_cells(samples, "ms")] == ["count", "avg", "p(50)", "p(95)", "max"]
    assert metric_cells({}, "ms") == []


def test_every_chart_is_valid_and_bands_lie_at_the_fault_windows(violated: Path) -> None:
    with open_directory(violated) as run:
        charts = plots.charts(run, plots.fault_bands(run))
    assert [chart.key for chart in charts] == [
        "open-orders", "progress", "acknowledgement", "queues", "stock", "utilization", "people", "waiting",
    ]  # fmt: skip
    for chart in charts:
        go.Figure(chart.figure)
        spans = [(shape["x0"], shape["x1"]) for shape in chart.figure["layout"]["shapes"]]
        assert spans[1] == ("2026-11-27T11:00:00", "2026-11-27T11:30:00")
        assert len(spans) == len(FAULTS)


def test_a_fault_that_was_in_force_all_along_is_listed_but_not_shaded(tmp_path: Path) -> None:
    directory = write_fake_run(tmp_path, orders=4)
    faults = directory / "faults.ndjson"
    rows = [orjson.loads(line) for line in faults.read_bytes().splitlines()]
    rows[0]["to_us"] = None
    faults.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    with open_directory(directory) as run:
        bands = plots.fault_bands(run)
        shapes = plots.charts(run, bands)[0].figure["layout"]["shapes"]
    assert [band.number for band in bands] == [1, 2, 3, 0]
    assert bands[-1].fault == rows[0]["fault"]
    assert len(shapes) == 3


def test_orders_through_the_stages_end_at_the_number_of_orders(violated: Path) -> None:
    with open_directory(violated) as run:
        progress = next(chart for chart in plots.charts(run, []) if chart.key == "progress")
    assert {trace["name"]: trace["y"][-1] for trace in progress.figure["data"]} == dict.fromkeys(
        ("accepted", "booked", "released", "shipped", "invoiced"), 45.0
    )
