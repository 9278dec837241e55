"""Encoded tensors, each made once and kept in the user's cache: files are assembled from them.

Memory: what the threads work on, a few MiB of float32 values each, and as many encoded pieces. For the worker process
only.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np

from edgeq import store
from edgeq.errors import MissingError
from edgeq.gguf_info import TYPE_NAMED, safe
from edgeq.tensors.ggml import Ggml
from edgeq.tensors.refused import Refused
from edgeq.tensors.source import Tensor, row_bytes

Floats = np.ndarray[Any, np.dtype[np.float32]]
Blocks = np.ndarray[Any, np.dtype[np.uint8]]

# Values that one thread encodes at a time: few enough to stay in its cache, and to divide a small matrix among threads.
_PIECE_VALUES = 1 << 17
# What is written for a moment has another name; if nobody has written to it for so long, the process was killed.
_STALE_S = 3600
# A tenth of the disk, so that this cache is not what fills it; on a small one, still enough for the distinct tensors of
# a dozen file types of a model with half a billion parameters.
_LEAST_BYTES, _SHARE_OF_DISK = 4 << 30, 10
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


class Pool:
    """The encoded tensors in ``folder``, at most ``max_bytes`` of them: what was not used for longest is removed.

    Several processes may use one folder at the same time.
    """

    def __init__(self, folder: Path, ggml: Ggml, max_bytes: int | None = None) -> None:
        self._folder = folder
        self._ggml = ggml
        with self._refusing():
            store.make_folder(folder)
        self._max_bytes = max_bytes or max(_LEAST_BYTES, shutil.disk_usage(folder).total // _SHARE_OF_DISK)
        self._library_sha256 = store.sha256_file(ggml.library)
        self._digests: dict[tuple[object, ...], str] = {}
        self._handed_out: set[Path] = set()
        self._remove_stale()
        self._n_bytes = sum(n_bytes for _, n_bytes, _ in self._entries())

    def encoded(self, tensor: Tensor, kind: str, importance: Floats | None) -> Path:
        """A file that holds the blocks of the whole tensor as ``kind`` and nothing else: encoded now, or found.

        ``importance``: E[x²] of the inputs, of experts one after the other. The file stays until `release` or the end
        of this process. Raises Refused for a type or weights that can't be, and for a full disk.
        """
        self._check(tensor, kind)
        n_bytes = row_bytes(kind, tensor.row_length) * tensor.n_rows
        key = self._key(tensor, kind, importance)
        return self.kept(key, n_bytes, lambda: self._blocks(tensor, kind, importance))

    def kept(self, key: str, n_bytes: int, pieces: Callable[[], Iterator[Blocks]]) -> Path:
        """A file of ``n_bytes`` with what ``pieces`` gives, made now or found; ``key``: of everything it depends on.

        Raises Refused for a full disk.
        """
        path = self._folder / key
        self._handed_out.add(path)
        if not _found(path, n_bytes):
            with self._refusing():
                while not self._made(path, n_bytes, pieces):
                    pass
            if self._n_bytes > self._max_bytes:
                self.make_room(self._n_bytes - self._max_bytes)
        return path

    def release(self, path: Path) -> None:
        """The caller has no more use for a file that it was given: it may go when there is too little room."""
        self._handed_out.discard(path)

    def make_room(self, n_bytes: int) -> bool:
        """Remove ``n_bytes`` of what was not used for longest, or all that is not handed out. False: nothing was."""
        freed, kept = 0, 0
        for _, size, path in sorted(self._entries()):
            if freed < n_bytes and path not in self._handed_out and _removed(path):
                freed += size
            else:
                kept += size
        self._n_bytes = kept
        return freed > 0

    def _made(self, path: Path, n_bytes: int, pieces: Callable[[], Iterator[Blocks]]) -> bool:
        """Whether the entry is there now; if not, there is some room more. Raises MissingError for a full disk."""
        temporary = store.partial(path.with_name(f"{path.name}.{secrets.token_hex(8)}"))
        try:
            with store.removing(temporary):
                with store.writing(path), temporary.open("wb") as file:
                    store.reserve(file, n_bytes)
                    written = sum(file.write(blocks.data) for blocks in pieces())
                    assert written == n_bytes
                store.publish(temporary, path)
        except MissingError as e:
            if getattr(e.__cause__, "errno", None) in _NO_SPACE and self.make_room(n_bytes):
                return False
            raise
        self._n_bytes += n_bytes
        return True

    def _blocks(self, tensor: Tensor, kind: str, importance: Floats | None) -> Iterator[Blocks]:
        """The tensor's blocks from front to back. Each piece is read, decoded and encoded by one thread."""
        rows_per_matrix = tensor.n_rows // tensor.n_matrices
        slices = importance.reshape(tensor.n_matrices, -1) if importance is not None else None

        def piece(start: int, stop: int) -> Blocks:
            raw = tensor.read(start, stop)
            if not self._ggml.is_valid(tensor.type, raw):
                raise Refused(f"{safe(tensor.name)} has weights that are not finite numbers")
            values = self._ggml.decode(tensor.type, raw, tensor.row_length)
            of_matrix = slices[start // rows_per_matrix] if slices is not None else None
            blocks = self._ggml.encode_here(kind, values, of_matrix)
            if not self._ggml.is_valid(kind, blocks):
                raise Refused(f"{safe(tensor.name)} has weights that {kind} can't hold: they are too large")
            return blocks

        running: deque[Future[Blocks]] = deque()
        for start, stop in tensor.steps(_PIECE_VALUES):
            running.append(self._ggml.threads.submit(piece, start, stop))
            if len(running) > 2 * self._ggml.n_threads:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()

    def _check(self, tensor: Tensor, kind: str) -> None:
        if kind not in TYPE_NAMED or not self._ggml.has_values(kind):
            raise Refused(f"{safe(kind)} is no type that weights can be encoded as")
        if not self._ggml.has_values(tensor.type):
            raise Refused(f"{safe(tensor.name)} is of the type {tensor.type}, which has no weights to encode")
        if tensor.row_length % TYPE_NAMED[kind].block:
            raise Refused(
                f"{safe(tensor.name)} can't be {kind}: its rows of {tensor.row_length:,} are no multiple of "
                f"{TYPE_NAMED[kind].block}"
            )

    def _key(self, tensor: Tensor, kind: str, importance: Floats | None) -> str:
        weights = (
            store.sha256_bytes(np.ascontiguousarray(importance, "<f4").tobytes()) if importance is not None else None
        )
        return store.key_of(self.digest(tensor), tensor.type, tensor.shape, kind, weights, self._library_sha256)

    def digest(self, tensor: Tensor) -> str:
        """SHA-256 of the tensor's bytes. A file of the same name may have been written anew since."""
        stat = tensor.path.stat()
        of = (tensor.path, stat.st_ino, stat.st_mtime_ns, stat.st_size, tensor.info.offset, tensor.info.n_bytes)
        if of not in self._digests:
            digest = hashlib.sha256()
            for start, stop in tensor.steps():
                digest.update(tensor.read(start, stop).data)
            self._digests[of] = digest.hexdigest()
        return self._digests[of]

    def _entries(self) -> Iterator[tuple[int, int, Path]]:
        """(time of last use in ns, bytes, path) of all finished entries."""
        for path, stat in self._files():
            if not path.name.startswith("."):
                yield stat.st_mtime_ns, stat.st_size, path

    def _remove_stale(self) -> None:
        for path, stat in self._files():
            if path.name.startswith(".") and time.time() - stat.st_mtime > _STALE_S:
                _removed(path)

    def _files(self) -> Iterator[tuple[Path, os.stat_result]]:
        with os.scandir(self._folder) as found:
            for entry in found:
                with contextlib.suppress(FileNotFoundError):  # another process has just removed it
                    yield Path(entry.path), entry.stat()

    @contextlib.contextmanager
    def _refusing(self) -> Iterator[None]:
        try:
            yield
        except (MissingError, OSError) as e:
            cause = e if isinstance(e, OSError) else e.__cause__
            why = cause.strerror if isinstance(cause, OSError) else str(e)
            raise Refused(f"encoded tensors can't be kept in {self._folder}: {why}", "output") from None


def _found(path: Path, n_bytes: int) -> bool:
    """Whether an entry is there, whole; it is now the last that was used."""
    try:
        os.utime(path)
        return path.stat().st_size == n_bytes
    except FileNotFoundError:
        return False


def _removed(path: Path) -> bool:
    try:
        path.unlink()
    except OSError:  # removed by another process, or, on Windows, open in one
        return False
    return True
