"""The bytes of a GGUF header, taken apart as untrusted input. ``gguf_info`` checks what they mean.

The file is read in pieces, never mapped: a mapped file that shrinks kills the process. No length or count is
believed before the file is known to have the bytes, so a header that lies can neither allocate nor loop.
"""

from __future__ import annotations

import os
import stat
import struct
from pathlib import Path
from typing import BinaryIO

import msgspec

from edgeq.errors import InputError

Scalar = int | float | bool | str

MAX_HEADER_BYTES = 128 << 20  # the largest that we know, gemma's with 262,144 tokens, takes 16 MiB
MAX_STRING_BYTES = 64 << 20
MAX_KEPT_BYTES = 1 << 20
MAX_STRINGS = 1 << 22  # in arrays, over the whole header
MAX_KEY_BYTES = 65535  # docs/gguf.md of ggml
MAX_PAIRS = 1 << 16
MAX_TENSORS = 1 << 17
MAX_DIMS = 4  # GGML_MAX_DIMS
MAX_NAME_BYTES = 63  # GGML_MAX_NAME counts the closing NUL
MIN_PAIR_BYTES = 8 + 1 + 4 + 1
MIN_TENSOR_BYTES = 8 + 4 + 8 + 4 + 8

AGAIN = "Download or copy it again; if it stays the same, the program that wrote it is at fault."
OTHER = "Get a GGUF file, or convert the model's folder with `edgeq convert`."

_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")
_STRING, _ARRAY = 8, 9
VALUE_TYPES = {
    0: ("u8", struct.Struct("<B")),
    1: ("i8", struct.Struct("<b")),
    2: ("u16", struct.Struct("<H")),
    3: ("i16", struct.Struct("<h")),
    4: ("u32", _U32),
    5: ("i32", struct.Struct("<i")),
    6: ("f32", struct.Struct("<f")),
    7: ("bool", struct.Struct("<?")),
    10: ("u64", _U64),
    11: ("i64", struct.Struct("<q")),
    12: ("f64", struct.Struct("<d")),
}

# Printable to Python and yet without ink: fillers, joiners, the empty braille cell, variation selectors.
_INKLESS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0") | {
    chr(code) for code in (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))
}


class ArrayValue(msgspec.Struct, frozen=True):
    """An array in the metadata: the type of its elements ("str", "u32" ...) and how many there are."""

    type: str
    count: int


def safe(text: str, limit: int = 200) -> str:
    """``text`` fit for one line of a terminal: at most ``limit`` characters, nothing in it acts or hides.

    Control characters, line breaks, direction overrides, characters without ink and lone surrogates are escaped.
    """
    if len(text) <= limit and text.isascii() and text.isprintable():
        return text
    shown = ""
    for char in text[: limit + 1]:
        visible = char.isprintable() and char not in _INKLESS
        piece = char if visible else char.encode("unicode_escape").decode("ascii")
        if len(shown) + len(piece) > limit:
            return _cut(shown, limit)
        shown += piece
    return shown


def _cut(shown: str, limit: int) -> str:
    return shown[: limit - 1] + "…" if len(shown) >= limit else shown + "…"


def named(path: Path) -> str:
    """``path`` fit for a sentence, long enough for its end to be seen."""
    return safe(str(path), 1000)


def damaged(path: Path, text: str, hint: str = AGAIN) -> InputError:
    """The error for a GGUF file that contradicts itself or the format; ``text`` names the field and why."""
    return InputError(f"{named(path)} is damaged: {text}.", hint)


