"""A GGUF model by its header."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from edgeq.gguf_info import TYPE_NAMED, ArrayValue, Header, on_label, safe
from edgeq.models import file_type_name
from edgeq.show.page import Grid, Page, size

_MOST_KEYS = 200
# Facts beside those that are computed; a star stands for the architecture.
_NAMED = (
    ("context length", "*.context_length"),
    ("layers", "*.block_count"),
    ("width", "*.embedding_length"),
    ("heads", "*.attention.head_count"),
    ("KV heads", "*.attention.head_count_kv"),
    ("experts", "*.expert_count"),
    ("experts used", "*.expert_used_count"),
    ("tokenizer", "tokenizer.ggml.model"),
    ("pre-tokenizer", "tokenizer.ggml.pre"),
    ("vocabulary", "tokenizer.ggml.tokens"),
    ("license", "general.license"),
    ("importance matrix", "quantize.imatrix.file"),
)


def model(path: Path, header: Header, tensors: bool) -> Page:
    """Architecture, parameters, types by share, effective bpw, tokenizer, context length, metadata."""
    n_params, arch = header.n_params, header.arch or "unknown"
    label = file_type_name(header.file_type)
    share = on_label(header, label)
    facts = [
        ("name", header.name),
        ("architecture", arch),
        ("parameters", f"{n_params:,}"),
        (
            "file type",
            label + (f", {share:.0%} of the weights have the type that it names" if share is not None else ""),
        ),
        ("bits per parameter", f"{header.n_file_bytes * 8 / n_params:.3f}" if n_params else "-"),
        ("size", size(header.n_file_bytes) + (f" in {len(header.parts)} files" if len(header.parts) > 1 else "")),
        *((name, _value(header, key)) for name, key in _NAMED if _key(header, key) in header.metadata),
        ("chat template", "yes" if "tokenizer.chat_template" in header.metadata else "none"),
        ("GGUF version", f"{header.version}, aligned to {header.alignment} bytes, {len(header.tensors):,} tensors"),
    ]
    if "edgeq.requantized" in header.metadata:
        facts.append(("note", "made from weights that had been quantized before"))
    grids = [_types(header), _metadata(header)]
    if tensors:
        grids.append(_tensors(header))
    return Page("GGUF model", str(path), tuple(facts), tuple(grids), _data(path, header, tensors))


def _key(header: Header, key: str) -> str:
    return key.replace("*", header.arch or "unknown", 1)


def _value(header: Header, key: str) -> str:
    return _text(header.metadata[_key(header, key)])


def _text(value: object) -> str:
    if isinstance(value, ArrayValue):
        return f"{value.count:,} values of type {value.type}"
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.8g}" if isinstance(value, float) else str(value)


def _types(header: Header) -> Grid:
    rows = []
    for name, n in sorted(header.tensor_types.items(), key=lambda pair: -pair[1]):
        kind = TYPE_NAMED[name]
        n_tensors = sum(t.type == name for t in header.tensors)
        bits = kind.block_bytes * 8 / kind.block
        rows.append((name, f"{n_tensors:,}", f"{n:,}", f"{n / header.n_params:.1%}", f"{bits:.4g}"))
    return Grid("Types", ("type", "tensors", "parameters", "share", "bits"), tuple(rows))


def _metadata(header: Header) -> Grid:
    rows = [(key, _text(value)) for key, value in header.metadata.items()]
    if len(rows) > _MOST_KEYS:
        rows = [*rows[:_MOST_KEYS], ("...", f"{len(rows) - _MOST_KEYS:,} more: --json")]
    return Grid("Metadata", ("key", ""), tuple(rows))


def _tensors(header: Header) -> Grid:
    rows = tuple((t.name, " x ".join(map(str, t.shape)), t.type, f"{t.n_bytes:,}") for t in header.tensors)
    return Grid("Tensors", ("name", "shape", "type", "bytes"), rows)


def _data(path: Path, header: Header, tensors: bool) -> dict[str, object]:
    found: dict[str, object] = {
        "kind": "gguf",
        "path": safe(str(path), 4096),
        "version": header.version,
        "architecture": header.arch,
        "name": header.name,
        "n_params": header.n_params,
        "n_bytes": header.n_file_bytes,
        "bpw": header.n_file_bytes * 8 / header.n_params if header.n_params else None,
        "file_type": file_type_name(header.file_type),
        "tensor_types": header.tensor_types,
        "metadata": header.metadata,
    }
    listed: Iterable[object] = header.tensors if tensors else ()
    return found | ({"tensors": list(listed)} if tensors else {})
