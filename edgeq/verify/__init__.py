"""Room: whether a folder is still what its manifest says, and whether the records of a run fit together."""

from __future__ import annotations

from pathlib import Path

from edgeq.verify.consistency import consistent
from edgeq.verify.hashes import Progress, hashes

__all__ = ["consistent", "verify"]


def verify(folder: Path, on_progress: Progress = lambda share, name: None) -> int:
    """Hash every file that the manifest of ``folder`` lists and give their number; compare a run's records.

    Raises InputError that names the first file that is missing or different, in order of their paths, or the first
    record that contradicts another.
    """
    sums = hashes(folder, on_progress)
    if "run.json" in sums and "methods.json" not in sums:
        consistent(folder, sums)
    return len(sums)
