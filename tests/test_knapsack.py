"""The knapsack against trying out everything."""

from __future__ import annotations

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from edgeq.allocate.knapsack import Option, solve

OPTION = st.builds(Option, st.floats(0, 9), st.integers(1, 60), st.floats(0.1, 5))
ITEMS = st.lists(st.lists(OPTION, min_size=1, max_size=4), min_size=1, max_size=5)


def total(items: list[list[Option]], chosen: tuple[int, ...] | list[int]) -> tuple[float, int, float]:
    options = [of[i] for of, i in zip(items, chosen, strict=True)]
    return sum(o.damage for o in options), sum(o.size for o in options), sum(o.time for o in options)


def everything(items: list[list[Option]], budget: int, max_time: float) -> list[float]:
    found = (total(items, chosen) for chosen in product(*(range(len(of)) for of in items)))
    return [damage for damage, size, time in found if size <= budget and time <= max_time]


@given(ITEMS, st.integers(1, 260))
def test_one_budget_is_solved_exactly(items: list[list[Option]], budget: int) -> None:
    possible = everything(items, budget, float("inf"))
    chosen = solve(items, budget)
    assert (chosen is None) == (not possible)
    if chosen is not None:
        damage, size, _ = total(items, chosen)
        assert size <= budget
        assert damage <= min(possible) + 1e-9


@given(ITEMS, st.integers(1, 260), st.floats(0.5, 20))
def test_two_budgets_are_both_kept(items: list[list[Option]], budget: int, max_time: float) -> None:
    chosen = solve(items, budget, max_time)
    if chosen is not None:
        damage, size, time = total(items, chosen)
        assert size <= budget
        assert time <= max_time
        assert damage >= min(everything(items, budget, max_time)) - 1e-9


def test_sizes_far_beyond_the_number_of_buckets_stay_within_the_budget_and_use_it() -> None:
    items = [[Option(1.0 / (k * (i + 1)), 1_000_003 * k + 17 * i) for k in range(1, 9)] for i in range(210)]
    budget = 210 * 4_000_000 + 12_345
    chosen = solve(items, budget)
    assert chosen is not None
    _, size, _ = total(items, chosen)
    assert 0.998 * budget < size <= budget
