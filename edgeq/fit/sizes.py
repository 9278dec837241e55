"""What llama.cpp allocates, asked of llama.cpp: the events of edgeq-fit as values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from edgeq import programs
from edgeq.records import Build, Gguf

S = TypeVar("S", bound=msgspec.Struct)


class Weight(msgspec.Struct, frozen=True):
    """A tensor as it is loaded. ``read_bytes``: what decoding one token reads of it."""

    name: str
    device: str
    on_gpu: bool
    is_mapped: bool
    n_bytes: int
    read_bytes: int


class Buffers(msgspec.Struct, frozen=True):
    """What a context has in one kind of memory. ``used_compute_bytes``: with logits of the last token only."""

    n_ctx: int
    device: str
    on_gpu: bool
    context_bytes: int
    compute_bytes: int
    used_compute_bytes: int


class _Context(msgspec.Struct, frozen=True):
    n_ctx: int
    work_bytes: int
    graph_bytes: int
    state_bytes: int


class _Memory(msgspec.Struct, frozen=True):
    at: str
    rss_peak_bytes: int
    rss_bytes: int


@dataclass(frozen=True)
class Sizes:
    """A context of one length. ``overhead_bytes``: what a program that decodes has besides weights and buffers.

    It is the resident memory of edgeq-fit with this context, and the graphs that only decoding describes.
    """

    overhead_bytes: int
    work_bytes: int
    buffers: tuple[Buffers, ...]


@dataclass(frozen=True)
class Asked:
    """The answer for several lengths. ``load_overhead_bytes``: resident memory with the vocabulary but no context."""

    n_layers: int
    n_ctx_train: int
    load_overhead_bytes: int
    weights: tuple[Weight, ...]
    sizes: dict[int, Sizes]


@dataclass(frozen=True)
class Program:
    """edgeq-fit with everything but the lengths of the contexts."""

    build: Build
    model: Gguf
    options: tuple[str, ...]

    def ask(self, lengths: Iterable[int]) -> Asked:
        """The sizes of contexts of these lengths. Raises InputError for a model that llama.cpp refuses."""
        argv = ["--model", self.model.path, *self.options]
        for n_ctx in sorted(set(lengths)):
            argv += ["--ctx", str(n_ctx)]
        events = programs.native(self.build, "fit", argv, what=f"sizing {self.model.name}")
        about = programs.one(events, "model")
        memory = {m.at: m for m in _all(events, "memory", _Memory)}
        buffers = _all(events, "buffers", Buffers)
        return Asked(
            n_layers=msgspec.convert(about["n_layers"], int),
            n_ctx_train=msgspec.convert(about["n_ctx_train"], int),
            load_overhead_bytes=memory["load"].rss_bytes,
            weights=tuple(_all(events, "weight", Weight)),
            sizes={
                c.n_ctx: Sizes(
                    # A recurrent state is resident already, and is counted as a buffer.
                    overhead_bytes=memory[str(c.n_ctx)].rss_bytes - c.state_bytes + c.graph_bytes,
                    work_bytes=c.work_bytes,
                    buffers=tuple(b for b in buffers if b.n_ctx == c.n_ctx),
                )
                for c in _all(events, "context", _Context)
            },
        )


def _all(events: Iterable[dict[str, object]], kind: str, to: type[S]) -> list[S]:
    return [msgspec.convert(e, to) for e in events if e["event"] == kind]
