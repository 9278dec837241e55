"""All plots of a report: which there are, and each as a Vega-Lite specification."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import msgspec

from edgeq.records import BenchRecord, EvalRecord, Summary
from edgeq.report import charts, lines
from edgeq.report.axes import Spec
from edgeq.report.charts import Chart
from edgeq.report.lines import Block
from edgeq.report.scatter import scatter
from edgeq.report.theme import config


@dataclass(frozen=True)
class Plots:
    """Everything that can be drawn of a summary and its records."""

    quality: list[Chart]
    speed: list[Chart]
    energy: list[Chart]
    memory: list[Chart]
    run: Block
    latency: Block
    position: Block

    @cached_property
    def encoded(self) -> dict[str, bytes]:
        """Each plot by its name, as JSON, without its look."""
        drawn = (chart for group in (self.quality, self.speed, self.energy, self.memory) for chart in group)
        found = {chart.name: msgspec.json.encode(scatter(chart)) for chart in drawn}
        for block in self.blocks:
            found |= block.drawn
        return found

    @property
    def blocks(self) -> list[Block]:
        """What comes from the records."""
        return [self.run, self.latency, self.position]


def drawable(summary: Summary, benches: Sequence[BenchRecord] = (), evals: Sequence[EvalRecord] = ()) -> Plots:
    """Which plots there are."""
    quality = charts.quality_chart(summary)
    return Plots(
        quality=[quality] if quality else [],
        speed=charts.speed_charts(summary),
        energy=charts.energy_charts(summary),
        memory=charts.memory_charts(summary),
        run=lines.in_the_run(summary, benches),
        latency=lines.latencies(summary, benches),
        position=lines.positions(summary, evals),
    )


def plots(summary: Summary, benches: Sequence[BenchRecord] = (), evals: Sequence[EvalRecord] = ()) -> dict[str, Spec]:
    """Each plot by a name that does for a file; whole, with its data and its look."""
    look = config()
    encoded = drawable(summary, benches, evals).encoded
    return {name: {**msgspec.json.decode(spec), "config": look} for name, spec in encoded.items()}
