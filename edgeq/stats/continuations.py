"""What token ids tell of generated text: how far two run together, and whether one goes in circles."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int32]

# A loop is a sequence of up to so many tokens, so often one after the other, that fills at least so many tokens.
LOOP_PERIOD = 32
LOOP_REPEATS = 3
LOOP_TOKENS = 24


def common_prefix(a: Ids, b: Ids) -> int:
    """Tokens before the first that differs; all of them where none does. Both have the same length."""
    unequal = np.flatnonzero(a != b)
    return int(unequal[0]) if len(unequal) else len(a)


def ends_in_loop(ids: Ids) -> bool:
    """Whether the text ends in a sequence that is repeated, the last time possibly not to its end."""
    for period in range(1, min(LOOP_PERIOD, len(ids) - 1) + 1):
        unequal = np.flatnonzero(ids[period:] != ids[:-period])
        same = len(ids) - period - (int(unequal[-1]) + 1 if len(unequal) else 0)
        if same + period >= max(LOOP_REPEATS * period, LOOP_TOKENS):
            return True
    return False


def distinct(ids: Ids, n: int) -> float:
    """Distinct n-grams over all n-grams of one text (Li et al. 2016); 1 where it is shorter than ``n``."""
    if len(ids) < n:
        return 1.0
    grams = np.lib.stride_tricks.sliding_window_view(ids, n)
    return len(np.unique(grams, axis=0)) / len(grams)
