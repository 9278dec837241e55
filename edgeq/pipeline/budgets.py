"""From one model and some budgets to the files that lose least within them, measured beside llama.cpp's own."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

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
from edgeq.pipeline import refining
from edgeq.pipeline.steps import Steps
from edgeq.records import (
    Allocation,
    Build,
    EvalRecord,
    EvalSettings,
    Front,
    FrontPlan,
    Gguf,
    Imatrix,
    Note,
    Recipe,
    TypesRecord,
)

# llama.cpp's own types that use an importance matrix or none, and are of use from 2 to 8 bits a weight.
STOCK = (
    *("IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ2_M", "Q2_K_S", "Q2_K", "IQ3_XXS", "IQ3_XS", "Q3_K_S", "IQ3_S", "IQ3_M"),
    *("Q3_K_M", "Q3_K_L", "IQ4_XS", "Q4_K_S", "Q4_K_M", "Q5_K_S", "Q5_K_M", "Q6_K", "Q8_0"),
)
_N_CTX = 512
# What is left free on a board: a program's own memory differs by about half of it from one run to the next.
FIT_SPARE_BYTES = 1 << 20
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
    if models.is_quantized(source):
        raise InputError(
            f"{source.path} was quantized before: what that costs can't be told from what is done now.",
            "Give the F16, BF16 or F32 model; `edgeq convert --regrid` takes a quantized one off its grid.",
        )
    n_threads = plan.n_threads or device.physical_cores()
    speeds, joules = _speeds(plan)
    kinds = tuple(k for k in allocate.types_named(plan.candidates) if not speeds or k in speeds)
    evaluated, calibrated, parts = texts(plan)
    corpus.read((*evaluated, *calibrated))
    with steps("build") as update:
        built = build.build(on_progress=lambda text, share: update(share, text))
    targets = _targets(plan, source, built, n_threads)
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
    quantizable = tuple(dict.fromkeys(n for b in stock for n in b.types))
    weighed = allocate.weighed(imatrix)
    if strange := sorted(weighed - own.keys()):
        raise InputError(
            f"{imatrix.path} is of another model: this one has no {gguf_info.safe(strange[0])}.",
            "Calibrate on this model; without --imatrix it is done here.",
        )
    allocate.refuse_unreachable(source, quantizable, weighed, kinds, targets)
    with steps("probe") as update:
        found = allocate.measure(
            source,
            imatrix,
            calibrated,
            quantizable,
            built,
            folder / "records",
            types=kinds,
            probe_by=plan.probe,
            fold=plan.fold,
            part=parts[1],
            n_threads=n_threads,
            on_progress=update,
        )
    solver = Solver(found, weighed, stock, speeds=speeds, joules=joules)
    allocations = [solver.solve(target) for target in targets]
    if plan.fold:
        allocations += [solver.solve(target, fold=True) for target in targets]
    return Found(source, imatrix, built, solver, targets, tuple(allocations))


def front(plan: FrontPlan, source: Gguf, folder: Path, steps: Steps) -> Front:
    """The files for all targets, and llama.cpp's own of about their sizes, measured on text that no probe has seen."""
    found = search(plan, source, folder, steps)
    n_threads = plan.n_threads or device.physical_cores()
    stock = [quantize.stock_recipe(name, found.built) for name in plan.types] or _nearest(found)
    wanted, moments = list(found.allocations), None
    if plan.refine:
        asked = refining.statistics(plan.statistics, plan.calibration_text)
        moments = refining.moments(source, asked, found.built, folder, n_threads, steps)
        wanted += [msgspec.structs.replace(a, recipe=refining.refined(a.recipe)) for a in wanted]
    with steps("quantize") as update:

        def make(recipes: Sequence[Recipe]) -> tuple[Gguf, ...]:
            return quantize.quantize(
                source,
                recipes,
                found.imatrix,
                found.built,
                folder,
                moments=moments,
                n_threads=n_threads,
                on_progress=lambda name, share: update(share, name),
            )

        made = [_made(plan, found, a, make) for a in wanted]
        beside = make(stock)
    allocations, mixes = [a for a, _, _ in made], [file for _, file, _ in made]
    files = (*mixes, *beside)
    for allocation in allocations:
        if not allocation.recipe.refine:  # llama-quantize can't make the others
            write_recipe(allocation.recipe, folder)
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
    notes = [note for _, _, note in made if note]
    result = analyze.budget_front(found.solver.found, allocations, mixes, beside, evals, notes)
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
        room = sized.weights_bytes + sized.margin_bytes - FIT_SPARE_BYTES
        n_bytes = min(room, source.n_bytes)
        if n_bytes <= 0:
            raise InputError(
                f"{sized.profile} has no room for weights with a context of {plan.ctx:,} tokens.",
                "Give a smaller --ctx.",
            )
        targets.append(Target(f"{Path(plan.fit).stem}-{plan.ctx}", n_bytes))
    if not targets:
        raise InputError("There is no budget.", "Name --target-bpw, --target-size or --fit.")
    decode_s = 1 / plan.decode_tps if plan.decode_tps else None
    return tuple({t.name: replace(t, decode_s=decode_s) for t in targets}.values())


