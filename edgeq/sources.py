"""The pinned llama.cpp tree: the source distribution of llama-cpp-python, fetched through pip and checked."""

from __future__ import annotations

import shutil
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

from edgeq import shell, store
from edgeq.errors import InputError

# The release of llama-cpp-python that carries the tree, and whose binding edgeq depends on.
PINNED = "0.3.36"
PINNED_SHA256 = "832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e"

# Gets a sentence on what is being done, and the share done where it is known.
Progress = Callable[[str, float | None], None]


def pinned(on_progress: Progress = lambda *_: None) -> tuple[Path, str]:
    """The tree in the user's cache, made on first use, and its llama.cpp commit."""
    top = store.cache_dir() / "sources" / f"llama_cpp_python-{PINNED}"
    with store.wait_lock(store.cache_dir() / "sources"):
        if not top.exists():
            archive = _download(on_progress)
            on_progress("unpacking llama.cpp", None)
            _unpack(archive, top)
    head = top / ".git/modules/vendor/llama.cpp/HEAD"
    return top / "vendor/llama.cpp", head.read_text().strip()


def _download(on_progress: Progress) -> Path:
    folder = store.make_folder(store.cache_dir() / "downloads")
    archive = folder / f"llama_cpp_python-{PINNED}.tar.gz"
    if not archive.exists():
        on_progress(f"downloading llama-cpp-python {PINNED} (77 MB)", None)
        log = folder / "pip.log"
        argv = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", "llama-cpp-python"]
        # pip prepares the metadata of what it downloads; without these it would configure llama.cpp for that.
        env = {"CMAKE_ARGS": "-DLLAMA_BUILD=OFF -DLLAVA_BUILD=OFF"}
        shell.run(
            [*argv, "--dest", str(folder), f"llama-cpp-python=={PINNED}"],
            what="downloading llama.cpp",
            log=log,
            env=env,
        )
    found = store.sha256_file(archive)
    if found != PINNED_SHA256:
        archive.unlink()
        raise InputError(
            f"The download of llama-cpp-python {PINNED} has SHA-256 {found}, not {PINNED_SHA256}; it was deleted.",
            "Check the package index that pip uses, then run the same command again.",
        )
    return archive


def _unpack(archive: Path, top: Path) -> None:
    temporary = store.partial(top)
    shutil.rmtree(temporary, ignore_errors=True)
    with store.writing(top), tarfile.open(archive) as tar:
        # Debian 12's Python 3.11.2 has no filters yet; what is unpacked has the pinned hash.
        tar.extraction_filter = getattr(tarfile, "data_filter", lambda member, path: member)
        tar.extractall(temporary)
        (temporary / top.name).rename(top)
    shutil.rmtree(temporary, ignore_errors=True)
