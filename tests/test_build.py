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
from edgeq.errors import InputError
from edgeq.records import Build

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
    for folder in ("native", "profiles", "recipes"):
        for file in (ROOT / folder).iterdir():
            assert f"edgeq/_share/{folder}/{file.name}" in names
    assert "edgeq/_share/CMakeLists.txt" in names
