"""The pool: the same blocks whoever encodes them, and nothing half-made, evicted in use, or kept beyond its limit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import msgspec
import numpy as np
import pytest

from edgeq import gguf_info, models, programs, quantize, store
from edgeq.errors import InputError
from edgeq.gguf_info import TensorInfo
from edgeq.records import Build, Gguf, Imatrix
from edgeq.tensors import output
from edgeq.tensors.ggml import Ggml
from edgeq.tensors.pool import Pool
from edgeq.tensors.refused import Refused
from edgeq.tensors.source import Source, Tensor

Floats = np.ndarray[Any, np.dtype[np.float32]]
HOUR = 3600

# Experts, every type of source, and rows that are no multiple of 256.
SHAPES = {
    "token_embd.weight": ((256, 512), "F16"),
    "output_norm.weight": ((256,), "F32"),
    "blk.0.attn_q.weight": ((256, 256), "BF16"),
    "blk.0.attn_v.weight": ((256, 128), "F32"),
    "blk.0.attn_output.weight": ((256, 256), "Q8_0"),
    "blk.0.ffn_gate_inp.weight": ((256, 3), "F32"),
    "blk.0.ffn_up_exps.weight": ((256, 320, 3), "F16"),
    "blk.0.ffn_down_exps.weight": ((320, 256, 3), "F16"),
}


COUNTS = {"llama.block_count": 1, "llama.expert_count": 3, "llama.expert_used_count": 2}


def library(build: Build) -> Path:
    return Path(build.folder) / "bin" / "libggml-base.so"


@pytest.fixture(scope="module")
def ggml(built: Build) -> Ggml:
    return Ggml(library(built), 2)


@pytest.fixture(scope="module")
def mixed(model: Gguf, ggml: Ggml, tmp_path_factory: pytest.TempPathFactory) -> Gguf:
    """A model that only llama-quantize can do something with: random weights of these shapes and types."""
    path = tmp_path_factory.mktemp("mixed") / "mixed.gguf"
    rng = np.random.default_rng(1)

    def data(name: str) -> np.ndarray[Any, np.dtype[Any]]:
        shape, kind = SHAPES[name]
        rows = rng.standard_normal((int(np.prod(shape[1:])), shape[0])).astype(np.float32) / 50
        return rows if kind == "F32" else ggml.encode(kind, rows)

    planned = [(name, shape, kind) for name, (shape, kind) in SHAPES.items()]
    output.write(path, Source(Path(model.path)), planned, data, COUNTS)
    return models.describe(path)


@pytest.fixture(scope="module")
def imatrix(mixed: Gguf, tmp_path_factory: pytest.TempPathFactory) -> Imatrix:
    """Importance of all but the embedding; one expert saw no token."""
    path = tmp_path_factory.mktemp("imatrix") / "imatrix.gguf"
    writer = gguf.GGUFWriter(path, "imatrix")
    rng = np.random.default_rng(2)
    for name, (shape, _) in SHAPES.items():
        if name.startswith("blk."):
            n = shape[2] if len(shape) == 3 else 1
            counts = np.full((n, 1), 7, np.float32)
            counts[1:2] = 0
            writer.add_tensor(f"{name}.in_sum2", rng.random((n, shape[0]), np.float32) * np.minimum(counts, 1))
            writer.add_tensor(f"{name}.counts", counts)
    writer.add_string("general.type", "imatrix")
    writer.add_array("imatrix.datasets", ["x"])
    writer.add_uint32("imatrix.chunk_count", 7)
    writer.add_uint32("imatrix.chunk_size", 512)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return Imatrix(str(path), store.sha256_file(path), (), 7, 512, mixed.sha256, 6)


@pytest.fixture
def weights(model: Gguf) -> Tensor:
    return Source(Path(model.path)).tensors["blk.0.ffn_up.weight"]


def test_experts_odd_widths_and_all_sources_are_encoded_as_llama_quantize_does(
    built: Build, mixed: Gguf, imatrix: Imatrix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEQ_CACHE", str(tmp_path / "cache"))
    types = ("Q2_K_S", "Q4_K_M", "IQ2_XS", "IQ3_XXS", "MXFP4_MOE", "F32")
    recipes = [quantize.stock_recipe(t, built) for t in types]
    for ours in quantize.quantize(mixed, recipes, imatrix, built, tmp_path, n_threads=2):
        theirs = tmp_path / "theirs.gguf"
        options = ["--allow-requantize", "--imatrix", imatrix.path]
        argv = [built.tool("quantize"), *options, mixed.path, theirs, ours.file_type, "2"]
        subprocess.run(argv, check=True, capture_output=True)
        a, b = (gguf_info.read_header(p) for p in (Path(ours.path), theirs))
        assert [(t.name, t.shape, t.type) for t in a.tensors] == [(t.name, t.shape, t.type) for t in b.tensors]
        assert Path(ours.path).read_bytes()[a.data_offset :] == theirs.read_bytes()[b.data_offset :], ours.file_type
        assert ours.n_bytes == ours.predicted_bytes


def importance_of(tensor: Tensor) -> Floats:
    return np.random.default_rng(3).random(tensor.row_length * tensor.n_matrices, np.float32)


@pytest.mark.parametrize("kind", ["Q3_K", "IQ2_XXS", "IQ4_NL", "BF16"])
@pytest.mark.parametrize("name", ["blk.0.ffn_up_exps.weight", "token_embd.weight"])
def test_the_number_of_threads_changes_nothing(
    kind: str, name: str, built: Build, mixed: Gguf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgeq.tensors.pool._PIECE_VALUES", 5 * 256)  # many pieces, the last of a matrix a short one
    tensor = Source(Path(mixed.path)).tensors[name]
    importance = importance_of(tensor)
    made = [
        Pool(tmp_path / str(n), Ggml(library(built), n)).encoded(tensor, kind, importance).read_bytes()
        for n in (1, 2, 5)
    ]
    whole = Ggml(library(built), 1)
    parts = zip(np.split(tensor.rows(), tensor.n_matrices), np.split(importance, tensor.n_matrices), strict=True)
    expected = b"".join(whole.encode(kind, rows, of_rows).tobytes() for rows, of_rows in parts)
    assert made == [expected] * 3


def test_what_is_encoded_is_found_by_all_that_it_depends_on(weights: Tensor, ggml: Ggml, tmp_path: Path) -> None:
    importance = importance_of(weights)
    first = Pool(tmp_path / "pool", ggml)
    path = first.encoded(weights, "Q4_0", importance)
    before = path.stat().st_ino
    copy = tmp_path / "copy"  # the same bytes elsewhere, under another name
    copy.write_bytes(bytes(7) + weights.raw.tobytes())
    info = TensorInfo("x", weights.shape, "F16", weights.info.n_elements, weights.info.n_bytes, 7)
    same = Tensor(info, copy)
    assert Pool(tmp_path / "pool", ggml).encoded(same, "Q4_0", importance.copy()) == path
    assert path.stat().st_ino == before
    others = {
        first.encoded(weights, "Q4_0", None),
        first.encoded(weights, "Q4_0", importance + 1),
        first.encoded(weights, "Q4_1", importance),
        first.encoded(Tensor(msgspec.structs.replace(info, type="BF16"), copy), "Q4_0", importance),
        first.encoded(Tensor(msgspec.structs.replace(info, shape=info.shape[::-1]), copy), "Q4_0", None),
    }
    copy.write_bytes(bytes(7) + weights.raw[::-1].tobytes())
    others.add(first.encoded(same, "Q4_0", importance))
    assert len(others | {path}) == 7


def test_an_entry_that_lost_bytes_is_made_again(weights: Tensor, ggml: Ggml, tmp_path: Path) -> None:
    path = Pool(tmp_path, ggml).encoded(weights, "Q5_K", None)
    whole = path.read_bytes()
    for broken in (whole[:-1], b"", whole + b"x"):
        path.write_bytes(broken)
        assert Pool(tmp_path, ggml).encoded(weights, "Q5_K", None).read_bytes() == whole


def entries(folder: Path) -> set[str]:
    return {p.name for p in folder.iterdir()}


def test_the_limit_takes_what_was_not_used_for_longest_and_nothing_handed_out(
    weights: Tensor, ggml: Ggml, tmp_path: Path
) -> None:
    earlier = Pool(tmp_path, ggml)
    kinds = ("Q5_0", "Q5_1", "Q8_0")
    first, second, third = (earlier.encoded(weights, kind, None) for kind in kinds)
    for path, hours in ((first, 3), (second, 2), (third, 1)):
        os.utime(path, (time.time() - hours * HOUR,) * 2)
    assert Pool(tmp_path, ggml).encoded(weights, "Q5_0", None) == first  # which makes it the last that was used
    pool = Pool(tmp_path, ggml, max_bytes=sum(p.stat().st_size for p in (first, second, third)))
    new = pool.encoded(weights, "Q4_0", None)
    assert entries(tmp_path) == {first.name, third.name, new.name}
    held = [new, *(pool.encoded(weights, kind, None) for kind in ("F16", "Q6_K"))]
    assert entries(tmp_path) == {p.name for p in held}  # over the limit, and in use
    pool.release(new)
    held.append(pool.encoded(weights, "Q3_K", None))
    assert entries(tmp_path) == {p.name for p in held[1:]}


def test_a_full_disk_takes_what_is_not_in_use_and_then_refuses(small_disk: Path, model: Gguf, ggml: Ggml) -> None:
    source = Source(Path(model.path))
    large = [t for t in source.tensors.values() if "ffn" in t.name and t.type == "F16"]
    pool = Pool(small_disk / "pool", ggml)
    held: list[Path] = []
    with pytest.raises(Refused, match="No space left") as refused:
        for tensor in large:
            held.append(pool.encoded(tensor, "Q8_0", None))
    assert refused.value.code == "output"
    assert 1 < len(held) < len(large) and entries(pool._folder) == {p.name for p in held}
    pool.release(held[0])
    more = pool.encoded(large[len(held)], "Q8_0", None)
    assert entries(pool._folder) == {p.name for p in (*held[1:], more)}


def test_a_file_has_the_disk_before_the_pool(built: Build, mixed: Gguf, small_disk: Path) -> None:
    recipe = quantize.stock_recipe("Q4_0", built)
    pool = small_disk / "pool"
    pool.mkdir()
    filler = pool / "filler"
    filler.write_bytes(bytes(1_800_000))
    out = small_disk / "out.gguf"
    job = {"recipe": recipe, "metadata": {}, "imatrix": None, "out": str(out), "scratch": str(small_disk)}
    request = {"op": "quantize", "source": mixed.path, "jobs": [job], "n_threads": 1, "pool": str(pool)}
    programs.work(built, request, what="quantizing")
    assert gguf_info.read_header(out).tensor_types["Q4_0"] > 0
    assert not filler.exists()


# --- the worker ----------------------------------------------------------------------------------------------


def encode(source: Gguf, pool: Path, pairs: list[tuple[str, str]], imatrix: Imatrix | None = None) -> dict[str, Any]:
    """A request to encode."""
    path = imatrix.path if imatrix else None
    return {"op": "encode", "source": source.path, "pool": str(pool), "imatrix": path, "pairs": pairs, "n_threads": 1}


def test_pairs_are_encoded_in_order(built: Build, mixed: Gguf, imatrix: Imatrix, ggml: Ggml, tmp_path: Path) -> None:
    pairs = [("blk.0.attn_q.weight", "IQ2_XXS"), ("token_embd.weight", "Q8_0"), ("blk.0.attn_q.weight", "F16")]
    events = programs.work(built, encode(mixed, tmp_path / "pool", pairs, imatrix), what="encoding")
    assert [(e["event"], e["tensor"], e["type"], e["done"], e["total"]) for e in events] == [
        ("encoded", *pair, done, 3) for done, pair in enumerate(pairs, 1)
    ]
    source = Source(Path(mixed.path))
    for event, (name, kind) in zip(events, pairs, strict=True):
        tensor = source.tensors[name]
        assert Path(str(event["path"])).stat().st_size == output.row_bytes(kind, tensor.row_length) * tensor.n_rows
    half = np.fromfile(str(events[2]["path"]), np.float16)
    assert np.array_equal(half, ggml.decode("BF16", source.tensors[pairs[2][0]].raw, 256).astype(np.float16).ravel())


REFUSED = [
    (("blk.9.attn_q.weight", "Q4_0"), "no tensor blk.9.attn_q.weight"),
    (("blk.0.attn_q.weight", "Q4_9"), "Q4_9 is no type"),
    (("blk.0.attn_q.weight", "Q8_1"), "Q8_1 is no type"),
    (("blk.0.attn_q.weight", "I8"), "I8 is no type"),
    (("blk.0.ffn_down_exps.weight", "Q4_K"), "rows of 320 are no multiple of 256"),
    (("blk.0.attn_q.weight", "IQ3_XXS"), "attn_q.weight would be garbage as IQ3_XXS without importance"),
    (("token_embd.weight", "IQ1_S"), "token_embd.weight would be garbage as IQ1_S without importance"),
]


@pytest.mark.parametrize(("pair", "reason"), REFUSED)
def test_pairs_that_can_not_be(pair: tuple[str, str], reason: str, built: Build, mixed: Gguf, tmp_path: Path) -> None:
    with pytest.raises(InputError) as e:
        programs.work(built, encode(mixed, tmp_path / "pool", [pair]), what="encoding")
    assert reason in e.value.text
    assert not list((tmp_path / "pool").iterdir())


BAD = [
    ("blk.0.attn_v.weight", np.nan, "not finite"),
    ("blk.0.attn_v.weight", 1e8, "Q8_0 can't hold"),
    ("blk.0.ffn_gate_inp.weight", np.inf, "not finite"),  # a tensor that is copied
]


@pytest.mark.parametrize(("name", "value", "reason"), BAD)
def test_weights_that_are_no_numbers_or_too_large_make_no_file(
    name: str, value: float, reason: str, built: Build, mixed: Gguf, tmp_path: Path
) -> None:
    path = tmp_path / "bad.gguf"
    path.write_bytes(Path(mixed.path).read_bytes())
    tensor = Source(path).tensors[name]
    output.patch(path, tensor.info.offset + 4 * 300, np.array([value], np.float32))
    recipe = quantize.stock_recipe("Q8_0", built)
    with pytest.raises(InputError) as e:
        quantize.quantize(models.describe(path), [recipe], None, built, tmp_path / "out", n_threads=1)
    assert name in e.value.text and reason in e.value.text
    assert not list((tmp_path / "out").iterdir())


def test_a_matrix_of_another_model_is_refused(
    built: Build, model: Gguf, mixed: Gguf, imatrix: Imatrix, tmp_path: Path
) -> None:
    narrow = tmp_path / "narrow.gguf"
    source = Source(Path(mixed.path))
    planned = [(n, (128, *t.shape[1:]) if "attn_v" in n else t.shape, t.type) for n, t in source.tensors.items()]
    output.write(narrow, source, planned, lambda n: source.tensors[n].raw[:, : 4 * 128 if "attn_v" in n else None])
    with pytest.raises(InputError, match=r"another model: blk\.0\.attn_v\.weight has 128 inputs, not 256"):
        quantize.quantize(
            models.describe(narrow), [quantize.stock_recipe("Q4_0", built)], imatrix, built, tmp_path, n_threads=1
        )


@pytest.fixture
def started(built: Build, tmp_path: Path) -> Iterator[Any]:
    """Start workers, each with a request."""
    processes: list[subprocess.Popen[bytes]] = []

    def start(request: dict[str, Any]) -> subprocess.Popen[bytes]:
        path = tmp_path / f"request{len(processes)}.json"
        path.write_bytes(msgspec.json.encode(request))
        argv = [sys.executable, "-m", "edgeq.worker", path, "--events", path.with_suffix(".jsonl")]
        env = os.environ | {"LLAMA_CPP_LIB_PATH": str(Path(built.folder) / "bin")}
        processes.append(subprocess.Popen(argv, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.wait()


def slow_pairs(model: Gguf) -> list[tuple[str, str]]:
    return [
        (t.name, "IQ3_S")
        for t in gguf_info.read_header(Path(model.path)).tensors
        if "ffn_" in t.name and t.type == "F16"
    ][:6]


def test_kill_9_while_encoding_then_again(started: Any, built: Build, model: Gguf, ggml: Ggml, tmp_path: Path) -> None:
    pool, pairs = tmp_path / "pool", slow_pairs(model)
    process = started(encode(model, pool, pairs))
    deadline = time.monotonic() + 60
    while not (left := list(pool.glob(".*.partial"))):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    partials = {p.name for p in left if p.exists()}
    assert partials
    assert started(encode(model, pool, pairs)).wait(timeout=60) == 0
    source = Source(Path(model.path))
    for name, kind in pairs:
        found = Pool(pool, ggml).encoded(source.tensors[name], kind, None)
        assert found.read_bytes() == ggml.encode(kind, source.tensors[name].rows()).tobytes()
    assert entries(pool) >= partials  # another process may be at work on it
    for name in partials:
        os.utime(pool / name, (time.time() - 2 * HOUR,) * 2)
    Pool(pool, ggml)
    assert not list(pool.glob(".*"))


def test_two_processes_at_once(started: Any, model: Gguf, ggml: Ggml, tmp_path: Path) -> None:
    pool, pairs = tmp_path / "pool", slow_pairs(model)
    both = [started(encode(model, pool, pairs)) for _ in range(2)]
    assert [process.wait(timeout=60) for process in both] == [0, 0]
    told = [path.read_bytes() for path in sorted(tmp_path.glob("request*.jsonl"))]
    assert told[0] == told[1] and told[0].count(b"encoded") == len(pairs)
    source = Source(Path(model.path))
    for name, kind in pairs:
        found = Pool(pool, ggml).encoded(source.tensors[name], kind, None)
        assert found.read_bytes() == ggml.encode(kind, source.tensors[name].rows()).tobytes()
    assert not list(pool.glob(".*"))
