"""From one model to a measured table."""

from __future__ import annotations

from pathlib import Path

import edgeq
from edgeq import (
    analyze,
    bench,
    build,
    calibrate,
    convert,
    corpus,
    device,
    evaluate,
    instruments,
    plugins,
    profiles,
    quantize,
    report,
)
from edgeq.access import Access
from edgeq.analyze.advice import of_summary
from edgeq.corpus import Part
from edgeq.errors import InputError
from edgeq.pipeline import refining
from edgeq.pipeline.steps import Steps
from edgeq.records import Build, EvalRecord, EvalSettings, Plan, Recipe, Run, Summary
from edgeq.run_folder import RunFolder


def run(plan: Plan, folder: RunFolder, steps: Steps) -> Summary:
    """One model to a measured table. What is done already (by the hashes of its inputs) is not done again."""
    with folder.working():
        folder.begin(Run(plan, edgeq.__version__, device.host()))
        profile = profiles.load(plan.profile)
        build.refuse_elsewhere(profile, Access(profile=profile))
        tests = bench.settings(profile, plan.tests, n_reps=plan.n_reps, n_threads=plan.n_threads)
        scoring = EvalSettings(
            n_ctx=plan.n_ctx, n_chunks=plan.n_chunks, first=plan.n_ctx // 2, n_threads=tests.n_threads
        )
        evaluated, calibrated, parts = texts(plan)
        corpus.read((*evaluated, *calibrated))  # a text that can't be read is refused before the long work

        with steps("convert") as update:
            source = convert.convert(
                plan.model,
                folder.models,
                outtype=plan.outtype,
                allow_requantize=plan.allow_requantize,
                trust_remote_code=plan.trust_remote_code,
                on_progress=lambda text: update(None, text),
            )
        with steps("build") as update:
            built = build.build(profile, on_progress=lambda text, share: update(share, text))
        recipes = choose(plan, built)
        imatrix = None
        if any(r.imatrix for r in recipes) and calibrated:
            with steps("calibrate") as update:
                imatrix = calibrate.calibrate(
                    source,
                    calibrated,
                    built,
                    folder.imatrix,
                    n_chunks=plan.calibration_chunks,
                    n_ctx=plan.n_ctx,
                    part=parts[1],
                    n_threads=tests.n_threads,
                    on_progress=update,
                )
        moments = None
        if plan.refine:
            asked = refining.statistics(plan.statistics, plan.calibration_text)
            moments = refining.moments(source, asked, built, folder.statistics, tests.n_threads, steps)
        with steps("quantize") as update:
            files = quantize.quantize(
                source,
                recipes,
                imatrix,
                built,
                folder.models,
                moments=moments,
                n_threads=tests.n_threads,
                on_progress=lambda name, share: update(share, name),
            )
        models = (source, *files)
        access = Access(profile=profile)
        with steps("bench") as update, instruments.opened(access) as found:
            measured = bench.settings(profile, plan.tests, n_reps=plan.n_reps, n_threads=plan.n_threads, found=found)
            bench_all = bench.Bench(built, access, found, measured, folder.records)
            benches = bench.series(bench_all, models, bench.updates(update, bench.n_measurements(len(models))))
        evals: tuple[EvalRecord, ...] = ()
        if evaluated:
            with steps("evaluate") as update:
                evals = evaluate.evaluate(
                    source,
                    [evaluate.Candidate(m) for m in files],
                    evaluated,
                    built,
                    scoring,
                    folder.records,
                    part=parts[0],
                    memory_share=plan.memory_share,
                    on_turns=lambda turns: update(0.0, evaluate.in_words(turns)),
                    on_progress=update,
                )
        summary = analyze.summarize(benches, evals, models)
        page = report.html(summary, benches, evals, of_summary(summary))
        folder.finish(summary, page, (*benches, *evals, *models, *([imatrix] if imatrix else ())))
    return summary


def choose(plan: Plan, built: Build) -> tuple[Recipe, ...]:
    """The recipes that a plan names: file types of this llama.cpp, and recipe files or names from the shelf."""
    stock = [quantize.stock_recipe(name, built, imatrix=plan.imatrix) for name in plan.types]
    mixed = [plugins.settings("recipes", name, Recipe) for name in plan.recipes]
    recipes = {r.name: r for r in (*stock, *mixed)}
    if plan.refine:
        recipes |= {r.name: r for r in map(refining.refined, tuple(recipes.values()))}
    if not recipes:
        raise InputError("There is nothing to make.", "Name file types (--types Q4_K_M,IQ3_XXS) or --recipes.")
    return tuple(recipes.values())


def texts(plan: Plan) -> tuple[tuple[Path, ...], tuple[Path, ...], tuple[Part, Part]]:
    """(texts to evaluate on, texts to calibrate on, the part of each): one text for both is cut in halves."""
    evaluated = tuple(Path(t) for t in plan.text)
    calibrated = tuple(Path(t) for t in plan.calibration_text)
    if plan.imatrix and evaluated and not calibrated:
        return evaluated, evaluated, ("second half", "first half")
    return evaluated, calibrated, ("all", "all")
