"""Room: generation. What models write after the same beginnings, and whether they write it again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np

from edgeq import corpus, device, programs, store
from edgeq.records import Build, GenerationRecord, Gguf

# Prompts begin at whole chunks of the text, so that they are about different things.
_CHUNK = 512
_PROMPT = 32


def generate(
    models: Sequence[Gguf],
    texts: tuple[Path, ...],
    build: Build,
    folder: Path,
    *,
    n_prompts: int = 16,
    n_tokens: int = 128,
    n_repeats: int = 2,
    n_threads: int = 1,
    on_progress: Callable[[float], None] = lambda _: None,
) -> tuple[GenerationRecord, ...]:
    """Continue the texts greedily with each model; write ``folder/generation-NAME-KEY.json.gz``.

    A prompt is the first 32 tokens, by the first model's vocabulary, of a chunk of 512; a text with fewer than
    ``n_prompts`` chunks gives fewer. Each repeat begins with an empty memory. What has a record is not made again.
    """
    store.make_folder(folder)
    tokens = corpus.tokenize(models[0], texts, build, n_ctx=_CHUNK, n_chunks=n_prompts)
    prompts = tokens.ids.reshape(tokens.n_chunks, _CHUNK)[:, :_PROMPT]
    sha256 = store.sha256_bytes(np.ascontiguousarray(prompts).tobytes())
    records = []
    for i, model in enumerate(models):
        adapter = model.adapter.sha256 if model.adapter else None
        key = store.key_of("generation", model.sha256, adapter, sha256, n_tokens, n_repeats, build.key)
        path = folder / f"generation-{Path(model.path).stem}-{key[:8]}.json.gz"
        record = store.find(path, GenerationRecord, key)
        if record is None:

            def progress(share: float, i: int = i) -> None:
                on_progress((i + share) / len(models))

            ids = _continue(model, prompts, build, n_tokens, n_repeats, n_threads, progress)
            record = GenerationRecord(
                model=model,
                build=build,
                host=device.host(),
                prompts_sha256=sha256,
                n_prompts=len(prompts),
                n_tokens=n_tokens,
                n_repeats=n_repeats,
                n_equal=sum(bool((again == ids[0]).all()) for again in ids),
                ids_i32=ids[0].tobytes(),
            )
            store.save(path, record, key)
        records.append(record)
    return tuple(records)


def _continue(
    model: Gguf,
    prompts: np.ndarray,
    build: Build,
    n_tokens: int,
    n_repeats: int,
    n_threads: int,
    on_progress: Callable[[float], None],
) -> np.ndarray:
    """Token ids (repeat, prompt, token)."""
    found: list[list[int]] = []

    def event(e: dict[str, object]) -> None:
        if e.get("event") == "progress":
            on_progress(programs.share(e))
        elif e.get("event") == "tokens":
            found.append(msgspec.convert(e["ids"], list[int]))

    argv = ["--model", model.path, "--n", str(n_tokens), "--repeats", str(n_repeats), "--threads", str(n_threads)]
    if model.adapter:
        argv += ["--adapter", model.adapter.path]
    for prompt in prompts:
        argv += ["--prompt", ",".join(map(str, prompt))]
    programs.native(build, "generate", argv, what="generating", on_event=event)
    return np.array(found, np.int32).reshape(n_repeats, len(prompts), n_tokens)
