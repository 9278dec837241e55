"""Second moments: right for the tokens they are of, the same however they are collected, refused where of no use."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from edgeq import calibrate, corpus, gguf_info, programs, store
from edgeq.corpus import Tokens
from edgeq.errors import InputError, MissingError
from edgeq.records import Build, Gguf
from edgeq.records import Moments as Record
from edgeq.shell import Event
from edgeq.tensors import output
from edgeq.tensors.moments import Moments
from edgeq.tensors.refused import Refused
from edgeq.tensors.source import Source
from edgeq.worker.imatrix import read_imatrix

from .conftest import CALIBRATION, MODEL
from .test_run import edgeq

FOLDER = CALIBRATION.parent
TEXTS = (FOLDER / "religion.txt", FOLDER / "jobs.txt", FOLDER / "eng.txt")
N_CTX = 512
DOWN = "blk.0.ffn_down.weight"  # 768 columns; all others have 256
# The moments and the validation's of one layer: three inputs of 256 columns and one of 768, float32.
LAYER_BYTES = 2 * 4 * (3 * 256**2 + 768**2)


class Collector:
    """The native program on the first chunks of the texts: what the room does not let through is quick to try."""

    def __init__(self, build: Build, model: Path, texts: tuple[Tokens, ...], folder: Path) -> None:
        self.build, self.model, self.texts, self.folder = build, model, texts, folder
        self.events: list[Event] = []

    def __call__(self, *n_chunks: int, form: str = "full", max_bytes: int = 1 << 30, more: tuple[str, ...] = ()) -> Any:
        """Moments of so many chunks of each text, 0 for none; one chunk of the last text is the validation's."""
        used = [(text, n) for text, n in zip(self.texts, n_chunks, strict=False) if n]
        ids = [text.ids[: n * N_CTX] for text, n in used] + [self.texts[-1].ids[:N_CTX]]
        np.concatenate(ids).tofile(self.folder / "tokens.i32")
        out = self.folder / f"{'-'.join(map(str, n_chunks))}-{form}-{max_bytes}.gguf"
        argv = ["--model", str(self.model), "--tokens", str(self.folder / "tokens.i32"), "--n-ctx", str(N_CTX)]
        argv += ["--threads", "1", "--form", form, "--max-bytes", str(max_bytes), "--moments", str(out), *more]
        argv += ["--validation", "validation", "--model-sha256", "model"]
        for text, n in used:
            argv += ["--dataset", text.corpus[0].name, "--chunks", str(n)]
        self.events = programs.native(self.build, "calibrate", argv, what="calibrating")
        return Moments(out)


@pytest.fixture(scope="module")
def collect(built: Build, model: Gguf, tmp_path_factory: pytest.TempPathFactory) -> Collector:
    texts = corpus.tokenize_each(model, TEXTS, built, n_ctx=N_CTX, part="all")
    return Collector(built, MODEL, texts, tmp_path_factory.mktemp("moments"))


@pytest.fixture(scope="module")
def both(collect: Collector) -> Moments:
    """One chunk of one text and three of another."""
    found: Moments = collect(1, 3)
    return found


def training(moments: Moments, name: str) -> np.ndarray:
    pair = moments.of(name)
    assert pair is not None
    return pair[0]


def test_the_diagonal_is_the_importance_matrix_of_the_same_tokens(collect: Collector, tmp_path: Path) -> None:
    moments = collect(4, more=("--out", str(tmp_path / "imatrix.gguf")))
    importance = read_imatrix(tmp_path / "imatrix.gguf")
    assert importance.keys() == set(moments.names) and len(importance) == 42
    for name, values in importance.items():
        np.testing.assert_allclose(np.diagonal(training(moments, name)), values, rtol=1e-5, err_msg=name)


def test_matrices_that_read_the_same_share_their_moments(both: Moments) -> None:
    for names in (("attn_q", "attn_k", "attn_v"), ("ffn_gate", "ffn_up")):
        assert len({training(both, f"blk.3.{name}.weight").offset for name in names}) == 1  # type: ignore[attr-defined]
    header = gguf_info.read_header(both.path)
    assert len(header.tensors) == 2 * 4 * 6  # training and validation of four inputs in six layers
    assert both.of("token_embd.weight") is None


def test_symmetric_and_positive_semidefinite(both: Moments) -> None:
    for name in both.names:
        for matrix in both.of(name) or ():
            np.testing.assert_array_equal(matrix, matrix.T)
    for kind in ("attn_q", "attn_output", "ffn_up", "ffn_down"):
        values = np.linalg.eigvalsh(training(both, f"blk.5.{kind}.weight").astype(np.float64))
        assert values[0] > -1e-6 * values[-1], kind


