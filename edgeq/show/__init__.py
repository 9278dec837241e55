"""Room: what is in a file that edgeq reads or writes: a model, statistics of its activations, a record."""

from __future__ import annotations

from pathlib import Path

from edgeq.errors import InputError
from edgeq.gguf_info import read_header, safe
from edgeq.show.imatrix import gguf_imatrix, legacy_imatrix
from edgeq.show.model import model
from edgeq.show.moments import moments
from edgeq.show.page import Grid, Page, lines
from edgeq.show.record import record

__all__ = ["Grid", "Page", "lines", "show"]

_HINT = "It shows GGUF models, importance matrices, second moments, and the records that edgeq leaves in its folders."


def show(path: Path, *, tensors: bool = False) -> Page:
    """What the file at ``path`` is and holds; ``tensors``: of a model, each of its tensors as well.

    Raises InputError for a file that is missing, damaged, or none of those that edgeq knows.
    """
    head = _head(path)
    if head.startswith(b"GGUF"):
        header = read_header(path)
        if header.metadata.get("general.type") == "imatrix":
            return gguf_imatrix(path, header)
        if header.metadata.get("general.type") == "second-moments":
            return moments(path, header)
        return model(path, header, tensors)
    if head.startswith(b"\x1f\x8b") or head.lstrip().startswith(b"{"):
        return record(path)
    if found := legacy_imatrix(path):
        return found
    raise InputError(f"{safe(str(path), 1000)} is no file that edgeq knows.", _HINT)


def _head(path: Path) -> bytes:
    shown = safe(str(path), 1000)
    try:
        if path.is_dir():
            raise InputError(f"{shown} is a folder, not a file.", "`edgeq report` prints run folders.")
        if path.exists() and not path.is_file():
            raise InputError(f"{shown} is not a regular file.", "Name a file on a disk.")
        with path.open("rb") as file:
            return file.read(64)
    except FileNotFoundError:
        raise InputError(f"There is no file {shown}.", "Check the path.") from None
    except OSError as e:
        raise InputError(f"{shown} can't be read: {e.strerror}.", "Check its permissions.") from None
