"""What all GPU backends ask of the programs: every layer on the GPU unless the profile says how many."""

from __future__ import annotations

from edgeq.records import Profile


def offload(profile: Profile, default: int = -1) -> dict[str, object]:
    """Fields of BenchSettings; ``default``: layers on the GPU where the profile names none, -1 for all."""
    n = profile.n_gpu_layers
    return {
        "n_gpu_layers": default if n is None else n,
        "flash_attn": profile.flash_attn,
        "type_k": profile.type_k,
        "type_v": profile.type_v,
    }
