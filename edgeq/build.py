"""Room: llama.cpp and our native programs, compiled once for this machine into the user's cache."""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from pathlib import Path

from edgeq import plugins, shell, sources, store
from edgeq.device import available_bytes
from edgeq.errors import InputError, MissingError
from edgeq.records import Build
from edgeq.sources import Progress

_TOOLS = {
    "quantize": "llama-quantize",
    "imatrix": "llama-imatrix",
    "perplexity": "llama-perplexity",
    "llama-bench": "llama-bench",
    "gguf-split": "llama-gguf-split",
    "completion": "llama-completion",
    "bench": "edgeq-bench",
    "evaluate": "edgeq-evaluate",
    "calibrate": "edgeq-calibrate",
    "probe": "edgeq-probe",
}
# One compiler process of llama.cpp's largest files needs about this much.
_BYTES_PER_JOB = 1_500_000_000
_PARTS = ("CMakeLists.txt", "cmake", "common", "ggml", "include", "src", "tools", "vendor")


def build(
    backend: str = "cpu", *, llama_cpp: Path | None = None, force: bool = False, on_progress: Progress = lambda *_: None
) -> Build:
    """Compile (or find) llama.cpp and the native programs for ``backend``.

    ``llama_cpp``: another checkout to build from instead of the pinned tree. ``on_progress`` gets a sentence and
    the share done. Raises MissingError where a compiler is missing, ToolError with the log where it fails.
    """
    shelf = plugins.module("backends", backend)
    problems = shelf.check()
    if problems:
        raise MissingError(problems[0].text, problems[0].hint)
    tree, commit = _checkout(llama_cpp) if llama_cpp else sources.pinned(on_progress)
    args = (*shelf.cmake_args(),)
    compiler = shelf.compiler()
    native = store.sha256_tree(store.share_dir(), ("CMakeLists.txt", "native"))
    key = store.key_of("build", commit, backend, args, compiler, native)[:16]
    builds = store.cache_dir() / "builds"
    folder = builds / key
    if not force and (found := _finished(folder, key)):
        return found
    # The compiled objects stay: after a change of the native programs only those are compiled again.
    work = store.cache_dir() / "work" / store.key_of(commit, backend, args, compiler, str(store.share_dir()))[:16]
    with store.wait_lock(work):
        if not force and (found := _finished(folder, key)):
            return found
        started = time.monotonic()
        log = store.make_folder(builds) / f"{key}.log"
        log.unlink(missing_ok=True)
        if force:
            shutil.rmtree(work / "tree", ignore_errors=True)
        _compile(tree, work / "tree", args, log, on_progress)
        made = work / "tree" / "bin"
        done = Build(
            key=key,
            backend=backend,
            target=_target(),
            llama_commit=commit,
            cmake_args=args,
            compiler=compiler,
            folder=str(folder),
            tools={role: str(folder / "bin" / name) for role, name in _TOOLS.items()},
            sha256={role: store.sha256_file(made / name) for role, name in _TOOLS.items()},
            seconds=round(time.monotonic() - started, 1),
        )
        _install(made, folder, done, key)
    return done


def list_builds() -> list[Build]:
    """All finished builds in the cache."""
    folders = sorted((store.cache_dir() / "builds").glob("*/build.json"))
    return [store.load(path, Build) for path in folders]


def _finished(folder: Path, key: str) -> Build | None:
    found = store.find(folder / "build.json", Build, key)
    return found if found and all(Path(tool).exists() for tool in found.tools.values()) else None


def _compile(tree: Path, work: Path, args: tuple[str, ...], log: Path, on_progress: Progress) -> None:
    env = {"NINJA_STATUS": "[%f/%t] ", "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    on_progress("configuring llama.cpp", None)
    shell.run(
        ["cmake", "-S", str(store.share_dir()), "-B", str(work), "-G", "Ninja", f"-DLLAMA_CPP_DIR={tree}", *args],
        what="configuring llama.cpp",
        log=log,
        env=env,
    )

    def line(text: str) -> None:
        if m := re.match(r"\[(\d+)/(\d+)\] ", text):
            on_progress("compiling llama.cpp", int(m[1]) / int(m[2]))

    jobs = max(1, min(os.cpu_count() or 1, available_bytes() // _BYTES_PER_JOB))
    shell.run(
        ["cmake", "--build", str(work), "--target", "edgeq-all", "--parallel", str(jobs)],
        what="compiling llama.cpp",
        log=log,
        env=env,
        on_line=line,
    )


def _install(made: Path, folder: Path, record: Build, key: str) -> None:
    """Copy programs and libraries beside the final place, then rename: a folder with this name is complete."""
    temporary = store.partial(folder)
    shutil.rmtree(temporary, ignore_errors=True)
    with store.writing(folder):
        shutil.copytree(made, temporary / "bin", symlinks=True)
        store.save(temporary / "build.json", record, key)
        shutil.rmtree(folder, ignore_errors=True)
        temporary.rename(folder)


def _checkout(folder: Path) -> tuple[Path, str]:
    if not (folder / "include/llama.h").exists():
        raise InputError(f"{folder} is not a llama.cpp checkout: it has no include/llama.h.")
    commit = (shell.output(["git", "-C", str(folder), "rev-parse", "HEAD"]) or "").strip()
    return folder.resolve(), f"{commit}+{store.sha256_tree(folder, _PARTS)[:12]}"


def _target() -> str:
    return (shell.output(["c++", "-dumpmachine"]) or "unknown").strip()
