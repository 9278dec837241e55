"""What a GGUF file is, checked as untrusted input before native code opens it, and how large its copies will be.

llama.cpp's reader had integer and heap overflows that a crafted header reached (CVE-2026-33298, CVE-2026-27940),
and Ollama read out of bounds for one that lies about tensor sizes (CVE-2026-7482). So every count, length, shape
and offset is checked here against the bytes that the file really has, with rules at least as strict as those of
``ggml/src/gguf.cpp`` and ``src/llama-model-loader.cpp`` in llama.cpp 0c1e570.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path

import gguf
import msgspec

from edgeq.errors import InputError
from edgeq.gguf_header import ArrayValue, Claim, RawHeader, Scalar, damaged, named, read_raw, safe

__all__ = [
    "ArrayValue",
    "Header",
    "TensorInfo",
    "on_label",
    "predict_file_bytes",
    "promised_type",
    "read_header",
    "safe",
]

DEFAULT_ALIGNMENT = 32  # GGUF_DEFAULT_ALIGNMENT
MIN_ALIGNMENT = 8  # ggml's docs/gguf.md: a multiple of 8
MAX_ALIGNMENT = 1 << 20
INT64_MAX = 2**63 - 1


class TensorType(msgspec.Struct, frozen=True):
    """A ggml type: ``block`` elements are stored in ``block_bytes`` bytes."""

    id: int
    name: str
    block: int
    block_bytes: int

    def n_bytes(self, n_elements: int) -> int:
        """Bytes of ``n_elements`` elements, which must be whole blocks."""
        return n_elements // self.block * self.block_bytes


# llama.cpp 0c1e570 has them (ggml-common.h), older releases of the gguf package do not.
_NEW_TYPES = (
    TensorType(40, "NVFP4", 64, 64 // 16 + 64 // 2),
    TensorType(41, "Q1_0", 128, 2 + 128 // 8),
    TensorType(42, "Q2_0", 64, 2 + 64 // 4),
)
_GGUF_TYPES = tuple(TensorType(int(kind), kind.name, *size) for kind, size in gguf.GGML_QUANT_SIZES.items())
TYPES = {kind.id: kind for kind in _NEW_TYPES + _GGUF_TYPES}
TYPE_NAMED = {kind.name: kind for kind in TYPES.values()}


class TensorInfo(msgspec.Struct, frozen=True):
    """One tensor: ``shape`` in ggml's order (ne0, the row length, first), ``offset`` from the start of its file.

    ``part`` is the index of its file, 0 unless the model is split.
    """

    name: str
    shape: tuple[int, ...]
    type: str
    n_elements: int
    n_bytes: int
    offset: int
    part: int = 0


class Header(msgspec.Struct, frozen=True):
    """What one GGUF file, or all parts of a split one, says about itself; every claim fits the file.

    ``metadata`` holds scalars, strings (cut after 1 MiB; bytes that are no UTF-8 as ``\\xNN``) and, for arrays,
    their summaries. ``kv_bytes`` is the encoded length of each pair and ``kv_types`` the type of its value. Of a split
    model, these are the first part's, the tensors are all parts', and ``n_file_bytes`` is the sum.
    """

    version: int
    alignment: int
    metadata: dict[str, Scalar | ArrayValue]
    kv_bytes: dict[str, int]
    kv_types: dict[str, str]
    tensors: tuple[TensorInfo, ...]
    data_offset: int
    n_file_bytes: int
    parts: tuple[Path, ...]

    @property
    def n_params(self) -> int:
        """Number of elements in all tensors."""
        return sum(tensor.n_elements for tensor in self.tensors)

    @property
    def tensor_types(self) -> dict[str, int]:
        """Number of parameters of each tensor type, in the order of first use."""
        counts: dict[str, int] = {}
        for tensor in self.tensors:
            counts[tensor.type] = counts.get(tensor.type, 0) + tensor.n_elements
        return counts

    @property
    def arch(self) -> str:
        """``general.architecture``, empty where there is none."""
        return self._text("general.architecture")

    @property
    def name(self) -> str:
        """``general.name``, empty where there is none."""
        return self._text("general.name")

    @property
    def file_type(self) -> int | None:
        """``general.file_type``, the number of the file type that the file was made as."""
        return self._number("general.file_type")

    @property
    def n_layers(self) -> int | None:
        """``{arch}.block_count``."""
        return self._number(f"{self.arch}.block_count")

    @property
    def n_ctx_train(self) -> int | None:
        """``{arch}.context_length``: the longest context that the model was trained with."""
        return self._number(f"{self.arch}.context_length")

    @property
    def n_vocab(self) -> int:
        """Tokens in the vocabulary, 0 where there is none."""
        tokens = self.metadata.get("tokenizer.ggml.tokens")
        return tokens.count if isinstance(tokens, ArrayValue) else 0

    def _text(self, key: str) -> str:
        value = self.metadata.get(key)
        return value if isinstance(value, str) else ""

    def _number(self, key: str) -> int | None:
        value = self.metadata.get(key)
        return value if isinstance(value, int) and not isinstance(value, bool) else None


def ggml_name(kind: str) -> str:
    """A type's name as ggml writes it: q4_K, iq3_s."""
    return re.sub(r"(?<=\d)_k$", "_K", kind.lower())


