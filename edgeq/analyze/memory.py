"""What a model needs in memory, in the numbers that differ, from the traces of a bench."""

from __future__ import annotations

from collections.abc import Sequence

from edgeq import stats
from edgeq.records import BenchRecord, Memory, Trace


def memory(record: BenchRecord, traces: Sequence[Trace]) -> Memory:
    """Peaks over the whole run; the drop of available memory is against what there was before the model was loaded."""
    return Memory(
        rss_peak_bytes=record.rss_peak_bytes,
        anon_peak_bytes=_peak(traces, "rss_anon"),
        mapped_peak_bytes=record.model_mapped_peak_bytes,
        available_drop_bytes=_drop(record, traces),
        cgroup_peak_bytes=_peak(traces, "cgroup_peak"),
        vram_peak_bytes=_peak(traces, "vram_used"),
        kv_bytes={
            test.name: n
            for test in record.settings.tests
            if (n := sum(b.context_bytes for b in record.buffers if b.test == test.name))
        },
    )


def _peak(traces: Sequence[Trace], name: str) -> int | None:
    """The highest sum of all channels of this name (several GPUs) is at most the sum of their peaks."""
    peaks = [int(v.max()) for t in _named(traces, name) if len(v := stats.known(t)[1])]
    return sum(peaks) if peaks else None


def _drop(record: BenchRecord, traces: Sequence[Trace]) -> int | None:
    load = next((p for p in record.phases if p.kind == "load"), None)
    for trace in _named(traces, "available") if load else ():
        assert load is not None
        t_ns, values = stats.known(trace)
        before, after = values[t_ns <= load.t0_ns], values[t_ns > load.t0_ns]
        if len(before) and len(after):
            return max(0, int(before[-1] - after.min()))
    return None


def _named(traces: Sequence[Trace], name: str) -> list[Trace]:
    return [t for t in traces if t.channel.quantity == "memory" and t.channel.name == name]
