"""The build: found again at once, never half done, made from what was asked for and nothing else."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import msgspec
import pytest

from edgeq import build, programs, sources, store
from edgeq.build import counting
from edgeq.build.compiling import compile_tree
from edgeq.build.self_test import self_test
from edgeq.errors import InputError, MissingError, ToolError
from edgeq.plugins import module
from edgeq.records import Build, Gguf

from .test_run import EDGEQ, edgeq

ROOT = Path(__file__).parents[1]


def test_the_same_inputs_find_the_same_build(built: Build) -> None:
    folder = Path(built.folder)
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*")}
    assert build.build() == built
    assert {p: p.stat().st_mtime_ns for p in folder.rglob("*")} == before
    assert built in build.list_builds()


def test_every_tool_is_there_and_is_what_the_record_says(built: Build) -> None:
    for role, path in built.tools.items():
        assert store.sha256_file(Path(path)) == built.sha256[role], role


def test_the_probe_and_the_binding_tell_of_the_same_library(built: Build, tmp_path: Path) -> None:
    out = tmp_path / "probe.json"
    subprocess.run([built.tool("probe"), "--out", out], check=True, capture_output=True)
    probe = msgspec.json.decode(out.read_bytes())
    assert any(d["type"].lower() == "cpu" for d in probe["devices"])
    assert {"q4_K", "iq2_xxs"} <= {t["name"] for t in probe["ggml_types"]}
    known = programs.one(programs.work(built, {"op": "file_types"}, what="asking"), "file_types")["file_types"]
    assert isinstance(known, dict)
    assert known["Q4_K_M"] == 15


def test_a_build_can_be_moved(built: Build, tmp_path: Path) -> None:
    shutil.copytree(Path(built.folder) / "bin", tmp_path / "bin", symlinks=True)
    needed = subprocess.run(
        ["ldd", tmp_path / "bin" / "edgeq-bench"], capture_output=True, text=True, check=True
    ).stdout
    ours = [line for line in needed.splitlines() if "libllama" in line or "libggml" in line]
    assert len(ours) >= 3
    assert all(str(tmp_path) in line for line in ours)


def test_another_download_than_the_pinned_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEQ_CACHE", str(tmp_path))
    archive = store.make_folder(tmp_path / "downloads") / f"llama_cpp_python-{sources.PINNED}.tar.gz"
    archive.write_bytes(b"something else")
    with pytest.raises(InputError, match="SHA-256"):
        sources.pinned()
    assert not archive.exists()
    assert not (tmp_path / "sources" / f"llama_cpp_python-{sources.PINNED}").exists()


def test_the_build_has_counted_and_says_so(built: Build) -> None:
    tried = built.self_test
    assert tried and tried.devices and not tried.skipped and not tried.emulator
    assert tried.tokens == counting.counted(3, 16) == tuple(range(5, 36, 2))
    assert built.versions["compiler"] == built.compiler
    assert store.sha256_file(Path(built.folder) / "bin/libllama.so") in built.sha256.values()


def pretended(built: Build, folder: Path, tool: str, script: str) -> Path:
    """The build's programs, one of them another."""
    for path in (Path(built.folder) / "bin").iterdir():
        (folder / path.name).symlink_to(path)
    (folder / tool).unlink()
    (folder / tool).write_text(f"#!/bin/sh\n{script}\n")
    (folder / tool).chmod(0o755)
    return folder


WRONG = """while [ "$1" != --events ]; do shift; done; echo '{"event":"tokens","ids":[5,7,9,12]}' >> "$2" """


@pytest.mark.parametrize(
    ("tool", "script", "words"),
    [
        ("edgeq-generate", WRONG, "decodes wrongly"),
        ("llama-quantize", "echo no such type >&2; exit 1", "does not work: quantizing failed"),
        ("edgeq-probe", """echo '{"devices":[]}' > "$2" """, "sees no cpu, only: none"),
    ],
)
def test_a_build_that_does_not_work_is_not_kept(
    built: Build, tmp_path: Path, tool: str, script: str, words: str
) -> None:
    with pytest.raises(ToolError, match=words):
        self_test(pretended(built, tmp_path, tool, script), (), module("backends", "cpu"), tmp_path / "log")


def test_what_could_not_be_tried_out_says_why() -> None:
    tried = self_test(Path("nowhere"), None, module("backends", "cpu"), Path("log"))
    assert "qemu-user-static" in tried.skipped and not tried.tokens


