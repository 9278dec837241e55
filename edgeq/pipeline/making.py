"""The files that the arms of the methods need, each made on its own: one that can't be made says why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from edgeq import calibrate, gguf_info, models, quantize, train
from edgeq.errors import EdgeqError, InputError, ToolError
from edgeq.pipeline.steps import Update
from edgeq.records import Arm, Build, Gguf, Imatrix, MethodsPlan, Recipe


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
        """Make one file of each recipe. Raises MissingError for a full disk, which is no matter of one method."""
        for i, recipe in enumerate(recipes):

            def progress(name: str, share: float, i: int = i) -> None:
                update((i + share) / len(recipes), name)

            try:
                source = self._source_of(recipe, progress)
            except EdgeqError as e:  # among others for want of PyTorch
                self._skipped[recipe.name] = e.text
                continue
            try:
                (self._made[recipe.name],) = quantize.quantize(
                    source,
                    [recipe],
                    imatrix,
                    self._built,
                    self._folder,
                    n_threads=self._n_threads,
                    on_progress=progress,
                )
            except (InputError, ToolError) as e:
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
                if (mine := _n_vocab(path)) != (theirs := _n_vocab(Path(self._source.path))):
                    raise InputError(f"{path.name} has a vocabulary of {mine:,} tokens, and the source of {theirs:,}.")
                self._made[recipe.name] = found
            except EdgeqError as e:
                self._skipped[recipe.name] = e.text
        return tuple(arms)

    def _source_of(self, recipe: Recipe, progress: Callable[[str, float], None]) -> Gguf:
        """What the recipe's file is made from: for a method that trains, what training makes of the source."""
        if recipe.method != "qat":
            return self._source
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


def _n_vocab(path: Path) -> int:
    return gguf_info.read_header(path).n_vocab
