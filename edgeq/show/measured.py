"""Raw facts of a bench or an evaluation, and the figures that follow from them alone."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from edgeq import stats
from edgeq.records import BenchRecord, Build, Estimate, EvalRecord, Gguf, Host, Trace
from edgeq.show.page import Grid, short

Facts = tuple[tuple[str, str], ...]
Shown = tuple[Facts, tuple[Grid, ...]]


def condition(host: Host) -> Facts:
    """The machine and what decides its speed."""
    modes = (("power mode", host.power_mode), ("governor", host.governor), ("power supply", host.power_supply))
    named = host.cpu if not host.board else f"{host.cpu}, {host.board}"
    facts = [
        ("machine", f"{named}, {host.n_threads} threads, {host.mem_bytes / 2**30:.1f} GiB"),
        ("system", f"{host.os}, {host.kernel}, {host.arch}"),
    ]
    if host.gpu:
        facts.append(("GPU", ", ".join(host.gpu)))
    return (*facts, *((name, mode) for name, mode in modes if mode))


def commit(llama_commit: str | None) -> str:
    """A commit as the report prints it."""
    return llama_commit[:12] if llama_commit else "-"


def named_model(m: Gguf) -> str:
    """A file in one line."""
    return f"{Path(m.path).name}, {m.file_type}, {m.bpw:.2f} bpw, {short(m.sha256)}"


def named_build(b: Build) -> str:
    """A build in one line."""
    return f"{b.key}: llama.cpp {commit(b.llama_commit)}, {b.backend} for {b.target}, {b.isa}"


def _fields(settings: msgspec.Struct, *without: str) -> str:
    """Settings in llama.cpp's words, as they are named in the record."""
    fields = {name: getattr(settings, name) for name in settings.__struct_fields__ if name not in without}
    return ", ".join(f"{name} {value}" for name, value in fields.items())


def bench(r: BenchRecord) -> Shown:
    """Of every test: repetitions, rate, its standard error, and the shortest and longest repetition."""
    span_s = (r.phases[-1].t1_ns - r.begun_ns) / 1e9 if r.phases else 0.0
    peak = "-" if r.rss_peak_bytes is None else f"{r.rss_peak_bytes / 2**20:.1f} MiB (RSS)"
    facts = [
        ("model", named_model(r.model)),
        *condition(r.host),
        ("profile", r.profile.name),
        ("build", named_build(r.build)),
        ("settings", _fields(r.settings, "tests")),
        ("turn", f"{r.turn}" + (", measured again" if r.turn else "")),
        ("lasted", f"{span_s:.1f} s in {len(r.phases)} phases"),
        ("RAM peak", peak),
        *(("missing", f"{note.text} {note.hint}".strip()) for note in r.missing),
    ]
    rows = tuple(row for test in r.settings.tests if (row := _test(r, test.name)))
    columns = ("test", "reps", "t/s", "±", "shortest s", "longest s", "found")
    traces = tuple(_trace(t) for t in r.traces)
    heads = ("channel", "scope", "unit", "samples", "lowest", "highest")
    return tuple(facts), (Grid("Tests", columns, rows), Grid("Channels", heads, traces))


def _test(r: BenchRecord, test: str) -> tuple[str, ...] | None:
    timed, times = stats.timed(r, test), stats.timed_s(r, test)
    if not timed:
        return None
    found = stats.repetitions(timed[0].n_tokens, times)
    se = "-" if found.tps.se is None else f"{found.tps.se:.2g}"
    state = ", ".join(found.state) or "-"
    return (test, f"{len(timed)}", f"{found.tps.value:.4g}", se, f"{times.min():.4g}", f"{times.max():.4g}", state)


def _trace(t: Trace) -> tuple[str, ...]:
    _, values = stats.known(t)
    c = t.channel
    ends = (f"{values.min():.4g}", f"{values.max():.4g}") if len(values) else ("-", "-")
    return (f"{c.sensor} {c.name}".strip(), c.scope, c.unit, f"{len(values):,}", *ends)


def evaluation(r: EvalRecord) -> Shown:
    """PPL, KLD against the reference, and how often both put the same token first."""
    own = r.model.sha256 == r.reference.sha256 and not r.kld_f32
    facts = (
        ("model", named_model(r.model) + (", the reference itself" if own else "")),
        *(() if own else (("reference", named_model(r.reference)),)),
        *((("activations", f"overwritten: {r.activations}"),) if r.activations else ()),
        *condition(r.host),
        ("build", named_build(r.build)),
        ("settings", _fields(r.settings)),
        ("texts", ", ".join(f"{c.name} ({c.part})" for c in r.corpus)),
        ("tokens", f"{r.n_tokens:,} scored, {short(r.tokens_sha256)}"),
    )
    nll = _floats(r.nll_f32)
    rows = [_figure("PPL", stats.perplexity(nll))] if len(nll) else []
    kld = _floats(r.kld_f32)
    if len(kld):
        top = np.frombuffer(r.same_top_u8, np.uint8).astype(np.float64)
        rows += [
            _figure("KLD mean, nats", stats.mean(kld)),
            _figure("KLD median, nats", stats.quantile(kld, 0.5)),
            _figure("KLD p99.9, nats", stats.quantile(kld, 0.999)),
            _figure("top-1 agreement", stats.share(top)),
        ]
    return facts, (Grid("Figures", ("figure", "value", "±"), tuple(rows)),)


def _floats(data: bytes) -> npt.NDArray[np.float64]:
    return np.frombuffer(data, "<f4").astype(np.float64)


def _figure(name: str, e: Estimate) -> tuple[str, str, str]:
    return (name, f"{e.value:.5g}", "-" if e.se is None else f"{e.se:.2g}")
