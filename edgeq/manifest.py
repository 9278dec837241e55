"""The hashes of everything in a folder that is meant to be moved: a run, a bundle."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from edgeq import store
from edgeq.errors import InputError
from edgeq.records import SCHEMA

NAME = "manifest.json"


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """SHA-256 of every file that belongs to a folder, by path inside it."""

    schema: int
    sha256: dict[str, str]


def write(folder: Path, files: Iterable[Path]) -> None:
    """Hash ``files``, which lie in ``folder``, and write the manifest."""
    sums = {p.relative_to(folder).as_posix(): store.sha256_file(p) for p in files}
    manifest = Manifest(SCHEMA, dict(sorted(sums.items())))
    store.write_bytes(folder / NAME, msgspec.json.format(msgspec.json.encode(manifest), indent=1))


def read(folder: Path) -> dict[str, str]:
    """SHA-256 by path inside ``folder``. Raises InputError where there is no manifest or it is damaged."""
    path = folder / NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=Manifest).sha256
    except OSError as e:
        raise InputError(
            f"{path} can't be read: {e.strerror}.", "Give a folder that `edgeq run` or `edgeq bundle` has finished."
        ) from None
    except msgspec.DecodeError as e:
        raise InputError(f"{path} is damaged: {e}.", "Run the command again that made it.") from None
