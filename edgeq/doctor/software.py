"""What the main job needs: a compiler, the binding, room on the disk."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import sys

import msgspec

from edgeq import build, converter, device, plugins, sources, store
from edgeq.access import Access
from edgeq.doctor.finding import Finding
from edgeq.errors import EdgeqError, MissingError


def software() -> list[Finding]:
    """The machine, the compiler, the binding, the cache, the builds and the converter."""
    host = device.host()
    return [
        Finding("machine", True, f"{host.cpu}, {host.n_cores} cores, {host.mem_bytes / 2**30:.1f} GiB, {host.os}"),
        Finding("features", True, " ".join(host.features) or "none known"),
        Finding("python", sys.version_info >= (3, 10), host.python, needed=True),
        *(_backend(name) for name in plugins.modules("backends")),
        _binding(),
        _cache(),
        *(
            Finding("build", True, f"{b.key} {b.backend} {b.target} {b.isa}, llama.cpp {b.llama_commit[:9]}")
            for b in build.list_builds()
        ),
        _converter(),
    ]


def _backend(name: str) -> Finding:
    found = build.check(Access(), msgspec.structs.replace(build.LOCAL, backend=name))
    own = [f"{k} {v}" for k, v in found.versions.items() if k != "compiler"]
    said = ", ".join(own) or found.versions.get("compiler", "ready")
    if found.problems:
        texts, hints = [p.text for p in found.problems], [p.hint for p in found.problems]
        return Finding(name, False, " ".join(texts), "\n".join(dict.fromkeys(hints)), needed=name == "cpu")
    return Finding(name, True, said, needed=name == "cpu")


def _binding() -> Finding:
    try:
        version = importlib.metadata.version("llama-cpp-python")
    except importlib.metadata.PackageNotFoundError:
        return Finding(
            "binding",
            False,
            "llama-cpp-python is not installed",
            f"pip install edgeq brings {sources.PINNED}.",
            needed=True,
        )
    ok = version == sources.PINNED
    return Finding(
        "binding", ok, f"llama-cpp-python {version}", "" if ok else f"It must be {sources.PINNED}.", needed=True
    )


def _cache() -> Finding:
    folder = store.cache_dir()
    try:
        store.make_folder(folder)
        if not os.access(folder, os.W_OK):
            raise MissingError(f"{folder} can't be written.", "Set EDGEQ_CACHE to a folder that can.")
    except EdgeqError as e:
        return Finding("cache", False, e.text, e.hint, needed=True)
    free = shutil.disk_usage(folder).free
    ok = free > 3e9  # a build takes about 1 GB while it is being made, its sources 0.3 GB
    return Finding("cache", ok, f"{folder}, {free / 1e9:.0f} GB free", "" if ok else "Free some space.", needed=True)


def _converter() -> Finding:
    if converter.ready():
        return Finding("converter", True, "its environment is there")
    return Finding(
        "converter", False, "its environment is not made yet", "The first `edgeq convert` of a folder makes it."
    )
