"""Models off their old grid and with padded rows: they compute the same, in every graph that is covered."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeq import models, quantize, store
from edgeq.convert import convert, padding
from edgeq.convert.rewrite import PADDED_FROM, REGRID_SEED
from edgeq.errors import InputError, MissingError
from edgeq.evaluate import Candidate, evaluate
from edgeq.records import Build, EvalSettings, Gguf, Recipe
from edgeq.tensors import families, output
from edgeq.tensors.source import Source

from .conftest import EVALUATION, MODEL
from .test_run import edgeq

Shape = tuple[int, ...]
N_EMBD, N_FF, N_LAYERS = 192, 160, 2
HEADS, KV_HEADS, DIM = 6, 2, 32


def shapes(arch: str) -> Iterator[tuple[str, Shape]]:
    """Every tensor that the graph can have."""
    yield "token_embd.weight", (N_EMBD, 2048)
    yield "output_norm.weight", (N_EMBD,)
    if arch == "qwen2":
        yield from (("output.weight", (N_EMBD, 2048)), ("output.bias", (2048,)))
    kv = KV_HEADS * DIM
    for i in range(N_LAYERS):
        block = {
            "attn_q": (N_EMBD, HEADS * DIM),
            "attn_k": (N_EMBD, kv),
            "attn_v": (N_EMBD, kv),
            "attn_output": (HEADS * DIM, N_EMBD),
            "ffn_gate": (N_EMBD, N_FF),
            "ffn_up": (N_EMBD, N_FF),
            "ffn_down": (N_FF, N_EMBD),
        }
        biased = {"llama": list(block), "qwen2": ["attn_q", "attn_k", "attn_v"], "qwen3": []}[arch]
        norms = {"attn_norm": N_EMBD, "ffn_norm": N_EMBD}
        norms |= {"attn_q_norm": DIM, "attn_k_norm": DIM} if arch == "qwen3" else {}
        yield from ((f"blk.{i}.{n}.weight", (size,)) for n, size in norms.items())
        yield from ((f"blk.{i}.{n}.weight", shape) for n, shape in block.items())
        yield from ((f"blk.{i}.{n}.bias", block[n][1:]) for n in biased)


def random_model(folder: Path, arch: str, *, largest: float = 1.0, **changed: Shape) -> Path:
    """A model of random weights, with a large epsilon. ``changed``: tensors of block 0 of other shapes, or more."""
    names = dict(shapes(arch)) | {f"blk.0.{n}.weight": s for n, s in changed.items()}
    rng = np.random.default_rng(7)

    def values(name: str) -> Any:
        drawn = rng.standard_normal(names[name][::-1]).astype(np.float32)
        if name.endswith("norm.weight"):
            return 1 + drawn / 4
        if name.endswith("bias"):
            return drawn / 4
        return drawn * largest / np.float32(5 if name == "token_embd.weight" else names[name][0] ** 0.5)

    sizes: dict[str, int | float] = {
        "context_length": 1024,
        "block_count": N_LAYERS,
        "embedding_length": N_EMBD,
        "feed_forward_length": N_FF,
        "attention.head_count": HEADS,
        "attention.head_count_kv": KV_HEADS,
        "attention.key_length": DIM,
        "attention.value_length": DIM,
        "attention.layer_norm_rms_epsilon": 0.05,
        "rope.freq_base": 10000.0,
        "rope.dimension_count": DIM,
    }
    out = folder / f"{arch}.gguf"
    planned = [(n, s, "F32") for n, s in names.items()]
    metadata: dict[str, str | int | float] = {f"{arch}.{key}": value for key, value in sizes.items()}
    output.write(
        out, Source(MODEL), planned, values, {"general.architecture": arch, "general.file_type": 0, **metadata}
    )
    return out


def divergences(reference: Gguf, others: list[Gguf], built: Build, folder: Path, n_ctx: int) -> list[Any]:
    """KLD of each token, for each of the others."""
    settings = EvalSettings(n_ctx=n_ctx, n_chunks=2, first=8, n_threads=2)
    records = evaluate(reference, [Candidate(m) for m in others], (EVALUATION,), built, settings, folder)
    assert all(r.n_tokens > 200 for r in records)
    return [np.frombuffer(r.kld_f32, np.float32) for r in records[1:]]


@pytest.mark.parametrize("arch", ["llama", "qwen2", "qwen3"])
def test_a_rewritten_model_computes_the_same(built: Build, tmp_path: Path, arch: str) -> None:
    path = random_model(tmp_path, arch)
    made = [
        convert(str(path), tmp_path, regrid=True, outtype="f32"),
        convert(str(path), tmp_path, pad_rows=256),
        convert(str(path), tmp_path, regrid=True, pad_rows=320, outtype="f32"),
    ]
    assert [m.file_type for m in made] == ["F32"] * 3
    # What is left is rounding: of F32 weights, and of keys and values, which the cache holds as F16.
    for kld in divergences(models.describe(path), made, built, tmp_path / "scores", n_ctx=128):
        assert kld.mean() < 1e-6
        assert kld.max() < 2e-5
    padded = Source(Path(made[1].path))
    assert {t.row_length for t in padded.tensors.values() if len(t.shape) > 1} == {256}
    assert padded.header.metadata[PADDED_FROM] == N_EMBD
    assert Source(Path(made[0].path)).header.metadata[REGRID_SEED] == 1


def test_a_real_model_off_its_grid_and_padded_is_the_model(built: Build, smollm2: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain-F32.gguf"
    argv = [built.tool("quantize"), "--allow-requantize", smollm2, plain, "F32", "2"]
    subprocess.run([str(a) for a in argv], check=True, capture_output=True)
    regridded = convert(str(smollm2), tmp_path, regrid=True, outtype="f32")
    padded = convert(str(smollm2), tmp_path, regrid=True, pad_rows=256)
    exact, rounded = divergences(models.describe(plain), [regridded, padded], built, tmp_path / "scores", n_ctx=256)
    assert exact.mean() < 1e-6
    assert exact.max() < 2e-4
    assert rounded.mean() < 1e-5
    assert rounded.max() < 2e-4

    before, after = Source(smollm2), Source(Path(regridded.path))
    for name in (n for n, t in before.tensors.items() if t.type == "Q4_1"):
        assert distinct(before, name).max() <= 16
        assert np.median(distinct(after, name)) >= 31, name
    for kept in ("token_embd.weight", "output_norm.weight"):
        np.testing.assert_array_equal(after.tensors[kept].rows(0, 64), before.tensors[kept].rows(0, 64))
    assert not (regridded.requantized or padded.requantized)
    assert not (models.is_quantized(regridded) or models.is_quantized(padded))

    recipe = Recipe("Q4_K", "Q4_K_S", pure=True, imatrix=False, token_embedding_type="q8_0")
    (wide,), (narrow,) = (quantize.plan(m, [recipe], None, built) for m in (padded, regridded))
    assert set(wide.tensor_types.values()) == {"Q4_K", "Q8_0", "F32"}
    assert set(narrow.tensor_types.values()) > {"Q4_K", "Q8_0", "F32"}


def distinct(source: Source, name: str) -> Any:
    """How many different values each block of 32 has, in the first rows."""
    blocks = np.sort(source.tensors[name].rows(0, 16).reshape(-1, 32), axis=1)
    return np.count_nonzero(np.diff(blocks, axis=1), axis=1) + 1


def test_a_quantized_model_is_taken_off_its_grid_or_refused(ladder: tuple[Gguf, ...], tmp_path: Path) -> None:
    for quantized in ladder:
        for pad_rows in (None, 320):
            with pytest.raises(InputError) as e:
                convert(quantized.path, tmp_path, pad_rows=pad_rows)
            assert "--regrid" in e.value.hint
        assert not convert(quantized.path, tmp_path, regrid=True).requantized
        assert convert(quantized.path, tmp_path, pad_rows=320, allow_requantize=True).requantized


def test_what_has_been_made_is_found_again(tmp_path: Path) -> None:
    first = convert(str(MODEL), tmp_path, regrid=True, pad_rows=320)
    path = Path(first.path)
    assert path.name == "edgeq-5m-f16-regrid-pad320-F16.gguf"
    made = path.stat().st_mtime_ns
    assert convert(str(MODEL), tmp_path, regrid=True, pad_rows=320) == first
    assert path.stat().st_mtime_ns == made
    path.write_bytes(path.read_bytes()[:-1])
    assert convert(str(MODEL), tmp_path, regrid=True, pad_rows=320) == first
    assert store.sha256_file(path) == first.sha256
    assert convert(str(MODEL), tmp_path, regrid=True, outtype="bf16").file_type == "BF16"
    assert not list(tmp_path.glob("*.partial"))


def test_rows_that_fit_already_are_left_alone(tmp_path: Path) -> None:
    assert convert(str(MODEL), tmp_path, pad_rows=256).path == str(MODEL)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("beforehand", [True, False])
def test_a_full_disk_leaves_nothing(small_disk: Path, monkeypatch: pytest.MonkeyPatch, beforehand: bool) -> None:
    if not beforehand:
        monkeypatch.setattr(store, "need_space", lambda *_: None)
    with pytest.raises(MissingError) as e:
        convert(str(MODEL), small_disk, regrid=True)
    assert "space" in e.value.text or "free" in e.value.text
    assert not list(small_disk.iterdir())


def test_graphs_that_are_not_covered(tmp_path: Path) -> None:
    def refused(path: Path, *words: str, **options: Any) -> None:
        with pytest.raises(InputError) as e:
            convert(str(path), tmp_path, **({"regrid": True} | options))
        assert all(w in e.value.text for w in words), e.value.text
        assert not list(tmp_path.glob("*-regrid*"))

    source = Source(MODEL)
    planned = [(name, t.shape, t.type) for name, t in source.tensors.items()]
    for arch in ("mamba", "gemma3"):
        renamed = tmp_path / f"{arch}.gguf"
        output.write(renamed, source, planned, lambda n: source.tensors[n].raw, {"general.architecture": arch})
        refused(renamed, f"The graph of {arch} is not covered")
    refused(random_model(tmp_path, "llama", ffn_gate_exps=(N_EMBD, N_FF, 2)), "ffn_gate_exps", "experts")
    refused(random_model(tmp_path, "llama", ffn_up=(N_EMBD, 128), ffn_gate=(N_EMBD, 128)), "128", "shape")
    refused(random_model(tmp_path, "qwen2", attn_q_norm=(DIM,)), "attn_q_norm")
    refused(random_model(tmp_path, "llama", largest=1e6), "too large for F16")
    refused(MODEL, "multiple of 100", pad_rows=100)
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(MODEL.read_bytes()[:-1])
    refused(cut, "cut off")


@pytest.mark.parametrize(
    ("n", "n_kv", "dim", "wanted"),
    [
        (9, 3, 64, (12, 4)),  # SmolLM2-135M: the ratio is kept
        (14, 2, 64, (16, 2)),  # Qwen2.5-0.5B: it can't be
        (32, 8, 128, (32, 8)),
    ],
)
def test_heads_that_fill_rows(n: int, n_kv: int, dim: int, wanted: tuple[int, int]) -> None:
    heads = families.Heads(n, n_kv, dim, neighbors=True)
    filled = padding._heads(heads, 256)
    assert (filled.n, filled.n_kv, filled.dim) == (*wanted, dim)


def test_the_command_says_what_it_did(tmp_path: Path) -> None:
    done = edgeq("convert", MODEL, "--regrid", "--pad-rows", "320", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{tmp_path / 'edgeq-5m-f16-regrid-pad320-F16.gguf'}\n"
    assert "off their grid" in done.stderr
    assert "256 to 320" in done.stderr
    failed = edgeq("convert", MODEL, "--pad-rows", "100", "--out", tmp_path)
    assert failed.returncode == 3
    assert "Traceback" not in failed.stderr
