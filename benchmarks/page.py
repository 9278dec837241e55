"""The report of 1,000 files with per-token data: seconds, memory, size of the page: `python -m benchmarks.page`."""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

import msgspec

from benchmarks.common import ROOT, say
from edgeq import analyze, report, store
from edgeq.analyze.advice import of_summary
from edgeq.records import BenchRecord, EvalRecord, Gguf

GOLDEN = ROOT / "tests" / "golden" / "schema-3"
# Of the golden records, to reach ten repetitions of each test and 8,160 scored tokens.
REPEATED, TILED = 5, 16


def peak_mb() -> float:
    """The process's high-water mark so far, 10⁶ bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def records(n: int) -> tuple[list[BenchRecord], list[EvalRecord]]:
    """A real bench and a real evaluation, as of ``n`` files."""
    bench = store.load(GOLDEN / "BenchRecord.json.gz", BenchRecord)
    scored = store.load(GOLDEN / "EvalRecord.json.gz", EvalRecord)
    timed = [p for p in bench.phases if p.timed]
    more = [msgspec.structs.replace(p, rep=p.rep + 2 * k) for k in range(1, REPEATED) for p in timed]
    bench = msgspec.structs.replace(bench, phases=(*bench.phases, *more))
    values = {f: getattr(scored, f) * TILED for f in ("nll_f32", "kld_f32", "same_top_u8", "reference_nll_f32")}
    models = [
        msgspec.structs.replace(bench.model, sha256=f"{i:064x}", name=f"file {i}", bpw=bench.model.bpw + i / 1000)
        for i in range(n)
    ]
    benches = [msgspec.structs.replace(bench, model=m) for m in models]
    n_tokens = scored.n_tokens * TILED

    def own(model: Gguf) -> EvalRecord:  # bytes of its own, as read from a file
        copies = {name: bytes(bytearray(data)) for name, data in values.items()}
        return msgspec.structs.replace(scored, model=model, n_tokens=n_tokens, **copies)

    return benches, [own(m) for m in models]


def main() -> None:
    """Summarize, advise, and make the page."""
    benches, evals = records(1000)
    before_mb, start = peak_mb(), time.monotonic()
    summary = analyze.summarize(benches, evals)
    summarized = time.monotonic()
    page = report.html(summary, benches, evals, of_summary(summary))
    done = time.monotonic()
    size_mb = len(page.encode()) / 1e6
    say("1,000 rows", f"summary {summarized - start:.2f} s, page {done - summarized:.2f} s, {size_mb:.2f} MB")
    say("memory", f"{before_mb:.0f} MB with the records, {peak_mb():.0f} MB at the peak")
    if len(sys.argv) > 1:
        store.write_text(Path(sys.argv[1]), page)


if __name__ == "__main__":
    main()