def _padded(n_bytes: int, alignment: int) -> int:
    """``n_bytes`` rounded up to a multiple of ``alignment``."""
    return -(-n_bytes // alignment) * alignment


def read_header(path: Path) -> Header:
    """The checked header of the GGUF file at ``path``, of all parts if it is the first of a split model.

    Raises InputError, which names the field that is wrong, for a file that is missing, unreadable, no GGUF, cut
    off or inconsistent. The work is bounded by the size of the file and by 128 MiB of header in each part.
    """
    first = _read_part(path, 0)
    n_parts = _split_number(first, "split.count")
    if n_parts is None or n_parts < 2:
        return first
    index = _split_number(first, "split.no")
    if index != 0:
        raise InputError(
            f"{named(path)} is not the first of the {n_parts} files of a split model.",
            f"Name the one that ends in -00001-of-{n_parts:05d}.gguf.",
        )
    return _joined(first, _part_paths(path, n_parts))


def _part_paths(path: Path, n_parts: int) -> list[Path]:
    """The files of a split model as llama.cpp names them (llama_split_path). Raises InputError if one is missing."""
    match = re.fullmatch(rf"(.+)-00001-of-{n_parts:05d}\.gguf", path.name, re.DOTALL)
    if not match:
        raise InputError(
            f"{named(path)} is the first of {n_parts} files of a split model, and its name does not say so.",
            f"Give it back its name, which ended in -00001-of-{n_parts:05d}.gguf.",
        )
    paths = [path.with_name(f"{match[1]}-{number:05d}-of-{n_parts:05d}.gguf") for number in range(1, n_parts + 1)]
    for number, part in enumerate(paths, 1):
        if not part.exists():
            raise InputError(
                f"{named(part)} is missing: the model is split into {n_parts} files, and this is file {number}.",
                "Download it into the same folder.",
            )
    return paths


def _joined(first: Header, paths: list[Path]) -> Header:
    """The first part's header with the tensors of all parts."""
    parts = [first]
    for index, path in enumerate(paths[1:], 1):
        part = _read_part(path, index)
        if _split_number(part, "split.no") != index:
            raise damaged(path, f"split.no is not {index}, as its name says")
        parts.append(part)
    tensors = tuple(tensor for part in parts for tensor in part.tensors)
    if len({tensor.name for tensor in tensors}) < len(tensors):
        raise damaged(paths[0], "two of its parts have a tensor of the same name")
    n_claimed = first.metadata.get("split.tensors.count")
    if n_claimed != len(tensors):
        raise damaged(
            paths[0], f"split.tensors.count is {safe(str(n_claimed))}, and its parts have {len(tensors):,} tensors"
        )
    n_file_bytes = sum(part.n_file_bytes for part in parts)
    return msgspec.structs.replace(first, tensors=tensors, n_file_bytes=n_file_bytes, parts=tuple(paths))


def _split_number(header: Header, key: str) -> int | None:
    """A number of a split model. llama.cpp aborts where ``split.no`` is not a u16."""
    value = header.metadata.get(key)
    if value is None:
        return None
    if header.kv_types[key] != "u16" or not isinstance(value, int):
        raise damaged(header.parts[0], f"{key} has the type {header.kv_types[key]}, and u16 is needed")
    return value


def _read_part(path: Path, part: int) -> Header:
    raw = read_raw(path)
    alignment = _alignment(path, raw)
    # Without tensors, llama.cpp does not look for the data section, and the file may end with the header.
    data_offset = _padded(raw.n_bytes, alignment) if raw.claims else raw.n_bytes
    return Header(
        version=raw.version,
        alignment=alignment,
        metadata=raw.pairs.values,
        kv_bytes=raw.pairs.n_bytes,
        kv_types=raw.pairs.types,
        tensors=_placed(path, raw, data_offset, alignment, part),
        data_offset=data_offset,
        n_file_bytes=raw.n_file_bytes,
        parts=(path,),
    )


def _alignment(path: Path, raw: RawHeader) -> int:
    value = raw.pairs.values.get("general.alignment", DEFAULT_ALIGNMENT)
    if raw.pairs.types.get("general.alignment", "u32") != "u32" or not isinstance(value, int):
        raise damaged(path, f"general.alignment has the type {raw.pairs.types['general.alignment']}, not u32")
    if not MIN_ALIGNMENT <= value <= MAX_ALIGNMENT or value & (value - 1):
        raise damaged(
            path,
            f"general.alignment is {value:,}, not a power of two from {MIN_ALIGNMENT} to {MAX_ALIGNMENT:,}",
        )
    return value


def _placed(path: Path, raw: RawHeader, data_offset: int, alignment: int, part: int) -> tuple[TensorInfo, ...]:
    """The tensors, each checked to begin where the one before it ends, as gguf.cpp requires, and to fit the file."""
    tensors, expected, end = [], 0, data_offset
    for claim in raw.claims:
        kind, n_elements = _checked_shape(path, claim)
        n_bytes = kind.n_bytes(n_elements)
        if claim.offset != expected:
            raise damaged(path, _misplaced(claim, expected, alignment))
        expected += _padded(n_bytes, alignment)
        start, end = data_offset + claim.offset, data_offset + claim.offset + n_bytes
        tensors.append(TensorInfo(claim.name, claim.shape, kind.name, n_elements, n_bytes, start, part))
    if end > raw.n_file_bytes:
        raise InputError(
            f"{named(path)} is cut off: it is {end - raw.n_file_bytes:,} bytes shorter than its header says.",
            "Download or copy it again.",
        )
    return tuple(tensors)


def _misplaced(claim: Claim, expected: int, alignment: int) -> str:
    start = f"tensor '{safe(claim.name)}' starts at byte {claim.offset:,} of the data"
    if claim.offset % alignment:
        return f"{start}, not a multiple of the alignment of {alignment}"
    why = "overlaps the tensor before it" if claim.offset < expected else "leaves a gap before it"
    return f"{start}, which {why}: byte {expected:,} is expected"


def _checked_shape(path: Path, claim: Claim) -> tuple[TensorType, int]:
    """Type and number of elements of a tensor."""
    tensor = f"tensor '{safe(claim.name)}'"
    kind = TYPES.get(claim.type_id)
    if kind is None:
        raise damaged(
            path,
            f"{tensor} has the type number {claim.type_id:,}, which llama.cpp does not have",
            "If the file is sound, its type is newer than this release or was dropped: get another file.",
        )
    if min(claim.shape) < 1:
        raise damaged(path, f"{tensor} has a dimension of 0")
    n_elements = math.prod(claim.shape)
    if n_elements > INT64_MAX or kind.n_bytes(n_elements) > INT64_MAX:
        raise damaged(path, f"{tensor} has the shape {list(claim.shape)}, whose size does not fit into 64 bits")
    if claim.shape[0] % kind.block:
        raise damaged(path, f"{tensor} has rows of {claim.shape[0]:,}, not a multiple of {kind.name}'s {kind.block}")
    return kind, n_elements


def predict_file_bytes(header: Header, new_types: Mapping[str, str], set_kv: Mapping[str, Scalar] | None = None) -> int:
    """Size in bytes of the file that is assembled from ``header``'s with these types of tensors.

    ``new_types`` maps names of tensors to names of types, tensors that it leaves out keep theirs. ``set_kv`` are
    the overrides of key-value pairs. Raises InputError for unknown names and for rows that a type can't divide.
    """
    unknown = next(iter(new_types.keys() - {tensor.name for tensor in header.tensors}), None)
    if unknown is not None:
        raise InputError(f"The model has no tensor '{safe(unknown)}'.", "`edgeq inspect` lists its tensors.")
    head = 4 + 4 + 8 + 8 + sum(_copied_kv_bytes(header, set_kv or {}).values())
    data = 0
    for tensor in header.tensors:
        n_dims = max((i for i, n in enumerate(tensor.shape, 1) if n > 1), default=1)  # as ggml_n_dims counts
        head += 8 + len(tensor.name.encode()) + 4 + 8 * n_dims + 4 + 8
        data += _padded(_bytes_as(tensor, new_types.get(tensor.name, tensor.type)), DEFAULT_ALIGNMENT)
    # A general.alignment key is copied and not obeyed: the context that is written keeps the default.
    return _padded(head, DEFAULT_ALIGNMENT) + data


def _copied_kv_bytes(header: Header, set_kv: Mapping[str, Scalar]) -> dict[str, int]:
    """Encoded length of each pair in the copy."""
    sizes = dict(header.kv_bytes)
    for key in ("split.no", "split.count", "split.tensors.count"):
        sizes.pop(key, None)
    for key, value in {"general.quantization_version": 2, "general.file_type": 0, **set_kv}.items():
        sizes[key] = 8 + len(key.encode()) + 4 + _value_bytes(value)
    return sizes


def _value_bytes(value: Scalar) -> int:
    """Encoded length of an override: bool, u32 for whole numbers, f32, or a string with its length."""
    if isinstance(value, bool):
        return 1
    return 8 + len(value.encode()) if isinstance(value, str) else 4


def _bytes_as(tensor: TensorInfo, type_name: str) -> int:
    kind = TYPE_NAMED.get(type_name)
    if kind is None:
        raise InputError(f"There is no tensor type '{safe(type_name)}'.", f"Types: {', '.join(TYPE_NAMED)}.")
    if tensor.shape[0] % kind.block:
        raise InputError(
            f"Tensor '{safe(tensor.name)}' can't be {type_name}: its rows of {tensor.shape[0]:,} are no multiple "
            f"of {kind.block}.",
            "Choose a type with smaller blocks for it.",
        )
    return kind.n_bytes(tensor.n_elements)


# File types whose main type their name does not begin with, or not in full: llama_ftype_get_default_type in
# llama.cpp's src/llama-quant.cpp.
_MAIN_TYPES = {"IQ2_S": "IQ2_XS", "IQ2_M": "IQ2_S", "IQ3_XS": "IQ3_S", "IQ3_M": "IQ3_S"}


def promised_type(file_type_name: str) -> str | None:
    """The tensor type that a file type's name ("Q4_K_M") promises, ``None`` if it promises none (F16, unknown)."""
    name = file_type_name.upper()
    fitting = [kind for kind in TYPE_NAMED.values() if name == kind.name or name.startswith(kind.name + "_")]
    longest = max(fitting, key=lambda kind: len(kind.name), default=None)
    if name in _MAIN_TYPES:
        return _MAIN_TYPES[name]
    return longest.name if longest and longest.block > 1 else None


def on_label(header: Header, file_type_name: str, default_type: str | None = None) -> float | None:
    """Share of the parameters in weight matrices that have the type which the file type's name promises.

    ``default_type`` is that type where it is known better than from the name. ``None`` where none is promised
    (F32, F16, BF16) or there are no weight matrices. Matrices are tensors of two and more dimensions whose names
    end in ".weight", norms left out.
    """
    promised = default_type or promised_type(file_type_name)
    matrices = [tensor for tensor in header.tensors if _is_matrix(tensor)]
    if promised is None or TYPE_NAMED[promised].block == 1 or not matrices:
        return None
    return sum(t.n_elements for t in matrices if t.type == promised) / sum(t.n_elements for t in matrices)


def _is_matrix(tensor: TensorInfo) -> bool:
    is_weight = tensor.name.endswith(".weight") and "norm" not in tensor.name
    return is_weight and sum(n > 1 for n in tensor.shape) > 1
