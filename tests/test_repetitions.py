"""Repetitions and interleaved comparisons, simulated: how often something is found where it is, and where it is not."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import lfilter

from edgeq.stats.ratio import interleaved_ratio
from edgeq.stats.repetitions import repetitions

Draw = Callable[[np.random.Generator], np.ndarray]


def noisy(effect: np.ndarray, noise: float) -> Draw:
    """Log-normal noise around a planted effect on the times."""
    return lambda r: r.lognormal(0, noise, len(effect)) * effect


def throttled(n: int, noise: float) -> Draw:
    """Each repetition has a chance of one in five to run at 0.8 times the rate; at least one does, and one does not."""

    def draw(r: np.random.Generator) -> np.ndarray:
        while True:
            slow = r.random(n) < 0.2
            if 0 < slow.sum() < n:
                return r.lognormal(0, noise, n) / np.where(slow, 0.8, 1)

    return draw


def wandering(n: int, noise: float) -> Draw:
    """Each repetition keeps 0.8 of the deviation of the one before."""
    return lambda r: np.exp(noise * lfilter([0.6], [1, -0.8], r.normal(0, 1, n + 20))[20:])


def found(draw: Draw, trials: int, *words: str) -> float:
    """In which share of the trials one of these words was said, or any word at all."""
    rng = np.random.default_rng(13)
    states = [repetitions(128, draw(rng)).state for _ in range(trials)]
    return sum(bool(set(words) & set(s)) if words else bool(s) for s in states) / trials


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=30))
def test_the_rate_is_total_over_total_whatever_is_wrong_with_it(times: list[float]) -> None:
    result = repetitions(128, np.array(times))
    assert result.tps.value == pytest.approx(128 * len(times) / sum(times))
    if result.state or len(times) < 3:
        assert result.ci95_tps is None
    else:
        assert result.ci95_tps is not None
        assert result.ci95_tps[0] <= result.tps.value <= result.ci95_tps[1]
    assert (result.tps.se is None) == (bool(result.state) or len(times) == 1)


@pytest.mark.parametrize("n", [5, 10, 20])
def test_clean_noise_raises_a_false_alarm_in_at_most_one_of_twenty_tests(n: int) -> None:
    # 4.3 % in long simulations; the standard error of this short one is 1 %.
    assert found(noisy(np.ones(n), 0.03), 400) <= 0.06
    assert found(noisy(np.ones(n), 0.002), 50) == 0


@pytest.mark.parametrize(
    ("draw", "word", "power"),
    [
        (throttled(5, 0.005), {"bimodal", "outliers", "first repetition off"}, 0.95),
        (throttled(10, 0.01), {"bimodal", "outliers", "first repetition off"}, 0.95),
        (throttled(20, 0.02), {"bimodal", "outliers", "first repetition off"}, 0.95),
        (noisy(np.linspace(1, 1.1, 5), 0.005), {"drifting"}, 0.93),
        (noisy(np.linspace(1, 1.1, 10), 0.01), {"drifting"}, 0.95),
        (noisy(np.linspace(1.1, 1, 20), 0.02), {"drifting"}, 0.95),
        (noisy(np.array([1.08, 1, 1, 1, 1]), 0.005), {"first repetition off"}, 0.93),
        (noisy(np.r_[1.08, np.ones(9)], 0.01), {"first repetition off"}, 0.93),
        (noisy(np.array([1, 1, 1, 1.1, 1]), 0.005), {"outliers"}, 0.8),
        # Each of the three would hide the others from a test that looks at one value only.
        (noisy(np.array([1, 1, 1, 1.2, 1, 1, 1.4, 1, 1.7, 1]), 0.01), {"outliers", "bimodal"}, 0.93),
        (noisy(np.repeat([1, 1.2], 5), 0.02), {"bimodal"}, 0.85),
        (wandering(40, 0.01), {"autocorrelated", "drifting"}, 0.85),
    ],
)  # fmt: skip
def test_power_of_the_detectors(draw: Draw, word: set[str], power: float) -> None:
    assert found(draw, 60, *word) >= power


def test_one_finding_has_one_name() -> None:
    assert found(noisy(np.repeat([1, 1.2], 10), 0.005), 50, "outliers", "autocorrelated") == 0
    assert found(noisy(np.linspace(1, 1.2, 20), 0.005), 50, "bimodal", "autocorrelated", "first repetition off") == 0
    assert found(noisy(np.r_[1.08, np.ones(9)], 0.002), 50, "bimodal", "outliers", "drifting") == 0


@pytest.mark.parametrize("effect", [np.linspace(1, 1.015, 10), np.r_[1.015, np.ones(9)], np.repeat([1, 1.015], 5)])
def test_effects_of_less_than_two_percent_are_left_alone(effect: np.ndarray) -> None:
    assert found(noisy(effect, 0.0002), 20) == 0


def test_a_significant_drift_of_one_percent_is_left_alone() -> None:
    assert found(noisy(np.linspace(1, 1.01, 40), 0.005), 60, "drifting") <= 0.05


def test_thousands_of_repetitions_are_judged_by_what_moves_their_rate() -> None:
    rng = np.random.default_rng(6)
    noise = rng.lognormal(0, 0.01, 5000)
    rare = np.where(rng.random(5000) < 0.001, 1.2, 1)
    assert repetitions(1, noise * rare).state == ()
    assert repetitions(1, noise * np.where(rng.random(5000) < 0.5, 1.25, 1)).state == ("bimodal",)
    assert repetitions(1, noise * np.linspace(1, 1.1, 5000)).state == ("drifting",)


@pytest.mark.parametrize("n", [3, 5, 10])
def test_the_interval_covers_the_true_rate(n: int) -> None:
    rng = np.random.default_rng(3)
    results = [repetitions(1, rng.lognormal(0, 0.005, n)).ci95_tps for _ in range(1000)]
    inside = [low < math.exp(-(0.005**2) / 2) < high for low, high in filter(None, results)]
    assert len(inside) > 980
    assert 0.93 < np.mean(inside) < 0.97


def turns(n_blocks: int, order: str, drift: float, noise: float, rng: np.random.Generator) -> tuple[list, list]:
    """Times of A and of B, which has 1.25 times the rate, while the machine slows down evenly in log rate."""
    names = order * n_blocks
    slowdown = np.linspace(0, math.log1p(drift), len(names)) + rng.normal(0, noise, len(names))
    times = [np.full(5, math.exp(s) / (1.25 if name == "B" else 1)) for s, name in zip(slowdown, names, strict=True)]
    return tuple([t for t, name in zip(times, names, strict=True) if name == which] for which in "AB")


def test_an_even_drift_cancels_in_turns_of_abba_and_not_in_aabb() -> None:
    rng = np.random.default_rng(0)
    result = interleaved_ratio(*turns(2, "ABBA", 0.1, 0, rng))
    assert result.ratio.value == pytest.approx(1.25, rel=1e-9)
    assert result.ratio.se == pytest.approx(0, abs=1e-9)
    biased = interleaved_ratio(*turns(2, "AABB", 0.1, 0, rng))
    assert biased.ratio.value < 1.25 * 0.98


@pytest.mark.parametrize("n_blocks", [2, 5])
def test_the_interval_of_a_ratio_covers_it(n_blocks: int) -> None:
    rng = np.random.default_rng(1)
    results = [interleaved_ratio(*turns(n_blocks, "ABBA", 0.1, 0.01, rng)) for _ in range(1000)]
    assert 0.93 < np.mean([r.ci95[0] < 1.25 < r.ci95[1] for r in results]) < 0.97


def test_only_whole_blocks_count() -> None:
    a, b = turns(2, "ABBA", 0, 0.01, np.random.default_rng(2))
    assert interleaved_ratio(a[:3], b[:4]) == interleaved_ratio(a[:2], b[:2])
    one = interleaved_ratio(a[:2], b[:2])
    assert (one.n_blocks, one.ci95, one.ratio.se) == (1, None, None)
    assert interleaved_ratio(a[:1], b[:1]) is None
