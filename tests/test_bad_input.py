"""Bad input: one sentence, the right exit code, no traceback, nothing under a final name."""

from __future__ import annotations

import resource
import shutil
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from edgeq.records import Build

from .conftest import CALIBRATION, HF_FOLDER, MODEL
from .test_run import EDGEQ, FAST, TEXTS, edgeq


def refused(done: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    """Exit status, the words of the sentence, and no traceback."""
    assert done.returncode == code, f"{done.returncode}: {done.stdout}{done.stderr}"
    assert "Traceback" not in done.stderr
    flat = " ".join(done.stderr.split())
    for word in words:
        assert word in flat, done.stderr


def test_usage_errors_suggest_the_nearest() -> None:
    refused(edgeq("evalute"), 2, "Did you mean evaluate?")
    refused(edgeq("run"), 2, "MODEL")
    refused(edgeq("bench", MODEL, "--reps", "0"), 2, "--reps")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"GGUF", "bytes"),
        (b"<html>", "not a GGUF"),
        (b"PK\3\4" + bytes(100), "not a GGUF"),
        (MODEL.read_bytes()[:-1], "bytes"),
        (MODEL.read_bytes()[:5000], "bytes"),
    ],
    ids=["empty", "magic only", "html", "zip", "one byte short", "header cut"],
)
@pytest.mark.parametrize("command", ["inspect", "run", "bench"])
def test_broken_model_files(tmp_path: Path, command: str, content: bytes, words: str) -> None:
    path = tmp_path / "broken.gguf"
    path.write_bytes(content)
    more = ["--types", "Q8_0", *TEXTS, "--out", tmp_path / "out"] if command == "run" else []
    refused(edgeq(command, path, *more), 3, "broken.gguf", words)


def test_what_is_no_model(tmp_path: Path) -> None:
    refused(edgeq("run", tmp_path, "--types", "Q8_0", "--out", tmp_path / "o"), 3, "no config.json")
    refused(edgeq("run", tmp_path / "none.gguf", "--types", "Q8_0", "--out", tmp_path / "o"), 3, "none.gguf")
    pickled = tmp_path / "pickled"
    pickled.mkdir()
    shutil.copy(HF_FOLDER / "config.json", pickled)
    (pickled / "pytorch_model.bin").write_bytes(b"x")
    refused(edgeq("convert", pickled), 3, "safetensors")


def test_a_models_own_code_is_not_run(tmp_path: Path) -> None:
    folder = tmp_path / "hf"
    shutil.copytree(HF_FOLDER, folder)
    (folder / "tokenization_custom.py").write_text("raise SystemExit('it ran')")
    refused(edgeq("convert", folder, "--out", tmp_path / "out"), 3, "Python code", "--trust-remote-code")


def test_a_quantized_source_needs_the_flag(built: Build, smollm2: Path, tmp_path: Path) -> None:
    refused(edgeq("quantize", smollm2, "--types", "Q8_0", "--out", tmp_path), 3, "--allow-requantize")
    assert not list(tmp_path.glob("*.gguf"))


def test_unknown_and_impossible_types(built: Build, tmp_path: Path) -> None:
    refused(edgeq("quantize", MODEL, "--types", "Q4_KM", "--out", tmp_path), 3, "Q4_KM", "Did you mean Q4_K_M?")
    refused(
        edgeq("quantize", MODEL, "--types", "Q8_0,IQ2_XXS,IQ1_S", "--out", tmp_path), 3, "IQ2_XXS, IQ1_S", "importance"
    )
    refused(edgeq("quantize", MODEL, "--out", tmp_path), 3, "nothing to make")
    assert not list(tmp_path.glob("*.gguf"))


