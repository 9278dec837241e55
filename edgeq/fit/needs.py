"""From llama.cpp's sizes to what must be in memory, in which kind, and when."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from edgeq.fit.placing import Placing
from edgeq.fit.sizes import Asked, Sizes, Weight
from edgeq.gguf_info import Header


@dataclass(frozen=True)
class Needs:
    """Bytes of one context length, as in the record Fit. All but ``gpu_bytes`` are of the main memory."""

    n_ctx: int
    mapped_bytes: int
    repacked_bytes: int
    kv_bytes: int
    compute_bytes: int
    overhead_bytes: int
    load_peak_bytes: int
    span_bytes: int
    gpu_bytes: int

    @property
    def held_bytes(self) -> int:
        """What the kernel can't take back."""
        return self.repacked_bytes + self.kv_bytes + self.compute_bytes + self.overhead_bytes

    @property
    def needed_bytes(self) -> int:
        """What is read or written all the time: without it every token waits for the disk."""
        return self.held_bytes + self.mapped_bytes

    @property
    def rss_peak_bytes(self) -> int:
        """The process's high-water mark where nothing else wants the memory."""
        return max(self.load_peak_bytes, self.held_bytes + self.span_bytes)


def needs(asked: Asked, n_ctx: int, placing: Placing, header: Header) -> Needs:
    """The needs of one context length.

    llama.cpp maps the whole file and has it read (MAP_POPULATE), copies what is repacked or goes to a GPU, and then
    unmaps what lies before the first and after the last tensor that stays: the span between them remains resident.
    """
    size = asked.sizes[n_ctx]
    mapped = [w for w in placing.on_host if w.is_mapped]
    copied_bytes = _total(w for w in placing.on_host if not w.is_mapped)
    kv_bytes, gpu_kv_bytes = _kv(size, placing)
    return Needs(
        n_ctx=n_ctx,
        mapped_bytes=_total(mapped),
        repacked_bytes=copied_bytes,
        kv_bytes=kv_bytes,
        compute_bytes=sum(b.used_compute_bytes for b in size.buffers if not b.on_gpu) + size.work_bytes,
        overhead_bytes=size.overhead_bytes,
        load_peak_bytes=asked.load_overhead_bytes + header.n_file_bytes + copied_bytes,
        span_bytes=_span(header, {w.name for w in mapped}),
        gpu_bytes=_total(placing.on_card) + gpu_kv_bytes + _gpu_compute(size, placing),
    )


def all_kv_bytes(size: Sizes) -> int:
    """Caches and states, wherever they lie."""
    return sum(b.context_bytes for b in size.buffers)


def _kv(size: Sizes, placing: Placing) -> tuple[int, int]:
    """(in main memory, in a GPU's own)."""
    total = all_kv_bytes(size)
    if not placing.has_own_memory:
        return total, 0
    known = sum(b.context_bytes for b in size.buffers if b.on_gpu)
    gpu = known or int(total * placing.gpu_share)
    return total - gpu, gpu


def _gpu_compute(size: Sizes, placing: Placing) -> int:
    """On a GPU the buffers are had as they are allocated, touched or not."""
    if not placing.on_card:
        return 0
    known = sum(b.compute_bytes for b in size.buffers if b.on_gpu)
    return known or sum(b.compute_bytes for b in size.buffers)


def _span(header: Header, names: set[str]) -> int:
    """Bytes from the first to the end of the last of these tensors, in each file of the model."""
    spans = 0
    for part in range(len(header.parts)):
        found = [t for t in header.tensors if t.part == part and t.name in names]
        if found:
            spans += max(t.offset + t.n_bytes for t in found) - min(t.offset for t in found)
    return spans


def _total(weights: Iterable[Weight]) -> int:
    return sum(w.n_bytes for w in weights)
