"""Models and what they are made from."""

from __future__ import annotations

from typing import Literal

import msgspec

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
    had been quantized before. ``bpw`` counts an ``adapter`` too, ``n_bytes`` does not. ``ideal_bpw``:
    bits per weight of the quantized matrices if each scale were stored once, where the format repeats it.
    ``made_s``: how long making it took. ``refined``: what refining its tensors has come to, of a file that is.
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
    adapter: Adapter | None = None
    ideal_bpw: float | None = None
    made_s: float | None = None
    refined: Refinement | None = None

    @property
    def all_bytes(self) -> int:
        """Bytes of everything that must be there to run it: the file, and its adapter where it has one."""
        return self.n_bytes + (self.adapter.n_bytes if self.adapter else 0)


class Adapter(Record, frozen=True):
    """A LoRA adapter (GGUF) that is loaded on top of a file, which without it is another model."""

    path: str
    sha256: str
    n_bytes: int
    rank: int
    tensor_type: str


class Imatrix(Record, frozen=True):
    """An importance matrix (GGUF) and what it was computed from."""

    path: str
    sha256: str
    corpus: tuple[Corpus, ...]
    n_chunks: int
    n_ctx: int
    model_sha256: str
    n_entries: int


class Moments(Record, frozen=True):
    """Second moments of activations, E[x xᵀ] (GGUF), and what they were computed from.

    ``n_tokens``: of all texts of ``corpus`` together, each of which counts the same. ``form``: whole matrices, or
    blocks of 256 columns on their diagonals where the width is a multiple. ``n_inputs``: matrices that read the same
    activations share theirs.
    """

    path: str
    sha256: str
    corpus: tuple[Corpus, ...]
    validation: Corpus
    n_tokens: int
    n_ctx: int
    form: Literal["full", "blocks"]
    model_sha256: str
    n_inputs: int


class RefinedClass(Record, frozen=True):
    """The same matrix of all blocks in one type ("ffn_down Q4_K"), of ``n_tensors``.

    ``shrinkage``: λ, None where the encoder's blocks were the better ones. ``n_better``: tensors whose validation loss
    fell; the others are as the encoder made them. ``loss``: validation loss of the class over the encoder's.
    ``changed``: share of codes.
    """

    name: str
    n_tensors: int
    n_better: int
    shrinkage: float | None
    loss: float
    changed: float


class Refinement(Record, frozen=True):
    """What refining has made of a file's tensors, by which second moments."""

    moments_sha256: str
    n_tokens: int
    classes: tuple[RefinedClass, ...]


class Recipe(Record, frozen=True):
    """How to make one file: the settings of one quantization method. ``options`` are the method's own.

    ``refine``: whether what the encoder makes is refined with the second moments of the model's inputs.
    """

    name: str
    file_type: str
    method: str = "stock"
    imatrix: bool = True
    pure: bool = False
    overrides: tuple[tuple[str, str], ...] = ()
    token_embedding_type: str | None = None
    output_tensor_type: str | None = None
    options: dict[str, str | int | float | bool] = msgspec.field(default_factory=dict)
    refine: bool = False


class Corpus(Record, frozen=True):
    """A text as it was used: file name, SHA-256 of its bytes, and the half of its chunks that was used."""

    name: str
    sha256: str
    n_bytes: int
    part: Literal["all", "first half", "second half"] = "all"
