"""What goes to a Raspberry Pi: cross-compiled, run under QEMU as the board's own cores, bundled, run in an ARM root."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgeq import build, profiles
from edgeq.records import Build, Gguf
from tests.builds.board import make_root, programs_of_arm
from tests.conftest import MODEL
from tests.test_run import edgeq

pytestmark = pytest.mark.builds
# "Count from 1 to 20." in SmolLM2's chat format, and the answer's beginning, "1, 2, 3, 4, 5,". Each next token leads by
# more than 5 nats, ten times what kernels of different processors differ by (F16 sums, rounding of activations).
COUNTING = (
    "1,4093,198,9825,429,216,33,288,216,34,32,30,2,198,1,520,9531,198,33,28,216,34,28,216,35,28,216,36,28,216,37,28"
)
N = 24


@pytest.fixture(scope="module")
def pi5() -> Build:
    """For a Raspberry Pi 5, llama-server included."""
    return build.build(profiles.load("rpi5-8gb"), server=True)


def generate(argv: list[str], model: Path | str, folder: Path) -> list[int]:
    """Greedy tokens of a program that may run under QEMU."""
    events = folder / f"{time.monotonic_ns()}.jsonl"
    given = ["--model", str(model), "--events", str(events), "--prompt", COUNTING, "--n", str(N)]
    subprocess.run([*argv, *given], check=True, capture_output=True)
    (event,) = (e for e in map(json.loads, events.read_text().splitlines()) if e["event"] == "tokens")
    tokens: list[int] = event["ids"]
    assert len(tokens) == N
    return tokens


def test_it_was_tried_out_as_the_boards_cores(pi5: Build) -> None:
    assert pi5.target == "aarch64-linux-gnu" and pi5.isa == "armv8.2-a+dotprod+fp16"
    assert pi5.self_test and pi5.self_test.emulator.endswith("-cpu cortex-a76")
    assert "server" in pi5.tools


def test_greedy_tokens_are_those_of_the_native_build(built: Build, pi5: Build, smollm2: Path, tmp_path: Path) -> None:
    assert pi5.self_test
    qemu = pi5.self_test.emulator.split()
    expected = generate([built.tool("generate")], smollm2, tmp_path)
    assert len(set(expected)) >= 8
    assert generate([*qemu, pi5.tool("generate")], smollm2, tmp_path) == expected
    # Quantized there to a type whose weights are rearranged for the Pi 5's dot products.
    quantized = tmp_path / "Q4_0.gguf"
    argv = [*qemu, pi5.tool("quantize"), "--allow-requantize", smollm2, quantized, "Q4_0", "2"]
    subprocess.run(argv, check=True, capture_output=True)
    on_pc = generate([built.tool("generate")], quantized, tmp_path)
    assert generate([*qemu, pi5.tool("generate")], quantized, tmp_path) == on_pc


def test_a_pi_4_gets_nothing_that_its_cores_lack(pi5: Build, tmp_path: Path) -> None:
    pi4 = build.build(profiles.load("rpi4-8gb"))
    assert pi4.self_test and pi4.self_test.emulator.endswith("-cpu cortex-a72")
    # The trial has teeth: what was compiled for a Pi 5 is an illegal instruction on a Pi 4.
    given = ["--model", MODEL, "--events", tmp_path / "e", "--prompt", "1", "--n", "2"]
    wrong = subprocess.run([*pi4.self_test.emulator.split(), pi5.tool("generate"), *given], capture_output=True)
    assert wrong.returncode != 0
    assert "SIGILL" in (tmp_path / "e").read_text() + wrong.stderr.decode()


@pytest.fixture(scope="module")
def board(ladder: tuple[Gguf, ...], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An ARM root folder into which the archive was unpacked."""
    folder = tmp_path_factory.mktemp("board")
    files = [g.path for g in ladder if g.file_type in ("Q4_K_M", "Q8_0")]
    options = ("--profile", "rpi5-8gb", "-o", folder / "bundle", "--ctx", 256, "--tests", "pp16,tg8", "--reps", 2)
    done = edgeq("bundle", *files, *options)
    assert done.returncode == 0, done.stderr
    root = make_root(folder)
    subprocess.run(["tar", "--zstd", "-xf", folder / "bundle.tar.zst", "-C", root], check=True)
    with programs_of_arm():
        yield root
    shutil.rmtree(folder)


def test_the_bundle_verifies_on_the_board_without_edgeq(board: Path) -> None:
    assert edgeq("verify", board / "bundle").returncode == 0
    (line,) = (row for row in (board / "bundle/README.txt").read_text().splitlines() if row.startswith("  sed "))
    done = subprocess.run(["chroot", board, "/bin/sh", "-c", f"cd /bundle && {line}"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    n_files = len(json.loads((board / "bundle/manifest.json").read_text())["sha256"])
    assert done.stdout.count(": OK") == n_files


def test_the_bench_runs_on_the_board(board: Path) -> None:
    done = subprocess.run(["chroot", board, "/bundle/bench.sh"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line.split()[:2] for line in done.stdout.splitlines()] == [
        ["Q4_K_M", "pp16"], ["Q4_K_M", "tg8"], ["Q8_0", "pp16"], ["Q8_0", "tg8"],
    ]  # fmt: skip


def test_the_server_answers_on_the_board(board: Path) -> None:
    port = 18000 + os.getpid() % 1000
    argv = ["chroot", board, "/bundle/run.sh", "Q8_0.gguf", "--port", str(port), "--threads", "2"]
    log = (board / "server.log").open("wb")
    server = subprocess.Popen(argv, stdout=log, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + 240
        while not answers(port):
            assert server.poll() is None and time.monotonic() < deadline, (board / "server.log").read_text()[-2000:]
            time.sleep(0.5)
        question = json.dumps({"prompt": "The", "n_predict": 4, "temperature": 0}).encode()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/completion", question, timeout=120) as answer:
            assert json.load(answer)["tokens_predicted"] == 4
    finally:
        server.terminate()
        server.wait()
        log.close()


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