def test_builds_are_listed_and_removed_by_key(built: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEQ_CACHE", str(tmp_path))
    for key in ("aa11", "aa22"):
        record = msgspec.structs.replace(built, key=key, folder=str(tmp_path / "builds" / key))
        store.make_folder(Path(record.folder) / "bin")
        store.save(Path(record.folder) / "build.json", record, key)
    objects = store.make_folder(build._work(built) / "tree")
    assert {b.key for b in build.list_builds()} == {"aa11", "aa22"}
    assert "aa22" in edgeq("build", "--list").stdout
    assert edgeq("build", "--remove", "aa").returncode == 3
    assert edgeq("build", "--remove", "bb").returncode == 3
    assert edgeq("build", "--remove", "aa1").returncode == 0
    assert [p.name for p in (tmp_path / "builds").iterdir()] == ["aa22"]
    assert objects.exists()  # the other one is made from the same
    assert edgeq("build", "--remove", "aa2").returncode == 0
    assert not objects.exists()


def test_what_can_not_be_built_is_said_before_anything_is_compiled(tmp_path: Path) -> None:
    def refused(code: int, words: str, *argv: str, **env: str) -> None:
        done = edgeq("build", *argv, env={**os.environ, "EDGEQ_CACHE": str(tmp_path), **env})
        assert done.returncode == code, done.stderr
        assert words in " ".join(done.stderr.split())
        assert not list(tmp_path.glob("work/*/tree"))

    refused(4, "No C++ compiler was found", CXX="no-such-compiler")
    refused(4, "no compiler for riscv64-linux-gnu", "--target", "riscv64-linux-gnu")
    refused(4, "Metal is part of macOS", "--backend", "metal")
    refused(3, "Did you mean vulkan?", "--backend", "vulcan")
    refused(3, "isa armv8-a is not for", "--isa", "armv8-a")
    refused(3, "Did you mean rpi5-8gb?", "--profile", "rpi5-8g")


def test_a_board_is_not_measured_on_another_machine(model: Gguf) -> None:
    done = edgeq("bench", model.path, "--profile", "rpi5-8gb" if "x86" in os.uname().machine else "n100-16gb")
    assert done.returncode == 3
    assert "edgeq bundle --profile" in done.stderr


def test_a_full_disk_is_said_before_compiling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = store.cache_dir()
    monkeypatch.setenv("EDGEQ_CACHE", str(tmp_path))
    for name in ("downloads", "sources"):
        (tmp_path / name).symlink_to(cache / name)
    free = shutil.disk_usage(tmp_path)._replace(free=10**9)
    monkeypatch.setattr("shutil.disk_usage", lambda path: free)
    with pytest.raises(MissingError, match=r"needs 2.50 GB .* 1.00 GB are free") as e:
        build.build()
    assert "EDGEQ_CACHE" in e.value.hint


def test_a_disk_that_fills_up_while_compiling_is_a_sentence(small_disk: Path, tmp_path: Path) -> None:
    tree = sources.pinned()[0]
    with pytest.raises(MissingError, match="no space left"):
        compile_tree(tree, small_disk / "tree", (), ("edgeq-all",), 2, tmp_path / "log", lambda *_: None)


def test_what_is_no_checkout_is_refused(tmp_path: Path) -> None:
    done = edgeq("build", "--llama-cpp", tmp_path)
    assert done.returncode == 3
    assert "not a llama.cpp checkout" in done.stderr


def test_a_killed_build_looks_unfinished(built: Build, tmp_path: Path) -> None:
    for name in ("downloads", "sources"):
        (tmp_path / name).symlink_to(store.cache_dir() / name)
    env = {**os.environ, "EDGEQ_CACHE": str(tmp_path)}
    process = subprocess.Popen([*EDGEQ, "build"], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("work/*/tree/llama.cpp/ggml/src/CMakeFiles/*/*.o")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not list(tmp_path.glob("builds/*/build.json"))
    assert not list(tmp_path.glob("builds/*/bin"))


def test_the_wheel_is_pure_and_carries_what_a_build_needs(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path, ROOT]
    subprocess.run(argv, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name.endswith("py3-none-any.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    modules = {p.relative_to(ROOT).as_posix() for p in (ROOT / "edgeq").rglob("*.py")}
    assert modules <= names
    for folder in ("native", "profiles", "recipes"):
        for file in (p for p in (ROOT / folder).rglob("*") if p.is_file()):
            assert f"edgeq/_share/{file.relative_to(ROOT).as_posix()}" in names
    assert "edgeq/_share/CMakeLists.txt" in names