def test_bad_settings_files(built: Build, tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text("model: x\ntyps: [Q8_0]\n")
    refused(edgeq("run", "--plan", plan), 3, "plan.yaml", "typs", "Did you mean types?")
    plan.write_text("model: [\n")
    refused(edgeq("run", "--plan", plan), 3, "not valid YAML")
    refused(edgeq("run", "--plan", tmp_path / "none.yaml"), 3, "none.yaml")
    refused(edgeq("bench", MODEL, "--profile", "lokal"), 3, "Did you mean local?")
    refused(edgeq("bench", MODEL, "--tests", "tg128x"), 3, "tg128x")


def test_bad_texts(built: Build, tmp_path: Path) -> None:
    short, empty, binary = tmp_path / "short.txt", tmp_path / "empty.txt", tmp_path / "binary.txt"
    short.write_text("Only a few words.")
    empty.write_text("")
    binary.write_bytes(bytes(range(256)) * 400)
    job = ("run", MODEL, "--types", "Q8_0", *FAST, "--out", tmp_path / "out")
    refused(edgeq(*job, "--text", short), 3, "short.txt", "at least 1024")
    refused(edgeq(*job, "--text", empty), 3, "empty.txt", "empty")
    refused(edgeq(*job, "--text", tmp_path / "none.txt"), 3, "none.txt")
    refused(edgeq(*job, "--text", tmp_path), 3, tmp_path.name)
    assert edgeq(*job, "--text", binary).returncode == 0  # any bytes are tokens


def test_folders_that_cannot_be_written(built: Build, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    refused(edgeq("quantize", MODEL, "--types", "Q8_0", "--out", file / "sub"), 4, "can't be written")
    if Path("/proc/1").exists():  # a file system that refuses everybody, root too
        refused(edgeq("quantize", MODEL, "--types", "Q8_0", "--out", "/proc/edgeq"), 4, "/proc/edgeq")


def test_a_full_disk_is_said_beforehand(built: Build, small_disk: Path) -> None:
    refused(edgeq("quantize", MODEL, "--types", "Q8_0", "--out", small_disk), 4, "GB are free")
    assert not [p for p in small_disk.iterdir() if "gguf" in p.name]


@pytest.mark.parametrize("command", ["calibrate", "evaluate"])
def test_a_full_disk_is_said_when_it_is_met(built: Build, small_disk: Path, command: str) -> None:
    with pytest.raises(OSError, match="No space"), (small_disk / "filler").open("wb", buffering=0) as f:
        while True:
            f.write(bytes(1 << 16))
    job = ["calibrate", MODEL, "--out", small_disk / "imatrix.gguf"]
    if command == "evaluate":
        job = ["evaluate", "--reference", MODEL, "--out", small_disk / "records"]
    refused(edgeq(*job, "--text", CALIBRATION, "--chunks", "2"), 4, "space")
    assert not [p for p in small_disk.rglob("*") if p.suffix in (".gguf", ".gz")]


def test_a_write_that_fails_in_the_middle_of_a_file(built: Build, tmp_path: Path) -> None:
    def small_files() -> None:  # the kernel refuses to let any file grow beyond this many bytes
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))

    done = edgeq("quantize", MODEL, "--types", "Q8_0", "--out", tmp_path, preexec_fn=small_files)
    refused(done, 4, "Q8_0", "could not be written")
    assert not list(tmp_path.glob("*.gguf*")) + list(tmp_path.glob(".*.partial"))


def test_memory_that_is_not_there(built: Build, tmp_path: Path) -> None:
    def little_memory() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (600_000_000, 600_000_000))

    done = edgeq("bench", MODEL, "--tests", "tg8@d1000000", "--out", tmp_path, preexec_fn=little_memory)
    refused(done, 5, "benching edgeq-5m-f16.gguf failed")
    assert done.stderr.count("Error:") == 1
    assert not list(tmp_path.glob("*.gz"))


def test_a_killed_worker_is_a_sentence(built: Build, tmp_path: Path) -> None:
    argv = [*EDGEQ, "quantize", str(MODEL), "--types", "Q4_K_M,Q5_K_M,IQ4_XS,Q8_0,TQ1_0", "--out", str(tmp_path)]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not (tmp_path / "Q4_K_M.json").exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    # edgeq, its guard, and the worker behind it
    workers = [p for p in psutil.Process(process.pid).children(recursive=True) if "edgeq.worker" in p.cmdline()]
    min(workers, key=lambda p: len(p.children())).kill()
    out, err = process.communicate(timeout=60)
    refused(subprocess.CompletedProcess(argv, process.returncode, out, err), 5, "SIGKILL", "memory")
    assert (tmp_path / "Q4_K_M.gguf").exists()  # what was finished stays
    assert {p.stem for p in tmp_path.glob("*.gguf")} == {p.stem for p in tmp_path.glob("*.json")}
    assert not list(tmp_path.glob(".*.partial"))


def test_what_ggml_would_abort_for_is_a_sentence(built: Build, tmp_path: Path) -> None:
    # A pure 2-bit file needs a matrix entry for the embeddings, which no importance matrix has: ggml asserts.
    recipe = tmp_path / "pure.yaml"
    recipe.write_text("name: pure\nfile_type: IQ2_XXS\npure: true\n")
    matrix = tmp_path / "imatrix.gguf"
    assert edgeq("calibrate", MODEL, "--text", CALIBRATION, "--chunks", "1", "--out", matrix).returncode == 0
    done = edgeq("quantize", MODEL, "--recipes", recipe, "--imatrix", matrix, "--out", tmp_path / "out")
    refused(done, 3, "pure: token_embd.weight", "IQ2_XXS", "importance")
    assert list((tmp_path / "out").iterdir()) == []


def test_hostile_metadata_is_shown_escaped(tmp_path: Path) -> None:
    import gguf
    import numpy as np

    path = tmp_path / "hostile.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("\x1b[2J\x1b]0;owned\x07<script>alert(1)</script>\u202e")
    writer.add_block_count(1)
    writer.add_tensor("blk.0.attn_q.weight", np.zeros((32, 32), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    done = edgeq("inspect", path, "--json")
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    assert "\u202e" not in done.stdout
