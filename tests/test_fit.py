"""Will it fit: what is predicted against what a real run needs, and the numbers that can be worked out by hand."""

from __future__ import annotations

import json
from pathlib import Path

import gguf
import msgspec
import numpy as np
import pytest
from click.testing import CliRunner

from edgeq import build, fit, models, profiles, programs, quantize
from edgeq.cli import cli
from edgeq.errors import InputError
from edgeq.records import BenchTest, Build, Fit, Gguf, Gpu, MainMemory, Profile

from .conftest import MODEL

LOCAL = Profile(name="local")
N_THREADS = 2
TOLERANCE = 0.05
# Layers, width of a cell's keys and of its values, bytes of f16.
KV_BYTES_PER_TOKEN = 6 * (128 + 128) * 2


@pytest.fixture(scope="module")
def files(built: Build, model: Gguf, smollm2: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Gguf]:
    """F16 stays in the mapped file, Q4_K_M is repacked in part, Q4_0 as a whole; SmolLM2 has a real vocabulary."""
    recipes = [quantize.stock_recipe(n, built) for n in ("Q4_K_M", "Q8_0", "Q4_0")]
    made = quantize.quantize(model, recipes, None, built, tmp_path_factory.mktemp("fit"), n_threads=N_THREADS)
    return {"F16": model, "SmolLM2": models.describe(smollm2)} | {m.file_type: m for m in made}


def board(gib: float, gb_s: float | None = None) -> Profile:
    return Profile(name="board", memory=MainMemory(gib=gib, gb_s=gb_s, system_gib=0))


def sized(built: Build, model: Gguf, n_ctx: int, profile: Profile = LOCAL, n_ubatch: int = 512) -> Fit:
    return fit.fit(model, profile, built, n_ctx=n_ctx, n_threads=N_THREADS, n_ubatch=n_ubatch)


def off(built: Build, model: Gguf, test: BenchTest) -> float:
    """By which share the predicted peak of resident memory is above that of a real run.

    Of one test in a process of its own: the heap that an earlier test's context leaves behind is not predicted.
    """
    argv = ["--model", model.path, "--threads", str(N_THREADS), "--reps", "1"]
    argv += ["--test", f"{test.n_prompt},{test.n_gen},{test.n_depth}"]
    events = programs.native(built, "bench", argv, what="a bench to compare with")
    peak = max(msgspec.convert(e["rss_peak_bytes"], int) for e in events if e["event"] == "memory")
    # A bench that only decodes never has a batch of more than one token.
    n_ubatch = 512 if test.n_prompt or test.n_depth else 1
    predicted = sized(built, model, test.n_prompt + test.n_gen + test.n_depth, n_ubatch=n_ubatch)
    return predicted.rss_peak_bytes / peak - 1


@pytest.mark.parametrize("test", [BenchTest(0, 8), BenchTest(512, 0)], ids=lambda t: str(t.name))
@pytest.mark.parametrize("name", ["F16", "Q4_K_M", "Q8_0", "Q4_0"])
def test_the_predicted_peak_is_what_a_bench_measures(
    built: Build, files: dict[str, Gguf], name: str, test: BenchTest
) -> None:
    assert abs(off(built, files[name], test)) <= TOLERANCE


def test_the_same_at_depth(built: Build, files: dict[str, Gguf]) -> None:
    assert abs(off(built, files["Q4_K_M"], BenchTest(0, 2, 4096))) <= TOLERANCE


def test_the_same_with_a_real_vocabulary(built: Build, files: dict[str, Gguf]) -> None:
    assert abs(off(built, files["SmolLM2"], BenchTest(32, 0))) <= TOLERANCE


def test_what_a_fit_says_adds_up(built: Build, files: dict[str, Gguf]) -> None:
    for model in files.values():
        f = sized(built, model, 512)
        assert f.held_bytes == f.repacked_bytes + f.kv_bytes + f.compute_bytes + f.overhead_bytes
        assert f.needed_bytes == f.held_bytes + f.mapped_bytes <= f.rss_peak_bytes
        assert f.margin_bytes == f.usable_bytes - f.needed_bytes
        # Embeddings that are the output as well are loaded twice where only the output is repacked.
        assert f.weights_bytes <= f.mapped_bytes + f.repacked_bytes <= f.weights_bytes * 1.2
        assert f.weights_bytes < model.n_bytes
    assert sized(built, files["Q4_0"], 512).repacked_bytes > sized(built, files["F16"], 512).repacked_bytes == 0


def test_needs_grow_with_the_context(built: Build, model: Gguf) -> None:
    fits = [sized(built, model, n) for n in (256, 512, 1024, 4096)]
    assert [f.kv_bytes for f in fits] == [n * KV_BYTES_PER_TOKEN for n in (256, 512, 1024, 4096)]
    needed = [f.needed_bytes for f in fits]
    assert needed == sorted(needed)


def test_a_cache_of_eight_bits_is_smaller(built: Build, model: Gguf) -> None:
    small = Profile(name="q8", type_k="q8_0", type_v="q8_0", flash_attn="on")
    assert sized(built, model, 1024, small).kv_bytes == 1024 * KV_BYTES_PER_TOKEN * 34 // 64


def test_the_longest_context_fits_and_the_next_does_not(built: Build, files: dict[str, Gguf]) -> None:
    model = files["SmolLM2"]
    # In the middle of a step of 5.9 MB: the overhead differs by some 0.5 MB from one run to the next.
    small = board((sized(built, model, 1024).needed_bytes + sized(built, model, 1280).needed_bytes) / 2 / 2**30)
    assert sized(built, model, 1024, small).max_n_ctx == 1024
    assert sized(built, model, 1024, small).margin_bytes >= 0
    assert sized(built, model, 1280, small).verdict == "does not fit"
    assert sized(built, model, 512, board(4)).max_n_ctx == 8192 == sized(built, model, 512).n_ctx_train


