"""What every task does with the questions it makes: examples before them, none twice, all cases equally often."""

from __future__ import annotations

from collections.abc import Callable

from edgeq.records import Item
from edgeq.tasks._random import Draws

N_EXAMPLES = 3
# So many draws that are all known mean that the level has no other questions.
_N_TRIES = 1000


def series(name: str, seed: int, level: int, n: int, make: Callable[[Draws, int], Item]) -> tuple[Item, ...]:
    """``n`` items after the same solved examples. ``make`` is told the index, so that it can take its cases in turn.

    None is one of the examples. None is there twice before the level has given all that it has.
    """
    draws = Draws(seed, name, level)
    examples: dict[str, Item] = {}
    while len(examples) < N_EXAMPLES:
        example = make(draws, len(examples))
        examples[example.prompt] = example
    shown = "".join(f"{example.prompt}{example.answers[0]}\n\n" for example in examples.values())
    items: list[Item] = []
    known = set(examples)
    while len(items) < n:
        for _ in range(_N_TRIES):
            item = make(draws, N_EXAMPLES + len(items))
            if item.prompt not in known:
                break
        else:
            known = set(examples)
            continue
        known.add(item.prompt)
        items.append(Item(shown + item.prompt, item.answers, item.place))
    return tuple(items)
