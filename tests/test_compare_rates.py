"""How often a comparison finds something where it is, and where it is not, by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.stats import binomtest

from edgeq.analyze.compare import compare
from edgeq.records import BenchRecord
from edgeq.stats.runs import Run, run_of_rate, runs_ratio
from tests.test_analyze import file
from tests.test_compare import bench, side, the


def one_run(rng: np.random.Generator, between: float, slower: float = 1.0) -> np.ndarray:
    """Ten repetitions that scatter by 0.5 %, each keeping 0.3 of the deviation of the one before, in one run's luck."""
    noise = lfilter([np.sqrt(1 - 0.3**2)], [1, -0.3], rng.normal(0, 1, 30))[20:]
    return np.asarray(slower * np.exp(rng.normal(0, between) + 0.005 * noise))


def verdicts(n_runs: int, between: float, slower: float, trials: int, order: str = "") -> dict[str, int]:
    """How often each verdict falls on the same file measured ``n_runs`` times on each side."""
    rng = np.random.default_rng(n_runs)
    counted: dict[str, int] = {}
    for _ in range(trials):
        sides: dict[str, list[BenchRecord]] = {"a": [], "b": []}
        for turn, name in enumerate(order or "a" * n_runs + "b" * n_runs):
            times = one_run(rng, between, slower if name == "b" else 1.0)
            sides[name].append(bench(file("Q4_K_M"), times, 100.0 * turn, turn=turn))
        found = the(compare(side(*sides["a"]), side(*sides["b"])), "tps").verdict
        counted[found] = counted.get(found, 0) + 1
    return counted


def surely_below(k: int, n: int, share: float) -> bool:
    """Whether the rate behind k of n is below ``share``, with 99 % confidence."""
    return bool(binomtest(k, n).proportion_ci(0.98).high <= share)


# One run each needs runs to differ by a little less than the assumed 1 %: at just 1 %, √2 · 1 % · (1.960 + 1.645) is
# 5.1 %, and the repetitions' own scatter comes on top.
@pytest.mark.parametrize(
    ("n_runs", "between", "order"),
    [(1, 0.0085, ""), (2, 0.01, ""), (6, 0.01, "abba" * 3), (6, 0.01, "baab" * 3)],
    ids=["one run each", "two runs each", "A B B A", "B A A B"],
)
def test_few_false_alarms_and_few_missed_slowdowns_of_5_percent(n_runs: int, between: float, order: str) -> None:
    trials = {1: 1000, 2: 400, 6: 200}[n_runs]
    same = verdicts(n_runs, between, 1.0, trials, order)
    alarms = same.get("better", 0) + same.get("worse", 0)
    slow = verdicts(n_runs, between, 1 / 0.95, trials, order)
    missed = trials - slow.get("worse", 0)
    assert alarms <= 0.05 * trials and missed <= 0.05 * trials
    # With 99 % confidence also of the rates behind it; Student's t over turns has a rate of just 5 %.
    assert n_runs == 6 or (surely_below(alarms, trials, 0.05) and surely_below(missed, trials, 0.05))
    assert "better" not in slow


def test_one_run_each_at_just_the_assumed_spread_is_the_limit_of_what_any_test_can_do() -> None:
    same, slow = verdicts(1, 0.01, 1.0, 300), verdicts(1, 0.01, 1 / 0.95, 300)
    assert same["indistinguishable"] >= 0.94 * 300 and slow["worse"] >= 0.92 * 300


def test_repetitions_alone_would_call_every_third_pair_of_equal_runs_a_difference() -> None:
    rng = np.random.default_rng(3)
    alarms = 0
    for _ in range(300):
        a, b = (run_of_rate(one_run(rng, 0.01)) for _ in "ab")
        alarms += abs(a.log - b.log) > 1.96 * np.sqrt(a.variance + b.variance)
    assert alarms > 100


def test_runs_that_are_disturbed_widen_what_is_assumed() -> None:
    rng = np.random.default_rng(4)
    quiet, noisy = (run_of_rate(np.exp(rng.normal(0, sd, 10))) for sd in (0.003, 0.1))
    assert runs_ratio([quiet], [quiet]).spread == pytest.approx(0.01, rel=0.1)
    assert runs_ratio([quiet], [noisy]).spread > 0.05


def test_runs_beside_the_pair_tell_the_spread_too() -> None:
    one = [Run(0.0, 0.0)]
    steady, unsteady = ([Run(0.0, 0.0), Run(d, 0.0)] * 10 for d in (0.001, 0.1))
    plain, narrow, wide = (runs_ratio(one, one, others) for others in ([], [steady], [unsteady]))
    assert (plain.df, narrow.df, wide.df) == (0, 19, 19)
    assert narrow.spread < plain.spread < wide.spread
