"""Scoring with overwritten activations and with adapters: what is computed is what they mean."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import get_args

import msgspec
import numpy as np
import pytest

from edgeq import analyze, models, quantize, store
from edgeq.errors import InputError
from edgeq.evaluate import Candidate, evaluate
from edgeq.records import Activations, Adapter, Build, EvalRecord, EvalSettings, Gguf, Recipe
from edgeq.tensors import output
from edgeq.tensors.source import Source

from .conftest import CALIBRATION, EVALUATION

MODES: tuple[Activations, ...] = get_args(Activations)
SETTINGS = EvalSettings(n_chunks=1, n_threads=1)
TENSOR = "blk.2.ffn_down.weight"

Score = Callable[..., tuple[EvalRecord, ...]]


@pytest.fixture(scope="module")
def score(built: Build, tmp_path_factory: pytest.TempPathFactory) -> Score:
    """Score candidates on one chunk, into a folder of their own."""

    def score(reference: Gguf, candidates: Sequence[Candidate], **more: object) -> tuple[EvalRecord, ...]:
        folder = tmp_path_factory.mktemp("records")
        options = {"calibration": (CALIBRATION,), "calibration_chunks": 1, **more}
        return evaluate(reference, candidates, (EVALUATION,), built, SETTINGS, folder, **options)  # type: ignore[arg-type]

    return score


@pytest.fixture(scope="module")
def modes(score: Score, model: Gguf) -> tuple[EvalRecord, ...]:
    """The reference, itself in another ubatch, and itself with each way to quantize activations."""
    return score(model, [Candidate(model, n_ubatch=128), *(Candidate(model, mode) for mode in MODES)])


def kld(record: EvalRecord) -> float:
    found = analyze.quality(record).kld
    assert found
    return found.value


def values(record: EvalRecord) -> tuple[bytes, bytes, bytes]:
    return record.nll_f32, record.kld_f32, record.same_top_u8


def rewritten(
    source: Source, out: Path, change: dict[str, tuple[str, np.ndarray]], metadata: dict[str, int] | None = None
) -> Gguf:
    """The source with some tensors replaced, as (new name, values): F16 stays F16, the rest becomes F32."""
    data, planned = {}, []
    for name, tensor in source.tensors.items():
        new, array = change.get(name, (name, tensor.raw))
        kind = {"float16": "F16", "float32": "F32"}.get(array.dtype.name, tensor.type)
        shape = tensor.shape if kind == tensor.type and new == name else array.shape[::-1]
        planned.append((new, shape, kind))
        data[new] = array
    for name, (new, array) in change.items():
        if name not in source.tensors:
            planned.append((new, array.shape[::-1], "F32"))
            data[new] = array
    output.write(out, source, planned, lambda name: data[name], metadata)
    return models.describe(out)


def test_the_finer_the_scales_the_less_is_lost(modes: tuple[EvalRecord, ...]) -> None:
    lost = {r.activations: kld(r) for r in modes[2:]}
    assert lost.keys() == set(MODES)
    assert lost["static-tensor"] > 10 * lost["dynamic-token"]
    assert lost["dynamic-tensor"] > 10 * lost["dynamic-token"]
    assert lost["dynamic-token"] > 3 * lost["dynamic-32"] > 0


def test_a_run_says_how_it_was_run(modes: tuple[EvalRecord, ...], model: Gguf) -> None:
    reference, floor, *others = modes
    assert (reference.kld_f32, reference.settings.n_ubatch, floor.settings.n_ubatch) == (b"", 512, 128)
    assert abs(kld(floor)) < 1e-6
    assert [r.activations for r in others] == list(MODES)
    assert all(r.model == model and r.forward_s and r.forward_s > 0 for r in modes)
    (row,) = analyze.summarize([], modes).rows
    assert row.reference and row.quality == analyze.quality(reference)


def test_values_do_not_depend_on_what_is_scored_beside_them(
    score: Score, model: Gguf, modes: tuple[EvalRecord, ...]
) -> None:
    again = score(model, [Candidate(model, mode) for mode in reversed(MODES)], memory_share=1e-9)
    assert [values(r) for r in again] == [values(r) for r in (modes[0], *reversed(modes[2:]))]


def test_records_are_found_again_and_told_apart(built: Build, model: Gguf, tmp_path: Path) -> None:
    def run(candidates: list[Candidate], text: Path, expected: int) -> tuple[EvalRecord, ...]:
        seen: list[int] = []
        records = evaluate(
            model, candidates, (EVALUATION,), built, SETTINGS, tmp_path, calibration=(text,), calibration_chunks=1,
            on_turns=lambda turns: seen.append(sum(len(t.candidates) for t in turns)),
        )  # fmt: skip
        assert sum(seen) == expected
        return records

    plain, static, token = (Candidate(model, mode) for mode in (None, "static-tensor", "dynamic-token"))
    first = run([plain, static, token, token], CALIBRATION, 3)
    assert first[3] == first[4]
    assert run([token, static], CALIBRATION, 0) == (first[0], first[3], first[2])
    other = run([plain, static, token], EVALUATION, 1)  # other ranges; nothing else depends on that text
    assert (other[0], other[1], other[3]) == (first[0], first[1], first[3])
    assert other[2].nll_f32 != first[2].nll_f32
    assert len(list(tmp_path.glob("eval-*-static-tensor-*.json.gz"))) == 2
    assert len(list(tmp_path.glob("*.json.gz"))) == 5


def test_32_at_a_time_gives_the_values_of_q8_0(built: Build, model: Gguf, score: Score, tmp_path: Path) -> None:
    # Nothing is rounded after the last block's ffn_down: where llama.cpp finds its inputs to be Q8_0's values already,
    # rounding them once more changes nothing, and its product is that of the same weights in F32.
    last = "blk.5.ffn_down.weight"
    overrides = ((f"^{last}$", "q8_0"), (".", "f16"))
    recipe = Recipe("q8", "Q8_0", imatrix=False, overrides=overrides, token_embedding_type="f32")
    (packed,) = quantize.quantize(model, [recipe], None, built, tmp_path, n_threads=1)
    source = Source(Path(packed.path))
    assert [n for n, t in source.tensors.items() if t.type == "Q8_0"] == [last]
    unpacked = rewritten(source, tmp_path / "unpacked.gguf", {last: (last, source.tensors[last].rows())})
    ways: tuple[Activations | None, ...] = (None, "dynamic-token", "dynamic-32")
    _, *records = score(model, [Candidate(m, way) for way in ways for m in (packed, unpacked)])
    nll = [np.frombuffer(r.nll_f32, "<f4") for r in records]
    differ = [float(np.abs(a - b).max()) for a, b in zip(nll[::2], nll[1::2], strict=True)]
    assert differ[2] < 1e-5 < 1e-3 < min(differ[:2])


def test_inputs_of_experts_are_overwritten_too(score: Score, model: Gguf, modes: tuple[EvalRecord, ...],
                                               tmp_path: Path) -> None:  # fmt: skip
    source = Source(Path(model.path))
    change = {}
    for name, tensor in source.tensors.items():  # four times the same expert: whatever the router says, the same model
        if ".ffn_" in name and "norm" not in name:
            change[name] = (name.replace(".weight", "_exps.weight"), np.stack([tensor.raw.view(np.float16)] * 4))
        if ".ffn_gate." in name:
            router = name.replace("ffn_gate", "ffn_gate_inp")
            change[router] = (router, np.random.default_rng(1).normal(size=(4, 256)).astype(np.float32))
    experts = rewritten(
        source, tmp_path / "experts.gguf", change, {"llama.expert_count": 4, "llama.expert_used_count": 2}
    )
    _, plain, *quantized = score(model, [Candidate(experts), *(Candidate(experts, mode) for mode in MODES[1:])])
    assert kld(plain) < 1e-5
    for ours, dense in zip(quantized, modes[3:], strict=True):
        assert kld(ours) == pytest.approx(kld(dense), rel=0.2)


def test_a_model_whose_residual_would_be_overwritten_is_refused(score: Score, model: Gguf, tmp_path: Path) -> None:
    # The norms of olmo2 follow the matrices, so what feeds these is also what is passed on.
    source = Source(Path(model.path))
    change = {"head": ("output.weight", source.tensors["token_embd.weight"].rows())}
    for name, tensor in source.tensors.items():
        for ours, theirs in (("attn_norm", "post_attention_norm"), ("ffn_norm", "post_ffw_norm")):
            if f".{ours}." in name:
                change[name] = (name.replace(ours, theirs), tensor.rows()[0])
        if ".attn_q." in name or ".attn_k." in name:
            norm = name.replace(".weight", "_norm.weight")
            change[norm] = (norm, np.ones(tensor.n_rows, np.float32))
    keys = source.header.metadata.items()
    metadata = {"general.architecture": "olmo2"}
    metadata |= {k.replace("llama.", "olmo2."): v for k, v in keys if k.startswith("llama.")}  # type: ignore[misc]
    olmo2 = rewritten(source, tmp_path / "olmo2.gguf", change, metadata)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="overwriting it would change more than the input of weights"):
        score(olmo2, [Candidate(olmo2, "dynamic-token")])


def test_static_ranges_need_a_text(score: Score, model: Gguf) -> None:
    with pytest.raises(InputError, match="Static ranges"):
        score(model, [Candidate(model, "static-tensor")], calibration=())


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--activations", "0=static-tensor"), "--calibration is missing"),
        (("--activations", "0=int4"), "dynamic-32, not 'int4'"),
        (("--activations", "1=dynamic-32"), "index of --activations"),
        (("--ubatch-of", "0=1", "--ubatch-of", "0=2"), "more than once for 0"),
        (("--adapter", "a.gguf"), "INDEX=VALUE"),
    ],
)
def test_wrong_options_are_refused(built: Build, tmp_path: Path, options: tuple[str, ...], reason: str) -> None:
    argv = ["--reference", "none", "--candidate", "none", "--tokens", "none", "--n-ctx", "8", "--first", "4"]
    argv += ["--threads", "1", "--out", "none", "--events", str(tmp_path / "events"), *options]
    done = subprocess.run([built.tool("evaluate"), *argv], capture_output=True, text=True)
    assert done.returncode == 2
    assert reason in done.stderr


# --- adapters ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def q4_0(built: Build, model: Gguf, tmp_path_factory: pytest.TempPathFactory) -> Gguf:
    recipe = Recipe("q4_0", "Q4_0", imatrix=False, pure=True)
    return quantize.quantize(model, [recipe], None, built, tmp_path_factory.mktemp("q4_0"), n_threads=1)[0]


def with_adapter(base: Gguf, path: Path, tensors: dict[str, np.ndarray], rank: int) -> Gguf:
    output.write_adapter(path, "llama", tensors, rank, "F32", "test")
    return msgspec.structs.replace(
        base, adapter=Adapter(str(path), store.sha256_file(path), path.stat().st_size, rank, "F32")
    )


def factors(a: np.ndarray, b: np.ndarray) -> dict[str, np.ndarray]:
    return {f"{TENSOR}.lora_a": a, f"{TENSOR}.lora_b": b}


def zeros(base: Gguf, folder: Path) -> Gguf:
    return with_adapter(base, folder / "zero.gguf", factors(np.ones((8, 768)), np.zeros((256, 8))), 8)


@pytest.mark.parametrize("mode", [None, "dynamic-token"])
def test_an_adapter_of_zeros_changes_nothing(
    score: Score, model: Gguf, q4_0: Gguf, tmp_path: Path, mode: Activations | None
) -> None:
    _, without, adapted = score(model, [Candidate(m, mode) for m in (q4_0, zeros(q4_0, tmp_path))])
    assert without.model.sha256 == adapted.model.sha256
    assert values(adapted) == values(without)


def test_an_adapter_brings_back_what_was_lost(score: Score, model: Gguf, tmp_path: Path) -> None:
    source = Source(Path(model.path))
    original = source.tensors[TENSOR].rows()
    step = np.abs(original).max() / 3
    lossy = (np.round(original / step) * step).astype(np.float32)
    coarse = rewritten(source, tmp_path / "coarse.gguf", {TENSOR: (TENSOR, lossy)})
    whole = with_adapter(coarse, tmp_path / "whole.gguf", factors(original - lossy, np.eye(256)), 256)
    _, without, adapted = score(model, [Candidate(coarse), Candidate(whole)])
    assert kld(adapted) < 1e-6 < 1e-3 < kld(without)


def test_what_is_no_adapter_of_this_model_is_refused(score: Score, model: Gguf, q4_0: Gguf, tmp_path: Path) -> None:
    def refused(adapter: Gguf, reason: str) -> None:
        with pytest.raises(InputError, match=reason) as e:
            score(model, [Candidate(adapter)])
        assert "can't load the adapter" in e.value.text

    other = with_adapter(q4_0, tmp_path / "a.gguf", factors(np.ones((8, 512)), np.ones((256, 8))), 8)
    refused(other, "incorrect shape")
    assert other.adapter
    no_adapter = msgspec.structs.replace(other.adapter, path=model.path, sha256=model.sha256)
    refused(msgspec.structs.replace(other, adapter=no_adapter), "expect general.type to be 'adapter'")
    gone = msgspec.structs.replace(other.adapter, path=str(tmp_path / "gone.gguf"))
    refused(msgspec.structs.replace(other, adapter=gone), "No such file")
