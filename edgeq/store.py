"""The only module that writes results: temporary file, fsync, atomic rename. Also hashes, keys, caches and locks."""

from __future__ import annotations

import contextlib
import errno
import gzip
import hashlib
import os
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TypeVar

import filelock
import msgspec
import platformdirs

from edgeq.errors import InputError, MissingError
from edgeq.records import SCHEMA, Record, Stored

R = TypeVar("R", bound=Record)
_BLOCK = 1 << 22


# --- places --------------------------------------------------------------------------------------------------


def cache_dir() -> Path:
    """The user's cache folder for edgeq: builds, sources, converter environments. Safe to delete at any time."""
    return Path(os.environ.get("EDGEQ_CACHE") or platformdirs.user_cache_dir("edgeq"))


def share_dir() -> Path:
    """The folder with ``native/``, ``CMakeLists.txt``, ``profiles/`` and ``recipes/``: in the wheel or the checkout."""
    package = Path(__file__).resolve().parent
    inside = package / "_share"
    return inside if inside.is_dir() else package.parent


# --- hashes and keys -----------------------------------------------------------------------------------------


def sha256_file(path: Path, on_bytes: Callable[[int], None] | None = None) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as f:
        while block := f.read(_BLOCK):
            digest.update(block)
            if on_bytes is not None:
                on_bytes(len(block))
    return digest.hexdigest()


def sha256_bytes(data: bytes) -> str:
    """SHA-256 of bytes in memory, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def sha256_tree(folder: Path, names: tuple[str, ...]) -> str:
    """SHA-256 over the relative paths and contents of all files under ``folder/name`` for each name, in order."""
    digest = hashlib.sha256()
    for name in names:
        top = folder / name
        for file in sorted(p for p in ([top] if top.is_file() else top.rglob("*")) if p.is_file()):
            digest.update(f"{file.relative_to(folder).as_posix()}\0{sha256_file(file)}\n".encode())
    return digest.hexdigest()


def key_of(*inputs: object) -> str:
    """A key for a result: SHA-256 over the JSON of everything it depends on. Equal inputs, equal key."""
    return hashlib.sha256(msgspec.json.encode(inputs, order="sorted")).hexdigest()


# --- writing -------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn a full disk or a missing permission while writing to ``path`` into one sentence."""
    try:
        yield
    except OSError as e:
        if e.errno in (errno.ENOSPC, errno.EDQUOT):
            raise MissingError(
                f"There is no space left for {path}.", "Free some space, then run the same command again."
            ) from e
        if e.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.ENOENT, errno.EEXIST):
            raise MissingError(
                f"{path} can't be written: {e.strerror}.", "Choose a folder that you may write to (--out)."
            ) from e
        raise


def make_folder(path: Path) -> Path:
    """Create a folder and its parents where missing."""
    with writing(path):
        path.mkdir(parents=True, exist_ok=True)
    return path


def partial(path: Path) -> Path:
    """The temporary name beside ``path`` under which it is made. Never looks like a finished file."""
    return path.with_name(f".{path.name}.partial")


def publish(temporary: Path, path: Path) -> None:
    """Give a finished file its final name: fsync, then atomic rename."""
    with writing(path):
        with temporary.open("rb+") as f:
            os.fsync(f.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)


@contextlib.contextmanager
def removing(temporary: Path) -> Iterator[None]:
    """Delete a temporary file when the block ends, however it ends (after `publish` it is gone already)."""
    try:
        yield
    finally:
        with contextlib.suppress(NotADirectoryError):
            temporary.unlink(missing_ok=True)


def reserve(file: IO[bytes], n_bytes: int) -> None:
    """Claim the disk for a file that is about to be written, where the system can. Raises OSError if it is full."""
    if n_bytes and hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(file.fileno(), 0, n_bytes)
        except OSError as e:
            if e.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
                raise


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A temporary folder for what a program reads or writes on the way."""
    with tempfile.TemporaryDirectory(prefix="edgeq-") as folder:
        yield Path(folder)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a whole file so that at any moment either the old or the new content is there."""
    temporary = partial(path)
    with removing(temporary):
        with writing(path):
            temporary.write_bytes(data)
        publish(temporary, path)


