"""How often `edgeq compare` is wrong about speed, by simulation: the table of docs/deciding.md, in half a minute."""

from __future__ import annotations

from benchmarks.common import say
from tests.test_compare_rates import verdicts

# (runs of each side, order of turns, by how much runs differ, trials)
CASES = (
    (1, "", 0.0085, 2000),
    (1, "", 0.01, 2000),
    (2, "", 0.01, 1000),
    (6, "abba" * 3, 0.01, 1000),
    (1, "", 0.02, 1000),
    (2, "", 0.02, 1000),
)


def main() -> None:
    """False alarms on the same thing measured twice, and slowdowns of 5 % that are found."""
    for n_runs, order, between, trials in CASES:
        same = verdicts(n_runs, between, 1.0, trials, order)
        slow = verdicts(n_runs, between, 1 / 0.95, trials, order)
        alarms = same.get("better", 0) + same.get("worse", 0)
        name = f"{len(order) // 4} x A B B A" if order else f"{n_runs} and {n_runs}"
        say(
            name,
            f"runs differ by {between:.2%}: {alarms / trials:.1%} false, {slow.get('worse', 0) / trials:.1%} found",
        )


if __name__ == "__main__":
    main()
