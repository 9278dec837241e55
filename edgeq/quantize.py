"""Room: one GGUF file per recipe, made in a worker process by the recipe's method."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from edgeq import gguf_info, models, plugins, programs, store
from edgeq.errors import InputError
from edgeq.records import Adapter, Build, Gguf, Imatrix, Moments, Recipe, RefinedClass, Refinement

# Gets the name of the file being made and the share of all files done.
Progress = Callable[[str, float], None]
_ALIGNMENT = 32
# Others put their own blocks in the place of the encoder's.
_REFINED_METHODS = ("stock", "activation_aware")
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")


class Prediction(msgspec.Struct, frozen=True):
    """What a dry run says a recipe will give: exact size in bytes, the type of every tensor (upper case)."""

    recipe: Recipe
    n_bytes: int
    tensor_types: dict[str, str]
    needs_imatrix: bool


def file_types(build: Build) -> dict[str, int]:
    """Every file type that this llama.cpp knows: {"Q4_K_M": 15, ...}."""
    path = Path(build.folder) / "file_types.json"
    if path.exists():
        return msgspec.json.decode(path.read_bytes(), type=dict[str, int])
    event = programs.one(programs.work(build, {"op": "file_types"}, what="asking for file types"), "file_types")
    known = msgspec.convert(event["file_types"], dict[str, int])
    store.write_bytes(path, msgspec.json.encode(known))
    return known


def stock_recipe(name: str, build: Build, *, imatrix: bool = True) -> Recipe:
    """The recipe of a file type by its name, in any case; Q4_K means Q4_K_M as in llama-quantize."""
    known = file_types(build)
    for candidate in (name.upper(), f"{name.upper()}_M"):
        if candidate in known:
            return Recipe(name=candidate, file_type=candidate, imatrix=imatrix)
    raise InputError(f"{name} is not a file type of this llama.cpp.", plugins.nearest(name, known))


def plan(source: Gguf, recipes: Sequence[Recipe], imatrix: Imatrix | None, build: Build) -> tuple[Prediction, ...]:
    """Dry runs: what each recipe will give, without making it."""
    for recipe in recipes:
        if not _FILE_NAME.fullmatch(recipe.name):
            raise InputError(
                f"{recipe.name!r} can't be the name of a file.", "Use letters, digits, '.', '_', '+', '-'."
            )
        if recipe.file_type not in (known := file_types(build)):
            raise InputError(
                f"{recipe.file_type} is not a file type of this llama.cpp.", plugins.nearest(recipe.file_type, known)
            )
        _check_method(recipe)
    header = gguf_info.read_header(Path(source.path))
    if header.alignment != _ALIGNMENT:
        # The library keeps the key and lays the data out at 32 all the same: nothing could read the result.
        raise InputError(
            f"{source.path} is aligned to {header.alignment} bytes; llama.cpp quantizes files aligned to 32 only.",
            "Convert the model again.",
        )
    jobs = [_job(source, r, imatrix) for r in recipes]
    events = programs.work(build, {"op": "plan", "source": source.path, "jobs": jobs}, what="planning")
    predictions = []
    for recipe, job, event in zip(recipes, jobs, (e for e in events if e["event"] == "plan"), strict=True):
        stock = msgspec.convert(event["types"], dict[str, str])
        types = plugins.module("quants", recipe.method).types(recipe, stock)
        n_bytes = gguf_info.predict_file_bytes(header, types, msgspec.convert(job["metadata"], dict[str, str | int]))
        predictions.append(Prediction(recipe, n_bytes, types, bool(event["needs_imatrix"])))
    return tuple(predictions)


def quantize(
    source: Gguf,
    recipes: Sequence[Recipe],
    imatrix: Imatrix | None,
    build: Build,
    folder: Path,
    *,
    moments: Moments | None = None,
    n_threads: int,
    on_progress: Progress = lambda *_: None,
) -> tuple[Gguf, ...]:
    """Make ``folder/NAME.gguf`` and its record for every recipe; what is there already is kept.

    Recipes whose types need an importance matrix are refused beforehand where there is none, and so is a disk that
    is too small. Each file gets its final name only when it is complete and its header has been checked. ``moments``:
    of the source's inputs, for recipes that refine.
    """
    if moments is None and (without := [r.name for r in recipes if r.refine]):
        raise InputError(
            f"{', '.join(without)} can't be refined: there are no second moments of the model's inputs.",
            "Give --calibration-text, or --statistics from `edgeq calibrate --second-moments`.",
        )
    keys = {r.name: _key(source, r, imatrix, moments, build) for r in recipes}
    done = {r.name: found for r in recipes if (found := _finished(folder, r.name, keys[r.name]))}
    todo = [r for r in recipes if r.name not in done]
    if not todo:
        return tuple(done[r.name] for r in recipes)
    predictions = {p.recipe.name: p for p in plan(source, todo, imatrix, build)}
    if refused := [p.recipe for p in predictions.values() if p.needs_imatrix and not _uses(p.recipe, imatrix)]:
        names = ", ".join(r.name for r in refused)
        raise InputError(
            f"{names} can't be made without an importance matrix: below about 3 bits the result would be garbage.",
            "Give a calibration text (--text or --calibration-text), or leave these types out.",
        )
    store.make_folder(folder)
    on_the_way = 0 if all(r.method == "stock" for r in todo) else source.n_bytes
    store.need_space(folder, on_the_way + sum(p.n_bytes for p in predictions.values()), f"Making {len(todo)} files")
    recipe_of = {r.name: r for r in todo}

    def event(e: dict[str, object]) -> None:
        name = str(e.get("name"))
        if e["event"] == "progress":
            on_progress(name, (todo.index(recipe_of[name]) + programs.share(e)) / len(todo))
        elif e["event"] == "made":
            made_s, began[0] = time.monotonic() - began[0], time.monotonic()
            recipe = recipe_of[name]
            used = moments if recipe.refine else None
            made = _Finished(recipe, source, imatrix, used, predictions[name].n_bytes, keys[name], made_s)
            done[name] = made.publish(folder, msgspec.convert(e, _Made))

    began = [time.monotonic()]
    scratch = store.make_folder(store.partial(folder / f"{todo[0].name}.scratch"))
    jobs = [
        {
            **_job(source, r, imatrix),
            "moments": moments if r.refine else None,
            "out": str(store.partial(_path(folder, r.name))),
            "scratch": str(scratch),
        }
        for r in todo
    ]
    request = {
        "op": "quantize",
        "source": source.path,
        "jobs": jobs,
        "n_threads": n_threads,
        "pool": str(store.cache_dir() / "pool"),
        "refiner": build.tool("refine") if moments else None,
    }
    try:
        programs.work(build, request, what="quantizing", on_event=event)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        for r in todo:
            store.partial(_path(folder, r.name)).unlink(missing_ok=True)
    return tuple(done[r.name] for r in recipes)


def _check_method(recipe: Recipe) -> None:
    method = plugins.module("quants", recipe.method)
    for key, value in recipe.options.items():
        if key not in method.OPTIONS:
            raise InputError(
                f"{recipe.name}: {key} is no option of the method {recipe.method}.",
                plugins.nearest(key, method.OPTIONS) if method.OPTIONS else "It has none.",
            )
        expected = type(method.OPTIONS[key])
        if type(value) is not expected and not (expected is float and type(value) is int):
            raise InputError(f"{recipe.name}: {key} is {value!r}, and must be like {method.OPTIONS[key]!r}.")
    if recipe.refine and recipe.method not in _REFINED_METHODS:
        raise InputError(
            f"{recipe.name}: what the method {recipe.method} makes can't be refined.",
            f"Refine with {' or '.join(_REFINED_METHODS)}.",
        )
    if reason := method.check(recipe):
        raise InputError(f"{recipe.name}: {reason}", "Change the recipe's method, its file_type or its options.")


def _job(source: Gguf, recipe: Recipe, imatrix: Imatrix | None) -> dict[str, object]:
    used = imatrix if _uses(recipe, imatrix) else None
    return {"recipe": recipe, "metadata": _metadata(source, recipe, used), "imatrix": used.path if used else None}


def _uses(recipe: Recipe, imatrix: Imatrix | None) -> bool:
    return imatrix is not None and recipe.imatrix


def _metadata(source: Gguf, recipe: Recipe, imatrix: Imatrix | None) -> dict[str, str | int]:
    """What the file says about its making: llama-quantize's own keys, the recipe's hash, an unfit source."""
    written: dict[str, str | int] = {"edgeq.recipe_sha256": store.key_of(recipe)}
    if source.requantized or models.is_quantized(source) or recipe.method == "weight_only":
        written[models.REQUANTIZED] = 1
    if imatrix and recipe.options.get("weigh", True):
        written |= {
            "quantize.imatrix.file": Path(imatrix.path).name,
            "quantize.imatrix.dataset": imatrix.corpus[0].name if imatrix.corpus else "unknown",
            "quantize.imatrix.entries_count": imatrix.n_entries,
            "quantize.imatrix.chunks_count": imatrix.n_chunks,
        }
    return written


def _key(source: Gguf, recipe: Recipe, imatrix: Imatrix | None, moments: Moments | None, build: Build) -> str:
    used = imatrix.sha256 if imatrix and recipe.imatrix else None
    refined_by = moments.sha256 if moments and recipe.refine else None
    return store.key_of("quantize", source.sha256, recipe, used, refined_by, build.key)


def _path(folder: Path, name: str) -> Path:
    return folder / f"{name}.gguf"


def _adapter_path(folder: Path, name: str) -> Path:
    return folder / f"{name}.lora.gguf"


def _finished(folder: Path, name: str, key: str) -> Gguf | None:
    path = _path(folder, name)
    found = store.find(path.with_suffix(".json"), Gguf, key)
    if not found or not _has_size(path, found.n_bytes):
        return None
    adapter = found.adapter
    return found if adapter is None or _has_size(Path(adapter.path), adapter.n_bytes) else None


def _has_size(path: Path, n_bytes: int) -> bool:
    return path.exists() and path.stat().st_size == n_bytes


class _Made(msgspec.Struct, frozen=True):
    """The worker's event on a file that it has made."""

    ideal_bpw: float | None
    adapter: str | None
    rank: int
    adapter_type: str
    refined: tuple[RefinedClass, ...]


