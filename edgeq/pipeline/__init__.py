"""The corridor: the rooms in order, nothing else. `run` is the main job, `methods` the comparison of the twelve."""

from __future__ import annotations

from edgeq.pipeline.run import choose, run, texts
from edgeq.pipeline.steps import Steps

__all__ = ["Steps", "choose", "run", "texts"]
