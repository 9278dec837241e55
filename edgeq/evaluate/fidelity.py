"""Room: quality. The reference and its candidates score the same tokens in one pass; no logits touch the disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edgeq import corpus, device, gguf_info, programs, store
from edgeq.corpus import Part, Tokens
from edgeq.errors import InputError
from edgeq.records import Activations, Build, EvalRecord, EvalSettings, Gguf

# A model in memory: its file is mapped, and llama.cpp may keep a second, repacked copy of the weights.
_COPIES = 2
_LOGIT_BYTES = 4
_STATIC = "static-tensor"


class Candidate(msgspec.Struct, frozen=True):
    """A file, with its adapter where it has one, and how it is run.

    ``activations``: how those that feed weights are overwritten. ``n_ubatch``: tokens computed together, None: those of
    the reference. The reference itself may be a candidate: in another ubatch it shows what rounding alone does.
    """

    model: Gguf
    activations: Activations | None = None
    n_ubatch: int | None = None


class Turn(msgspec.Struct, frozen=True):
    """Candidates that are scored together with the reference in one pass, and the memory they need."""

    candidates: tuple[Candidate, ...]
    n_bytes: int


def take_turns(
    reference: Gguf, candidates: Sequence[Candidate], limit_bytes: int, logits_bytes: int = 0
) -> tuple[Turn, ...]:
    """Fill passes in order: each holds the reference and as many candidates as fit, at least one.

    A model counts twice its file (the mapped file and the copy that llama.cpp may repack), with its adapter, and its
    logits of one chunk.
    """
    turns: list[Turn] = []
    group: list[Candidate] = []
    base = reference.all_bytes * _COPIES + logits_bytes
    used = base
    for candidate in candidates:
        need = candidate.model.all_bytes * _COPIES + logits_bytes
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
    candidates: Sequence[Candidate],
    texts: tuple[Path, ...],
    build: Build,
    settings: EvalSettings,
    folder: Path,
    *,
    part: Part = "all",
    calibration: tuple[Path, ...] = (),
    calibration_chunks: int = 4,
    calibration_part: Part = "all",
    memory_share: float = 0.7,
    on_turns: Callable[[tuple[Turn, ...]], None] = lambda _: None,
    on_progress: Callable[[float], None] = lambda _: None,
) -> tuple[EvalRecord, ...]:
    """Score all models over the same tokens; write one ``folder/eval-NAME[-MODE]-KEY.json.gz`` each.

    The reference comes first, then the candidates in their order. Candidates that do not fit together into
    ``memory_share`` of the available memory are taken in turns, and the reference is computed again in each. What has a
    record already is not scored again. Static ranges of activations come from the first ``calibration_chunks`` of the
    ``calibration`` texts. Raises InputError where they are missing.
    """
    for candidate in candidates:
        if candidate.model.arch != reference.arch:
            raise InputError(
                f"{candidate.model.path} is a {candidate.model.arch} model, and the reference a {reference.arch}."
            )
    static = any(c.activations == _STATIC for c in candidates)
    if static and not calibration:
        raise InputError(
            "Static ranges of activations come from a text, and there is none.", "Name one to calibrate on."
        )
    n_ctx = settings.n_ctx
    tokens = corpus.tokenize(reference, texts, build, n_ctx=n_ctx, n_chunks=settings.n_chunks, part=part)
    ranges = (
        corpus.tokenize(reference, calibration, build, n_ctx=n_ctx, n_chunks=calibration_chunks, part=calibration_part)
        if static
        else None
    )
    store.make_folder(folder)
    scoring = _Scoring(reference, tokens, ranges, build, settings)
    runs = (None, *candidates)
    places = {key: path for path, key in (scoring.place(run, folder) for run in runs)}
    done = {key: found for key, path in places.items() if (found := store.find(path, EvalRecord, key))}
    todo = {key: c for c in candidates if (key := scoring.place(c, folder)[1]) not in done}
    if len(done) < len(places):
        limit = int(device.available_bytes() * memory_share)
        turns = take_turns(reference, tuple(todo.values()), limit, _logits_bytes(reference, settings))
        on_turns(turns)
        for i, turn in enumerate(turns):

            def progress(share: float, i: int = i, n: int = len(turns)) -> None:
                on_progress((i + share) / n)

            records = scoring.score(turn.candidates, progress)
            for run, record in zip((None, *turn.candidates), records, strict=True):
                path, key = scoring.place(run, folder)
                if key not in done:  # of the reference, the first pass counts
                    store.save(path, record, key)
                    done[key] = record
    return tuple(done[scoring.place(run, folder)[1]] for run in runs)


def _logits_bytes(reference: Gguf, settings: EvalSettings) -> int:
    n_vocab = gguf_info.read_header(Path(reference.path)).n_vocab
    return (settings.n_ctx - 1 - settings.first) * n_vocab * _LOGIT_BYTES


@dataclass(frozen=True)
class _Scoring:
    """What all passes share. ``ranges``: tokens that static ranges of activations come from."""

    reference: Gguf
    tokens: Tokens
    ranges: Tokens | None
    build: Build
    settings: EvalSettings

    def place(self, run: Candidate | None, folder: Path) -> tuple[Path, str]:
        """(where the record of a candidate, or of the reference, lies, the key of its inputs)."""
        model = run.model if run else self.reference
        inputs = (self.reference.sha256, self.tokens.sha256, self.build.key, self.settings)
        name = Path(model.path).stem
        if run is None:
            key = store.key_of("evaluate", model.sha256, *inputs)
        else:
            adapter = model.adapter.sha256 if model.adapter else None
            ranges = self.ranges.sha256 if self.ranges and run.activations == _STATIC else None
            how = (adapter, run.activations, ranges, self._settings(run).n_ubatch)
            key = store.key_of("evaluate candidate", model.sha256, how, *inputs)
            name += f"-{run.activations}" if run.activations else ""
        return folder / f"eval-{name}-{key[:8]}.json.gz", key

    def score(self, candidates: Sequence[Candidate], on_progress: Callable[[float], None]) -> list[EvalRecord]:
        """One pass: the record of the reference, then those of the candidates."""
        times_s: dict[object, float] = {}

        def event(e: dict[str, object]) -> None:
            if e.get("event") == "progress":
                on_progress(programs.share(e))
            elif e.get("event") == "model_time":
                times_s[e["index"]] = msgspec.convert(e["forward_ns"], int) / 1e9

        host = device.host()
        with store.scratch() as scratch:
            programs.native(self.build, "evaluate", self._argv(candidates, scratch), what="evaluating", on_event=event)
            reference_nll = (scratch / "scores.reference.nll.f32").read_bytes()

            def record(k: int, run: Candidate) -> EvalRecord:
                nll, kld, top = (
                    (scratch / f"scores.{k}.{n}").read_bytes() if k >= 0 else own
                    for n, own in (("nll.f32", reference_nll), ("kld.f32", b""), ("top.u8", b""))
                )
                return EvalRecord(
                    model=run.model,
                    reference=self.reference,
                    build=self.build,
                    host=host,
                    corpus=self.tokens.corpus,
                    tokens_sha256=self.tokens.sha256,
                    settings=self._settings(run),
                    n_tokens=self.tokens.n_chunks * (self.settings.n_ctx - 1 - self.settings.first),
                    nll_f32=nll,
                    reference_nll_f32=reference_nll,
                    kld_f32=kld,
                    same_top_u8=top,
                    activations=run.activations,
                    forward_s=times_s.get(k),
                )

            return [record(k, run) for k, run in enumerate((Candidate(self.reference), *candidates), -1)]

    def _settings(self, run: Candidate) -> EvalSettings:
        n_ubatch = run.n_ubatch or self.settings.n_ubatch
        return msgspec.structs.replace(self.settings, n_ubatch=n_ubatch)

    def _argv(self, candidates: Sequence[Candidate], scratch: Path) -> list[str]:
        s = self.settings
        self.tokens.ids.tofile(scratch / "tokens.i32")
        argv = ["--reference", self.reference.path, "--tokens", str(scratch / "tokens.i32")]
        argv += ["--n-ctx", str(s.n_ctx), "--first", str(s.first), "--threads", str(s.n_threads)]
        argv += ["--ubatch", str(s.n_ubatch), "--flash-attn", s.flash_attn, "--out", str(scratch / "scores")]
        if self.ranges:
            self.ranges.ids.tofile(scratch / "ranges.i32")
            argv += ["--calibration", str(scratch / "ranges.i32")]
        for k, c in enumerate(candidates):
            argv += ["--candidate", c.model.path, "--ubatch-of", f"{k}={self._settings(c).n_ubatch}"]
            argv += ["--adapter", f"{k}={c.model.adapter.path}"] if c.model.adapter else []
            argv += ["--activations", f"{k}={c.activations}"] if c.activations else []
        return argv
