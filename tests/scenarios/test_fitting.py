"""A profile carries a file's figures and nothing that names anybody; the product's profile and sample do not drift."""

from pathlib import Path

import pytest

from scenarios.errors import ProfileError
from scenarios.fitting import PROFILES, fit, read_profile, write_profile
from scenarios.orderfile import COLUMNS, read_order_file, read_order_text
from scenarios.samples import SAMPLE, write_sample

PEAK = Path("../shared/data/peak_fortnight_2011-11-11_24.csv.gz")
ROWS = """\
1,1,sale,account,A,2,1.00,2026-11-27T09:30,C1,France
1,2,sale,account,B,5,3.00,2026-11-27T09:30,C1,France
2,1,sale,account,A,2,1.20,2026-11-27T09:36,C1,France
3,1,sale,account,A,1,1.20,2026-11-27T12:00,C2,United Kingdom
3,2,sale,account,A,1,1.20,2026-11-27T12:00,C2,United Kingdom
4,1,sale,web_batch,B,7,3.00,2026-11-28T12:00,,United Kingdom
C1,1,cancel,account,A,-1,1.00,2026-11-28T12:30,C1,France
9,1,adjust,guest,A,-10,0.0,2026-11-28T13:00,,United Kingdom
"""


def test_figures_are_the_files_own() -> None:
    profile = fit(read_order_text(",".join(COLUMNS) + "\n" + ROWS), "tiny", "made up")
    assert (profile.orders, profile.days) == (4, 2)
    assert [hour for hour, orders in enumerate(profile.hours) if orders] == [9, 12]
    assert (profile.hours[9], profile.hours[12]) == (2, 2)
    assert profile.channels["portal"].lines == ((1, 1), (2, 2))
    assert profile.channels["edi"].quantities == ((7, 1),)
    assert profile.channels["marketplace"].orders == 0
    assert profile.skus == (("SKU-0001", 4, 120), ("SKU-0002", 2, 300))
    assert profile.orders_per_customer == ((1, 1), (2, 1))
    assert profile.quick_repeat_share == 0.25
    assert profile.repeated_line_share == 0.25
    assert profile.cancel_invoices_per_order == 0.25
    assert (profile.adjustments_per_day, profile.adjustments) == (0.5, ((-10, 1),))


def test_a_profile_survives_being_written(tmp_path: Path) -> None:
    profile = fit(read_order_text(",".join(COLUMNS) + "\n" + ROWS), "tiny", "made up")
    write_profile(profile, tmp_path / "tiny.json")
    assert read_profile(str(tmp_path / "tiny.json")) == profile


def test_a_profile_that_cannot_be_used_says_so(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match=r"no demand profile 'retail-peek'.*did you mean 'retail-peak'"):
        read_profile("retail-peek")
    for text in ("{", "[]", '{"name": "x"}'):
        broken = tmp_path / "broken.json"
        broken.write_text(text, encoding="utf-8")
        with pytest.raises(ProfileError, match=r"broken\.json: is no demand profile"):
            read_profile(str(broken))
    only_adjusts = ",".join(COLUMNS) + "\n" + ROWS.splitlines()[-1] + "\n"
    with pytest.raises(ProfileError, match="holds no sale rows"):
        fit(read_order_text(only_adjusts), "none", "made up")


def test_the_products_profile_cites_its_source_and_stays_small() -> None:
    profile = read_profile("retail-peak")
    assert "doi 10.24432/C5CG6D, CC BY 4.0" in profile.source
    assert (PROFILES / "retail-peak.json").stat().st_size < 200_000
    assert profile.orders == 1352


@pytest.mark.skipif(not PEAK.exists(), reason=f"{PEAK} is not here: the extracts are not part of the product")
def test_the_products_profile_is_what_the_fit_gives(tmp_path: Path) -> None:
    shipped = read_profile("retail-peak")
    write_profile(fit(read_order_file(PEAK), "retail-peak", shipped.source), tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == (PROFILES / "retail-peak.json").read_bytes()


def test_the_sample_is_what_its_script_writes(tmp_path: Path) -> None:
    write_sample(tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_bytes() == SAMPLE.read_bytes()


def test_the_sample_has_every_kind_of_row() -> None:
    statement = read_order_file(SAMPLE).statement
    assert [name for name in statement if name.startswith("rows_")] == [
        "rows_adjust",
        "rows_baddebt",
        "rows_cancel",
        "rows_left_out",
        "rows_sale",
        "rows_service",
    ]
    assert all(statement[name] > 0 for name in statement if name.startswith("rows_"))
