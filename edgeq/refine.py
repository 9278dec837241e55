"""Room: a quantized file with less damage in the same bytes, by the second moments of its model's inputs."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from edgeq import gguf_info, models, programs, store
from edgeq.errors import InputError
from edgeq.records import Build, Gguf, Moments, RefinedClass, Refinement


def refine(
    file: Gguf,
    source: Gguf,
    moments: Moments,
    build: Build,
    out: Path,
    *,
    n_threads: int,
    on_progress: Callable[[float], None] = lambda _: None,
) -> Gguf:
    """Write ``out``, which has the types, the size and the metadata of ``file``, and its record beside it.

    ``file`` may be of any tool, and ``source`` is the model that it was made from. Tensors without a refiner or
    without moments are copied, and so are those for which refining does not pay. Interrupted, it carries on with
    the tensor that it was at. Raises InputError for a file that is not of the source, and for moments of another model.
    """
    record_path = out.with_suffix(".json")
    key = store.key_of("refine", file.sha256, source.sha256, moments.sha256, build.key)
    if (found := store.find(record_path, Gguf, key)) and out.exists() and out.stat().st_size == found.n_bytes:
        return found
    if out.exists() and out.resolve() in (Path(file.path).resolve(), Path(source.path).resolve()):
        raise InputError(f"{out} is what is read.", "Give another name with --out.")
    store.need_space(store.make_folder(out.parent), file.n_bytes, "Refining")
    temporary = store.partial(out)
    began = time.monotonic()
    request: dict[str, object] = {
        "op": "refine",
        "file": file.path,
        "source": source.path,
        "moments": moments,
        "refiner": build.tool("refine"),
        "pool": str(store.cache_dir() / "pool"),
        "out": str(temporary),
        "n_threads": n_threads,
    }

    def event(e: dict[str, object]) -> None:
        if e["event"] == "progress":
            on_progress(programs.share(e))

    with store.removing(temporary):
        events = programs.work(build, request, what="refining", on_event=event)
        classes = msgspec.convert(programs.one(events, "refined")["classes"], tuple[RefinedClass, ...])
        gguf_info.read_header(temporary)
        store.publish(temporary, out)
    record = models.describe(out, file_type=file.file_type, recipe=file.recipe, parent=source)
    record = msgspec.structs.replace(
        record,
        imatrix_sha256=file.imatrix_sha256,
        made_s=time.monotonic() - began,
        refined=Refinement(moments.sha256, moments.n_tokens, classes),
    )
    store.save(record_path, record, key)
    return record
