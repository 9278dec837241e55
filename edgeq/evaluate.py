"""Room: quality. The reference and its candidates score the same tokens in one pass; no logits touch the disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from edgeq import corpus, device, gguf_info, programs, store
from edgeq.corpus import Part, Tokens
from edgeq.errors import InputError
from edgeq.records import Build, EvalRecord, EvalSettings, Gguf

# A model in memory: its file is mapped, and llama.cpp may keep a second, repacked copy of the weights.
_COPIES = 2
_LOGIT_BYTES = 4


class Turn(msgspec.Struct, frozen=True):
    """Candidates that are scored together with the reference in one pass, and the memory they need."""

    candidates: tuple[Gguf, ...]
    n_bytes: int


def take_turns(
    reference: Gguf, candidates: Sequence[Gguf], limit_bytes: int, logits_bytes: int = 0
) -> tuple[Turn, ...]:
    """Fill passes in order: each holds the reference and as many candidates as fit, at least one.

    A model counts twice its file (the mapped file and the copy that llama.cpp may repack) and its logits of one chunk.
    """
    turns: list[Turn] = []
    group: list[Gguf] = []
    base = reference.n_bytes * _COPIES + logits_bytes
    used = base
    for candidate in candidates:
        need = candidate.n_bytes * _COPIES + logits_bytes
        if group and used + need > limit_bytes:
            turns.append(Turn(tuple(group), used))
            group, used = [], base
        group.append(candidate)
        used += need
    turns.append(Turn(tuple(group), used))
    return tuple(turns)


def in_words(turns: tuple[Turn, ...]) -> str:
    """How many passes there will be, and why more than one."""
    models = sum(len(t.candidates) for t in turns) + 1
    most = max(t.n_bytes for t in turns) / 1e9
    if len(turns) == 1:
        return f"{models} models in one pass, {most:.1f} GB"
    return f"{models} models in {len(turns)} passes of up to {most:.1f} GB: more does not fit (--memory-share)"


def evaluate(
    reference: Gguf,
    candidates: Sequence[Gguf],
    texts: tuple[Path, ...],
    build: Build,
    settings: EvalSettings,
    folder: Path,
    *,
    part: Part = "all",
    memory_share: float = 0.7,
    on_turns: Callable[[tuple[Turn, ...]], None] = lambda _: None,
    on_progress: Callable[[float], None] = lambda _: None,
) -> tuple[EvalRecord, ...]:
    """Score all models over the same tokens; write one ``folder/eval-NAME-KEY.json.gz`` each, the reference first.

    Candidates that do not fit together into ``memory_share`` of the available memory are taken in turns, and the
    reference is computed again in each. What has a record already is not scored again.
    """
    for candidate in candidates:
        if candidate.arch != reference.arch:
            raise InputError(f"{candidate.path} is a {candidate.arch} model, and the reference a {reference.arch}.")
    store.make_folder(folder)
    tokens = corpus.tokenize(reference, texts, build, n_ctx=settings.n_ctx, n_chunks=settings.n_chunks, part=part)
    models = (reference, *candidates)
    places = {m.sha256: _place(m, reference, tokens, build, settings, folder) for m in models}
    done = {m.sha256: r for m in models if (r := store.find(places[m.sha256][0], EvalRecord, places[m.sha256][1]))}
    todo = [c for c in candidates if c.sha256 not in done]
    if todo or reference.sha256 not in done:
        limit = int(device.available_bytes() * memory_share)
        turns = take_turns(reference, todo, limit, _logits_bytes(reference, settings))
        on_turns(turns)
        for i, turn in enumerate(turns):

            def progress(share: float, i: int = i, n: int = len(turns)) -> None:
                on_progress((i + share) / n)

            for record in _score(reference, turn.candidates, tokens, build, settings, progress):
                path, key = places[record.model.sha256]
                store.save(path, record, key)
                done[record.model.sha256] = record
    return tuple(done[m.sha256] for m in models)


def _logits_bytes(reference: Gguf, settings: EvalSettings) -> int:
    tokens = gguf_info.read_header(Path(reference.path)).metadata.get("tokenizer.ggml.tokens")
    n_vocab = tokens.count if isinstance(tokens, gguf_info.ArrayValue) else 0
    return (settings.n_ctx - 1 - settings.first) * n_vocab * _LOGIT_BYTES


def _place(
    model: Gguf, reference: Gguf, tokens: Tokens, build: Build, settings: EvalSettings, folder: Path
) -> tuple[Path, str]:
    key = store.key_of("evaluate", model.sha256, reference.sha256, tokens.sha256, build.key, settings)
    return folder / f"eval-{Path(model.path).stem}-{key[:8]}.json.gz", key


def _score(
    reference: Gguf,
    candidates: tuple[Gguf, ...],
    tokens: Tokens,
    build: Build,
    settings: EvalSettings,
    on_progress: Callable[[float], None],
) -> list[EvalRecord]:
    def event(e: dict[str, object]) -> None:
        if e.get("event") == "progress":
            on_progress(programs.share(e))

    n_tokens = tokens.n_chunks * (settings.n_ctx - 1 - settings.first)
    host = device.host()
    with store.scratch() as scratch:
        ids, out = scratch / "tokens.i32", scratch / "scores"
        tokens.ids.tofile(ids)
        argv = ["--reference", reference.path, "--tokens", str(ids), "--n-ctx", str(settings.n_ctx)]
        argv += ["--first", str(settings.first), "--threads", str(settings.n_threads)]
        argv += ["--ubatch", str(settings.n_ubatch), "--flash-attn", settings.flash_attn]
        argv += ["--out", str(out)]
        for candidate in candidates:
            argv += ["--candidate", candidate.path]
        programs.native(build, "evaluate", argv, what="evaluating", on_event=event)

        def values(name: str) -> bytes:
            return (scratch / f"scores.{name}").read_bytes()

        reference_nll = values("reference.nll.f32")

        def record(model: Gguf, nll: bytes, kld: bytes, top: bytes) -> EvalRecord:
            return EvalRecord(
                model=model,
                reference=reference,
                build=build,
                host=host,
                corpus=tokens.corpus,
                tokens_sha256=tokens.sha256,
                settings=settings,
                n_tokens=n_tokens,
                nll_f32=nll,
                reference_nll_f32=reference_nll,
                kld_f32=kld,
                same_top_u8=top,
            )

        return [
            record(reference, reference_nll, b"", b""),
            *(
                record(c, values(f"{k}.nll.f32"), values(f"{k}.kld.f32"), values(f"{k}.top.u8"))
                for k, c in enumerate(candidates)
            ),
        ]
