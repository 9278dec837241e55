"""The manifest against the files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edgeq import manifest, store
from edgeq.errors import InputError

Progress = Callable[[float, str], None]


def hashes(folder: Path, on_progress: Progress) -> dict[str, str]:
    """SHA-256 by path inside ``folder`` as the manifest lists them, all found to be true of the files.

    Raises InputError that names the first one that is missing or different, in order of their paths.
    """
    sums = manifest.read(folder)
    sizes = {name: p.stat().st_size for name in sums if (p := _inside(folder, name)).is_file()}
    total, done = max(1, sum(sizes.values())), 0
    for name, wanted in sums.items():
        if name not in sizes:
            raise InputError(f"{folder / name} is missing.", "Copy the folder again from where it was made.")

        def add(n_bytes: int, name: str = name) -> None:
            nonlocal done
            done += n_bytes
            on_progress(done / total, name)

        found = store.sha256_file(folder / name, add)
        if found != wanted:
            raise InputError(
                f"{folder / name} is not what it was: its SHA-256 is {found[:12]}..., the manifest says "
                f"{wanted[:12]}....",
                "Copy it again from where it was made.",
            )
    return sums


def _inside(folder: Path, name: str) -> Path:
    """A manifest is input like any other: it may not lead out of its folder."""
    path = folder / name
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise InputError(f"{folder / manifest.NAME} lists {name}, which is not inside the folder.")
    return path