class _Cursor:
    """Reads a header front to back, never past the end of the file nor past ``MAX_HEADER_BYTES``."""

    def __init__(self, file: BinaryIO, path: Path, n_file_bytes: int) -> None:
        self.file = file
        self.path = path
        self.n_file_bytes = n_file_bytes
        self.data = bytearray()
        self.pos = 0
        self.where = "the start of the header"
        self.n_strings = 0

    def damaged(self, text: str) -> InputError:
        return damaged(self.path, text)

    def take(self, n: int) -> int:
        """Reads on until the next ``n`` bytes are in ``data``, steps over them and gives their position."""
        start, end = self.pos, self.pos + n
        if end > len(self.data):
            self._read_to(start, end)
        self.pos = end
        return start

    def _read_to(self, start: int, end: int) -> None:
        if end > self.n_file_bytes:
            raise InputError(
                f"{named(self.path)} is cut off in its header or damaged: {self.where} takes {end - start:,} "
                f"bytes from byte {start:,} on, and the file ends at byte {self.n_file_bytes:,}.",
                AGAIN,
            )
        if end > MAX_HEADER_BYTES:
            raise self.damaged(f"{self.where} makes the header larger than {MAX_HEADER_BYTES:,} bytes")
        while len(self.data) < end:
            chunk = self.file.read(max(end - len(self.data), min(len(self.data), 4 << 20), 64 << 10))
            if not chunk:
                raise self.damaged(f"it ended at byte {len(self.data):,} while it was being read")
            self.data += chunk

    def u32(self) -> int:
        value: int = _U32.unpack_from(self.data, self.take(4))[0]
        return value

    def u64(self) -> int:
        value: int = _U64.unpack_from(self.data, self.take(8))[0]
        return value

    def string(self, limit: int = MAX_STRING_BYTES) -> tuple[int, int]:
        """Position and end of the bytes of a string."""
        length = self.u64()
        if length > limit:
            raise self.damaged(f"{self.where} has a string of {length:,} bytes, and {limit:,} is the limit")
        return self.take(length), self.pos

    def name(self, limit: int) -> str:
        """A key or a tensor's name: UTF-8, and without NUL, at which C would end it."""
        start, end = self.string(limit)
        try:
            text = self.data[start:end].decode()
        except UnicodeDecodeError:
            raise self.damaged(f"{self.where} has a name that is not UTF-8") from None
        if "\0" in text:
            raise self.damaged(f"{self.where} has a NUL character in its name '{safe(text, 80)}'")
        return text

    def skip_strings(self, count: int) -> None:
        """Steps over ``count`` strings."""
        self.n_strings += count
        if self.n_strings > MAX_STRINGS:
            raise self.damaged(f"{self.where} brings the strings in arrays to {self.n_strings:,}, over {MAX_STRINGS:,}")
        data, unpack = self.data, _U64.unpack_from
        for _ in range(count):
            # The comparisons spare a call of take() per string, most of the time that a large header takes.
            if self.pos + 8 > len(data):
                self._read_to(self.pos, self.pos + 8)
            start = self.pos + 8
            end = start + unpack(data, self.pos)[0]
            if end > len(data):
                self._read_to(start, end)
            self.pos = end


class Pairs(msgspec.Struct, frozen=True):
    """Key-value pairs by key: values, their types, encoded lengths."""

    values: dict[str, Scalar | ArrayValue]
    types: dict[str, str]
    n_bytes: dict[str, int]


class Claim(msgspec.Struct, frozen=True):
    """What the header says of one tensor, unchecked; ``offset`` is from the start of the data."""

    name: str
    shape: tuple[int, ...]
    type_id: int
    offset: int


class RawHeader(msgspec.Struct, frozen=True):
    """A header that could be taken apart: it ends at byte ``n_bytes`` of ``n_file_bytes``."""

    version: int
    pairs: Pairs
    claims: tuple[Claim, ...]
    n_bytes: int
    n_file_bytes: int


def read_raw(path: Path) -> RawHeader:
    """The header of the one file at ``path``. Raises InputError where it can't be taken apart."""
    try:
        _require_regular(path)
        with path.open("rb") as file:
            return _parse(_Cursor(file, path, os.fstat(file.fileno()).st_size))
    except FileNotFoundError:
        raise InputError(f"{named(path)} does not exist.", "Check the path.") from None
    except PermissionError:
        raise InputError(f"{named(path)} may not be read by this user.", "Change its permissions.") from None
    except OSError as error:
        raise InputError(f"{named(path)} can't be read: {error.strerror}.", "Check the path and the disk.") from None


