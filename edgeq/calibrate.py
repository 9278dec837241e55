"""Room: statistics of activations from texts: an importance matrix (E[x²]), and second moments (E[x xᵀ])."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from edgeq import corpus, device, gguf_info, programs, store
from edgeq.corpus import Part
from edgeq.errors import InputError
from edgeq.gguf_info import Header
from edgeq.records import Build, Gguf, Imatrix, Moments

Form = Literal["auto", "full", "blocks"]

# With 8 k tokens of one domain and the usual damping, rounding by second moments makes a Q4_0 file worse than rounding
# by the importance matrix alone; with 2 k tokens every damping does harm.
MIN_TOKENS = 8192
# The validation gets a fourth as many tokens: it chooses among a few numbers and is fitted to nothing.
_VALIDATION_SHARE = 4
_MEMORY_SHARE = 4


def calibrate(
    model: Gguf,
    texts: tuple[Path, ...],
    build: Build,
    out: Path,
    *,
    n_ctx: int = 512,
    n_chunks: int = 0,
    part: Part = "all",
    n_threads: int,
    on_progress: Callable[[float], None] = lambda _: None,
) -> Imatrix:
    """Write the importance matrix ``out`` (GGUF, llama.cpp's form) and its record beside it.

    Uses the first ``n_chunks`` (0: all) chunks of ``n_ctx`` tokens of the chosen part of the texts.
    """
    record_path = out.with_suffix(".json")
    key = store.key_of("imatrix", model.sha256, corpus.read(texts, part), n_ctx, n_chunks, build.key)
    if (found := store.find(record_path, Imatrix, key)) and out.exists():
        return found
    store.make_folder(out.parent)
    tokens = corpus.tokenize(model, texts, build, n_ctx=n_ctx, n_chunks=n_chunks, part=part)
    argv = ["--n-ctx", str(n_ctx), "--threads", str(n_threads)]
    for text in tokens.corpus:
        argv += ["--dataset", text.name]
    header = _run(model, build, tokens.ids, argv, "--out", out, on_progress)
    record = Imatrix(
        path=str(out),
        sha256=store.sha256_file(out),
        corpus=tokens.corpus,
        n_chunks=tokens.n_chunks,
        n_ctx=n_ctx,
        model_sha256=model.sha256,
        n_entries=sum(t.name.endswith(".in_sum2") for t in header.tensors),
    )
    store.save(record_path, record, key)
    return record


def moments(
    model: Gguf,
    texts: tuple[Path, ...],
    validation: Path,
    build: Build,
    out: Path,
    *,
    form: Form = "auto",
    n_tokens: int = 65_536,
    n_ctx: int = 512,
    max_bytes: int | None = None,
    part: Part = "all",
    n_threads: int,
    on_progress: Callable[[float], None] = lambda _: None,
) -> Moments:
    """Write the second moments ``out`` (GGUF) of each input of weight matrices, and their record beside it.

    ``n_tokens`` (0: all) of all texts together; each text counts the same, and a short one gives what it has. The
    ``validation`` text's own moments lie beside them in the file. ``max_bytes`` of moments are in memory at a time
    (None: a fourth of what is free): more take more passes over the texts, and with "auto" blocks where those of one
    layer don't fit. Raises InputError for too few tokens, and for a validation text that is one of the texts.
    """
    record_path = out.with_suffix(".json")
    trained_on, held_out = corpus.read(texts, part), corpus.read((validation,), part)
    if held_out[0].sha256 in [text.sha256 for text in trained_on]:
        raise InputError(
            f"{validation} is one of the texts that the moments are computed from, so it can't validate them.",
            "Keep another text out for the validation.",
        )
    key = store.key_of("moments", model.sha256, trained_on, held_out, form, n_tokens, n_ctx, build.key)
    if (found := store.find(record_path, Moments, key)) and out.exists():
        return found
    store.make_folder(out.parent)
    *domains, check = corpus.tokenize_each(model, (*texts, validation), build, n_ctx=n_ctx, part=part)
    n_chunks = _shares([d.n_chunks for d in domains], -(-n_tokens // n_ctx))
    n_used = sum(n_chunks) * n_ctx
    if n_used < MIN_TOKENS:
        raise InputError(
            f"Second moments of {n_used:,} tokens are too inexact: with so few, refining does harm.",
            f"Give texts of at least {MIN_TOKENS:,} tokens together, better 65,536, of several kinds.",
        )
    n_check = min(check.n_chunks, -(-sum(n_chunks) // _VALIDATION_SHARE))
    argv = ["--n-ctx", str(n_ctx), "--threads", str(n_threads), "--form", form, "--model-sha256", model.sha256]
    argv += ["--max-bytes", str(max_bytes or device.available_bytes() // _MEMORY_SHARE)]
    for text, n in zip(trained_on, n_chunks, strict=True):
        argv += ["--dataset", text.name, "--chunks", str(n)]
    argv += ["--validation", held_out[0].name]
    ids = [text.ids[: n * n_ctx] for text, n in zip((*domains, check), (*n_chunks, n_check), strict=True)]
    header = _run(model, build, np.concatenate(ids), argv, "--moments", out, on_progress)
    record = Moments(
        path=str(out),
        sha256=store.sha256_file(out),
        corpus=trained_on,
        validation=held_out[0],
        n_tokens=n_used,
        n_ctx=n_ctx,
        form=msgspec.convert(header.metadata["edgeq.moments.form"], Literal["full", "blocks"]),
        model_sha256=model.sha256,
        n_inputs=len(header.tensors) // 2,
    )
    store.save(record_path, record, key)
    return record


def _run(
    model: Gguf,
    build: Build,
    ids: np.ndarray,
    argv: list[str],
    option: str,
    out: Path,
    on_progress: Callable[[float], None],
) -> Header:
    """Run the program on these tokens, which writes what ``option`` names to ``out``; the header of that."""
    temporary = store.partial(out)

    def event(e: dict[str, object]) -> None:
        if e.get("event") == "progress":
            on_progress(programs.share(e))

    with store.scratch() as folder, store.removing(temporary):
        path = folder / "tokens.i32"
        ids.tofile(path)
        argv = ["--model", model.path, "--tokens", str(path), option, str(temporary), *argv]
        programs.native(build, "calibrate", argv, what="calibrating", on_event=event)
        header = gguf_info.read_header(temporary)
        store.publish(temporary, out)
    return header


def _shares(available: Sequence[int], wanted: int) -> list[int]:
    """How many of ``wanted`` (0: all) chunks each text gives: as many as the others, or all it has; at least one."""
    left, shares = wanted or sum(available), [0] * len(available)
    for n_before, i in enumerate(sorted(range(len(available)), key=available.__getitem__)):
        shares[i] = min(available[i], max(1, left // (len(available) - n_before)))
        left -= shares[i]
    return shares
