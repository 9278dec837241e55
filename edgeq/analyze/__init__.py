"""Room: records to a summary. Pure: no clock, no disk, no process."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from edgeq import stats
from edgeq.analyze.budgets import budget_front
from edgeq.analyze.clocks import on_host_clock
from edgeq.analyze.comparisons import comparisons
from edgeq.analyze.energy import energies
from edgeq.analyze.memory import memory
from edgeq.analyze.methods import ArmFacts, methods_table
from edgeq.analyze.notes import name_of, row_notes, warnings
from edgeq.analyze.pmic import PmicFit, fit_pmic
from edgeq.analyze.quality import front, quality
from edgeq.analyze.recording import Recorded, recording
from edgeq.analyze.refined import refined_pairs
from edgeq.analyze.speed import speeds
from edgeq.analyze.types import type_speeds
from edgeq.records import BenchRecord, EvalRecord, Gguf, Host, Row, Summary, Tariff

__all__ = [
    "ArmFacts",
    "PmicFit",
    "Recorded",
    "budget_front",
    "comparisons",
    "device_names",
    "energies",
    "fit_pmic",
    "front",
    "memory",
    "methods_table",
    "quality",
    "recording",
    "speeds",
    "summarize",
    "type_speeds",
]


def summarize(
    benches: Sequence[BenchRecord],
    evals: Sequence[EvalRecord],
    models: Sequence[Gguf] = (),
    tariff: Tariff | None = None,
) -> Summary:
    """One row per model and machine, with everything that the records say of it.

    ``models`` adds rows for files that were made and not measured. Reference rows come from the evaluations. A
    configuration that was measured several times gives one row, of the last time: what was repeated lies next to it.
    Runs with overwritten activations, and the reference held against itself, say nothing of a file.
    """
    benches = sorted(benches, key=lambda b: (-b.model.bpw, b.model.sha256, b.host.cpu, b.turn))
    evals = [e for e in evals if not e.activations and not (e.kld_f32 and e.model.sha256 == e.reference.sha256)]
    evals = sorted(evals, key=lambda e: (-e.model.bpw, e.model.sha256))
    last: dict[str, list[BenchRecord]] = {}
    for b in {b.configuration: b for b in benches}.values():
        last.setdefault(b.model.sha256, []).append(b)
    by_sha = {m.sha256: m for m in (*models, *(b.model for b in benches), *(e.model for e in evals))}
    reference = next((e.reference for e in evals), None)
    scored = {e.model.sha256: e for e in evals}
    devices = device_names([*(b.host for b in benches), *(e.host for e in evals)])
    rows = [
        _row(model, bench, scored.get(sha256), reference, tariff, devices)
        for sha256, model in by_sha.items()
        for bench in tuple(last.get(sha256, ())) or (None,)
    ]
    rows.sort(key=lambda r: (not r.reference, -r.bpw, r.name))
    first_bench, first_eval = next(iter(benches), None), next(iter(evals), None)
    host = first_bench.host if first_bench else first_eval.host if first_eval else None
    build = first_bench.build if first_bench else first_eval.build if first_eval else None
    any_model = reference or next(iter(by_sha.values()), None)
    return Summary(
        title=any_model.name if any_model else "nothing measured",
        host=host,
        llama_commit=build.llama_commit if build else None,
        corpus=first_eval.corpus if first_eval else (),
        eval_settings=first_eval.settings if first_eval else None,
        bench_settings=first_bench.settings if first_bench else None,
        rows=tuple(rows),
        warnings=tuple(warnings(rows, benches, evals, reference)),
        front=front(rows),
        tariff=tariff,
        comparisons=comparisons(benches),
        refined=refined_pairs(evals),
    )


def device_names(hosts: Sequence[Host]) -> dict[tuple[str | None, ...], str]:
    """A name for each condition, as in ``Row.device``: the CPU, and what else tells it from the others."""
    conditions = list(dict.fromkeys(h.condition for h in hosts))
    differs = [len(set(parts)) > 1 for parts in zip(*conditions, strict=True)]
    return {c: ", ".join(part for i, part in enumerate(c) if part and (i == 0 or differs[i])) for c in conditions}


def _row(
    model: Gguf,
    bench: BenchRecord | None,
    evaluation: EvalRecord | None,
    reference: Gguf | None,
    tariff: Tariff | None,
    devices: dict[tuple[str | None, ...], str],
) -> Row:
    host = bench.host if bench else evaluation.host if evaluation else None
    row = Row(
        name=name_of(model),
        device=devices[host.condition] if host else "",
        sha256=model.sha256,
        file_type=model.file_type,
        bpw=model.bpw,
        n_bytes=model.all_bytes,
        on_label=model.on_label,
        tensor_types={t: n / model.n_params for t, n in model.tensor_types.items()},
        imatrix=model.imatrix_sha256 is not None,
        reference=reference is not None and model.sha256 == reference.sha256,
        quality=quality(evaluation) if evaluation else None,
        tokens_sha256=evaluation.tokens_sha256 if evaluation else None,
        notes=tuple(row_notes(model)),
    )
    return _measured(row, bench, tariff) if bench else row


def _measured(row: Row, bench: BenchRecord, tariff: Tariff | None) -> Row:
    """The row with all that its bench says."""
    traces, notes = on_host_clock(bench)
    load = next((p for p in bench.phases if p.kind == "load"), None)
    timed = [p for p in bench.phases if p.timed]
    span_s = (bench.phases[-1].t1_ns - bench.begun_ns) / 1e9
    found_speeds = speeds(bench)
    found_energies, said = energies(bench, traces)
    found_memory = memory(bench, traces)
    headlines = {e.test: e for e in found_energies if e.headline}
    heat = [float(v.max()) for t in traces if t.channel.quantity == "temperature" and len(v := stats.known(t)[1])]
    return msgspec.structs.replace(
        row,
        speeds=found_speeds,
        load_s=(load.t1_ns - load.t0_ns) / 1e9 if load else None,
        rss_peak_bytes=bench.rss_peak_bytes,
        notes=(*row.notes, *notes, *said),
        energies=found_energies,
        costs=tuple(stats.cost(s, headlines.get(s.test), tariff) for s in found_speeds) if tariff else (),
        memory=found_memory,
        throttling=stats.verdict(traces, timed) if timed else None,
        temperature_max_c=max(heat, default=None),
        sampler_share=bench.sampler_cpu_s / span_s if bench.sampler_cpu_s is not None and span_s > 0 else None,
        settings=bench.settings,
        backend=bench.build.backend,
        build=bench.build.key,
        power_mode=bench.host.power_mode,
    )
