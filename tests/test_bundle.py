"""Bundles: whole, movable, and every later change of theirs is noticed. (For another machine: tests/builds.)"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import msgspec
import pytest
import zstandard

from edgeq import bench, store
from edgeq.bundle import bundle
from edgeq.errors import InputError
from edgeq.records import Build, Bundle, Gguf, Profile
from edgeq.verify import verify

from .test_bad_input import refused
from .test_run import edgeq

PROFILE = Profile("here", description="this machine", n_threads=2)


@pytest.fixture(scope="module")
def made(built: Build, ladder: tuple[Gguf, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of two models for this machine (without llama-server, whose compilation takes minutes)."""
    out = tmp_path_factory.mktemp("bundle") / "bundle"
    settings = bench.settings(PROFILE, ("pp32", "tg8"), n_reps=2, n_threads=2)
    record = bundle(PROFILE, ladder[:2], built, settings, out, n_ctx=512)
    assert store.load(out / "bundle.json", Bundle) == record
    return out


@pytest.fixture
def copied(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "moved"))


def test_a_bundle_holds_what_it_needs_and_verifies(copied: Path) -> None:
    files = {p.relative_to(copied).as_posix() for p in copied.rglob("*") if p.is_file()}
    assert {"run.sh", "bench.sh", "profile.yaml", "licenses/llama.cpp.txt", "models/Q2_K.gguf"} <= files
    assert not [name for name in files if "refine" in name or "quantize" in name]
    listed = json.loads((copied / "manifest.json").read_text())["sha256"]
    assert set(listed) == files - {"manifest.json"}
    done = edgeq("verify", copied)
    assert done.returncode == 0 and f"all {len(listed)} files" in done.stdout


def test_its_programs_take_their_libraries_from_it(copied: Path) -> None:
    said = subprocess.run(["ldd", copied / "bin" / "edgeq-bench"], capture_output=True, text=True, check=True).stdout
    for name in ("libllama", "libggml-cpu", "libstdc++", "libgomp"):
        (line,) = (row for row in said.splitlines() if name in row)
        assert str(copied) in line
    glibc = store.load(copied / "bundle.json", Bundle).glibc
    assert (
        (2, 17)
        <= tuple(map(int, glibc.split(".")))
        <= tuple(map(int, os.confstr("CS_GNU_LIBC_VERSION").split()[1].split(".")))
    )  # type: ignore[union-attr]


def test_its_bench_runs_without_edgeq(copied: Path) -> None:
    done = subprocess.run([copied / "bench.sh"], capture_output=True, text=True, cwd="/", check=True)
    rows = [line.split() for line in done.stdout.splitlines()]
    assert [row[:2] for row in rows] == [
        ["Q2_K", "pp32"], ["Q2_K", "tg8"], ["Q4_K_M", "pp32"], ["Q4_K_M", "tg8"],
    ]  # fmt: skip
    events = [json.loads(line) for line in (copied / "results/Q2_K.jsonl").read_text().splitlines()]
    reps = [e for e in events if e.get("kind") == "decode"]
    tps = sum(e["n_tokens"] for e in reps) / sum(e["t1_ns"] - e["t0_ns"] for e in reps) * 1e9
    assert float(rows[1][2]) == pytest.approx(tps, abs=0.01)
    assert edgeq("verify", copied).returncode == 0  # results are no difference
    wrong = subprocess.run([copied / "bench.sh", "none.gguf"], capture_output=True, text=True)
    assert wrong.returncode == 3 and "Q4_K_M.gguf" in wrong.stderr


@pytest.mark.parametrize("name", ["models/Q4_K_M.gguf", "bin/edgeq-bench", "run.sh", "bundle.json"])
def test_one_flipped_byte_is_named(copied: Path, name: str) -> None:
    data = bytearray((copied / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copied / name).write_bytes(data)
    refused(edgeq("verify", copied), 3, f"{copied / name} is not what it was", "Copy it again")


def test_what_is_gone_or_no_bundle_is_said(copied: Path, tmp_path: Path) -> None:
    (copied / "models/Q2_K.gguf").unlink()
    refused(edgeq("verify", copied), 3, "models/Q2_K.gguf is missing")
    (copied / "manifest.json").write_text('{"schema": 1, "sha256": {"../../etc/passwd": "0"}}')
    refused(edgeq("verify", copied), 3, "not inside the folder")
    (copied / "manifest.json").write_text("{")
    refused(edgeq("verify", copied), 3, "manifest.json is damaged")
    refused(edgeq("verify", tmp_path), 3, "manifest.json can't be read")


def test_the_archive_is_the_folder(made: Path, tmp_path: Path) -> None:
    with (
        made.with_name("bundle.tar.zst").open("rb") as raw,
        zstandard.ZstdDecompressor().stream_reader(raw) as data,
        tarfile.open(fileobj=data, mode="r|") as tar,
    ):
        tar.extraction_filter = lambda member, path: member
        tar.extractall(tmp_path)
    assert verify(tmp_path / "bundle") == verify(made)
    assert os.access(tmp_path / "bundle/run.sh", os.X_OK) and os.access(tmp_path / "bundle/bin/edgeq-bench", os.X_OK)


def test_what_is_no_bundle_is_not_replaced(built: Build, ladder: tuple[Gguf, ...], tmp_path: Path) -> None:
    settings = bench.settings(PROFILE, ("tg8",), n_reps=1, n_threads=1)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_text("x")
    with pytest.raises(InputError, match="is no bundle"):
        bundle(PROFILE, ladder[:1], built, settings, tmp_path / "photos", n_ctx=512)
    twice = (ladder[0], msgspec.structs.replace(ladder[0], sha256="0"))
    with pytest.raises(InputError, match="same file name"):
        bundle(PROFILE, twice, built, settings, tmp_path / "out", n_ctx=512)
    mac = msgspec.structs.replace(built, target="arm64-apple-darwin25")
    with pytest.raises(InputError, match="boards that run Linux"):
        bundle(PROFILE, ladder[:1], mac, settings, tmp_path / "out", n_ctx=512)
    assert [p.name for p in tmp_path.iterdir()] == ["photos"]


def test_an_empty_folder_one_stands_in_will_do(
    built: Build, ladder: tuple[Gguf, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    bundle(PROFILE, ladder[:1], built, bench.settings(PROFILE, ("tg8",), n_reps=1, n_threads=1), Path(), n_ctx=512)
    assert verify(tmp_path / "here") > 0 and (tmp_path / "here.tar.zst").exists()
