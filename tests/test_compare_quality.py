"""Two models over the same text: chunks, intervals, and texts that are not the same."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from edgeq.analyze.compare import compare
from edgeq.stats.paired import block_means, paired_mean, paired_ratio
from tests.test_analyze import file
from tests.test_compare import SIZE, qualities, side, the


def test_what_is_the_same_everywhere_has_no_interval_and_a_factor_is_found_exactly() -> None:
    a = np.random.default_rng(1).lognormal(0, 1, 40)
    for n in (5, 40):
        same, scaled = paired_ratio(a[:n], a[:n]), paired_ratio(a[:n], 1.1 * a[:n])
        assert same and same.ci95 == (1.0, 1.0)
        assert scaled and scaled.ci95 == pytest.approx((1.1, 1.1), rel=1e-6)
    assert paired_ratio(a[:1], a[:1]) is None and paired_mean(a[:1]) is None
    assert paired_ratio(np.zeros(5), a[:5]) is None


def test_of_evenly_scattered_blocks_the_interval_is_known() -> None:
    blocks = np.tile([-1.0, 1.0], 200) + 3
    found = paired_mean(blocks)
    assert found and found.estimate.value == pytest.approx(3)
    assert found.estimate.se == pytest.approx(1 / np.sqrt(399))
    assert found.ci95 == pytest.approx((3 - 1.96 / 20, 3 + 1.96 / 20), abs=0.005)
    assert found == paired_mean(blocks)  # the same records give the same interval


def test_tokens_of_one_chunk_count_as_one() -> None:
    chunks = np.random.default_rng(2).normal(0, 1, 50)
    tokens = np.repeat(chunks, SIZE)
    by_chunk, by_token = paired_mean(block_means(tokens, SIZE)), paired_mean(tokens)
    assert by_chunk and by_token and by_chunk.estimate.se and by_token.estimate.se
    assert by_chunk.estimate.se / by_token.estimate.se == pytest.approx(np.sqrt(SIZE), rel=0.05)


@pytest.mark.parametrize("n", [6, 25])
def test_the_interval_holds_the_truth_in_nearly_95_percent_of_the_texts(n: int) -> None:
    """Skewed divergences whose chunks have a level of their own, B 5 % above A and independently disturbed."""
    rng = np.random.default_rng(n)
    trials = 150
    held = 0
    for _ in range(trials):
        a = rng.lognormal(0, 0.5, n) * rng.lognormal(0, 0.2, (SIZE, n)).mean(0)
        b = 1.05 * a * rng.lognormal(-0.02, 0.2, n)
        found = paired_ratio(a, b)
        assert found
        held += found.ci95[0] <= 1.05 <= found.ci95[1]
    assert 0.9 <= held / trials <= 0.99


@pytest.mark.parametrize("n_chunks", [5, 40])
def test_every_quality_has_its_direction(n_chunks: int) -> None:
    base = qualities(n_chunks)
    worse = compare(side(base), side(qualities(n_chunks, 1.1, 0.02, 0.7)))
    better = compare(side(qualities(n_chunks, 1.1, 0.02, 0.7)), side(base))
    same = compare(side(base), side(base))
    for quantity in ("kld", "top1", "ppl"):
        assert the(worse, quantity).verdict == "worse"
        assert the(better, quantity).verdict == "better"
        assert the(same, quantity).verdict == "indistinguishable"
    ratio, ppl, top = (the(worse, q).change for q in ("kld", "ppl", "top1"))
    assert ratio and ratio.value == pytest.approx(1.1)
    assert ppl and ppl.value == pytest.approx(np.exp(0.02), rel=1e-3)
    assert top and top.value == pytest.approx(-0.2, abs=0.06)  # a share, not a ratio


def test_quality_is_compared_token_by_token_or_not_at_all() -> None:
    base = qualities(5)
    settings = msgspec.structs.replace(base.settings, flash_attn="on")
    threads = msgspec.structs.replace(base.settings, n_threads=7)
    for more, why in (
        ({"tokens_sha256": "others"}, "other text: text"),
        ({"reference": file("BF16")}, "other reference: F16"),
        ({"settings": settings}, "other settings: flash_attn auto and on"),
        ({"n_tokens": 3}, "tokens were scored"),
    ):
        for quantity in ("kld", "top1", "ppl"):
            change = the(compare(side(base), side(msgspec.structs.replace(base, **more))), quantity)
            assert change.verdict == "not comparable" and why in change.reason
    fine = compare(side(base), side(msgspec.structs.replace(base, settings=threads)))
    assert the(fine, "kld").verdict == "indistinguishable"
    assert "one chunk" in the(compare(side(qualities(1)), side(qualities(1))), "kld").reason
    none = compare(side(qualities(5, 0.0)), side(base))
    assert "no divergence" in the(none, "kld").reason


def test_the_reference_has_a_perplexity_only() -> None:
    reference = qualities(5, kld_f32=b"", same_top_u8=b"")
    report = compare(side(reference), side(reference))
    assert [c.quantity for c in report.pairs[0].changes] == ["ppl"]
