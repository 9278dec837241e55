"""What a file's own quality figures say is lost."""

from __future__ import annotations

from collections.abc import Iterator

from edgeq.records import Note
from edgeq.records.advice import Choice

# llama.cpp, tools/perplexity/README.md, Llama 3 8B and Llama 2 7B on wiki.test: Q4_K_M agrees with F16 on the first
# token in 91.9 and 94.7 % of the places, Q2_K in 71.1 and 85.6 %. Below 0.9 it is no longer what 4 bits give.
TOP1_KEPT = 0.9
# The same page, Llama 3 8B: 4-bit types are at most 0.072, Q3_K_M without an imatrix 0.102, IQ3_XS 0.139, Q2_K 0.33.
KLD_KEPT = 0.1
# The same page: PPL over that of F16 is 1.02 for Q4_K_M, 1.075 for Q4_0, 1.105 for Q3_K_M and 1.39 for Q2_K.
PPL_RATIO_KEPT = 1.1
# arXiv 2505.15030: above about 3.5 effective bits per parameter the larger model at fewer bits is better than the
# smaller one at more bits; below it no longer is.
BPW_KEPT = 3.5


def broken(choice: Choice) -> Iterator[Note]:
    """One note for each threshold that the file is beyond."""
    f = choice.figures
    if f.top1 and f.top1.value < TOP1_KEPT:
        yield Note(
            "top1-lost",
            f"{1 - f.top1.value:.0%} of its first choices differ from the reference's. Published 4-bit files of 7B and "
            f"8B models differ in fewer than {1 - TOP1_KEPT:.0%}: expect other wording, and wrong digits and names.",
        )
    if f.kld and f.kld.value > KLD_KEPT:
        yield Note(
            "kld-high",
            f"Its KLD of {f.kld.value:.2g} is what 3 bits and fewer cost an 8B model; 4-bit types stay below "
            f"{KLD_KEPT:g}. Test it on your own task.",
        )
    if f.ppl_ratio and f.ppl_ratio.value > PPL_RATIO_KEPT:
        yield Note(
            "ppl-high", f"Its PPL is {f.ppl_ratio.value - 1:.0%} above the reference's: the text itself gets worse."
        )
    if choice.bpw < BPW_KEPT:
        yield Note(
            "few-bits",
            f"It has {choice.bpw:.2f} bits per parameter. Below about {BPW_KEPT:g} a smaller model at more bits may "
            "well be better than this one (arXiv 2505.15030).",
        )
