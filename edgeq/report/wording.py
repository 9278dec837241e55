"""Sentences about a whole summary that several forms of the report share."""

from __future__ import annotations

from edgeq.records import Corpus, Summary
from edgeq.report.figures import count
from edgeq.report.rows import devices, ordered, plain, tests

FRONT = "On the front: no other file here is both smaller and closer to the reference."
CUT = "Not shown at this width:"

TERMS = (
    (
        "bpw",
        "File bits per parameter: the size of the whole file, embeddings and metadata included, in "
        "bits, divided by the number of parameters. Compare files by this, not by the name of their "
        "type.",
    ),
    (
        "On-label",
        "Share of the parameters in weight matrices that really have the type that the file is named "
        "after. The rest were given another type by design or because their shape did not fit.",
    ),
    (
        "KLD",
        "Kullback-Leibler divergence of the model's next-token distribution from the reference's, in "
        "nats, over the whole vocabulary. Mean: over all scored tokens. p99.9: exceeded by one token in "
        "a thousand. 0 is identical.",
    ),
    (
        "Top-1",
        "Top-1 agreement: share of scored tokens for which model and reference put the same token first.",
    ),
    (
        "PPL",
        "Perplexity on the text: the exponential of the mean negative log-likelihood of its tokens. It "
        "depends on text, tokenizer and context, so only values from the same report can be compared.",
    ),
    ("RMS Δp", "Root mean square of the change in the probability of the true token against the reference."),
    (
        "pp, tg",
        "Prefill and decode: tokens per second for reading a prompt of so many tokens (pp512) and for "
        "generating so many, one at a time (tg128). @d says how many tokens were in the context before.",
    ),
    (
        "RSS",
        "Resident set size: the memory of the measured process that was in RAM, at its peak. Weights "
        "that are mapped from the file count once they have been touched.",
    ),
    ("±", "One standard error. A value is rounded where its error begins."),
)


def text_name(corpus: Corpus) -> str:
    """A text and the part of it that was used."""
    return plain(corpus.name) if corpus.part == "all" else f"{plain(corpus.name)} ({corpus.part})"


def lede(summary: Summary) -> str:
    """One sentence: what was measured, on what, with what, over how much text."""
    rows = ordered(summary)
    if not rows:
        return "Nothing was measured."
    names = {plain(row.name) for row in rows}
    n_files = len({row.sha256 for row in rows})
    what = f"{n_files} GGUF file{'' if n_files == 1 else 's'}"
    if len(names) == 1 and rows[0].name != rows[0].file_type:
        what += f" of {names.pop()}"
    where = _devices(summary)
    engine = f" with llama.cpp {plain(summary.llama_commit)[:12]}" if summary.llama_commit else ""
    return f"{what}, measured{where}{engine}; {_quality(summary)}; {_speed(summary)}."


def _devices(summary: Summary) -> str:
    found = [plain(name) for name in devices(list(summary.rows)) if name]
    if len(found) > 1:
        return f" on {', '.join(found[:-1])} and {found[-1]}"
    if summary.host is None:
        return f" on {found[0]}" if found else ""
    threads = summary.host.n_threads
    return f" on {plain(summary.host.cpu)} ({threads} thread{'' if threads == 1 else 's'})"


def _quality(summary: Summary) -> str:
    n_tokens = sorted({row.quality.n_tokens for row in summary.rows if row.quality})
    if not n_tokens:
        return "quality was not measured"
    scored = " to ".join(count(n) for n in dict.fromkeys((n_tokens[0], n_tokens[-1])))
    texts = " and ".join(text_name(corpus) for corpus in summary.corpus)
    return f"quality over {scored} scored tokens" + (f" of {texts}" if texts else "")


def _speed(summary: Summary) -> str:
    names = tests(list(summary.rows))
    if not names:
        return "speed was not measured"
    reps = sorted({speed.n_reps for row in summary.rows for speed in row.speeds})
    times = " to ".join(str(n) for n in dict.fromkeys((reps[0], reps[-1])))
    listed = ", ".join(plain(name) for name in names)
    return f"speed as {listed}, {times} repetition{'' if reps == [1] else 's'}"
