"""A folder as one compressed file, the same bytes for the same content."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import zstandard

from edgeq import store


def pack(folder: Path, archive: Path) -> None:
    """Write ``folder`` to ``archive`` (.tar.zst): names in order, no owners, no times."""
    temporary = store.partial(archive)
    with store.removing(temporary):
        compressor = zstandard.ZstdCompressor(level=3, threads=os.cpu_count() or 1)
        with (
            store.writing(archive),
            temporary.open("wb") as raw,
            compressor.stream_writer(raw) as out,
            tarfile.open(fileobj=out, mode="w|") as tar,
        ):
            for path in sorted(folder.rglob("*")):
                tar.add(path, f"{folder.name}/{path.relative_to(folder).as_posix()}", recursive=False, filter=_plain)
        store.publish(temporary, archive)


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    return entry