def write_text(path: Path, text: str) -> None:
    """As `write_bytes`, for UTF-8 text."""
    write_bytes(path, text.encode())


def need_space(folder: Path, n_bytes: int, what: str, instead: str = "Or choose another folder (--out).") -> None:
    """Refuse beforehand what can't fit on the disk. ``n_bytes`` are about to be written; ``instead``: a way out."""
    free = shutil.disk_usage(folder).free
    if n_bytes > free:
        raise MissingError(
            f"{what} needs {n_bytes / 1e9:.2f} GB in {folder}, and {free / 1e9:.2f} GB are free.",
            f"Free some space. {instead}",
        )


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


# --- records -------------------------------------------------------------------------------------------------


def save(path: Path, record: Record, key: str) -> None:
    """Write a record with its schema, kind and key. A name that ends in ``.gz`` is compressed (reproducibly)."""
    raw = msgspec.Raw(msgspec.json.encode(record))
    data = msgspec.json.encode(Stored(SCHEMA, type(record).__name__, key, raw))
    data = gzip.compress(data, 6, mtime=0) if path.suffix == ".gz" else msgspec.json.format(data, indent=1)
    write_bytes(path, data)


def load(path: Path, kind: type[R]) -> R:
    """Read a record. Raises InputError where the file is damaged, of another kind or from a newer edgeq."""
    return _decode(path, _open(path), kind)


def try_load(path: Path, kind: type[R]) -> R | None:
    """As `load`, None where it can't be read: damaged, or of another version."""
    try:
        return load(path, kind)
    except InputError:
        return None


def load_any(path: Path, kinds: tuple[type[Record], ...]) -> Record:
    """Read a record that may be of several kinds."""
    stored = _open(path)
    by_name = {k.__name__: k for k in kinds}
    return _decode(path, stored, by_name.get(stored.kind, kinds[0]))


def find(path: Path, kind: type[R], key: str) -> R | None:
    """The record at ``path`` if it was made from just these inputs, else None: all there is to resuming."""
    if not path.exists():
        return None
    try:
        stored = _open(path)
        return _decode(path, stored, kind) if stored.key == key else None
    except InputError:
        return None  # written by another version or damaged: the work is done again


def _open(path: Path) -> Stored:
    try:
        data = path.read_bytes()
        stored = msgspec.json.decode(gzip.decompress(data) if path.suffix == ".gz" else data, type=Stored)
    except FileNotFoundError:
        raise InputError(f"There is no file {path}.") from None
    except (msgspec.DecodeError, OSError, EOFError, zlib.error) as e:
        raise InputError(
            f"{path} is no record of edgeq, or damaged: {e}.", "Run the command again that made it."
        ) from None
    if stored.schema > SCHEMA:
        raise InputError(f"{path} was written by a newer edgeq (schema {stored.schema}).", "Update edgeq.")
    return stored


def _decode(path: Path, stored: Stored, kind: type[R]) -> R:
    if stored.kind != kind.__name__:
        raise InputError(f"{path} holds a {stored.kind}, not a {kind.__name__}.")
    try:
        return msgspec.json.decode(stored.record, type=kind)
    except msgspec.ValidationError as e:
        raise InputError(f"{path} does not fit this version of edgeq: {e}.") from None


# --- locks ---------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def lock(folder: Path, what: str) -> Iterator[None]:
    """Hold ``folder/.lock`` while working in it. Raises InputError at once if another edgeq holds it."""
    make_folder(folder)
    guard = filelock.FileLock(folder / ".lock")
    try:
        with writing(folder):
            guard.acquire(timeout=0)
    except filelock.Timeout:
        raise InputError(f"Another edgeq is working in {folder}.", f"Wait for it to finish {what}.") from None
    try:
        yield
    finally:
        guard.release()


@contextlib.contextmanager
def wait_lock(folder: Path) -> Iterator[None]:
    """Hold ``folder/.lock``, waiting for another edgeq to finish the same work first (caches)."""
    make_folder(folder)
    with writing(folder), filelock.FileLock(folder / ".lock"):
        yield
