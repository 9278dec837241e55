"""Random choices that are the same on every machine and in every version of Python."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Draws:
    """Draws that depend on the key alone: SHA-256 of the key and a counter, taken as a number of 256 bits.

    Python promises the sequence of ``random.random()`` only, not what choosing and shuffling make of it.
    """

    def __init__(self, *key: object) -> None:
        self._key = ":".join(map(str, key))
        self._n_drawn = 0

    def below(self, end: int) -> int:
        """A whole number from 0 to ``end`` - 1; each is equally likely to within ``end`` / 2^256."""
        self._n_drawn += 1
        return int.from_bytes(hashlib.sha256(f"{self._key}:{self._n_drawn}".encode()).digest(), "big") % end

    def between(self, first: int, last: int) -> int:
        """A whole number from ``first`` to ``last``, both included."""
        return first + self.below(last - first + 1)

    def number(self, n_digits: int) -> int:
        """A whole number that is written with just so many digits."""
        return self.between(10 ** (n_digits - 1), 10**n_digits - 1)

    def one(self, of: Sequence[T]) -> T:
        """One of several."""
        return of[self.below(len(of))]

    def some(self, of: Sequence[T], n: int) -> list[T]:
        """``n`` different places of a sequence, in random order (the first steps of Fisher and Yates' shuffle)."""
        rest = list(of)
        for i in range(n):
            j = self.between(i, len(rest) - 1)
            rest[i], rest[j] = rest[j], rest[i]
        return rest[:n]

    def shuffled(self, of: Sequence[T]) -> list[T]:
        """All of a sequence, in random order."""
        return self.some(of, len(of))
