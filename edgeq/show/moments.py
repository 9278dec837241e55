"""Second moments of activations: what they were computed from, and of which inputs they are."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from edgeq.gguf_info import Header
from edgeq.show.imatrix import strings
from edgeq.show.page import Grid, Page, short, size

_KEY = "edgeq.moments."


def moments(path: Path, header: Header) -> Page:
    """Texts, tokens, the model's hash, and how many inputs there are of each width."""
    facts = {key: header.metadata.get(_KEY + key) for key in ("form", "n_tokens", "validation", "validation_tokens")}
    model = str(header.metadata.get(_KEY + "model_sha256", ""))
    with path.open("rb") as file:
        domains, names = (strings(file, header, _KEY + key) for key in ("domains", "names"))
    shapes = Counter(t.shape for t in header.tensors if t.name.startswith("input."))
    shown = (
        ("texts", ", ".join(domains)),
        ("tokens", f"{facts['n_tokens']:,}, each text counts the same"),
        ("validation", f"{facts['validation']}, {facts['validation_tokens']:,} tokens"),
        ("form", str(facts["form"])),
        ("inputs", f"{sum(shapes.values()):,} of {len(names):,} weights"),
        ("computed from", f"model {short(model)}"),
        ("size", size(header.n_file_bytes)),
    )
    rows = tuple((" x ".join(map(str, shape)), f"{n:,}") for shape, n in shapes.items())
    data = {"kind": "second-moments", **facts, "domains": domains, "model_sha256": model, "names": names}
    return Page("Second moments", str(path), shown, (Grid("Inputs", ("shape", "inputs"), rows),), data)