def test_texts_count_the_same_however_long(collect: Collector, both: Moments) -> None:
    short, long = collect(1), collect(0, 3)
    for name in both.names:
        mean = (training(short, name).astype(np.float64) + training(long, name)) / 2
        scale = np.sqrt(np.outer(np.diagonal(mean), np.diagonal(mean)))
        assert np.abs((training(both, name) - mean) / scale).max() < 1e-5
    assert (both.n_tokens, both.n_validation_tokens) == (4 * N_CTX, N_CTX)
    assert (both.domains, both.validation) == (("religion.txt", "jobs.txt"), "validation")


def test_the_validation_has_its_own_moments(collect: Collector, both: Moments) -> None:
    pair, alone = both.of(DOWN), collect(0, 0, 1)
    assert pair is not None
    np.testing.assert_array_equal(pair[1], training(alone, DOWN))


def test_blocks_are_those_on_the_diagonal(collect: Collector, both: Moments) -> None:
    blocks = collect(1, 3, form="blocks")
    assert (blocks.form, both.form) == ("blocks", "full")
    assert training(blocks, DOWN).shape == (3, 256, 256) and training(both, DOWN).shape == (768, 768)
    for name in both.names:
        assert blocks.width(name) == both.width(name)
        for i, block in enumerate(training(blocks, name)):
            at = slice(256 * i, 256 * (i + 1))
            np.testing.assert_array_equal(block, training(both, name)[at, at])


@pytest.mark.parametrize("max_bytes", [1, LAYER_BYTES])
def test_several_passes_give_the_same_bytes(collect: Collector, max_bytes: int) -> None:
    assert collect(1, max_bytes=max_bytes).path.read_bytes() == collect(1).path.read_bytes()


def test_whole_matrices_where_a_layer_fits(collect: Collector) -> None:
    assert collect(1, form="auto", max_bytes=LAYER_BYTES).form == "full"
    assert collect(1, form="auto", max_bytes=LAYER_BYTES - 1).form == "blocks"


def test_folded_scales(collect: Collector, both: Moments) -> None:
    scales = np.exp(np.random.default_rng(0).standard_normal(768)).astype(np.float32)
    whole = both.rescaled(training(both, DOWN), scales)
    np.testing.assert_allclose(whole * np.outer(scales, scales), training(both, DOWN), rtol=1e-6)
    blocks = both.rescaled(training(collect(1, 3, form="blocks"), DOWN), scales)
    np.testing.assert_allclose(blocks[1], whole[256:512, 256:512], rtol=1e-6)


def test_experts_have_no_moments(collect: Collector, tmp_path: Path) -> None:
    source = Source(MODEL)
    planned, values = [], {}
    for name, tensor in source.tensors.items():
        if ".ffn_norm" in name or ".ffn_" not in name:
            planned.append((name, tensor.shape, tensor.type))
            values[name] = tensor.raw
            continue
        exps = name.replace(".weight", "_exps.weight")
        planned.append((exps, (*tensor.shape, 2), tensor.type))
        values[exps] = np.concatenate([tensor.raw, tensor.raw])
    for i in range(6):
        router = f"blk.{i}.ffn_gate_inp.weight"
        planned.append((router, (256, 2), "F32"))
        values[router] = np.random.default_rng(i).standard_normal((2, 256)).astype(np.float32)
    path = tmp_path / "experts.gguf"
    counts = {"llama.expert_count": 2, "llama.expert_used_count": 1}
    output.write(path, source, planned, values.__getitem__, counts)
    mixture = Collector(collect.build, path, collect.texts, tmp_path)
    moments = mixture(1)
    moments.check(gguf_info.read_header(path))
    assert len(moments.names) == 6 * 5 and moments.of("blk.0.ffn_up_exps.weight") is None
    assert training(moments, "blk.5.ffn_gate_inp.weight").shape == (256, 256)
    left_out = {e["tensor"] for e in mixture.events if e["event"] == "left_out"}
    assert left_out == {name for name, shape, _ in planned if len(shape) == 3}


