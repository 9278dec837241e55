"""Statistics of paired questions, of chunks of text and of continuations; and what a file of a method is."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as reference_stats

from edgeq.analyze.methods.facts import Kind, has_bits, kind, weight_bpw
from edgeq.records import Adapter
from edgeq.stats.chunks import chunk_error, chunk_quantile
from edgeq.stats.continuations import common_prefix, distinct, ends_in_loop
from edgeq.stats.matched import Matched, holm, matched
from tests.methods_facts import F16, arm_of, file_of

# --- statistics ----------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=200))
def test_paired_shares_are_what_they_are_by_the_book(pairs: list[tuple[bool, bool]]) -> None:
    first, second = (np.array(side) for side in zip(*pairs, strict=True))
    found = matched(first, second)
    d = second.astype(float) - first.astype(float)
    assert found.difference.value == pytest.approx(d.mean())
    assert found.difference.se == pytest.approx(d.std() / np.sqrt(len(d)), abs=1e-12)
    discordant = found.lost + found.gained
    expected = reference_stats.binomtest(found.gained, discordant, 0.5).pvalue if discordant else 1.0
    assert found.p == pytest.approx(expected)
    assert found.flips == pytest.approx(np.mean(first != second))
    low, high = found.ci95
    assert -1 <= low < high <= 1
    # The interval is shrunk towards no difference, so that it holds the estimate but for extremes.
    assert low <= found.difference.value * len(d) / (len(d) + 2) <= high


def test_known_tables_of_mcnemar() -> None:
    assert Matched(100, 10, 2).p == pytest.approx(2 * sum(reference_stats.binom.pmf(k, 12, 0.5) for k in (0, 1, 2)))
    assert Matched(100, 6, 6).p == 1.0
    assert Matched(314, 59, 6).p == pytest.approx(2 * reference_stats.binom.cdf(6, 65, 0.5))


@pytest.mark.parametrize("rates", [(0.02, 0.01), (0.15, 0.05), (0.3, 0.0)])
def test_the_interval_of_a_difference_covers_it(rates: tuple[float, float]) -> None:
    rng = np.random.default_rng(3)
    n, held = 60, 0
    for _ in range(2000):
        lost, gained, _ = rng.multinomial(n, (*rates, 1 - sum(rates)))
        low, high = Matched(n, int(lost), int(gained)).ci95
        held += low <= rates[1] - rates[0] <= high
    assert held / 2000 >= 0.93


def test_holm_by_hand_and_its_order() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0] and holm([]) == []


def test_errors_are_over_chunks() -> None:
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(300):
        # All tokens of a chunk are the same, so that there are 40 values and not 400.
        values = np.repeat(rng.exponential(1, 40), 10)
        found = chunk_quantile(values, 0.5, 10)
        assert found.se is not None
        held += abs(found.value - np.log(2)) < 1.96 * found.se
    assert 0.88 < held / 300 <= 0.99
    assert chunk_error(values, 10) == pytest.approx(values[::10].std(ddof=1) / np.sqrt(40))
    assert chunk_error(values, 400) is None and chunk_quantile(values, 0.5, 400).se is None
    assert chunk_quantile(values, 0.999, 10).se is None


LOOPS = [
    ([7] * 24, True),
    ([7] * 23, False),
    ([*range(100), *[1, 2, 3] * 8], True),
    ([*range(100), *[1, 2, 3] * 8, 1], True),  # the last time not to its end
    ([*[1, 2, 3] * 8, 99], False),  # it has left the loop
    ([*range(100), *list(range(32)) * 3], True),
    ([*range(100), *list(range(32)) * 2], False),
    ([*range(100), *list(range(33)) * 3], False),  # a refrain of more tokens than a loop has
    ([], False),
]


@pytest.mark.parametrize(("ids", "loops"), LOOPS)
def test_a_loop_is_at_the_end_and_goes_round_three_times(ids: list[int], loops: bool) -> None:
    assert ends_in_loop(np.array(ids, np.int32)) is loops


def test_prefixes_and_distinct_grams() -> None:
    a = np.arange(10, dtype=np.int32)
    assert common_prefix(a, a) == 10
    assert [common_prefix(a, np.where(a == i, 99, a)) for i in range(10)] == list(range(10))
    assert distinct(a, 3) == 1.0 and distinct(np.zeros(10, np.int32), 3) == 1 / 8 and distinct(a[:2], 3) == 1.0


# --- what a file is ------------------------------------------------------------------------------------------


def test_kinds_of_types() -> None:
    names = {"Q4_K_M": ("K", 4), "Q4_0": ("0", 4), "Q5_1": ("1", 5), "IQ3_XXS": ("IQ", 3), "Q2_K_S": ("K", 2)}
    assert {name: kind(name) for name in names} == {name: Kind(*found) for name, found in names.items()}
    assert [kind(name) for name in ("F16", "TQ2_0", "MXFP4", "published", "")] == [None] * 5


def test_bits_of_weights_leave_out_embeddings_and_count_adapters() -> None:
    model = file_of(arm_of("static", "Q4_0", "Q4_0"), 500_000)
    assert weight_bpw(model) == pytest.approx(4.5)
    assert weight_bpw(msgspec.structs.replace(model, ideal_bpw=4.01)) == 4.01
    adapter = Adapter("a", "s", 80_000, 16, "F16")
    assert weight_bpw(msgspec.structs.replace(model, adapter=adapter)) == pytest.approx(4.5 + 0.8)
    assert weight_bpw(file_of(arm_of("static", "Q8_0", "Q8_0"), 1)) == pytest.approx(8.5)
    unpacked = msgspec.structs.replace(model, tensor_types={"F32": 800_000, "Q8_0": 190_000})
    assert weight_bpw(F16) is None and weight_bpw(unpacked) is None
    assert weight_bpw(msgspec.structs.replace(unpacked, ideal_bpw=4.5)) == 4.5
    assert has_bits(model, 4) and not has_bits(model, 8)
