"""Quantization-aware training: its arithmetic against ggml's and llama.cpp's, what it gains, what survives a kill."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from edgeq import converter, device, models, quantize, store, train
from edgeq.errors import InputError, MissingError, ToolError
from edgeq.evaluate import Candidate, evaluate
from edgeq.quants import qat
from edgeq.records import Build, EvalRecord, EvalSettings, Gguf, Recipe
from edgeq.shell import Event
from edgeq.tensors import output
from edgeq.tensors.ggml import Ggml
from edgeq.tensors.source import Source

from .conftest import CALIBRATION, EVALUATION, MODEL

Floats = np.ndarray[Any, np.dtype[np.float32]]
ARM = qat.ARMS[0].recipe
assert ARM is not None
RECIPE = msgspec.structs.replace(ARM, options={"steps": 60})
PLAIN = msgspec.structs.replace(ARM, name="plain", method="stock")
N_CTX = 512


def run_beside_the_script(folder: Path, code: str) -> None:
    """Run code that has the script as ``t`` and the folder as ``folder``, where PyTorch is."""
    program = folder / "program.py"
    start = (f"import sys; sys.path.insert(0, {str(qat.SCRIPT.parent)!r})", "from pathlib import Path")
    start += ("import numpy as np, torch, _qat_training as t", f"folder = Path({str(folder)!r})")
    program.write_text("\n".join((*start, code)))
    converter.train(program, folder, lambda _: None, print)


def written_as(kind: str, source: Path, out: Path) -> Path:
    """The same model with all tensors in F32 or, as they are, under another name."""
    model = Source(source)
    planned = [(n, t.shape, kind) for n, t in model.tensors.items()]
    output.write(out, model, planned, lambda n: model.tensors[n].rows(), {"general.file_type": 0})
    return out


def nll(record: EvalRecord) -> Floats:
    return np.frombuffer(record.nll_f32, np.float32)


def test_rounding_is_that_of_ggml_bit_for_bit(built: Build, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    # As F16 they have many blocks with two values of the same largest magnitude, and values halfway between codes.
    x = rng.standard_normal((512, 256)).astype(np.float16).astype(np.float32)
    x *= np.exp(3 * rng.standard_normal((512, 1))).astype(np.float32)
    x[0], x[1, :32], x[2], x[3] = 0, 0, 1e-9, -1e-40
    x[4:8] = np.tile([1, -1], 128)
    x[8:12] = np.arange(256) % 16 - 7.5
    x[12:99] = np.round(x[12:99] * 2) / 2
    np.save(tmp_path / "x.npy", x)
    run_beside_the_script(
        tmp_path,
        "x = torch.from_numpy(np.load(folder / 'x.npy')); np.save(folder / 'y', t.rounded(x, t.grid_steps(x)).numpy())",
    )
    ggml = Ggml(Path(built.folder) / "bin" / "libggml-base.so", 1)
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), ggml.decode("Q4_0", ggml.encode("Q4_0", x), 256))


def test_the_model_that_is_trained_computes_what_llama_cpp_computes(
    built: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stop(Exception):
        pass

    def probe(script: Path, folder: Path, on_event: Callable[[Event], None], on_note: Callable[[str], None]) -> None:
        shutil.copytree(folder, tmp_path / "request")
        raise Stop

    # Of F32 weights, as llama.cpp rounds what it multiplies with F16 to F16.
    model = models.describe(written_as("F32", MODEL, tmp_path / "F32.gguf"))
    recipe = msgspec.structs.replace(RECIPE, options={"steps": 20, "n_ctx": N_CTX})
    with monkeypatch.context() as patch, pytest.raises(Stop):
        patch.setattr(converter, "train", probe)
        train.train(model, (EVALUATION,), built, tmp_path, recipe, n_threads=2)
    run_beside_the_script(
        tmp_path / "request",
        f"""
