"""A run that replayed a capsule tells its story first: a headline, and the order drawn beside the nearest that passed.

The made-up run's order 3 was released and shipped twice after a lost reply; the same run without order 3's trouble does
not exist here, so the run itself stands for its neighbour where only the drawing is looked at.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from reports import Run, html, open_directory
from reports.capsule import CAPSULE_FILE, NEIGHBOUR, tell_run, told_capsule
from reports.headline import headline
from reports.sequence import MOST_STEPS, Step, diagram
from reports.story import OrderKey
from tests.reports.fake_run import write_fake_run

THE_ORDER = OrderKey("C-003", "PO-0003")
ROW = {"kind": "shipped_twice", "customer_id": "C-003", "order_reference": "PO-0003"}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = write_fake_run(tmp_path_factory.mktemp("run"), orders=4)
    shutil.copytree(made, made / NEIGHBOUR)
    capsule = {
        "story": {"headline": "4 orders, 1 lost reply of wms-east, 2 shipments"},
        "check": "at_most_once",
        "kind": "shipped_twice",
        "counterexample": ROW,
        "orders_before": 300,
        "faults_before": 41,
        "executions": 17,
        "neighbour": {"said": "without the fault lost-release-replies"},
    }
    (made / CAPSULE_FILE).write_bytes(orjson.dumps(capsule))
    return made


@pytest.fixture(scope="module")
def run(directory: Path) -> Iterator[Run]:
    with open_directory(directory) as opened:
        yield opened


def steps(run: Run) -> list[Step]:
    return [mark.step for mark in diagram(run, THE_ORDER).marks]


def test_the_headline_counts_orders_strikes_and_what_came_of_it(run: Run) -> None:
    said = headline(run, ROW)
    assert said.startswith("4 orders, ")
    assert said.endswith(", 2 shipments")


def test_a_lost_reply_is_drawn_where_it_was_lost(run: Run) -> None:
    lost = [step for step in steps(run) if step.tone == "lost"]
    assert [(step.source, step.target, step.back, step.fault) for step in lost] == [
        ("wms-east", "integration", True, "lost-release-replies")
    ]


def test_steps_stand_in_order_of_time_and_within_the_drawing(run: Run) -> None:
    drawing = diagram(run, THE_ORDER)
    times = [mark.step.at_us for mark in drawing.marks]
    assert times == sorted(times)
    assert 0 < len(times) <= MOST_STEPS
    assert [name for name, _ in drawing.lanes][:2] == ["portal", "integration"]
    assert all(0 < x < drawing.width for _, x in drawing.lanes)
    assert all(0 < mark.y < drawing.height for mark in drawing.marks)


def test_the_counterexamples_order_comes_first_beside_its_neighbour(run: Run) -> None:
    told = told_capsule(run)
    assert told is not None
    assert told.orders[0].story.key == THE_ORDER
    assert told.orders[0].beside is not None
    assert told.shrunk == "Shrunk from 300 orders and 41 strikes of faults in 17 executions"


def test_the_page_draws_both_and_needs_no_network(run: Run) -> None:
    page = html.render(run)
    story = page[page.index('<section id="story">') : page.index('<section id="played">')]
    assert "4 orders, 1 lost reply of wms-east, 2 shipments" in story
    assert "without the fault lost-release-replies" in story
    assert story.count("<svg") == 6
    assert "http" not in story.replace("POST http", "")


def test_a_run_without_a_capsule_tells_no_such_story(tmp_path: Path) -> None:
    with open_directory(write_fake_run(tmp_path, orders=4)) as plain:
        assert told_capsule(plain) is None
        assert '<section id="story">' not in html.render(plain)


def test_the_story_of_a_run_is_told_line_by_line(directory: Path) -> None:
    said, lines = tell_run(directory, ROW)
    assert said.endswith("2 shipments")
    assert any("[lost-release-replies]" in line for line in lines)
