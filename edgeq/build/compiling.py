"""Configuring and compiling with CMake and Ninja, which come with edgeq."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from edgeq import shell, store
from edgeq.device import available_bytes
from edgeq.sources import Progress

_STEP = re.compile(r"\[(\d+)/(\d+)\] ")


def jobs(bytes_per_job: int) -> int:
    """How many compiler processes fit: at most one per processor, and no more than the free memory holds."""
    return max(1, min(os.cpu_count() or 1, available_bytes() // bytes_per_job))


def compile_tree(
    tree: Path,
    work: Path,
    args: tuple[str, ...],
    targets: Sequence[str],
    n_jobs: int,
    log: Path,
    on_progress: Progress,
) -> None:
    """Configure ``tree`` in ``work`` and compile ``targets``; what is compiled there already is not compiled again."""
    env = {"NINJA_STATUS": "[%f/%t] ", "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    on_progress("configuring llama.cpp", None)
    shell.run(
        ["cmake", "-S", str(store.share_dir()), "-B", str(work), "-G", "Ninja", f"-DLLAMA_CPP_DIR={tree}", *args],
        what="configuring llama.cpp",
        log=log,
        env=env,
    )

    def line(text: str) -> None:
        if m := _STEP.match(text):
            on_progress("compiling llama.cpp", int(m[1]) / int(m[2]))

    shell.run(
        ["cmake", "--build", str(work), "--parallel", str(n_jobs), "--target", *targets],
        what="compiling llama.cpp",
        log=log,
        env=env,
        on_line=line,
    )