def test_activations_that_are_not_finite(collect: Collector, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    shutil.copy(MODEL, path)
    norm = next(t for t in gguf_info.read_header(path).tensors if t.name == "blk.2.ffn_norm.weight")
    with path.open("rb+") as file:
        file.seek(norm.offset)
        file.write(np.full(1, np.inf, np.float32).tobytes())
    broken = Collector(collect.build, path, collect.texts, tmp_path)
    with pytest.raises(InputError, match=r"blk\.2\.ffn_(gate|up)\.weight are not finite"):
        broken(1)


def test_a_model_that_the_moments_are_not_of(both: Moments) -> None:
    header = gguf_info.read_header(MODEL)
    both.check(header)
    others = [t for t in header.tensors if t.name != DOWN]
    with pytest.raises(Refused, match=rf"another model: this one has no matrix {DOWN}"):
        both.check(msgspec.structs.replace(header, tensors=tuple(others)))
    narrow = msgspec.structs.replace(next(t for t in header.tensors if t.name == DOWN), shape=(512, 256))
    with pytest.raises(Refused, match=rf"another model: {DOWN} has 512 inputs, not 768"):
        both.check(msgspec.structs.replace(header, tensors=(*others, narrow)))


def test_files_that_are_damaged_or_something_else(both: Moments, tmp_path: Path) -> None:
    data = both.path.read_bytes()
    (tmp_path / "cut.gguf").write_bytes(data[:-1000])
    with pytest.raises(Refused, match="cut off"):
        Moments(tmp_path / "cut.gguf")
    with pytest.raises(Refused, match="holds no second moments"):
        Moments(MODEL)
    start = gguf_info.read_header(both.path).tensors[-1].offset
    nan = np.full(1, np.nan, np.float32).tobytes()
    (tmp_path / "nan.gguf").write_bytes(data[:start] + nan + data[start + 4 :])
    damaged = Moments(tmp_path / "nan.gguf")
    assert damaged.of(both.names[0])
    with pytest.raises(Refused, match="damaged"):
        damaged.of(both.names[-1])


def room(
    build: Build, model: Gguf, out: Path, *texts: Path, n_tokens: int = 8192, validation: Path = TEXTS[2]
) -> Record:
    return calibrate.moments(model, texts, validation, build, out, n_tokens=n_tokens, n_threads=1)


def test_the_room_fills_up_from_longer_texts_and_works_once(built: Build, model: Gguf, tmp_path: Path) -> None:
    short = tmp_path / "short.txt"
    short.write_bytes(TEXTS[1].read_bytes()[:6000])
    record = room(built, model, tmp_path / "m.gguf", short, TEXTS[0])
    assert (record.n_tokens, record.n_inputs, record.form) == (8192, 24, "full")
    assert [c.name for c in (*record.corpus, record.validation)] == ["short.txt", "religion.txt", "eng.txt"]
    moments = Moments(tmp_path / "m.gguf")
    assert moments.model_sha256 == record.model_sha256 == model.sha256
    assert (moments.n_tokens, moments.n_validation_tokens) == (8192, 2048)
    assert store.load(tmp_path / "m.json", Record) == record
    no_program = msgspec.structs.replace(built, tools={})
    assert room(no_program, model, tmp_path / "m.gguf", short, TEXTS[0]) == record


def test_the_room_refuses_what_would_do_harm(built: Build, model: Gguf, tmp_path: Path) -> None:
    short = tmp_path / "short.txt"
    short.write_bytes(TEXTS[1].read_bytes()[:6000])
    with pytest.raises(InputError, match="4,096 tokens are too inexact"):
        room(built, model, tmp_path / "m.gguf", TEXTS[0], n_tokens=4096)
    with pytest.raises(InputError, match="refining does harm"):
        room(built, model, tmp_path / "m.gguf", short)
    with pytest.raises(InputError, match=r"jobs\.txt is one of the texts"):
        room(built, model, tmp_path / "m.gguf", *TEXTS[:2], validation=TEXTS[1])
    assert not list(tmp_path.glob("*m.*"))


def test_a_full_disk_is_said_before_the_work(built: Build, model: Gguf, small_disk: Path) -> None:
    with pytest.raises(MissingError, match="No space left"):
        room(built, model, small_disk / "m.gguf", TEXTS[0])
    assert not list(small_disk.iterdir())


def test_the_command(built: Build, tmp_path: Path) -> None:
    alone = edgeq("calibrate", MODEL, "--text", TEXTS[0], "--second-moments")
    assert alone.returncode == 2 and "give a second --text, or --validation" in alone.stderr
    job = ("calibrate", MODEL, "--text", TEXTS[0], "--text", TEXTS[1], "--chunks", 16, "--form", "blocks")
    assert "belong to --second-moments" in edgeq(*job).stderr
    done = edgeq(*job, "--second-moments", "--threads", 1, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert (record["path"], record["form"], record["n_tokens"]) == ("moments.gguf", "blocks", 8192)
    assert [c["name"] for c in (*record["corpus"], record["validation"])] == ["religion.txt", "jobs.txt"]
    shown = edgeq("show", "moments.gguf", cwd=tmp_path).stdout
    for part in ("religion.txt", "jobs.txt, 2,048 tokens", "24 of 42 weights", "256 x 256 x 3"):
        assert part in shown