def _require_regular(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except ValueError:  # a NUL, or characters that the file system's encoding lacks
        raise InputError(f"{named(path)} can't be the name of a file.", "Check the path.") from None
    if stat.S_ISDIR(mode):
        raise InputError(f"{named(path)} is a folder, not a GGUF file.", "Name the .gguf file inside it.")
    if not stat.S_ISREG(mode):
        raise InputError(f"{named(path)} is not a regular file.", "Name a .gguf file on a disk.")


def _parse(cursor: _Cursor) -> RawHeader:
    version = _version(cursor)
    n_tensors = _count(cursor, "tensors", MIN_TENSOR_BYTES, MAX_TENSORS)
    n_pairs = _count(cursor, "key-value pairs", MIN_PAIR_BYTES, MAX_PAIRS)
    pairs = Pairs({}, {}, {})
    for index in range(n_pairs):
        cursor.where = f"key-value pair {index + 1}"
        _add_pair(cursor, pairs)
    claims: dict[str, Claim] = {}
    for index in range(n_tensors):
        cursor.where = f"the entry of tensor {index + 1}"
        claim = _claim(cursor)
        if claim.name in claims:
            raise cursor.damaged(f"it has two tensors named '{safe(claim.name)}'")
        claims[claim.name] = claim
    return RawHeader(version, pairs, tuple(claims.values()), cursor.pos, cursor.n_file_bytes)


def _version(cursor: _Cursor) -> int:
    path = named(cursor.path)
    if cursor.n_file_bytes == 0:
        raise InputError(f"{path} is empty (0 bytes).", "Download or copy it again.")
    cursor.take(min(cursor.n_file_bytes, 512))
    cursor.pos = 0
    head = bytes(cursor.data[:512])
    if not b"GGUF".startswith(head[:4]):
        raise InputError(f"{path} is not a GGUF file: {_kind(head)}.", OTHER)
    cursor.where = "the magic"
    cursor.take(4)
    cursor.where = "the version"
    version = cursor.u32()
    if version in (2 << 24, 3 << 24):
        raise InputError(f"{path} is a big-endian GGUF file, for machines such as IBM's mainframes.", OTHER)
    if version == 1:
        raise InputError(f"{path} is a GGUF file of version 1, which llama.cpp no longer reads.", OTHER)
    if version not in (2, 3):
        raise cursor.damaged(f"its version is {version:,}, and only 2 and 3 exist")
    return version


def _kind(head: bytes) -> str:
    """What a file that starts with ``head`` and not with GGUF's magic seems to be."""
    starts = {
        b"PK\x03\x04": "it is a ZIP archive, as PyTorch's checkpoints are",
        b"\x80\x02": "it is a Python pickle, as old PyTorch checkpoints are",
        b"\x1f\x8b": "it is compressed with gzip",
        b"version https://git-lfs": "it is a Git LFS pointer, a text that stands for the file",
        b"lmgg": "it has the format that preceded GGUF (GGML)",
        b"fmgg": "it has the format that preceded GGUF (GGMF)",
        b"tjgg": "it has the format that preceded GGUF (GGJT)",
    }
    for start, text in starts.items():
        if head.startswith(start):
            return text
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 1 << 32:
        return "it is a safetensors file"
    if head.lstrip().lower().startswith((b"<!doctype html", b"<html")):
        return "it is an HTML page, such as a download's error message"
    return f"it starts with '{safe(head[:4].decode('latin-1'))}' instead of 'GGUF'"


def _count(cursor: _Cursor, what: str, min_bytes: int, limit: int) -> int:
    cursor.where = f"the number of {what}"
    count = cursor.u64()
    room = cursor.n_file_bytes - cursor.pos
    if count * min_bytes > room:
        raise cursor.damaged(f"its header says {count:,} {what}, and the {room:,} bytes that follow can't hold them")
    if count > limit:
        raise cursor.damaged(f"its header says {count:,} {what}, and {limit:,} is the limit")
    return count


def _add_pair(cursor: _Cursor, pairs: Pairs) -> None:
    start = cursor.pos
    key = cursor.name(MAX_KEY_BYTES)
    if not key:
        raise cursor.damaged(f"{cursor.where} has an empty key")
    if key in pairs.values:
        raise cursor.damaged(f"it has the key '{safe(key)}' twice")
    cursor.where = f"the value of '{safe(key)}'"
    type_id = cursor.u32()
    if type_id == _ARRAY:
        pairs.values[key] = _array(cursor)
        pairs.types[key] = "arr"
    elif type_id == _STRING:
        pairs.values[key] = _text(cursor)
        pairs.types[key] = "str"
    else:
        pairs.types[key], form = _value_type(cursor, type_id)
        pairs.values[key] = form.unpack_from(cursor.data, cursor.take(form.size))[0]
    pairs.n_bytes[key] = cursor.pos - start


def _text(cursor: _Cursor) -> str:
    start, end = cursor.string()
    kept = cursor.data[start : min(end, start + MAX_KEPT_BYTES)]
    return kept.decode(errors="backslashreplace")


def _array(cursor: _Cursor) -> ArrayValue:
    type_id, count = cursor.u32(), cursor.u64()
    if type_id == _ARRAY:
        raise cursor.damaged(f"{cursor.where} is an array of arrays, which llama.cpp does not read")
    if type_id == _STRING:
        cursor.skip_strings(count)
        return ArrayValue("str", count)
    name, form = _value_type(cursor, type_id)
    cursor.take(count * form.size)
    return ArrayValue(name, count)


def _value_type(cursor: _Cursor, type_id: int) -> tuple[str, struct.Struct]:
    if type_id not in VALUE_TYPES:
        raise cursor.damaged(f"{cursor.where} has the type number {type_id:,}, and the types are 0 to 12")
    return VALUE_TYPES[type_id]


def _claim(cursor: _Cursor) -> Claim:
    name = cursor.name(MAX_NAME_BYTES)
    cursor.where = f"the entry of tensor '{safe(name)}'"
    n_dims = cursor.u32()
    if not 1 <= n_dims <= MAX_DIMS:
        raise cursor.damaged(f"tensor '{safe(name)}' has {n_dims:,} dimensions, and 1 to {MAX_DIMS} are allowed")
    shape = tuple(cursor.u64() for _ in range(n_dims))
    return Claim(name, shape, cursor.u32(), cursor.u64())
