"""What is behind the results: what is inside each file, how it was measured, what words mean."""

from __future__ import annotations

import re

from edgeq.records import Row, Summary
from edgeq.report import condition, energy, limits
from edgeq.report.figures import GIB, MIB, count, percent, size
from edgeq.report.markup import definitions, safe, section
from edgeq.report.rows import devices, key, labels, ordered, plain, shares
from edgeq.report.terms import terms as meanings

COMPOSITION = (
    "Tensor types by their share of the parameters. "
    "Each bar runs from those with the most bits to those with the fewest."
)


def composition(summary: Summary) -> str:
    """The tensor types of each file by share of parameters: as a bar, most bits first, and as text."""
    files = {row.sha256: row for row in reversed(ordered(summary)) if row.tensor_types}
    names = labels(list(summary.rows))
    items = []
    for row in reversed(files.values()):
        text = ", ".join(f"{safe(name)} {safe(str(percent(share)))} %" for name, share in shares(row))
        origin = f" sha256 {safe(row.sha256[:12])}{', with imatrix' if row.imatrix else ''}"
        items.append(
            f'<li><span class="name">{safe(names[key(row)])}</span>{_bar(row)}'
            f'<span class="types">{text}<span class="hash">{origin}</span></span></li>'
        )
    listed = "\n".join(items)
    body = f"<p>{COMPOSITION}</p>\n<ul>\n{listed}\n</ul>" if items else ""
    return section("inside", "Inside each file", body)


def _bar(row: Row) -> str:
    parts, left = [], 0.0
    for name, share in sorted(shares(row), key=lambda pair: (-_bits(pair[0]), pair[0])):
        parts.append(f'<rect class="b{_shade(_bits(name))}" x="{left:.3f}" width="{share * 100:.3f}" height="1"/>')
        left += share * 100
    head = '<svg class="share" viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true">'
    return f"{head}{''.join(parts)}</svg>"


def _bits(name: str) -> int:
    found = re.search(r"\d+", name)
    return int(found[0]) if found else 0


def _shade(bits: int) -> int:
    return sum(bits >= limit for limit in (3, 4, 5, 6, 8, 16)) + 1


def how_measured(summary: Summary, has_series: bool) -> str:
    """The method and its limits; device, program, text and settings."""
    facts = [*_host(summary), *_corpus(summary), *_settings(summary), *_sensors(summary)]
    found = "\n".join(f"<li>{line}</li>" for line in limits.lines(summary, has_series))
    body = f"<ol>\n{found}\n</ol>\n{definitions(facts)}" if found else definitions(facts)
    return section("method", "How it was measured, and its limits", body)


def _host(summary: Summary) -> list[tuple[str, str]]:
    host = summary.host
    found = [("llama.cpp", f"commit {summary.llama_commit}" if summary.llama_commit else "")]
    if host is None:
        return [("Devices", ", ".join(devices(list(summary.rows)))), *found]
    memory = f"{host.mem_bytes / GIB:.1f} GiB RAM"
    governor = f", governor {host.governor}" if host.governor else ""
    swapped = f"{size(host.swap_used_bytes, (MIB, 'MiB'))} MiB of swap in use" if host.swap_used_bytes else ""
    mode = f"mode {host.power_mode}" if host.power_mode else ""
    supply = f"on {host.power_supply}" if host.power_supply else ""
    return [
        (
            "CPU",
            f"{host.cpu}, {host.arch}, {host.n_cores} cores, {host.n_threads} threads, {memory}{governor}",
        ),
        ("Power", ", ".join(part for part in (mode, supply) if part)),
        ("Swap", swapped),
        ("Features", ", ".join(host.features)),
        ("GPU", ", ".join(host.gpu)),
        ("System", f"{host.os}, kernel {host.kernel}, Python {host.python}"),
        *found,
    ]


def _corpus(summary: Summary) -> list[tuple[str, str]]:
    return [
        ("Text", f"{text.name}, {text.part}, {count(text.n_bytes)} bytes, sha256 {text.sha256[:12]}")
        for text in summary.corpus
    ]


def _settings(summary: Summary) -> list[tuple[str, str]]:
    found = []
    scoring, bench = summary.eval_settings, summary.bench_settings
    if scoring:
        chunks = f"{count(scoring.n_chunks)} chunks" if scoring.n_chunks else "all chunks"
        found.append((
            "Quality",
            f"{chunks} of n_ctx {scoring.n_ctx} tokens, scored from position {scoring.first} on, "
            f"{_threads(scoring.n_threads)}, n_ubatch {scoring.n_ubatch}, fa {scoring.flash_attn}",
        ))  # fmt: skip
    if bench:
        names = ", ".join(test.name for test in bench.tests)
        window = f" and as many as last {bench.min_window_s:g} s" if bench.min_window_s else ""
        found.append((
            "Speed",
            f"{names}, {bench.n_reps} repetitions{window}, {_threads(bench.n_threads)}, n_batch {bench.n_batch}, "
            f"n_ubatch {bench.n_ubatch}, ngl {bench.n_gpu_layers}, fa {bench.flash_attn}, "
            f"ctk {bench.type_k}, ctv {bench.type_v}",
        ))  # fmt: skip
    return found


def _sensors(summary: Summary) -> list[tuple[str, str]]:
    """What was read, what reading cost, and whether the device could be seen to slow down."""
    sources = [f"{plain(scope)} {', '.join(map(plain, names))}" for scope, names in energy.sources(summary).items()]
    idle_s = summary.bench_settings.idle_s if summary.bench_settings else 0.0
    idle = f"idle for {idle_s:g} s before and after" if idle_s and sources else ""
    return [
        ("Energy", "; ".join(part for part in (*sources, idle) if part)),
        ("Sampling", condition.sampling(summary)),
        ("Throttling", " ".join(condition.remarks(summary, ("none", "unknown")))),
    ]


def _threads(n_threads: int) -> str:
    return f"n_threads {n_threads}" if n_threads else "n_threads automatic"


def terms(summary: Summary) -> str:
    """What the words of the report mean."""
    return section("terms", "Terms", definitions(meanings(summary)))
