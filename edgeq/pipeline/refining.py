"""What refining needs beside a file: second moments of the model's inputs, from texts of several kinds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edgeq import calibrate, models, store
from edgeq.errors import InputError
from edgeq.pipeline.steps import Steps
from edgeq.records import Build, Gguf, Imatrix, Moments, Recipe

# Of those that come with edgeq: prose, code and lists. The last one validates.
_OWN = ("religion", "jobs", "sql", "cpp", "go", "eng")
# The least with which the validation can be of another kind of text than what it validates.
_LEAST_TEXTS = 3
_CALIBRATION_CHUNKS = 64


@dataclass(frozen=True)
class Statistics:
    """Where second moments come from: a file of them, or texts, the last of which validates the others."""

    file: str | None
    texts: tuple[Path, ...]


def statistics(file: str | None, texts: Sequence[str]) -> Statistics:
    """``file`` if there is one, else these calibration texts if they are enough, else those that come with edgeq."""
    if len(texts) >= _LEAST_TEXTS:
        return Statistics(file, tuple(Path(t) for t in texts))
    own = store.share_dir() / "tests" / "text" / "calibration"
    return Statistics(file, tuple(own / f"{name}.txt" for name in _OWN))


def moments(source: Gguf, asked: Statistics, built: Build, folder: Path, n_threads: int, steps: Steps) -> Moments:
    """Second moments of ``source``: those of the file, or computed into ``folder``. Raises InputError for others'."""
    if asked.file:
        found = models.describe_moments(Path(asked.file))
        if found.model_sha256 != source.sha256:
            raise InputError(
                f"{found.path} was computed from another file than {source.path}.",
                "Compute second moments of this one: `edgeq calibrate --second-moments`.",
            )
        return found
    with steps("moments") as update:
        return calibrate.moments(
            source,
            asked.texts[:-1],
            asked.texts[-1],
            built,
            folder / "moments.gguf",
            n_threads=n_threads,
            on_progress=update,
        )


def importance(source: Gguf, asked: Statistics, built: Build, folder: Path, n_threads: int, steps: Steps) -> Imatrix:
    """An importance matrix of the same texts, for the encoder whose blocks are refined."""
    with steps("calibrate") as update:
        return calibrate.calibrate(
            source,
            asked.texts[:-1],
            built,
            folder / "imatrix.gguf",
            n_chunks=_CALIBRATION_CHUNKS,
            n_threads=n_threads,
            on_progress=update,
        )


def refined(recipe: Recipe) -> Recipe:
    """The recipe of the same file, refined."""
    return msgspec.structs.replace(recipe, name=f"{recipe.name}-refined", refine=True)
