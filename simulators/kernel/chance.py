"""Keyed chance: every random decision is a hash of (seed, place, key).

Decisions are not drawn from a stream, so taking one order out of a scenario leaves every other order's fate as it was,
and the same decision comes out however tasks interleave. `place` names the decision ("pick-time"), `key` is the
business key that it is about (release and line, attempt).
"""

import math
from collections.abc import Sequence
from hashlib import blake2b
from statistics import NormalDist
from typing import TypeVar

T = TypeVar("T")

_UNIT = 2.0**-53
_NORMAL = NormalDist()


class Chance:
    """Decisions under one seed. Stateless: asking twice gives the same answer."""

    __slots__ = ("_begun", "_secret", "seed")

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._secret = str(seed).encode()[:64]
        self._begun = blake2b(digest_size=8, key=self._secret)

    def __reduce__(self) -> tuple[type["Chance"], tuple[int]]:
        return Chance, (self.seed,)

    def bits(self, place: str, *key: object) -> int:
        """64 evenly distributed bits."""
        text = "\x1f".join([place, *map(str, key)])
        digest = self._begun.copy()  # half the price of a new one with the same key
        digest.update(text.encode())
        return int.from_bytes(digest.digest(), "big")

    def uniform(self, place: str, *key: object) -> float:
        """A number in [0, 1)."""
        return (self.bits(place, *key) >> 11) * _UNIT

    def hit(self, share: float, place: str, *key: object) -> bool:
        """True for a `share` (0 to 1) of all keys."""
        return share > 0.0 and (self.bits(place, *key) >> 11) * _UNIT < share

    def integer(self, low: int, high: int, place: str, *key: object) -> int:
        """An integer from `low` to `high`, both included."""
        return low + self.bits(place, *key) % (high - low + 1)

    def choose(self, options: Sequence[T], place: str, *key: object) -> T:
        """One of the options, each as likely."""
        return options[self.bits(place, *key) % len(options)]

    def lognormal_us(self, median_us: int, sigma: float, place: str, *key: object) -> int:
        """A lognormal duration with this median, cut at three sigma: longer tails are faults and belong in the plan."""
        share = (self.bits(place, *key) >> 11) * _UNIT
        deviate = _NORMAL.inv_cdf(min(max(share, 0.00135), 0.99865))
        return round(median_us * math.exp(sigma * deviate))

    def exponential_us(self, mean_us: int, place: str, *key: object) -> int:
        """An exponential duration with this mean, cut at seven times the mean (one draw in 1,100)."""
        return min(round(-mean_us * math.log(1.0 - self.uniform(place, *key))), 7 * mean_us)

    def hex(self, digits: int, place: str, *key: object) -> str:
        """`digits` hexadecimal digits (at most 64), for identifiers that must look random and replay."""
        text = "\x1f".join([place, *map(str, key)])
        return blake2b(text.encode(), digest_size=32, key=self._secret).hexdigest()[:digits]
