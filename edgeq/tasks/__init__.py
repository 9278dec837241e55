"""Shelf: what low bits break, one task a file, made offline from a seed; files with an underscore are shared.

Each has ``TITLE``; ``GROUP`` (numerics, reasoning, long context); ``CHOICE``: whether the right one of several answers
must be the most likely, or else the only answer must be what greedy decoding gives, without what would follow it;
``CHANCE``: the share that a blind guess gets; ``N_LEVELS``; and ``items(seed, level, n) -> tuple[Item, ...]``.

- Level 0 is the easiest, which a model of a hundred million parameters can do; every level adds to the one before.
- The same arguments give the same items on every machine. All prompts of a call begin with the same solved examples,
  none of which is an item; items don't recur before a level has given all that it has.
- Without choices, all right answers of a level are numbers or lists of them of which none is the beginning of another,
  so that what follows need not be scored.
- What does not solve a choice (one position, the longer answer, what was told last) is right half of the time.
"""

from __future__ import annotations

from edgeq.tasks._choices import load_choices

__all__ = ["load_choices"]
