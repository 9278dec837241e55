"""Models and what they are made from."""

from __future__ import annotations

from typing import Literal

from edgeq.records.base import Record


class Source(Record, frozen=True):
    """Where a model came from."""

    repo: str
    revision: str | None
    arch: str
    n_params: int
    license: str | None


class Gguf(Record, frozen=True):
    """A GGUF file and what is really in it.

    ``bpw`` is file bits per parameter, embeddings included. ``tensor_types`` maps a type to its number of
    parameters. ``on_label`` is the share of parameters in weight matrices that have the type the name promises,
    ``None`` where the name promises none (F16, F32). ``requantized`` marks files that descend from weights that
    had been quantized before.
    """

    path: str
    sha256: str
    n_bytes: int
    arch: str
    name: str
    n_params: int
    n_layers: int
    file_type: str
    bpw: float
    tensor_types: dict[str, int]
    on_label: float | None
    requantized: bool = False
    source: Source | None = None
    recipe: Recipe | None = None
    parent_sha256: str | None = None
    imatrix_sha256: str | None = None
    predicted_bytes: int | None = None


class Imatrix(Record, frozen=True):
    """An importance matrix (GGUF) and what it was computed from."""

    path: str
    sha256: str
    corpus: tuple[Corpus, ...]
    n_chunks: int
    n_ctx: int
    model_sha256: str
    n_entries: int


class Recipe(Record, frozen=True):
    """How to make one file: the settings of one quantization method."""

    name: str
    file_type: str
    method: str = "stock"
    imatrix: bool = True
    pure: bool = False
    overrides: tuple[tuple[str, str], ...] = ()
    token_embedding_type: str | None = None
    output_tensor_type: str | None = None


class Corpus(Record, frozen=True):
    """A text as it was used: file name, SHA-256 of its bytes, and the half of its chunks that was used."""

    name: str
    sha256: str
    n_bytes: int
    part: Literal["all", "first half", "second half"] = "all"
