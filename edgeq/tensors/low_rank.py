"""The best approximation of a matrix by a product of two thin ones, plain or weighted by its inputs."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import linalg

from edgeq.tensors.source import STEP_VALUES

Floats = np.ndarray[Any, np.dtype[np.float32]]
Doubles = np.ndarray[Any, np.dtype[np.float64]]


def factors(error: Floats, rank: int, importance: Floats | None = None) -> tuple[Floats, Floats]:
    """A (rank, inputs) and B (outputs, rank) for which B·A is nearest to ``error`` (outputs, inputs).

    With ``importance`` E[x²] of the inputs x, nearest means the smallest E|(error - B·A)·x|² for inputs that are not
    correlated: the truncated singular value decomposition of error·diag(sqrt(E[x²])) (QERA-approx, arXiv 2410.06040).
    Row i of A and column i of B have the same length.
    """
    left = _left_vectors(error if importance is None else error * np.sqrt(importance), rank)
    # The best A for these columns; to divide by the square roots would fail where an input is always 0.
    right = left.T @ error
    balance = np.sqrt(np.maximum(np.linalg.norm(right, axis=1), np.finfo(np.float32).tiny))
    return right / balance[:, None], left * balance


def _left_vectors(matrix: Floats, rank: int) -> Floats:
    """The first ``rank`` left singular vectors, or what spans the same space, as orthonormal columns.

    From the eigenvectors of the smaller Gram matrix: only as many as are needed, and exact enough in double precision.
    """
    n_outputs, n_inputs = matrix.shape
    if n_outputs <= n_inputs:
        return _top_eigenvectors(matrix.T, rank)
    return np.linalg.qr(matrix @ _top_eigenvectors(matrix, rank))[0]


def _top_eigenvectors(tall: Floats, rank: int) -> Floats:
    """The eigenvectors of tallᵀ·tall with the largest eigenvalues, as columns. Its rows are converted in pieces."""
    n = tall.shape[1]
    gram = np.zeros((n, n))
    step = max(1, STEP_VALUES // n)
    for start in range(0, len(tall), step):
        piece = tall[start : start + step].astype(np.float64)
        gram += piece.T @ piece
    found = linalg.eigh(gram, subset_by_index=(n - rank, n - 1), overwrite_a=True, check_finite=False)[1]
    return found.astype(np.float32)