def _speeds(plan: FrontPlan) -> tuple[dict[str, float], dict[str, float]]:
    """(weights per second, joules of a weight) by type, as `edgeq bench --types` has measured them on a device."""
    if plan.decode_tps and not plan.speeds:
        raise InputError(
            "How long a file takes to decode follows from the speed of each type, and --speeds is missing.",
            "`edgeq bench --types PROFILE` on the device measures them.",
        )
    if not plan.speeds:
        return {}, {}
    found = analyze.type_speeds(store.load(Path(plan.speeds), TypesRecord)).types
    joules = {k: s.j_per_gweight.value / 1e9 for k, s in found.items() if s.j_per_gweight}
    return {k: s.weights_per_s.value for k, s in found.items()}, joules if len(joules) == len(found) else {}


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


def _made(
    plan: FrontPlan, found: Found, allocation: Allocation, make: Callable[[Sequence[Recipe]], tuple[Gguf, ...]]
) -> tuple[Allocation, Gguf, Note | None]:
    """The file of an allocation; one that is to fit a board is solved for again with less until it does.

    What decoding needs besides the weights depends a little on their types.
    """
    target = next(t for t in found.targets if t.name == allocation.target)
    (file,) = make([allocation.recipe])
    if not plan.fit or target is not found.targets[-1]:
        return allocation, file, None
    profile, n_threads = profiles.load(plan.fit), plan.n_threads or device.physical_cores()
    while True:
        sized = fit.fit(file, profile, found.built, n_ctx=plan.ctx, n_threads=n_threads)
        lacking = FIT_SPARE_BYTES - sized.margin_bytes
        if lacking <= 0:
            break
        target = replace(target, max_bytes=target.max_bytes - lacking)
        try:
            solved = found.solver.solve(target, fold=bool(allocation.recipe.options))
        except InputError as err:
            over = f"{lacking / 2**20:,.1f} MiB too much at {allocation.bpw:.2f} bpw"
            raise InputError(
                f"No file of these types fits on {sized.profile} with {plan.ctx:,} tokens of context: {over}.",
                "Give a smaller --ctx, or more --candidates.",
            ) from err
        recipe = refining.refined(solved.recipe) if allocation.recipe.refine else solved.recipe
        allocation = msgspec.structs.replace(solved, recipe=recipe)
        (file,) = make([allocation.recipe])
    verdict = "fits" if sized.verdict == "fits" else "is tight"
    spare = f"{sized.margin_bytes / 2**20:,.1f} MiB to spare"
    text = f"{allocation.recipe.name} {verdict} on {sized.profile} with {plan.ctx:,} tokens of context, {spare}."
    return allocation, file, Note("fit", text)
