"""The offset of another machine's clock: the quickest answer is believed, and how wrong it may be is known."""

from collections.abc import Iterator
from itertools import cycle

from loadtests.clocks import LOOKS, SAME, Offset, offset

AHEAD_US = 5_000_000


class Link:
    """Two clocks, and a way between them that takes so long there and back."""

    def __init__(self, *trips: tuple[int, int]) -> None:
        self._trips: Iterator[tuple[int, int]] = cycle(trips)
        self.now = 0
        self.asked = 0

    def now_us(self) -> int:
        return self.now

    def ask(self) -> int:
        there_us, back_us = next(self._trips)
        self.asked += 1
        self.now += there_us
        told_us = self.now + AHEAD_US
        self.now += back_us
        return told_us


def test_an_even_way_tells_the_offset_exactly() -> None:
    link = Link((100, 100))
    assert offset(link.ask, link.now_us) == Offset(AHEAD_US, 100)
    assert link.asked == LOOKS


def test_the_quickest_answer_counts() -> None:
    link = Link((90_000, 10), (20, 30), (10, 90_000))
    measured = offset(link.ask, link.now_us)
    assert measured.unsure_us == 25
    assert abs(measured.ahead_us - AHEAD_US) <= measured.unsure_us


def test_an_uneven_way_is_off_by_no_more_than_it_says() -> None:
    for trip in ((0, 400), (400, 0), (1, 0), (37, 112)):
        link = Link(trip)
        measured = offset(link.ask, link.now_us)
        assert abs(measured.ahead_us - AHEAD_US) <= measured.unsure_us


def test_what_clocks_drift_meanwhile_counts() -> None:
    assert Offset(1_000, 50).bound_us(Offset(1_000, 20)) == 50
    assert Offset(1_000, 50).bound_us(Offset(-3_000, 20)) == 4_020
    assert SAME.bound_us(SAME) == 0
