"""The twelve methods on one model: the same tensors, tokens, settings and machine for every arm."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import msgspec

import edgeq
from edgeq import analyze, build, convert, corpus, device, evaluate, plugins, profiles, quantize, report
from edgeq.access import Access
from edgeq.errors import InputError
from edgeq.pipeline.making import Files, texts
from edgeq.pipeline.measuring import Measuring
from edgeq.pipeline.steps import Steps
from edgeq.records import Arm, MethodsPlan, MethodsRun, MethodsTable, Recipe
from edgeq.run_folder import RunFolder


def methods(plan: MethodsPlan, folder: RunFolder, steps: Steps) -> MethodsTable:
    """Every arm of every method made and measured. An arm that can't be made is named with its reason, the rest go on.

    What is done already (by the hashes of its inputs) is not done again.
    """
    named = shelf(plan.methods)
    with folder.working():
        folder.begin(MethodsRun(plan, edgeq.__version__, device.host()))
        profile = profiles.load(plan.profile)
        build.refuse_elsewhere(profile, Access(profile=profile))
        # Texts and questions that can't be read are refused before the long work.
        corpus.read(tuple(Path(t) for t in (*plan.text, *plan.calibration_text)))
        questions = tuple(evaluate.choices(Path(path)) for path in plan.choices)
        with steps("convert") as update:
            source = convert.convert(
                plan.model,
                folder.models,
                regrid=plan.regrid,
                pad_rows=plan.pad_rows,
                allow_requantize=plan.allow_requantize,
                on_progress=lambda text: update(None, text),
            )
        with steps("build") as update:
            built = build.build(profile, on_progress=lambda text, share: update(share, text))
        n_threads = plan.n_threads or device.physical_cores()
        files = Files(plan, source, built, folder.models, n_threads)
        arms = tuple(arm for method in named.values() for arm in method.ARMS)
        shipping = tuple(_shipping(quantize.stock_recipe(name, built)) for name in plan.types)
        with steps("calibrate") as update:
            imatrix = files.calibrate(folder.imatrix, update)
        with steps("quantize") as update:
            recipes = {arm.recipe.name: arm.recipe for arm in (*arms, *shipping) if arm.recipe}
            files.make(tuple(recipes.values()), imatrix, update)
        if not plan.methods or "qat" in plan.methods:
            arms += files.published()

        measuring = Measuring(plan, folder.records, steps, built, profile, source, n_threads, questions)
        runs = [(arm, model) for arm in (*arms, *shipping) if (model := files.of(arm))]
        facts = measuring.measure(runs)
        reference = Arm(method="", name=source.file_type, recipe=None)
        table = analyze.methods_table(
            facts.of(reference, source),
            [facts.of(arm, files.of(arm), files.why_not(arm)) for arm in arms],
            [facts.of(arm, files.of(arm), files.why_not(arm)) for arm in shipping],
            floor=facts.floor,
            titles={name: (module.NUMBER, module.TITLE) for name, module in named.items()},
            groups={name: plugins.module("tasks", name).GROUP for name in plugins.modules("tasks")},
            calibration=tuple(t.name for t in texts(plan)),
            notes=facts.notes,
        )
        folder.finish(table, report.methods_html(table), (*facts.records, source, imatrix, *files.made))
    return table


def shelf(names: Sequence[str]) -> dict[str, ModuleType]:
    """The methods with these names, or all twelve, in the order of their numbers."""
    found = {name: plugins.module("quants", name) for name in names or plugins.modules("quants")}
    numbered = {name: m for name, m in sorted(found.items(), key=lambda f: int(f[1].NUMBER)) if m.NUMBER}
    if not numbered:
        raise InputError("There is no method to compare.", "Leave --methods away for all twelve.")
    return numbered


def _shipping(recipe: Recipe) -> Arm:
    """A file type as it is deployed; the name keeps its file apart from the pure one of the same type."""
    return Arm("stock", recipe.name, msgspec.structs.replace(recipe, name=f"shipping-{recipe.name}"))
