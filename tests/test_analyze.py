"""From raw facts to rows: what a figure means must not depend on how the facts were cut."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq import analyze
from edgeq.bench import parse_test
from edgeq.errors import InputError
from edgeq.evaluate import Candidate, take_turns
from edgeq.records import (
    BenchRecord,
    BenchSettings,
    BenchTest,
    Build,
    EvalRecord,
    EvalSettings,
    Gguf,
    Host,
    Phase,
    Profile,
)

HOST = Host("cpu", "x86_64", 2, 2, (), (), "os", "kernel", 1 << 34, None, "3.11")
BUILD = Build("k", "cpu", "t", "c", (), "gcc", "/b", {}, {}, 1.0)


def file(name: str, n_bytes: int = 1000, **more: object) -> Gguf:
    fields = {
        "path": f"{name}.gguf", "sha256": name, "n_bytes": n_bytes, "arch": "llama", "name": "m", "n_params": 1000,
        "n_layers": 1, "file_type": name, "bpw": n_bytes * 8 / 1000, "tensor_types": {"F16": 1000}, "on_label": None,
    }  # fmt: skip
    return Gguf(**{**fields, **more})  # type: ignore[arg-type]


def scored(model: Gguf, nll: np.ndarray, kld: np.ndarray, reference: Gguf) -> EvalRecord:
    return EvalRecord(
        model=model,
        reference=reference,
        build=BUILD,
        host=HOST,
        corpus=(),
        tokens_sha256="t",
        settings=EvalSettings(),
        n_tokens=len(nll),
        nll_f32=nll.astype("<f4").tobytes(),
        reference_nll_f32=nll.astype("<f4").tobytes(),
        kld_f32=kld.astype("<f4").tobytes(),
        same_top_u8=np.ones(len(kld), np.uint8).tobytes(),
    )


def bench_of(model: Gguf, phases: tuple[Phase, ...], *tests: BenchTest) -> BenchRecord:
    return BenchRecord(model, BUILD, Profile("p"), HOST, BenchSettings(tests), phases, (), (), 1 << 20, 1 << 19)


def test_speed_is_tokens_over_time_and_latency_is_of_single_steps() -> None:
    steps = (10, 20, 30, 40)  # ms
    token_ns = tuple(int(t * 1e6) for t in np.cumsum(steps))
    phases = (
        Phase("load", None, 0, 0, 0, 2_000_000_000),
        Phase("warmup", "pp512", 0, 512, 0, 1),
        Phase("prefill", "pp512", 0, 512, 0, 1_000_000_000),
        Phase("prefill", "pp512", 1, 512, 0, 3_000_000_000),
        Phase("fill", "tg4@d64", 0, 64, 0, 7),
        Phase("decode", "tg4@d64", 0, 4, 5, 5 + 100_000_000, token_ns),
    )
    record = bench_of(file("Q8_0"), phases, BenchTest(512, 0), BenchTest(0, 4, 64))
    prefill, decode = analyze.speeds(record)
    assert prefill.tps.value == pytest.approx(2 * 512 / 4)  # total over total, not the mean of 512 and 171
    assert prefill.ttft_s and prefill.ttft_s.value == pytest.approx(2.0)
    assert decode.test == "tg4@d64"
    assert decode.tps.value == pytest.approx(40.0)
    assert decode.tps.se is None  # one repetition has no spread
    assert decode.tpot_p50_s == pytest.approx(0.025)
    (row,) = analyze.summarize([record], []).rows
    assert row.load_s == 2.0
    assert row.quality is None


POINTS = st.lists(st.tuples(st.integers(1, 50), st.integers(0, 50)), min_size=1, max_size=12)


@given(POINTS)
def test_the_front_is_what_nothing_beats(points: list[tuple[int, int]]) -> None:
    reference = file("F16", 10_000)
    evals = [
        scored(file(f"m{i}", size), np.ones(4), np.full(4, float(kld)), reference)
        for i, (size, kld) in enumerate(points)
    ]
    front = set(analyze.summarize([], evals).front)
    assert front
    for i, (size, kld) in enumerate(points):
        beaten = any((s, k) != (size, kld) and s <= size and k <= kld for s, k in points)
        assert not (beaten and f"m{i}" in front)
        assert beaten or any(points[int(n[1:])] == (size, kld) for n in front)


def test_files_that_are_not_what_they_say_carry_a_note() -> None:
    off = file("Q2_K", tensor_types={"Q4_0": 600, "Q8_0": 300, "F32": 100}, on_label=0.0)
    (row,) = analyze.summarize([], [], [off]).rows
    (note,) = row.notes
    assert "60% Q4_0, 30% Q8_0" in note.text
    (fine,) = analyze.summarize([], [], [file("Q8_0", on_label=0.9)]).rows
    assert fine.notes == ()


@pytest.mark.parametrize("reference", [file("Q4_1", tensor_types={"Q4_1": 1000}), file("F16", requantized=True)])
def test_a_reference_that_was_quantized_before_is_a_warning(reference: Gguf) -> None:
    evals = [scored(reference, np.ones(5000), np.zeros(0), reference)]
    assert [w.code for w in analyze.summarize([], evals).warnings] == ["requantized"]
    plain = file("F16")
    assert analyze.summarize([], [scored(plain, np.ones(5000), np.zeros(0), plain)]).warnings == ()


@given(st.lists(st.integers(1, 100), min_size=1, max_size=20), st.integers(0, 1000))
def test_turns_keep_the_order_and_the_limit(sizes: list[int], limit: int) -> None:
    reference = file("F16", 50)
    candidates = [Candidate(file(f"m{i}", n)) for i, n in enumerate(sizes)]
    turns = take_turns(reference, candidates, limit)
    assert [c for t in turns for c in t.candidates] == candidates
    assert all(t.n_bytes <= limit or len(t.candidates) == 1 for t in turns)
    # No pass ends earlier than it must.
    for turn, after in itertools.pairwise(turns):
        assert turn.n_bytes + 2 * after.candidates[0].model.n_bytes > limit


@pytest.mark.parametrize("text", ["pp512", "tg128", "tg128@d4096", "pp1@d1"])
def test_test_names_are_their_own_spelling(text: str) -> None:
    assert parse_test(text).name == text


@pytest.mark.parametrize("text", ["", "pp", "pp0", "tg-1", "tg1@d0", "pp512 tg1", "pp99999999", "xx1"])
def test_other_names_are_refused(text: str) -> None:
    with pytest.raises(InputError):
        parse_test(text)
