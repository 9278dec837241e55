"""Where a board's GPU would have the weights, for a build that has none: llama.cpp's rule for ``n_gpu_layers``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from edgeq.fit.sizes import Asked, Weight
from edgeq.records import Profile

_EMBEDDING = "token_embd.weight"


@dataclass(frozen=True)
class Placing:
    """The weights as the board has them. ``gpu_share``: of the layers, and so of the context, on the GPU."""

    weights: tuple[Weight, ...]
    gpu_share: float
    has_own_memory: bool

    @property
    def on_host(self) -> list[Weight]:
        """Weights in the main memory."""
        return [w for w in self.weights if not (w.on_gpu and self.has_own_memory)]

    @property
    def on_card(self) -> list[Weight]:
        """Weights in a GPU's own memory."""
        return [w for w in self.weights if w.on_gpu and self.has_own_memory]


def n_gpu_layers(profile: Profile) -> int:
    """As the backends of the profile's kind take it: all layers (-1) where a GPU has none named."""
    if profile.gpu is None or profile.backend in ("cpu", "blas"):
        return 0
    return -1 if profile.n_gpu_layers is None else profile.n_gpu_layers


def place(asked: Asked, profile: Profile) -> Placing:
    """The build's own placing where it has a GPU, else what llama_model_base::load_tensors would do with one."""
    own = profile.gpu is not None and profile.gpu.gib is not None
    n_gpu, n_layers = n_gpu_layers(profile), asked.n_layers
    n_gpu = n_layers + 1 if n_gpu < 0 else min(n_gpu, n_layers + 1)
    share = max(0, n_gpu - 1) / max(n_layers, 1)  # the output counts as the layer after the last one, and goes first
    if any(w.on_gpu for w in asked.weights) or not n_gpu:
        return Placing(asked.weights, share, own)
    first = n_layers + 1 - n_gpu
    weights = [_moved(w, profile) if _layer(w.name, n_layers) >= first else w for w in asked.weights]
    return Placing(tuple(_untied(weights, profile)), share, own)


def _layer(name: str, n_layers: int) -> int:
    if m := re.match(r"blk\.(\d+)\.", name):
        return int(m[1])
    return n_layers if name.startswith("output") else -1


def _moved(weight: Weight, profile: Profile) -> Weight:
    return msgspec.structs.replace(weight, device="GPU", on_gpu=True, is_mapped=profile.backend == "metal")


def _untied(weights: Sequence[Weight], profile: Profile) -> Iterator[Weight]:
    """Embeddings that are the output as well are copied to the GPU, and only rows of the original are read."""
    for w in weights:
        if w.name == _EMBEDDING and w.read_bytes == w.n_bytes:
            yield _moved(w, profile)
            if sum(other.name == _EMBEDDING for other in weights) == 1:
                yield msgspec.structs.replace(w, read_bytes=0)
        else:
            yield w