r = t.read_request(folder)
ids = torch.from_numpy(np.fromfile(folder / "tokens.i32", np.int32).astype(np.int64)).view(-1, {N_CTX})[:4]
logits = t.logits(r.graph, t.read_weights(r, folder), ids)[:, {N_CTX // 2}:-1]
nll = torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, {N_CTX // 2} + 1:].flatten(), reduction="none")
np.save(folder / "nll", nll.numpy())""",
    )
    settings = EvalSettings(n_ctx=N_CTX, n_chunks=4, first=N_CTX // 2, n_threads=2)
    (record,) = evaluate(model, (), (EVALUATION,), built, settings, tmp_path)
    ours, theirs = np.load(tmp_path / "request" / "nll.npy"), nll(record)
    # llama.cpp keeps keys and values in half precision.
    assert ours.mean() == pytest.approx(theirs.mean(), abs=1e-4)
    assert np.abs(ours - theirs).mean() < 1e-3


@pytest.fixture(scope="module")
def trained(built: Build, model: Gguf, tmp_path_factory: pytest.TempPathFactory) -> Gguf:
    """The small model after sixty steps, without interruption."""
    folder = tmp_path_factory.mktemp("trained")
    return train.train(model, (CALIBRATION,), built, folder, RECIPE, n_threads=2)


@pytest.fixture(scope="module")
def quantized(built: Build, trained: Gguf, tmp_path_factory: pytest.TempPathFactory) -> Gguf:
    """The arm's file."""
    return quantize.quantize(trained, [RECIPE], None, built, tmp_path_factory.mktemp("quantized"), n_threads=2)[0]


def test_training_makes_q4_0_lose_less_on_another_text(
    built: Build, model: Gguf, trained: Gguf, quantized: Gguf, tmp_path: Path
) -> None:
    (plain,) = quantize.quantize(model, [PLAIN], None, built, tmp_path, n_threads=2)
    assert quantized.tensor_types == plain.tensor_types
    assert quantized.parent_sha256 == trained.sha256 and trained.parent_sha256 == model.sha256
    settings = EvalSettings(n_ctx=N_CTX, n_chunks=8, first=N_CTX // 2, n_threads=2)
    _, before, after = evaluate(
        model, (Candidate(plain), Candidate(quantized)), (EVALUATION,), built, settings, tmp_path
    )
    kld = [np.frombuffer(r.kld_f32, np.float32).reshape(8, -1).mean(1) for r in (before, after)]
    assert (kld[1] < kld[0]).all()
    assert kld[1].mean() < 0.75 * kld[0].mean()


def test_what_was_trained_is_packed_without_loss_and_stays(
    built: Build, trained: Gguf, quantized: Gguf, tmp_path: Path
) -> None:
    source, made = Source(Path(trained.path)), Source(Path(quantized.path))
    matrices = [name for name, tensor in made.tensors.items() if tensor.type == "Q4_0"]
    assert len(matrices) == 6 * 7
    for name in matrices:
        np.testing.assert_array_equal(made.tensors[name].raw, q4_0_blocks(source.tensors[name].rows()), err_msg=name)
    decoded = models.describe(written_as("F32", made.path, tmp_path / "decoded.gguf"))
    again = Source(Path(quantize.quantize(decoded, [PLAIN], None, built, tmp_path, n_threads=2)[0].path))
    for name in matrices:
        np.testing.assert_array_equal(made.tensors[name].raw, again.tensors[name].raw, err_msg=name)


def q4_0_blocks(values: Floats) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Q4_0 after its definition in ggml-common.h: a scale, then 16 bytes with the codes of weights i and i + 16."""
    blocks = values.reshape(-1, 32)
    scales = blocks[np.arange(len(blocks)), np.abs(blocks).argmax(1)] / np.float32(-8)
    codes = np.rint(blocks / scales[:, None] + 8).astype(np.uint8)
    packed = codes[:, :16] | codes[:, 16:] << 4
    out = np.concatenate((scales.astype(np.float16)[:, None].view(np.uint8), packed), 1)
    return out.reshape(len(values), -1)


def test_a_training_that_was_killed_goes_on_and_ends_the_same(
    built: Build, model: Gguf, trained: Gguf, tmp_path: Path
) -> None:
    def until(share: float) -> None:
        if share >= 0.7:
            raise KeyboardInterrupt

    shares: list[float] = []
    with pytest.raises(KeyboardInterrupt):  # with which the shell kills the program
        train.train(model, (CALIBRATION,), built, tmp_path, RECIPE, n_threads=2, on_progress=until)
    assert not list(tmp_path.glob("*.gguf"))
    made = train.train(model, (CALIBRATION,), built, tmp_path, RECIPE, n_threads=2, on_progress=shares.append)
    assert shares[0] > 0.6 and shares[-1] == 1
    assert made.sha256 == trained.sha256
    assert train.train(model, (CALIBRATION,), built, tmp_path, RECIPE, n_threads=2) == made
    assert sorted(p.name for p in tmp_path.iterdir()) == ["QAT-Q4_0.trained.gguf", "QAT-Q4_0.trained.json"]


def test_a_source_that_was_not_trained_is_refused(built: Build, model: Gguf, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has not been trained for Q4_0"):
        quantize.quantize(model, [RECIPE], None, built, tmp_path, n_threads=2)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"file_type": "Q4_K_M"}, "not for Q4_K_M"),
        ({"imatrix": True}, "without an importance matrix"),
        ({"overrides": (("ffn_down", "q6_K"),)}, "must all become Q4_0"),
        ({"options": {"rate": 0.0}}, "rate of training"),
        ({"options": {"n_ctx": 8}}, "n_ctx from 16"),
    ],
)
def test_recipes_that_training_is_not_for(change: dict[str, Any], said: str) -> None:
    assert qat.check(RECIPE) == ""
    assert said in qat.check(msgspec.structs.replace(RECIPE, **change))


def test_other_graphs_short_texts_and_missing_things_are_refused(
    built: Build, model: Gguf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def attempt(source: Gguf = model, text: Path = CALIBRATION, recipe: Recipe = RECIPE) -> None:
        train.train(source, (text,), built, tmp_path / "out", recipe, n_threads=2)

    with pytest.raises(InputError, match=r"QAT-Q4_0: .*unknown field `epochs`"):
        attempt(recipe=msgspec.structs.replace(RECIPE, options={"epochs": 3}))
    other = tmp_path / "other.gguf"
    other.write_bytes(MODEL.read_bytes().replace(b"\x05\0\0\0\0\0\0\0llama", b"\x05\0\0\0\0\0\0\0qwen2", 1))
    with pytest.raises(InputError, match=r"other\.gguf can't be trained: its architecture is qwen2"):
        attempt(source=models.describe(other))
    short = tmp_path / "short.txt"
    short.write_text(CALIBRATION.read_text()[:8_000])
    with pytest.raises(InputError, match="too few for 60 steps"):
        attempt(text=short)
    with monkeypatch.context() as patch, pytest.raises(MissingError, match="GB of memory"):
        patch.setattr(device, "available_bytes", lambda: 10_000_000)
        attempt()

    def no_environment(on_progress: Callable[[str], None]) -> Path:
        raise ToolError("pip failed", log=store.cache_dir() / "logs" / "converter.log")

    with monkeypatch.context() as patch, pytest.raises(MissingError, match="PyTorch"):
        patch.setattr(converter, "_environment", no_environment)
        attempt()


def test_a_model_that_computes_nothing_is_named(built: Build, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.gguf"
    shutil.copyfile(MODEL, damaged)
    output.patch(damaged, Source(damaged).tensors["output_norm.weight"].info.offset, np.full(256, np.nan, np.float32))
    with pytest.raises(InputError, match="the loss of step 1 is nan"):
        train.train(models.describe(damaged), (CALIBRATION,), built, tmp_path, RECIPE, n_threads=2)
