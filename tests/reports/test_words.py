"""Numbers, times and verdicts are said in one way everywhere: with separators and units, on the simulated day."""

from pathlib import Path

import pytest

from reports import open_directory, words
from tests.reports.fake_run import DAY_START_US, HOUR_US, MINUTE_US, write_fake_run


@pytest.mark.parametrize(
    ("after_us", "expected"),
    [
        (0, "00:00"),
        (9 * HOUR_US + 59_999_999, "09:00"),
        (24 * HOUR_US - 1, "23:59"),
        (24 * HOUR_US, "00:00 (D+1)"),
        (51 * HOUR_US + 7 * MINUTE_US, "03:07 (D+2)"),
        (-HOUR_US, "23:00 (D-1)"),
    ],
)
def test_a_moment_is_hours_and_minutes_of_the_simulated_day(after_us: int, expected: str) -> None:
    assert words.clock(DAY_START_US + after_us, DAY_START_US) == expected


def test_a_run_that_starts_in_the_middle_of_a_day_counts_calendar_days() -> None:
    noon_us = DAY_START_US + 12 * HOUR_US
    assert words.clock(noon_us + 13 * HOUR_US, noon_us) == "01:00 (D+1)"
    assert words.clock(noon_us + 1_500_000, noon_us, seconds=True) == "12:00:01"
    assert words.clock(None, noon_us) == words.NOTHING


@pytest.mark.parametrize(
    ("length_us", "expected"),
    [
        (250, "250 µs"),
        (640_000, "640 ms"),
        (4_200_000, "4.2 s"),
        (60 * 1_000_000, "1 min"),
        (200 * 1_000_000, "3 min 20 s"),
        (5 * HOUR_US + 10 * MINUTE_US, "5 h 10 min"),
        (1_234 * HOUR_US, "1,234 h"),
    ],
)
def test_a_duration_has_the_two_units_that_matter(length_us: int, expected: str) -> None:
    assert words.duration(length_us) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(41709, "41,709"), (2000.0, "2,000"), (1234.56, "1,235"), (12.5, "12.5"), (0.0042, "0.0042"), (-3, "-3")],
)
def test_numbers_have_thousands_separators(value: float, expected: str) -> None:
    assert words.number(value) == expected


def test_quantities_follow_their_unit() -> None:
    assert words.quantity(412.0, "ms") == "412 ms"
    assert words.quantity(182.0, "min") == "3 h 2 min"
    assert words.quantity(0.9871, "ratio") == "98.71 %"
    assert words.quantity(31_000, "units") == "31,000"


def test_a_metric_is_said_without_the_unit_in_its_name() -> None:
    assert words.measured("order_ack_ms") == "order ack"
    assert words.measured("order_cycle_hours") == "order cycle"
    assert words.measured("fill_rate") == "fill rate"
    assert words.measured("s") == "s"


def test_listings_count_what_does_not_fit() -> None:
    assert words.listing([]) == ""
    assert words.listing(["a"]) == "a"
    assert words.listing(["a", "b", "c"]) == "a, b and c"
    assert words.listing(["a", "b", "c", "d", "e", "f"]) == "a, b, c and 3 more"


@pytest.mark.parametrize(
    ("outcome", "exit_code", "badge", "headline"),
    [
        ("holds", 0, "Holds", "Every promise held: 6 checks examined 7,404 facts, and all 2 limits were kept."),
        ("holds", 99, "Limits breached", "Every promise held, but 1 limit was breached: fill rate rate>0.99."),
        ("violated", 1, "Violated", "One promise was broken: “at most once”, with 2 counterexamples."),
        (
            "inconclusive",
            4,
            "Inconclusive",
            "Nothing was found broken, but the run proves too little: poison is parked had nothing to examine.",
        ),
        (
            "broken",
            3,
            "Harness broken",
            "The harness itself failed: see “stock conserved”. The rest of this verdict can't be relied on.",
        ),
        (None, 0, "Not judged", "The run was stopped at 06:00 (D+1) of the simulated day, before anything was judged."),
    ],
)
def test_each_outcome_has_one_plain_sentence(
    tmp_path: Path, outcome: str | None, exit_code: int, badge: str, headline: str
) -> None:
    run = open_directory(write_fake_run(tmp_path, outcome=outcome, exit_code=exit_code))
    assert words.BADGES[words.standing(run)] == badge
    assert words.headline(run) == headline


def test_a_check_that_had_nothing_to_examine_is_not_counted_among_those_that_did(tmp_path: Path) -> None:
    run = open_directory(write_fake_run(tmp_path, outcome="holds", exit_code=0))
    verdict = run.file.verdict
    assert verdict is not None
    idle = verdict.checks[0].model_copy(update={"name": "idle", "outcome": "inconclusive", "examined": 0})
    verdict.checks.append(idle)
    assert words.headline(run) == ("Every promise held: 6 checks examined 7,404 facts, and all 2 limits were kept.")


def test_a_group_of_a_metric_is_compared_in_the_unit_of_the_metric(tmp_path: Path) -> None:
    run = open_directory(write_fake_run(tmp_path))
    verdict = run.file.verdict
    assert verdict is not None
    grouped = verdict.thresholds[0].model_copy(update={"metric": "acknowledgement_time{portal}"})
    assert words.observed(verdict, grouped) == "412 ms"
    assert words.observed(verdict, verdict.thresholds[1]) == "0.9871"
