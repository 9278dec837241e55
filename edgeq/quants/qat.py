"""Q4_0 of a model that was trained to be rounded to Q4_0: what training gave is packed without loss.

The training itself, which needs PyTorch, comes before (`edgeq.train`) and leaves a model whose matrices lie on Q4_0's
grid. Q4_0's encoder gives back the very blocks that values were decoded from, which those of the K types do not.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgeq.quants.stock import types as types
from edgeq.records import Arm, Recipe
from edgeq.tensors.refused import Refused
from edgeq.tensors.work import Made, Work

TITLE = "QAT"
NUMBER = 3
DEFINITION = "The weights are trained with quantization in the forward pass, so that quantizing them costs less."
# steps: 0 for as many as fit the size of the model. rate: how far a weight moves at most in one step, in steps of its
# block's grid. One step sees n_batch chunks of n_ctx tokens.
OPTIONS: dict[str, object] = {"steps": 0, "rate": 0.003, "n_ctx": 256, "n_batch": 2}
ARMS = (
    Arm(
        "qat",
        "QAT-Q4_0",
        Recipe(
            "QAT-Q4_0",
            "Q4_0",
            method="qat",
            imatrix=False,
            pure=True,
            token_embedding_type="q8_0",
            output_tensor_type="q8_0",
        ),
    ),
)

# Key in a file that training made: the file type it was trained for.
TRAINED_FOR = "edgeq.trained_for"
SCRIPT = Path(__file__).with_name("_qat_training.py")


def check(recipe: Recipe) -> str:
    """Why there is no training for this recipe, or nothing."""
    if recipe.file_type != "Q4_0":
        return f"Training is for Q4_0, not for {recipe.file_type}."
    if recipe.imatrix:
        return "Weights that are trained for Q4_0 are quantized without an importance matrix, which would move them."
    if not recipe.pure or recipe.overrides:
        return "Weights that are trained for Q4_0 must all become Q4_0: with pure: true and without overrides."
    options = OPTIONS | recipe.options
    numbers = {k: v for k, v in options.items() if isinstance(v, int | float)}
    if numbers["steps"] < 0 or numbers["n_batch"] < 1 or numbers["n_ctx"] < 16:
        return "Training takes steps from 1 on (0: as many as fit), n_batch from 1 and n_ctx from 16 on."
    if not 0 < numbers["rate"] <= 0.5:
        return f"The rate of training is above 0 and at most half a step of the grid, not {numbers['rate']}."
    return ""


def apply(work: Work) -> Made:
    """Quantize a trained source and see that nothing was lost. Raises Refused for a source that was not trained."""
    if work.source.header.metadata.get(TRAINED_FOR) != work.recipe.file_type:
        raise Refused(
            f"{work.source.path.name} has not been trained for {work.recipe.file_type}, as `edgeq methods` does first"
        )
    made = work.stock_file()
    for name in work.quantized(made):
        trained, stored = work.source.tensors[name], made.tensors[name]
        for start, stop in stored.steps():
            values = work.ggml.decode(stored.type, stored.raw[start:stop], stored.row_length)
            if not np.array_equal(values.astype(np.float16), trained.rows(start, stop)):
                raise Refused(f"quantizing has changed what training made of {name}", "abort")
    return Made()
