"""Everything but the demo: about 17 minutes on two cores. Absolute times mean little, the ratios are the result."""

from __future__ import annotations

from benchmarks import evaluation, ladder, packers, refining, sampling, speed, startup
from benchmarks.common import MODEL, built, f16_of, padded_of
from edgeq import models
from tests.conftest import smollm2_file


def main() -> None:
    """Run all, on the project's model and on SmolLM2 (a real vocabulary of 49,152 tokens)."""
    b = built()
    small = models.describe(MODEL)
    smollm2 = f16_of(smollm2_file(), b)
    startup.run(times=11)
    # Many short pairs: on a shared machine single runs differ by 15 % and more.
    speed.run(b, small, pairs=41, reps=10)
    sampling.run(b, small, pairs=21, reps=20)
    ladder.run(b, padded_of(smollm2_file()), pairs=1)
    packers.run(b, pairs=7)
    refining.run(b, pairs=5)
    evaluation.run(b, smollm2, n_chunks=8, pairs=3)


if __name__ == "__main__":
    main()
