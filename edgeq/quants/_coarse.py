"""Methods that differ in how many weights share a scale: llama.cpp's file, with coarser scales put into its blocks."""

from __future__ import annotations

from collections.abc import Callable

from edgeq.gguf_info import promised_type
from edgeq.quants import _arms
from edgeq.records import Arm, Recipe
from edgeq.tensors import containers, output
from edgeq.tensors.containers import CONTAINERS
from edgeq.tensors.refused import Refused
from edgeq.tensors.source import Tensor
from edgeq.tensors.work import Made, Work


def arm(method: str, name: str, file_type: str, **options: str | int | float | bool) -> Arm:
    """An arm whose file has the speed of the method, and is larger than it need be."""
    return Arm(method, name, _arms.recipe(name, file_type, method, imatrix=False, **options), size_valid=False)


def check(recipe: Recipe) -> str:
    """Why no scales can be shared by more weights than a block has, or nothing."""
    if recipe.imatrix:
        return "A shared scale comes from the largest weights, not from an importance matrix: set imatrix to false."
    return _arms.why_not_among(recipe, CONTAINERS, "a type whose blocks have one full scale each")


def apply(work: Work, group_of: Callable[[Tensor], int | None]) -> Made:
    """Make the file. ``group_of`` gives the weights of a tensor's row that share a scale, None for the whole matrix.

    Matrices that llama.cpp gave another type than the recipe's stay as they are. Raises Refused where none is left,
    and where a row is no multiple of its group.
    """
    made = work.stock_file()
    kind = promised_type(work.recipe.file_type) or ""
    all_names = work.quantized(made)
    groups = {name: group_of(made.tensors[name]) for name in all_names if made.tensors[name].type == kind}
    if not groups:
        raise Refused(f"no weight matrix of the model has become {kind}, so there are no scales to share")
    for name, group in groups.items():
        row = made.tensors[name].row_length
        if group and row % group:
            raise Refused(f"the rows of {name} have {row} weights, which can't be divided into groups of {group}")
    for done, (name, group) in enumerate(groups.items(), 1):
        offset = made.tensors[name].info.offset
        for first, blocks in containers.encoded(work.source.tensors[name], kind, group):
            output.patch(work.out, offset + first * blocks.shape[1], blocks)
        work.on_progress(done, len(groups))
    n_bits = sum(
        containers.ideal_bits(kind, made.tensors[name], groups[name])
        if name in groups
        else made.tensors[name].info.n_bytes * 8
        for name in all_names
    )
    return Made(ideal_bpw=n_bits / sum(made.tensors[name].info.n_elements for name in all_names))
