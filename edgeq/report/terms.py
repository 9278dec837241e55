"""What the words of the report mean."""

from __future__ import annotations

from edgeq.records import Summary
from edgeq.report import energy, memory
from edgeq.report.figures import ABOUT

ALWAYS = (
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
SPEED = (
    (
        "95 %",
        "95 % interval of the rate, from a t-interval on its logarithm. There is none where a word says what was "
        "wrong with the repetitions (drifting, bimodal ...): no interval would hold what it promises.",
    ),
)
ENERGY = (
    (
        "Scope",
        "What an energy figure includes. A wider scope contains the narrower ones of the same device, so they are "
        "never added, and only figures of the same scope can be compared. The headline is the widest that was "
        "measured.",
    ),
    (
        "Gross",
        "All energy that the scope used while a test ran, idle power included, per token: what a battery or a "
        "bill sees.",
    ),
    (
        "Net",
        "Gross less what the same scope uses when idle in the same time, never clipped at 0: for comparing "
        "models, not for bills.",
    ),
    (
        "Idle",
        "Power before the program starts and after it has ended. Loaded idle: with the model in memory and "
        "nothing to do.",
    ),
    ("Window", "How long the test was measured in all. A short window makes the sensor's own steps visible."),
)
ESTIMATED = (
    ABOUT,
    "An estimate: a model's output, or a measurement carried to another scope by an assumption. The figures "
    "without it are measured.",
)
COST = (
    "Cost",
    "Money per million tokens (Mtok) of one test. Energy: gross energy at the wall at the tariff's price. "
    "Hardware: the device's price spread over the tokens that it can make in its life.",
)
THROTTLING = (
    "Throttling",
    "Whether the device slowed itself down while it was measured. None: it was watched, and did not. Suspected: "
    "its clocks say so. Confirmed: it reported it. Unknown: nothing here tells.",
)


def terms(summary: Summary) -> list[tuple[str, str]]:
    """The terms that this summary needs, with what they mean."""
    rows = summary.rows
    has_energy, has_cost = any(row.energies for row in rows), any(row.costs for row in rows)
    found = list(ALWAYS)
    found += SPEED if any(s.ci95_tps or s.state for row in rows for s in row.speeds) else ()
    found += (*ENERGY, *_scopes(summary)) if has_energy else ()
    found += (COST,) if has_cost else ()
    found += (ESTIMATED,) if has_energy or has_cost else ()
    found += memory.terms(summary)
    found += (THROTTLING,) if any(row.throttling for row in rows) else ()
    return found


def _scopes(summary: Summary) -> list[tuple[str, str]]:
    """The scopes in ``summary``, from the outside in."""
    present = {e.scope for row in summary.rows for e in row.energies}
    return [
        (f"Scope {name}", f"{meaning[0].upper()}{meaning[1:]}.")
        for name, meaning in energy.SCOPES.items()
        if name in present
    ]
