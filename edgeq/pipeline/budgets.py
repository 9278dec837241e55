"""From one model and some budgets to the files that lose least within them, measured beside llama.cpp's own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeq import (
    allocate,
    analyze,
    build,
    calibrate,
    corpus,
    device,
    evaluate,
    fit,
    gguf_info,
    models,
    profiles,
    quantize,
    report,
    store,
)
from edgeq.allocate import Base, Solver, Target
from edgeq.corpus import Part
from edgeq.errors import InputError
from edgeq.pipeline.run import Steps
from edgeq.records import Allocation, Build, EvalRecord, EvalSettings, Front, FrontPlan, Gguf, Imatrix, Note, Recipe

# llama.cpp's own types that use an importance matrix or none, and are of use from 2 to 8 bits a weight.
STOCK = (
    *("IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ2_M", "Q2_K_S", "Q2_K", "IQ3_XXS", "IQ3_XS", "Q3_K_S", "IQ3_S", "IQ3_M"),
    *("Q3_K_M", "Q3_K_L", "IQ4_XS", "Q4_K_S", "Q4_K_M", "Q5_K_S", "Q5_K_M", "Q6_K", "Q8_0"),
)
_N_CTX = 512
_SIZE = re.compile(r"(\d+(?:\.\d+)?) *([KMG]i?B|B)", re.I)
_UNITS = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}


@dataclass(frozen=True)
class Found:
    """What the search has found before any file is made: of each target one allocation, or two where scales fold."""

    source: Gguf
    imatrix: Imatrix | None
    built: Build
    solver: Solver
    targets: tuple[Target, ...]
    allocations: tuple[Allocation, ...]


def search(plan: FrontPlan, source: Gguf, folder: Path, steps: Steps) -> Found:
    """Measure what each tensor is worth, and solve for each target."""
    n_threads = plan.n_threads or device.physical_cores()
    kinds = allocate.types_named(plan.candidates)
    evaluated, calibrated, parts = texts(plan)
    corpus.read((*evaluated, *calibrated))
    with steps("build") as update:
        built = build.build(on_progress=lambda text, share: update(share, text))
    imatrix = models.describe_imatrix(Path(plan.imatrix)) if plan.imatrix else None
    if imatrix is None:
        with steps("calibrate") as update:
            imatrix = calibrate.calibrate(
                source,
                calibrated,
                built,
                folder / "imatrix.gguf",
                n_chunks=plan.calibration_chunks,
                n_ctx=_N_CTX,
                part=parts[1],
                n_threads=n_threads,
                on_progress=update,
            )
    predictions = quantize.plan(source, [quantize.stock_recipe(t, built) for t in STOCK], imatrix, built)
    own = {t.name: t.type for t in gguf_info.read_header(Path(source.path)).tensors}
    stock = [
        Base(p.recipe.name, p.n_bytes, {n: t for n, t in p.tensor_types.items() if t != own[n]}) for p in predictions
    ]
    targets = _targets(plan, source, built, n_threads)
    with steps("probe") as update:
        found = allocate.measure(
            source,
            imatrix,
            calibrated,
            dict.fromkeys(n for b in stock for n in b.types),
            built,
            folder / "records",
            types=kinds,
            probe_by=plan.probe,
            fold=plan.fold,
            part=parts[1],
            n_threads=n_threads,
            on_progress=update,
        )
    solver = Solver(found, allocate.weighed(imatrix), stock)
    allocations = [solver.solve(target) for target in targets]
    if plan.fold:
        allocations += [solver.solve(target, fold=True) for target in targets]
    return Found(source, imatrix, built, solver, targets, tuple(allocations))


def front(plan: FrontPlan, source: Gguf, folder: Path, steps: Steps) -> Front:
    """The files for all targets, and llama.cpp's own of about their sizes, measured on text that no probe has seen."""
    found = search(plan, source, folder, steps)
    n_threads = plan.n_threads or device.physical_cores()
    recipes = [a.recipe for a in found.allocations]
    for recipe in recipes:
        write_recipe(recipe, folder)
    stock = [quantize.stock_recipe(name, found.built) for name in plan.types] or _nearest(found)
    with steps("quantize") as update:
        files = quantize.quantize(
            source,
            [*recipes, *stock],
            found.imatrix,
            found.built,
            folder,
            n_threads=n_threads,
            on_progress=lambda name, share: update(share, name),
        )
    mixes, beside = files[: len(recipes)], files[len(recipes) :]
    evaluated, _, parts = texts(plan)
    evals: list[EvalRecord] = []
    settings = EvalSettings(n_ctx=_N_CTX, n_chunks=plan.chunks, first=_N_CTX // 2, n_threads=n_threads)
    for i, text in enumerate(evaluated, 1):
        with steps("evaluate") as update:
            evals += evaluate.evaluate(
                source,
                [evaluate.Candidate(file) for file in files],
                (text,),
                found.built,
                settings,
                folder / "records",
                part=parts[0],
                memory_share=plan.memory_share,
                on_turns=lambda turns, i=i, update=update: update(  # type: ignore[misc]
                    0.0, f"text {i}/{len(evaluated)}, {evaluate.in_words(turns)}"
                ),
                on_progress=update,
            )
    notes = _fit_notes(plan, found, mixes, n_threads)
    result = analyze.budget_front(found.solver.found, found.allocations, mixes, beside, evals, notes)
    store.save(folder / "front.json", result, store.key_of(result))
    store.write_text(folder / "front.html", report.budgets_html(result))
    return result


def write_recipe(recipe: Recipe, folder: Path) -> Path:
    """The types in the form that llama-quantize reads (--tensor-type-file)."""
    path = store.make_folder(folder) / f"{recipe.name}.types.txt"
    store.write_text(path, "".join(f"{pattern}={kind}\n" for pattern, kind in recipe.overrides))
    return path


def texts(plan: FrontPlan) -> tuple[tuple[Path, ...], tuple[Path, ...], tuple[Part, Part]]:
    """(texts to measure on, texts to calibrate and probe with, the part of each).

    One text for both is cut in halves. Without any, those that come with edgeq are taken.
    """
    own = store.share_dir() / "tests" / "text"
    evaluated = tuple(Path(t) for t in plan.text)
    calibrated = tuple(Path(t) for t in plan.calibration_text)
    if evaluated and not calibrated:
        return evaluated, evaluated, ("second half", "first half")
    calibrated = calibrated or tuple(own / "calibration" / f"{n}.txt" for n in ("eng", "religion", "jobs", "cpp"))
    evaluated = evaluated or tuple(own / "evaluation" / f"{n}.txt" for n in ("philosophy", "python"))
    return evaluated, calibrated, ("all", "all")


def _targets(plan: FrontPlan, source: Gguf, built: Build, n_threads: int) -> tuple[Target, ...]:
    targets = [Target(f"{bpw:g}bpw", int(bpw * source.n_params / 8)) for bpw in plan.target_bpw]
    targets += [Target(size.replace(" ", ""), _n_bytes(size)) for size in plan.target_size]
    if plan.fit:
        sized = fit.fit(source, profiles.load(plan.fit), built, n_ctx=plan.ctx, n_threads=n_threads)
        # What else is needed does not depend on the types of the weights.
        room = sized.weights_bytes + sized.margin_bytes
        n_bytes = min(room, source.n_bytes)
        if n_bytes <= 0:
            raise InputError(
                f"{sized.profile} has no room for weights with a context of {plan.ctx:,} tokens.",
                "Give a smaller --ctx.",
            )
        targets.append(Target(f"{Path(plan.fit).stem}-{plan.ctx}", n_bytes))
    if not targets:
        raise InputError("There is no budget.", "Name --target-bpw, --target-size or --fit.")
    return tuple({t.name: t for t in targets}.values())


def _n_bytes(text: str) -> int:
    found = _SIZE.fullmatch(text.strip())
    if not found:
        raise InputError(f"{text} is no size.", "Write 1.5GiB or 700MB.")
    return int(float(found[1]) * _UNITS[found[2].lower()])


def _nearest(found: Found) -> list[Recipe]:
    """For each target the two largest of llama.cpp's own that are no larger, and the smallest that is larger."""
    chosen: dict[str, None] = {}
    by_size = sorted(found.solver.stock, key=lambda b: b.n_bytes)
    for target in found.targets:
        below = [b.file_type for b in by_size if b.n_bytes <= target.max_bytes]
        above = [b.file_type for b in by_size if b.n_bytes > target.max_bytes]
        chosen.update(dict.fromkeys([*below[-2:], *above[:1]]))
    return [quantize.stock_recipe(name, found.built) for name in chosen]


def _fit_notes(plan: FrontPlan, found: Found, mixes: Sequence[Gguf], n_threads: int) -> list[Note]:
    """Whether what was made to fit does."""
    if not plan.fit:
        return []
    profile, name = profiles.load(plan.fit), found.targets[-1].name
    notes = []
    for allocation, file in zip(found.allocations, mixes, strict=True):
        if allocation.target == name:
            sized = fit.fit(file, profile, found.built, n_ctx=plan.ctx, n_threads=n_threads)
            spare = sized.margin_bytes / 2**20
            text = f"{allocation.recipe.name}: {sized.verdict} on {sized.profile} with {plan.ctx:,} tokens of context"
            notes.append(Note("fit", f"{text}, {spare:,.0f} MiB to spare."))
    return notes
