"""Making files: each recipe's method at work, with what llama.cpp itself makes of a model under it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from edgeq import plugins, records
from edgeq.errors import InputError
from edgeq.records import Recipe
from edgeq.tensors.ggml import Ggml
from edgeq.tensors.moments import Moments
from edgeq.tensors.pool import Pool
from edgeq.tensors.refining import Refiner
from edgeq.tensors.refused import Refused
from edgeq.tensors.source import Source
from edgeq.tensors.work import Importance, Made, Work
from edgeq.worker.assembling import Assembly
from edgeq.worker.dry_run import DryRun, dry_run, library
from edgeq.worker.events import Events
from edgeq.worker.imatrix import read_imatrix
from edgeq.worker.refining import Refining


class Job(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file to make. ``metadata``: keys to set in it; ``imatrix``: path of the matrix to use, if any; ``moments``:
    of the inputs, where what the encoder makes is to be refined.
    """

    recipe: Recipe
    metadata: dict[str, str | int]
    imatrix: str | None = None
    moments: records.Moments | None = None
    out: str = ""
    scratch: str = ""

    def importance(self) -> Importance | None:
        """The matrix."""
        return read_imatrix(Path(self.imatrix)) if self.imatrix else None

    def dry_run(self, source: Path) -> DryRun:
        """What llama.cpp would make, given the matrix unless the method keeps it from the encoder."""
        return dry_run(source, self.recipe, self.importance() if self.recipe.options.get("weigh", True) else None)


def plan(request: dict[str, Any], events: Events) -> None:
    """Dry runs of llama.cpp's quantize function."""
    for job in msgspec.convert(request["jobs"], list[Job]):
        found = job.dry_run(Path(request["source"]))
        events.send("plan", name=job.recipe.name, types=found.types, needs_imatrix=found.needs_imatrix)


def quantize(request: dict[str, Any], events: Events) -> None:
    """One file for each job."""
    source = Source(Path(request["source"]))
    ggml = Ggml(library(), request["n_threads"])
    pool = Pool(Path(request["pool"]), ggml)
    for job in msgspec.convert(request["jobs"], list[Job]):
        method = plugins.module("quants", job.recipe.method)

        def progress(done: int, total: int, name: str = job.recipe.name) -> None:
            events.send("progress", name=name, done=done, total=total)

        try:
            types = job.dry_run(source.path).types
            refining = None
            if job.moments:
                moments = Moments(Path(job.moments.path))
                moments.check(source.header)
                refining = Refining(moments, job.moments, Refiner(Path(request["refiner"]), ggml.n_threads), pool)
            work = Work(
                source=source,
                recipe=job.recipe,
                types=types,
                importance=job.importance(),
                ggml=ggml,
                stock=Assembly(source, types, job.metadata, pool, ggml, progress, refining),
                out=Path(job.out),
                scratch=Path(job.scratch),
                n_threads=request["n_threads"],
                on_progress=progress,
                options={**method.OPTIONS, **job.recipe.options},
            )
            made: Made = method.apply(work)
        except InputError as e:
            raise Refused(f"{job.recipe.name}: {e.text}") from None
        except OSError as e:
            raise Refused(f"{job.recipe.name}: the file could not be written ({e.strerror})", "output") from None
        except Refused as e:
            raise Refused(f"{job.recipe.name}: {e}", e.code) from None
        events.send(
            "made",
            name=job.recipe.name,
            ideal_bpw=made.ideal_bpw,
            adapter=str(made.adapter) if made.adapter else None,
            rank=made.rank,
            adapter_type=made.adapter_type,
            refined=refining.classes if refining else [],
        )
