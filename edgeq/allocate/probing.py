"""Trials in the native program: the model stays loaded, and only some tensors' values change."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edgeq import gguf_info, programs, store
from edgeq.corpus import Tokens
from edgeq.records import Build, Gguf, Imatrix, Trial
from edgeq.records.base import Record

Types = dict[str, str]
# Share done of the trials, and seconds that are left.
Progress = Callable[[float, float | None], None]

_SAVE_EVERY_S = 10.0
# Share of a whole forward pass that a trial takes: on average half of the blocks, and the output head.
_REPLAYED = 0.6


class Trials(Record, frozen=True):
    """Trials that are done. ``base``: what the model gives against itself."""

    base: tuple[float, ...] = ()
    trials: tuple[Trial, ...] = ()


@dataclass(frozen=True)
class Probing:
    """A model on some tokens; ``first``: position from which predictions are scored."""

    model: Gguf
    imatrix: Imatrix | None
    build: Build
    tokens: Tokens
    first: int
    n_threads: int

    def run(self, wanted: Sequence[Types], folder: Path, on_progress: Progress) -> Trials:
        """All trials, in the order asked for; those that ``folder`` knows already are not done again.

        They are done in an order without order, so that what is there after an interruption is of all parts of the
        model.
        """
        inputs = (self.model.sha256, self.imatrix.sha256 if self.imatrix else None, self.tokens.sha256, self.first)
        key = store.key_of("trials", *inputs, self.build.key)
        path = store.make_folder(folder) / f"trials-{key[:8]}.json.gz"
        known = store.find(path, Trials, key) or Trials()
        done = {_name(t.types): t for t in known.trials}
        base = known.base
        todo = [t for t in wanted if _name(t) not in done]
        random.Random(key).shuffle(todo)
        saved = began = time.monotonic()

        def save() -> None:
            store.save(path, Trials(base, tuple(done.values())), key)

        def event(e: dict[str, object]) -> None:
            nonlocal base, saved, began
            if e["event"] == "base":
                base, began = msgspec.convert(e["kld"], tuple[float, ...]), time.monotonic()
                per_trial_s = msgspec.convert(e["forward_ns"], int) / 1e9 * (_REPLAYED if e["replays"] else 1.0)
                on_progress(0.0, per_trial_s * len(todo))
            elif e["event"] == "trial":
                i = msgspec.convert(e["index"], int)
                done[_name(todo[i])] = Trial(todo[i], msgspec.convert(e["kld"], tuple[float, ...]))
                now = time.monotonic()
                on_progress((i + 1) / len(todo), (now - began) / (i + 1) * (len(todo) - i - 1))
                if now - saved > _SAVE_EVERY_S:
                    save()
                    saved = now

        if todo or not base:
            encoded = self._encode(todo, lambda share: on_progress(0.0, None))
            try:
                with store.scratch() as scratch:
                    programs.native(
                        self.build, "sensitivity", self._argv(todo, encoded, scratch), what="probing", on_event=event
                    )
            finally:
                save()
        return Trials(base, tuple(done[_name(t)] for t in wanted))

    def _encode(self, trials: Sequence[Types], on_share: Callable[[float], None]) -> dict[tuple[str, str], str]:
        """Paths of all tensors that the trials need, in their types."""
        pairs = sorted({(name, kind) for t in trials for name, kind in t.items()})
        paths: dict[tuple[str, str], str] = {}

        def event(e: dict[str, object]) -> None:
            if e["event"] == "encoded":
                paths[str(e["tensor"]), str(e["type"])] = str(e["path"])
                on_share(programs.share(e))

        request: dict[str, object] = {
            "op": "encode",
            "source": self.model.path,
            "pool": str(store.cache_dir() / "pool"),
            "imatrix": self.imatrix.path if self.imatrix else None,
            "pairs": pairs,
            "n_threads": self.n_threads,
        }
        if pairs:
            programs.work(self.build, request, what="encoding", on_event=event)
        return paths

    def _argv(self, trials: Sequence[Types], encoded: dict[tuple[str, str], str], scratch: Path) -> list[str]:
        lines = []
        for types in trials:
            lines.append("trial")
            for name, kind in types.items():
                lines.append(f"swap {name} {gguf_info.ggml_name(kind)} 0 {encoded[name, kind]}")
        (scratch / "trials").write_text("".join(line + "\n" for line in lines))
        self.tokens.ids.tofile(scratch / "tokens.i32")
        return [
            *("--model", self.model.path, "--tokens", str(scratch / "tokens.i32")),
            *("--n-ctx", str(self.tokens.n_ctx), "--first", str(self.first)),
            *("--trials", str(scratch / "trials"), "--threads", str(self.n_threads)),
        ]


def _name(types: Types) -> str:
    return store.key_of(sorted(types.items()))
