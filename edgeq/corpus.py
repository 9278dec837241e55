"""Texts as chunks of tokens: which bytes, which tokens, which of them are used."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from edgeq import programs, store
from edgeq.errors import InputError
from edgeq.records import Build, Corpus, Gguf

Part = Literal["all", "first half", "second half"]


class Tokens(msgspec.Struct, frozen=True):
    """``n_chunks`` chunks of ``n_ctx`` token ids (int32), and the texts they came from."""

    corpus: tuple[Corpus, ...]
    ids: np.ndarray
    n_ctx: int
    sha256: str

    @property
    def n_chunks(self) -> int:
        """Number of whole chunks."""
        return len(self.ids) // self.n_ctx


def read(paths: tuple[Path, ...], part: Part = "all") -> tuple[Corpus, ...]:
    """Records of the texts. Raises InputError for a text that can't be read or is empty."""
    corpus = []
    for path in paths:
        try:
            n_bytes = path.stat().st_size
            sha256 = store.sha256_file(path)
        except OSError as e:
            raise InputError(f"The text {path} can't be read: {e.strerror}.") from None
        if not n_bytes:
            raise InputError(f"The text {path} is empty.", "Give a text of at least a few thousand words.")
        corpus.append(Corpus(path.name, sha256, n_bytes, part))
    return tuple(corpus)


def tokenize(
    model: Gguf, paths: tuple[Path, ...], build: Build, *, n_ctx: int, n_chunks: int, part: Part = "all"
) -> Tokens:
    """The first ``n_chunks`` (0: all) chunks of ``n_ctx`` tokens of the texts' chosen part, with the model's tokenizer.

    Halves are cut at a chunk, so that no token of one is seen by the other.
    """
    corpus = read(paths, part)
    (ids,) = _token_ids(model, (paths,), build)
    return _chunks(corpus, ids, n_ctx, n_chunks)


def tokenize_each(model: Gguf, paths: tuple[Path, ...], build: Build, *, n_ctx: int, part: Part) -> tuple[Tokens, ...]:
    """As `tokenize`, each text by itself, with all of its chunks."""
    corpus = [read((path,), part) for path in paths]
    found = _token_ids(model, tuple((path,) for path in paths), build)
    return tuple(_chunks(c, ids, n_ctx, 0) for c, ids in zip(corpus, found, strict=True))


def _token_ids(model: Gguf, groups: tuple[tuple[Path, ...], ...], build: Build) -> list[np.ndarray]:
    """The token ids of groups of texts, each group as one text."""
    with store.scratch() as folder:
        out = folder / "tokens.i32"
        request: dict[str, object] = {
            "op": "tokenize",
            "source": model.path,
            "texts": [[str(p) for p in group] for group in groups],
            "out": str(out),
        }
        events = programs.work(build, request, what="tokenizing the text")
        counts = msgspec.convert(programs.one(events, "tokens")["n_tokens"], list[int])
        return np.split(np.fromfile(out, np.int32), np.cumsum(counts[:-1]))


def _chunks(corpus: tuple[Corpus, ...], ids: np.ndarray, n_ctx: int, n_chunks: int) -> Tokens:
    """The first ``n_chunks`` (0: all) chunks of the part of the text that the corpus names. Raises InputError."""
    part = corpus[0].part
    total = len(ids) // n_ctx
    first, last = {"all": (0, total), "first half": (0, total // 2), "second half": (total // 2, total)}[part]
    if first == last:
        names = ", ".join(c.name for c in corpus)
        need = n_ctx if part == "all" else 2 * n_ctx
        raise InputError(
            f"The text ({names}) gives {len(ids)} tokens, and at least {need} are needed.",
            "Give a longer text or a smaller --ctx.",
        )
    last = min(last, first + n_chunks) if n_chunks else last
    ids = ids[first * n_ctx : last * n_ctx]
    return Tokens(corpus, ids, n_ctx, store.sha256_bytes(ids.tobytes()))
