"""The story of one order merges what its client, every partner and every wire have to say, in order of time.

Order 3 of the made-up run was released twice after a lost reply; its story must show the fault, both releases and both
shipments, and name the order whichever way it is asked for.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from reports import Run, open_directory
from reports.story import OrderKey, Story, UnknownOrder, find, tell
from tests.reports.fake_run import DAY_START_US, write_fake_run

THE_ORDER = OrderKey("C-003", "PO-0003")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    with open_directory(write_fake_run(tmp_path_factory.mktemp("run"), orders=45)) as opened:
        yield opened


@pytest.fixture(scope="module")
def story(run: Run) -> Story:
    return tell(run, THE_ORDER)


@pytest.mark.parametrize(
    "asked",
    ["PO-0003", "C-003/PO-0003", "ord-000003-9f3a", "TRK000000003", "TRK000000003A", "shp-000003a", "rel-000003"],
)
def test_an_order_is_found_by_any_of_its_names(run: Run, asked: str) -> None:
    assert find(run, asked) == THE_ORDER


def test_an_unknown_order_is_told_with_its_nearest_references(run: Run) -> None:
    with pytest.raises(UnknownOrder, match=r"No order of this run answers to 'PO-00003'\. Did you mean PO-0003\b"):
        find(run, "PO-00003")


def test_a_reference_that_two_customers_use_asks_which_one(tmp_path: Path) -> None:
    directory = write_fake_run(tmp_path, orders=4)
    operations = directory / "operations.ndjson"
    again = operations.read_text().splitlines()[0].replace("C-001", "C-999")
    operations.write_text(operations.read_text() + again + "\n")
    said = r"'PO-0001' names 2 orders: C-001/PO-0001 and C-999/PO-0001\."
    with open_directory(directory) as run, pytest.raises(UnknownOrder, match=said):
        find(run, "PO-0001")


def test_events_stand_in_order_of_time(story: Story) -> None:
    times = [event.at_us for event in story.events]
    assert times == sorted(times)
    assert times[0] >= DAY_START_US


def test_the_client_sees_a_time_out_and_then_a_replay(story: Story) -> None:
    told = [event.text for event in story.events if event.who == "portal"]
    assert told[1] == "gets no answer (time-out after 10 s)"
    assert told[2].endswith("(attempt 2)")
    assert "is told 201 accepted" in told[3]
    assert "a replay of the first answer" in told[3]


def test_the_fault_is_named_where_it_struck(story: Story) -> None:
    struck = [event for event in story.events if event.tone == "fault"]
    assert [(event.who, event.fault) for event in struck] == [("integration", "lost-release-replies")]
    assert struck[0].text == "POST /releases to wms-east → no answer after 10 s, though it was handled"
    assert story.faults[0] == (
        "lost-release-replies (reply lost on integration→wms-east, 09:00 to 14:00) struck this order"
    )


def test_lines_of_one_booking_are_told_together(story: Story) -> None:
    shipped = [event.text for event in story.events if event.text.startswith("ships")]
    assert len(shipped) == 2
    assert all(text.startswith("ships 4 lines of ") for text in shipped)


def test_the_ending_counts_what_the_partners_booked(story: Story) -> None:
    assert story.ending == "invoiced; booked by the partners: 1 ERP order, 2 shipments and 2 invoices"
