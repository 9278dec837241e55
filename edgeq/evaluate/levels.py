"""How hard a task should be: where the reference is right often enough, and wrong often enough, to see a difference."""

from __future__ import annotations

# Shares of right answers between which a level can tell models apart.
_LOWEST = 0.30
_HIGHEST = 0.95
_OVER_CHANCE = 0.10
MOST_PROBES = 4


class Search:
    """A bisection over levels, whose accuracy falls, for the one closest to the middle of what can tell models apart.

    Ask for ``level`` and `tell` what it gave, until there is none left to try; then ``best`` is the level to take.
    """

    def __init__(self, n_levels: int, chance: float) -> None:
        self._middle = (max(_LOWEST, chance + _OVER_CHANCE) + _HIGHEST) / 2
        self._low, self._high = 0, n_levels - 1
        self._found: dict[int, float | None] = {}

    @property
    def level(self) -> int | None:
        """The next level to try. A task with one level has nothing to search."""
        alone = self._low == self._high == 0 and not self._found
        if alone or self._low > self._high or len(self._found) == MOST_PROBES:
            return None
        return (self._low + self._high) // 2

    def tell(self, accuracy: float | None) -> None:
        """What ``level`` gave, a share of 1; None where its items are too long for the model."""
        level = self.level
        assert level is not None
        self._found[level] = accuracy
        if accuracy is not None and accuracy > self._middle:
            self._low = level + 1
        else:
            self._high = level - 1

    @property
    def best(self) -> int | None:
        """The level that came closest, of equals the last one tried; None where all that were tried are too long."""
        if not self._found:
            return 0
        distance = {n: abs(a - self._middle) for n, a in self._found.items() if a is not None}
        return min(reversed(distance), key=distance.__getitem__) if distance else None
