"""Which options a llama.cpp tree has: CMake takes an unknown one without a word, and nothing comes of it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from edgeq import plugins, shell, store
from edgeq.errors import InputError

_PARTS = ("CMakeLists.txt", "cmake", "common", "ggml", "include", "src", "tools", "vendor")
_OWN = re.compile(r"-D((?:GGML|LLAMA)_[A-Z0-9_]+)=")
_DECLARED = re.compile(r"^\s*(?:option|set)\s*\(\s*((?:GGML|LLAMA)_[A-Z0-9_]+)\b", re.MULTILINE)


def checkout(folder: Path) -> tuple[Path, str]:
    """A llama.cpp tree of the user's, and what names its state: its commit and a hash of its files.

    Raises InputError for a folder that is no such tree.
    """
    if not (folder / "include/llama.h").exists():
        raise InputError(
            f"{folder} is not a llama.cpp checkout: it has no include/llama.h.",
            "Give the top folder of a checkout (--llama-cpp).",
        )
    commit = (shell.output(["git", "-C", str(folder), "rev-parse", "HEAD"]) or "").strip()
    return folder.resolve(), f"{commit}+{store.sha256_tree(folder, _PARTS)[:12]}"


def declared(tree: Path) -> set[str]:
    """Names of the options that the tree's CMake files declare."""
    files = (tree / "CMakeLists.txt", tree / "ggml/CMakeLists.txt")
    return {name for file in files if file.exists() for name in _DECLARED.findall(file.read_text("utf-8", "replace"))}


def refuse_unknown_options(tree: Path, args: Iterable[str]) -> None:
    """Raise InputError for an option of llama.cpp's that this tree does not have."""
    known = declared(tree)
    for arg in args:
        if (m := _OWN.match(arg)) and m[1] not in known:
            raise InputError(f"This llama.cpp has no option {m[1]}.", plugins.nearest(m[1], known))