class _Finished(msgspec.Struct, frozen=True):
    """A file that is complete under its temporary name, and what it was made from."""

    recipe: Recipe
    source: Gguf
    imatrix: Imatrix | None
    moments: Moments | None
    predicted: int
    key: str
    made_s: float

    def publish(self, folder: Path, made: _Made) -> Gguf:
        """Give it, and before it its adapter, their names; write the record."""
        path = _path(folder, self.recipe.name)
        adapter = None
        if made.adapter:
            beside = _adapter_path(folder, self.recipe.name)
            store.publish(Path(made.adapter), beside)
            adapter = Adapter(
                path=str(beside),
                sha256=store.sha256_file(beside),
                n_bytes=beside.stat().st_size,
                rank=made.rank,
                tensor_type=made.adapter_type.upper(),
            )
        store.publish(store.partial(path), path)
        types = set(gguf_info.read_header(path).tensor_types)
        record = models.describe(
            path,
            # A dequantized file is named by what it holds.
            file_type=self.recipe.file_type if types - {"F32", "F16", "BF16"} else None,
            recipe=self.recipe,
            parent=self.source,
            imatrix=self.imatrix if _uses(self.recipe, self.imatrix) else None,
            predicted_bytes=self.predicted,
        )
        record = msgspec.structs.replace(
            record,
            adapter=adapter,
            bpw=(record.n_bytes + (adapter.n_bytes if adapter else 0)) * 8 / record.n_params,
            ideal_bpw=made.ideal_bpw,
            made_s=self.made_s,
            refined=Refinement(self.moments.sha256, self.moments.n_tokens, made.refined) if self.moments else None,
        )
        store.save(path.with_suffix(".json"), record, self.key)
        return record
