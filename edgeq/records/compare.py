"""What was found when one measurement was held against another."""

from __future__ import annotations

from typing import Literal

from edgeq.records.base import Note, Record
from edgeq.records.decide import Estimate

Quantity = Literal["tps", "kld", "top1", "ppl", "j_per_token", "ram"]
Verdict = Literal["better", "worse", "indistinguishable", "not comparable"]


class Difference(Record, frozen=True):
    """One thing that is not the same on both sides, and what it is on each."""

    kind: Literal["file", "build", "settings", "host"]
    a: str
    b: str


class Change(Record, frozen=True):
    """One quantity on both sides and how it has changed, B against the baseline A.

    ``a``, ``b``: in ``unit`` (t/s, nats, J/token, bytes; a share of 1 for ``top1``, "" for the perplexity).
    ``change``: the ratio B over A; for ``top1`` the difference B - A as a share of 1. ``ci95``: its 95 % interval.
    ``basis`` says where the interval comes from, ``reason`` why there is none. ``scope``: of the energy. ``assumed``:
    the spread between runs was not measured. ``left_out``: runs that were not used, and why. ``estimated``: the energy
    comes from a model, not from a meter.
    """

    quantity: Quantity
    unit: str
    a: float | None
    b: float | None
    verdict: Verdict
    change: Estimate | None = None
    ci95: tuple[float, float] | None = None
    test: str = ""
    scope: str = ""
    basis: str = ""
    reason: str = ""
    assumed: bool = False
    left_out: tuple[str, ...] = ()
    estimated: bool = False


class Compared(Record, frozen=True):
    """One file of A beside one of B. ``differences``: all that is not the same in how they were measured."""

    name: str
    a_sha256: str
    b_sha256: str
    differences: tuple[Difference, ...]
    changes: tuple[Change, ...]


class Limit(Record, frozen=True):
    """How much a quantity may change for the worse: ``allowed`` as a share of 1, below 0 where less is worse."""

    quantity: Quantity
    allowed: float


class Check(Record, frozen=True):
    """What became of one limit. It fails where a whole interval lies beyond it.

    ``text``: for which files and tests it has failed, could not be decided, or has passed by a wide interval only.
    """

    limit: Limit
    verdict: Literal["passed", "failed", "not comparable"]
    text: str


class ComparisonReport(Record, frozen=True):
    """Everything that two sides have in common, A being the baseline. ``unpaired``: what only one side has."""

    pairs: tuple[Compared, ...]
    unpaired: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()
    checks: tuple[Check, ...] = ()
