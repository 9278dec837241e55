"""The corridor: the rooms in order, nothing else. `run` is the main job, `methods` the comparison of the twelve."""

from __future__ import annotations

from edgeq.pipeline.run import Steps, choose, run, texts

__all__ = ["Steps", "choose", "run", "texts"]
