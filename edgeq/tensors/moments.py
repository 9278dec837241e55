"""Reading second moments: E[x xᵀ] of the inputs of weight matrices, and the same of a text that was kept out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np

from edgeq import gguf_info
from edgeq.errors import InputError
from edgeq.gguf_info import Header, TensorInfo, safe
from edgeq.tensors.refused import Refused

Floats = np.ndarray[Any, np.dtype[np.float32]]

BLOCK = 256
_KEYS = {
    **{f"edgeq.moments.{key}": "str" for key in ("form", "validation", "model_sha256")},
    **{f"edgeq.moments.{key}": "arr" for key in ("names", "inputs", "domains")},
    **{f"edgeq.moments.{key}": "u64" for key in ("n_tokens", "validation_tokens")},
}


class Moments:
    """Second moments by the names of weight matrices. Raises Refused for a file that is damaged or none of these."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            header = gguf_info.read_header(path)
        except InputError as e:
            raise Refused(e.text) from None
        if header.metadata.get("general.type") != "second-moments" or any(
            header.kv_types.get(key) != kind for key, kind in _KEYS.items()
        ):
            raise Refused(f"{safe(str(path))} holds no second moments: `edgeq calibrate --second-moments` makes them")
        fields = gguf.GGUFReader(path).fields
        facts = {key.rpartition(".")[2]: fields[key].contents() for key in _KEYS}
        self.form: str = facts["form"]
        self.domains: tuple[str, ...] = tuple(facts["domains"])
        self.n_tokens: int = facts["n_tokens"]
        self.validation: str = facts["validation"]
        self.n_validation_tokens: int = facts["validation_tokens"]
        self.model_sha256: str = facts["model_sha256"]
        self._tensors = {t.name: t for t in header.tensors}
        if len(facts["names"]) != len(facts["inputs"]):
            raise self._damaged("its names and inputs are not as many")
        self._inputs: dict[str, int] = dict(zip(facts["names"], facts["inputs"], strict=True))
        self._checked: set[int] = set()
        for i in set(self._inputs.values()):
            self._check_shapes(i)

    @property
    def names(self) -> tuple[str, ...]:
        """The weight matrices whose inputs' moments are here, in the order of the layers."""
        return tuple(self._inputs)

    def width(self, name: str) -> int:
        """Number of columns of a weight matrix that is among `names`."""
        shape = self._tensors[f"input.{self._inputs[name]}"].shape
        return shape[0] * (shape[2] if len(shape) == 3 else 1)

    def of(self, name: str) -> tuple[Floats, Floats] | None:
        """(training, validation) of a weight matrix, mapped; None where its inputs were not collected (experts).

        float32, (k, k), or (k / 256, 256, 256) where the form is "blocks" and k a multiple of 256. Raises Refused
        for values that can't be moments.
        """
        if name not in self._inputs:
            return None
        i = self._inputs[name]
        found = self._mapped(f"input.{i}"), self._mapped(f"validation.{i}")
        if i not in self._checked:
            for matrix in found:
                if not np.isfinite(matrix).all() or np.diagonal(matrix, axis1=-2, axis2=-1).min() < 0:
                    raise self._damaged(f"the moments of {safe(name)} are no mean products")
            self._checked.add(i)
        return found

    def check(self, header: Header) -> None:
        """Raise Refused where a name or a width is not of the model with this header."""
        widths = {t.name: t.shape[0] for t in header.tensors if len(t.shape) == 2}
        for name in self._inputs:
            if name not in widths:
                raise Refused(f"the second moments are of another model: this one has no matrix {safe(name)}")
            if widths[name] != self.width(name):
                raise Refused(
                    f"the second moments are of another model: {safe(name)} has {widths[name]} inputs, "
                    f"not {self.width(name)}"
                )

    @staticmethod
    def rescaled(matrix: Floats, scales: Floats) -> Floats:
        """Moments of inputs that are divided by ``scales``, one for each column: H / (s sᵀ), in the shape of H."""
        s = scales.reshape(-1, matrix.shape[-1]) if matrix.ndim == 3 else scales
        return (matrix / s[..., :, None] / s[..., None, :]).astype(np.float32)

    def _mapped(self, tensor: str) -> Floats:
        info = self._tensors[tensor]
        shape = info.shape[::-1]
        if self.form == "blocks" and info.shape[0] == BLOCK:
            shape = (info.n_elements // BLOCK**2, BLOCK, BLOCK)
        return np.memmap(self.path, np.float32, "r", info.offset, shape)

    def _check_shapes(self, i: int) -> None:
        pair = [self._tensors.get(f"{kind}.{i}") for kind in ("input", "validation")]
        shapes = {_squares(t) for t in pair if t is not None and t.type == "F32"}
        if None in pair or len(shapes) != 1 or None in shapes:
            raise self._damaged(f"input {i} has no moments of one shape")

    def _damaged(self, why: str) -> Refused:
        return Refused(f"{safe(str(self.path))} is damaged, {why}: calibrate again")


def _squares(tensor: TensorInfo) -> tuple[int, ...] | None:
    """The shape of a square matrix or of several; None for any other, or of another type than F32."""
    shape = tensor.shape
    is_square = len(shape) in (2, 3) and shape[0] == shape[1] and tensor.type == "F32"
    return shape if is_square and (len(shape) == 2 or shape[0] == BLOCK) else None
