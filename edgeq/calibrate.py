"""Room: an importance matrix (E[x²] of every weight's input) from a text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edgeq import corpus, gguf_info, programs, store
from edgeq.corpus import Part
from edgeq.records import Build, Gguf, Imatrix


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
    temporary = store.partial(out)
    with store.scratch() as folder:
        ids = folder / "tokens.i32"
        tokens.ids.tofile(ids)
        argv = ["--model", model.path, "--tokens", str(ids), "--n-ctx", str(n_ctx), "--threads", str(n_threads)]
        argv += ["--out", str(temporary)]
        for text in tokens.corpus:
            argv += ["--dataset", text.name]

        def event(e: dict[str, object]) -> None:
            if e.get("event") == "progress":
                on_progress(programs.share(e))

        with store.removing(temporary):
            programs.native(build, "calibrate", argv, what="calibrating", on_event=event)
            header = gguf_info.read_header(temporary)
            store.publish(temporary, out)
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