def test_a_board_that_is_too_small(built: Build, files: dict[str, Gguf], tmp_path: Path) -> None:
    path = tmp_path / "tiny.yaml"
    path.write_text("name: tiny\nmemory: {gib: 0.05, system_gib: 0.01}\n")
    f = sized(built, files["SmolLM2"], 256, profiles.load(str(path)))
    assert (f.verdict, f.max_n_ctx, f.usable_bytes) == ("does not fit", 0, int(0.04 * 2**30))
    assert f.margin_bytes == f.usable_bytes - f.needed_bytes < 0


def test_tight_is_what_only_loading_makes_too_large(built: Build, files: dict[str, Gguf]) -> None:
    f = sized(built, files["Q4_0"], 256)
    between = (f.needed_bytes + f.rss_peak_bytes) / 2 / 2**30
    assert f.rss_peak_bytes - f.needed_bytes > 2**20  # the file beside its repacked copy
    assert sized(built, files["Q4_0"], 256, board(between)).verdict == "tight"


def test_the_bound_of_a_dense_model(built: Build, model: Gguf) -> None:
    f = sized(built, model, 1024, board(4, gb_s=10))
    # Tied embeddings are the output: everything is read.
    assert f.read_bytes == f.weights_bytes == 10_499_072
    assert f.bound_tps == pytest.approx(10e9 / 10_499_072)
    assert f.full_bound_tps == pytest.approx(10e9 / (10_499_072 + 1024 * KV_BYTES_PER_TOKEN))
    assert sized(built, model, 1024, board(4)).bound_tps is None


def test_the_bound_of_experts_and_of_separate_embeddings(built: Build, tmp_path: Path) -> None:
    f = sized(built, models.describe(mixture(tmp_path / "moe.gguf", n_experts=8, n_used=2)), 256, board(4, gb_s=10))
    expert_bytes = 6 * 3 * 256 * 768 * 2  # layers, matrices, columns, rows, f16
    table_bytes = 2048 * 256 * 2
    one_row_bytes = 256 * 2
    assert f.weights_bytes - f.read_bytes == 6 * expert_bytes + table_bytes - one_row_bytes


def test_a_gpu_with_memory_of_its_own(built: Build, model: Gguf) -> None:
    card = Gpu(name="card", gib=1, gb_s=100)
    f = sized(built, model, 256, Profile(name="pc", backend="cuda", gpu=card, memory=MainMemory(gib=4, gb_s=10)))
    assert f.gpu_needed_bytes is not None
    assert f.gpu_needed_bytes > 10_499_072 + 256 * KV_BYTES_PER_TOKEN
    assert f.kv_bytes == 0
    assert f.bound_tps == pytest.approx(100e9 / 10_499_072)
    tiny = msgspec.structs.replace(card, gib=0.001)
    refused = sized(built, model, 256, Profile(name="pc", backend="cuda", gpu=tiny, memory=MainMemory(gib=4)))
    assert (refused.verdict, refused.max_n_ctx) == ("does not fit", 0)


def test_the_command(built: Build, files: dict[str, Gguf], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "build", lambda *args, **kwargs: built)
    argv = ["fit", files["F16"].path, files["Q8_0"].path, "--profile", "rpi5-4gb", "--ctx", "512"]
    told = CliRunner().invoke(cli, argv, env={"COLUMNS": "140"})
    assert told.exit_code == 0, told.output
    words = " ".join(told.output.split())
    for word in ("fits", "to spare", "bound and no forecast", "Raspberry Pi 5 product brief"):
        assert word in words, words
    printed = CliRunner().invoke(cli, [*argv, "--json"]).output
    records = json.loads(printed[printed.index("[") :])
    assert [msgspec.convert(r, Fit).model.file_type for r in records] == ["F16", "Q8_0"]


def test_a_broken_file_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "broken.gguf"
    path.write_bytes(MODEL.read_bytes()[:5000])
    refused = CliRunner().invoke(cli, ["fit", str(path)])
    assert isinstance(refused.exception, InputError)
    assert (refused.exception.exit_code, "broken.gguf" in refused.exception.text) == (3, True)


def mixture(path: Path, *, n_experts: int, n_used: int) -> Path:
    """The small model's header with experts and an output of its own; its weights are zeros."""
    writer = gguf.GGUFWriter(path, "llama")
    reader = gguf.GGUFReader(MODEL)
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name == "general.architecture":
            continue
        kind = field.types[0]
        sub_type = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(name, field.contents(), kind, sub_type)
    writer.add_expert_count(n_experts)
    writer.add_expert_used_count(n_used)
    for tensor in reader.tensors:
        if ".ffn_" not in tensor.name or "norm" in tensor.name:
            writer.add_tensor(tensor.name, np.array(tensor.data))
    writer.add_tensor("output.weight", np.zeros((2048, 256), np.float16))
    for layer in range(6):
        writer.add_tensor(f"blk.{layer}.ffn_gate_inp.weight", np.zeros((n_experts, 256), np.float32))
        for name, shape in (("gate", (768, 256)), ("up", (768, 256)), ("down", (256, 768))):
            writer.add_tensor(f"blk.{layer}.ffn_{name}_exps.weight", np.zeros((n_experts, *shape), np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
