"""Which file to ship: no rows, order or price can make the answer break its promises."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from edgeq.analyze.advice import recommend
from edgeq.analyze.advice.metrics import GOALS, Metric
from edgeq.analyze.fronts import apart, front
from edgeq.records import Estimate, Row, Tariff
from edgeq.records.advice import Choice, Goal, Wanted
from tests.test_recommend import label, only, row

# In hundredths: between values that differ by less than rounding no price of a kWh means anything.
FLOATS = st.integers(1, 10_000).map(lambda n: n / 100)
SHARES = st.integers(0, 50).map(lambda n: n / 100)
ESTIMATES = st.builds(lambda v, se: Estimate(v, None if se is None else v * se), FLOATS, st.none() | SHARES)
STEADY = st.builds(lambda v, se: Estimate(v, v * se), FLOATS, SHARES)


def one_in_four(rare: st.SearchStrategy[object], common: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    """So that most rows have figures and most wishes can be had."""
    return st.integers(0, 3).flatmap(lambda n: rare if n == 0 else common)


@st.composite
def rows(draw: st.DrawFn) -> list[Row]:
    """Up to nine files with any figures, some of which are missing or unsteady."""
    maybe = one_in_four(st.none() | ESTIMATES, STEADY)
    return [
        row(
            f"f{i}",
            draw(st.floats(1, 17)),
            kld=draw(one_in_four(st.none(), STEADY)),
            top1=draw(one_in_four(st.none(), st.floats(0, 1))),
            tps=draw(maybe),
            j=draw(maybe),
            ram=draw(one_in_four(st.none(), st.integers(1, 1000))),
            reference=i == 0 and draw(st.booleans()),
        )
        for i in range(draw(st.integers(1, 9)))
    ]


TARIFFS = st.builds(Tariff, st.floats(0, 2), st.none(), *[st.just(n) for n in (80.0, 26280.0)]) | st.builds(
    Tariff, st.floats(0, 2)
)
WANTED = st.builds(
    Wanted,
    goal=st.sampled_from([None, "quality", "speed", "energy", "cost"]),
    max_ram_bytes=one_in_four(st.integers(1, 1000), st.none()),
    min_tps=one_in_four(FLOATS, st.none()),
    max_j_per_token=one_in_four(FLOATS, st.none()),
    min_top1=one_in_four(st.floats(0.01, 1), st.none()),
    max_kld=one_in_four(FLOATS, st.none()),
    tariff=TARIFFS,
)
MANY = settings(deadline=None, max_examples=200)


def goal_of(goal: Goal | None, choice: Choice) -> Estimate:
    found = GOALS[goal].of(choice.figures)
    assert found is not None
    return found


def beats(a: Estimate, b: Estimate, metric: Metric) -> bool:
    gap = b.value - a.value if metric.lower else a.value - b.value
    return a.se is not None and b.se is not None and gap > 1.96 * math.hypot(a.se, b.se)


@MANY
@given(rows(), WANTED)
def test_the_pick_keeps_all_limits(found: list[Row], wanted: Wanted) -> None:
    answer = only(recommend(found, wanted))
    if answer.pick is None:
        assert answer.n_allowed == 0 or "not known" in answer.why
        return
    f = answer.pick.figures
    assert all(c.ok for c in answer.checks)
    assert wanted.max_ram_bytes is None or (f.rss_peak_bytes is not None and f.rss_peak_bytes <= wanted.max_ram_bytes)
    assert wanted.min_tps is None or (f.tps and f.tps.value >= wanted.min_tps)
    assert wanted.max_j_per_token is None or (f.j_per_token and f.j_per_token.value <= wanted.max_j_per_token)
    assert wanted.min_top1 is None or (f.top1 and f.top1.value >= wanted.min_top1)
    assert wanted.max_kld is None or (f.kld and f.kld.value <= wanted.max_kld)


@MANY
@given(rows(), WANTED)
def test_no_allowed_file_beats_the_pick_on_the_goal(found: list[Row], wanted: Wanted) -> None:
    answer = only(recommend(found, wanted))
    if answer.pick is None or wanted.goal is None:
        return
    own = goal_of(wanted.goal, answer.pick)
    for other in found:
        alone = only(recommend([other], wanted)).pick
        if alone:
            assert not beats(goal_of(wanted.goal, alone), own, GOALS[wanted.goal])


@MANY
@given(rows(), WANTED, st.sampled_from(["max_ram_bytes", "min_tps", "max_j_per_token", "min_top1", "max_kld"]))
def test_loosening_a_limit_never_costs(found: list[Row], wanted: Wanted, name: str) -> None:
    before = only(recommend(found, wanted)).pick
    after = only(recommend(found, replace(wanted, **{name: None}))).pick
    if before is None:
        return
    assert after is not None
    old, new = goal_of(wanted.goal, before), goal_of(wanted.goal, after)
    if wanted.goal is None and (before.bpw <= 5) != (after.bpw <= 5):
        assert after.bpw <= 5
    elif wanted.goal is None and after.bpw > 5:
        assert after.bpw <= before.bpw
    else:
        assert not beats(old, new, GOALS[wanted.goal])


@MANY
@given(rows(), WANTED, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(found: list[Row], wanted: Wanted, dice: object) -> None:
    expected = recommend(found, wanted)
    shuffled = list(found)
    dice.shuffle(shuffled)  # type: ignore[attr-defined]
    assert recommend(shuffled, wanted) == expected


@MANY
@given(rows(), TARIFFS)
def test_the_range_of_the_tariff_is_exact(found: list[Row], tariff: Tariff) -> None:
    answer = only(recommend(found, Wanted(goal="cost", tariff=tariff)))
    span = answer.tariff
    if span is None:
        return
    assert span.low <= tariff.per_kwh and (span.high is None or tariff.per_kwh <= span.high)

    def at(price: float) -> str | None:
        return label(only(recommend(found, Wanted(goal="cost", tariff=replace(tariff, per_kwh=price)))))

    high = span.high if span.high is not None else max(tariff.per_kwh, span.low, 1.0) * 1000
    for inside in np.linspace(span.low, high, 7)[1:-1]:
        assert high - span.low < 1e-9 * high or at(float(inside)) == span.label
    for end, side, follows in ((span.low, -1, span.below), (span.high, 1, span.above)):
        if end:
            assert follows not in (None, span.label)
            assert any(at(end * (1 + side * step)) == follows for step in (1e-9, 1e-7, 1e-5, 1e-3))


@MANY
@given(st.lists(st.tuples(STEADY, one_in_four(ESTIMATES, STEADY), FLOATS.map(lambda v: Estimate(v, 0.0))), max_size=9))
def test_a_front_is_what_nothing_beats(points: list[tuple[Estimate, ...]]) -> None:
    lower = (True, False, True)
    found = front(points, lower)
    assert bool(found.members) == bool(points) and found.unknown == ()
    assert sorted(i for group in found.groups for i in group) == list(found.members)
    for i, own in enumerate(points):
        beaten = any(
            all(a.se is not None and b.se is not None for a, b in zip(own, other, strict=True))
            and all(
                b.value <= a.value if low else b.value >= a.value for a, b, low in zip(own, other, lower, strict=True)
            )
            and any(apart(a, b) for a, b in zip(own, other, strict=True))
            for other in points
        )
        assert beaten == (i not in found.members)
    for group in found.groups:
        assert not any(apart(a, b) for i in group for j in group for a, b in zip(points[i], points[j], strict=True))
