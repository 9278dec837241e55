"""Estimates: exact on known distributions, honest about their error."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq import stats

SAMPLES = st.lists(st.floats(0.001, 100), min_size=2, max_size=200).map(lambda x: np.array(x, np.float64))


@given(SAMPLES)
def test_perplexity_of_nll_and_its_ratio_to_itself(nll: np.ndarray) -> None:
    nll = nll / 20
    assert stats.perplexity(nll).value == pytest.approx(math.exp(nll.mean()))
    ratio = stats.perplexity_ratio(nll, nll)
    assert ratio.value == 1.0
    assert ratio.se == 0.0


@given(SAMPLES)
def test_rate_is_total_over_total(times: np.ndarray) -> None:
    assert stats.rate(128, times).value == pytest.approx(128 * len(times) / times.sum())


@given(SAMPLES, st.floats(0, 1))
def test_quantiles_lie_within_the_sample(values: np.ndarray, q: float) -> None:
    estimate = stats.quantile(values, q)
    assert values.min() <= estimate.value <= values.max()
    assert estimate.se is None or 0 <= estimate.se <= np.ptp(values)


def test_too_few_values_beyond_a_quantile_give_no_error() -> None:
    assert stats.quantile(np.arange(100.0), 0.999).se is None
    assert stats.mean(np.array([1.0])).se is None


@pytest.mark.parametrize(
    ("estimator", "truth", "draw"),
    [
        (stats.mean, 1.0, lambda r, n: r.exponential(1.0, n)),
        (stats.perplexity, math.exp(1.0), lambda r, n: r.exponential(1.0, n)),
        (lambda v: stats.quantile(v, 0.99), -math.log(0.01), lambda r, n: r.exponential(1.0, n)),
        (lambda v: stats.quantile(v, 0.5), math.log(2), lambda r, n: r.exponential(1.0, n)),
        (stats.share, 0.9, lambda r, n: (r.random(n) < 0.9).astype(float)),
        (stats.root_mean_square, math.sqrt(2), lambda r, n: r.exponential(1.0, n)),
    ],
    ids=["mean", "perplexity", "p99", "median", "share", "rms"],
)
def test_two_standard_errors_cover_the_truth_as_often_as_they_say(estimator, truth, draw) -> None:  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(7)
    trials, hits = 400, 0
    for _ in range(trials):
        e = estimator(draw(rng, 4000))
        hits += abs(e.value - truth) < 1.96 * e.se
    assert 0.90 < hits / trials < 0.985
