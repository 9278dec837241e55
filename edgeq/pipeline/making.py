"""The files that the arms of the methods need, each made on its own: one that can't be made says why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from edgeq import calibrate, models, quantize, train
from edgeq.errors import EdgeqError, InputError
from edgeq.records import Arm, Build, Gguf, Imatrix, MethodsPlan, Recipe

# (share done, what is being made)
Update = Callable[..., None]


class Files:
    """A file by the name of its recipe, or the sentence that says why there is none."""

    def __init__(self, plan: MethodsPlan, source: Gguf, built: Build, folder: Path, n_threads: int) -> None:
        self._plan = plan
        self._source = source
        self._built = built
        self._folder = folder
        self._n_threads = n_threads
        self._made: dict[str, Gguf] = {}
        self._skipped: dict[str, str] = {}

    @property
    def made(self) -> tuple[Gguf, ...]:
        """All files."""
        return tuple(self._made.values())

    def of(self, arm: Arm) -> Gguf | None:
        """The arm's file: the source itself where it has no recipe."""
        return self._made.get(arm.recipe.name) if arm.recipe else self._source

    def why_not(self, arm: Arm) -> str:
        """Why the arm has no file, or nothing."""
        return self._skipped.get(arm.recipe.name, "") if arm.recipe else ""

    def calibrate(self, out: Path, update: Update) -> Imatrix:
        """The importance matrix of the first half of the calibration texts."""
        return calibrate.calibrate(
            self._source,
            texts(self._plan),
            self._built,
            out,
            n_chunks=self._plan.calibration_chunks,
            n_ctx=self._plan.n_ctx,
            part="first half",
            n_threads=self._n_threads,
            on_progress=update,
        )

    def make(self, recipes: Sequence[Recipe], imatrix: Imatrix, update: Update) -> None:
        """Make one file of each recipe."""
        for i, recipe in enumerate(recipes):

            def progress(name: str, share: float, i: int = i) -> None:
                update((i + share) / len(recipes), name)

            try:
                source = self._trained(recipe, progress) if recipe.method == "qat" else self._source
                (made,) = quantize.quantize(
                    source,
                    [recipe],
                    imatrix,
                    self._built,
                    self._folder,
                    n_threads=self._n_threads,
                    on_progress=progress,
                )
                self._made[recipe.name] = made
            except EdgeqError as e:
                self._skipped[recipe.name] = e.text

    def published(self) -> tuple[Arm, ...]:
        """An arm of quantization-aware training for each file of somebody else's."""
        arms = []
        for path in map(Path, self._plan.qat):
            recipe = Recipe(name=path.stem, file_type="published", method="qat")
            arms.append(Arm("qat", path.stem, recipe))
            try:
                found = models.describe(path)
                if found.arch != self._source.arch:
                    raise InputError(f"{path.name} is a {found.arch} model, and the source a {self._source.arch}.")
                self._made[recipe.name] = found
            except EdgeqError as e:
                self._skipped[recipe.name] = e.text
        return tuple(arms)

    def _trained(self, recipe: Recipe, progress: Callable[[str, float], None]) -> Gguf:
        return train.train(
            self._source,
            texts(self._plan),
            self._built,
            self._folder,
            recipe,
            part="first half",
            n_threads=self._n_threads,
            on_progress=lambda share: progress(f"training {recipe.name}", share),
            on_note=lambda text: progress(text, 0.0),
        )


def texts(plan: MethodsPlan) -> tuple[Path, ...]:
    """The texts that calibration may see, as one."""
    return tuple(Path(t) for t in plan.calibration_text)
