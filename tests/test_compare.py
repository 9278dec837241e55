"""Comparing measurements: what is called a difference, what is not, and what can't be compared."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
import numpy as np
import pytest

from edgeq.analyze.compare import Side, compare
from edgeq.errors import InputError
from edgeq.records import (
    BenchRecord,
    BenchSettings,
    BenchTest,
    Channel,
    Corpus,
    EvalRecord,
    EvalSettings,
    Gguf,
    Phase,
    Profile,
    Scope,
    Trace,
)
from edgeq.records.compare import Change, ComparisonReport
from tests.test_analyze import BUILD, HOST, file

N_GEN = 16
SETTINGS = BenchSettings((BenchTest(0, N_GEN),), n_threads=2)
STEADY = np.array([1.0, 1.001, 0.999, 1.002, 0.998, 1.0, 1.001, 0.999, 1.0, 1.0])
N_CTX, FIRST = 64, 31
SIZE = N_CTX - 1 - FIRST


def bench(model: Gguf, times_s: np.ndarray, begun_s: float = 0.0, **more: Any) -> BenchRecord:
    """A record of one test whose repetitions took these times."""
    edges = np.round((begun_s + np.concatenate(([0.0], np.cumsum(times_s)))) * 1e9).astype(int).tolist()
    phases = tuple(
        Phase("decode", f"tg{N_GEN}", i, N_GEN, t0, t1) for i, (t0, t1) in enumerate(itertools.pairwise(edges))
    )
    record = BenchRecord(model, BUILD, Profile("p"), HOST, SETTINGS, phases, (), (), None, None)
    return msgspec.structs.replace(record, **more)


def scored(model: Gguf, nll: np.ndarray, kld: np.ndarray, top: np.ndarray, **more: Any) -> EvalRecord:
    """An evaluation with these values per token."""
    record = EvalRecord(
        model=model,
        reference=file("F16", 2000),
        build=BUILD,
        host=HOST,
        corpus=(Corpus("text", "c", 1),),
        tokens_sha256="tokens",
        settings=EvalSettings(n_ctx=N_CTX, first=FIRST),
        n_tokens=len(nll),
        nll_f32=nll.astype("<f4").tobytes(),
        reference_nll_f32=nll.astype("<f4").tobytes(),
        kld_f32=kld.astype("<f4").tobytes(),
        same_top_u8=top.astype(np.uint8).tobytes(),
    )
    return msgspec.structs.replace(record, **more)


def side(*records: BenchRecord | EvalRecord) -> Side:
    return Side([r for r in records if isinstance(r, BenchRecord)], [r for r in records if isinstance(r, EvalRecord)])


def the(report: ComparisonReport, quantity: str) -> Change:
    """The only change of this quantity."""
    (found,) = [c for pair in report.pairs for c in pair.changes if c.quantity == quantity]
    return found


def benches(*models: Gguf) -> Side:
    return side(*(bench(m, STEADY) for m in models))


def qualities(n_chunks: int, kld: float = 1.0, nll: float = 0.0, agree: float = 0.9, **more: Any) -> EvalRecord:
    """The same text each time, on which a model is ``kld`` times as far off and ``nll`` nats worse."""
    rng = np.random.default_rng(5)
    n = n_chunks * SIZE
    base = rng.lognormal(-4, 1, n)
    top = rng.random(n) < agree
    jitter = rng.normal(0, 0.01, n)
    return scored(file("Q4_K_M"), 3 + base + nll + jitter * (nll != 0), base * kld, top, **more)


# --- what may be compared with what -------------------------------------------------------------------------------


def test_a_slowdown_is_worse_and_a_speedup_better() -> None:
    one, fast, slow = (bench(file("Q4_K_M"), STEADY * s) for s in (1, 0.9, 1.1))
    assert the(compare(side(one), side(slow)), "tps").verdict == "worse"
    assert the(compare(side(one), side(fast)), "tps").verdict == "better"
    report = compare(side(one), side(one))
    assert the(report, "tps").verdict == "indistinguishable"
    assert the(report, "tps").a == pytest.approx(N_GEN * 10 / STEADY.sum())
    assert [n.code for n in report.notes] == ["assumed-spread"]


def test_one_difference_is_what_is_compared_and_two_are_too_many() -> None:
    base = bench(file("Q4_K_M"), STEADY)
    build = msgspec.structs.replace(BUILD, key="k2", llama_commit="newer")
    host = msgspec.structs.replace(HOST, governor="powersave")
    settings = msgspec.structs.replace(SETTINGS, n_threads=4, type_k="q8_0", n_reps=3)
    changed: dict[str, dict[str, Any]] = {
        "file": {"model": file("Q8_0")},
        "build": {"build": build},
        "settings": {"settings": settings},
        "host": {"host": host},
    }
    words = {
        "file": ("Q4_K_M", "Q8_0"),
        "build": ("cpu c", "cpu newer"),
        "settings": ("n_threads 2, type_k f16", "n_threads 4, type_k q8_0"),
        "host": ("governor unknown", "governor powersave"),
    }
    for kind, more in changed.items():
        (pair,) = compare(side(base), side(bench(**{"model": file("Q4_K_M"), "times_s": STEADY, **more}))).pairs
        assert [(d.kind, d.a, d.b) for d in pair.differences] == [(kind, *words[kind])]
        assert pair.changes[0].verdict == "indistinguishable"
    for one, other in itertools.combinations(changed, 2):
        more = {"model": file("Q4_K_M"), "times_s": STEADY, **changed[one], **changed[other]}
        change = the(compare(side(base), side(bench(**more))), "tps")
        assert change.verdict == "not comparable" and change.a and change.b
        assert f"{one} ({words[one][0]} → {words[one][1]})" in change.reason and f"{other} (" in change.reason


def test_repetitions_that_are_no_repetitions_are_not_compared() -> None:
    steady = bench(file("Q4_K_M"), STEADY)
    for times, why in (
        (np.linspace(1, 1.3, 10), "B drifting"),
        (np.where(np.arange(10) % 2, 1.0, 1.3) * STEADY, "B bimodal"),
        (STEADY[:2], "B only 2 repetitions"),
        (STEADY[:1], "B only one repetition"),
    ):
        change = the(compare(side(steady), side(bench(file("Q4_K_M"), times))), "tps")
        assert change.verdict == "not comparable" and change.reason == why
    # Beside a steady run, the other one is left out.
    runs = side(steady, bench(file("Q4_K_M"), np.linspace(1, 1.3, 10), turn=1))
    change = the(compare(side(steady), runs), "tps")
    assert change.verdict == "indistinguishable" and change.left_out == ("B drifting in 1 of 2 runs",)


def throttle_trace(n: int, throttled: bool) -> Trace:
    channel = Channel("throttled", "throttle", "gauge", "flag", "board", sensor="pi", update_period_s=0.1)
    t_ns = (np.arange(n) * 10**8).astype("<i8")
    return Trace(channel, t_ns.tobytes(), np.full(n, float(throttled)).astype("<f8").tobytes())


def test_a_device_that_throttled_is_not_compared() -> None:
    cool, hot = (bench(file("Q4_K_M"), STEADY, traces=(throttle_trace(110, t),)) for t in (False, True))
    assert the(compare(side(cool), side(cool)), "tps").verdict == "indistinguishable"
    change = the(compare(side(cool), side(hot)), "tps")
    assert change.verdict == "not comparable" and change.reason == "B throttled (confirmed: throttled)"


def metered(
    watts: float, scope: Scope = "board", sensor: str = "meter", estimated: bool = False, **more: Any
) -> BenchRecord:
    """A bench beside a meter that shows one power."""
    channel = Channel("power", "power", "gauge", "W", scope, sensor=sensor, update_period_s=0.01, estimated=estimated)
    t_ns = (np.arange(1100) * 10**7).astype("<i8")
    trace = Trace(channel, t_ns.tobytes(), np.full(1100, watts).astype("<f8").tobytes())
    return bench(**{"model": file("Q4_K_M"), "times_s": STEADY, "traces": (trace,), **more})


def test_energy_is_compared_where_it_was_seen_from_the_same_place() -> None:
    base = metered(5.0)
    worse, same = (the(compare(side(base), side(metered(w))), "j_per_token") for w in (6.0, 5.0))
    assert (worse.verdict, same.verdict) == ("worse", "indistinguishable")
    assert worse.a == pytest.approx(5 * STEADY.mean() / N_GEN) and worse.scope == "board"
    assert worse.change and worse.change.value == pytest.approx(1.2)
    assert the(compare(side(metered(6.0)), side(base)), "j_per_token").verdict == "better"
    for other in (metered(5.0, "wall"), metered(5.0, sensor="another")):
        change = the(compare(side(base), side(other)), "j_per_token")
        assert change.verdict == "not comparable" and "scope board" in change.reason
    guess = metered(5.0, estimated=True)
    assert the(compare(side(guess), side(guess)), "j_per_token").estimated and not same.estimated
    none = compare(side(base), side(bench(file("Q4_K_M"), STEADY)))
    assert {c.quantity for c in none.pairs[0].changes} == {"tps"}
    slower = metered(5.0, host=msgspec.structs.replace(HOST, governor="powersave"), model=file("Q8_0"))
    assert "more than one" in the(compare(side(base), side(slower)), "j_per_token").reason


def test_energy_in_turns_is_the_ratio_of_joules() -> None:
    def turn(i: int, watts: float) -> BenchRecord:
        record = metered(watts * (1 + 0.001 * (i % 3)), turn=i)
        shift = 20 * i * 10**9
        phases = tuple(msgspec.structs.replace(p, t0_ns=p.t0_ns + shift, t1_ns=p.t1_ns + shift) for p in record.phases)
        traces = tuple(
            Trace(t.channel, (np.frombuffer(t.t_ns_i64, "<i8") + shift).tobytes(), t.value_f64) for t in record.traces
        )
        return msgspec.structs.replace(record, phases=phases, traces=traces)

    runs = [(name, turn(i, 5.0 if name == "a" else 6.0)) for i, name in enumerate("abba" * 3)]
    a, b = (side(*(record for name, record in runs if name == which)) for which in "ab")
    change = the(compare(a, b), "j_per_token")
    assert change.basis == "3 blocks A B B A" and change.verdict == "worse"
    assert change.change and change.change.value == pytest.approx(1.2, rel=0.01)


def test_memory_is_compared_where_the_same_tests_were_run() -> None:
    base, more, less = (bench(file("Q4_K_M"), STEADY, rss_peak_bytes=n) for n in (1000, 1200, 800))
    assert the(compare(side(base), side(more)), "ram").verdict == "worse"
    assert the(compare(side(base), side(less)), "ram").verdict == "better"
    assert the(compare(side(base), side(base)), "ram").verdict == "indistinguishable"
    phase = Phase("prefill", "pp64", 0, 64, 20 * 10**9, 21 * 10**9)
    tests = (*SETTINGS.tests, BenchTest(64, 0))
    other = msgspec.structs.replace(
        base, phases=(*base.phases, phase), settings=msgspec.structs.replace(SETTINGS, tests=tests)
    )
    assert the(compare(side(base), side(other)), "ram").reason == "the two sides ran different tests"
    assert [c.test for c in compare(side(base), side(other)).pairs[0].changes] == ["tg16", ""]


# --- which file belongs to which ----------------------------------------------------------------------------------


def names(report: ComparisonReport) -> list[tuple[str, str]]:
    return [(pair.a_sha256, pair.b_sha256) for pair in report.pairs]


def test_files_are_paired_by_hash_then_by_name() -> None:
    old, new = file("Q4_K_M", sha256="old"), file("Q4_K_M", sha256="new")
    same, lone = file("Q8_0", 2000), file("IQ3_XXS")
    report = compare(benches(same, old, lone), benches(new, same, file("Q2_K")))
    assert names(report) == [("Q8_0", "Q8_0"), ("old", "new")]
    assert report.unpaired == ("A: IQ3_XXS", "B: Q2_K")
    # Two of a kind can't be told apart.
    assert names(compare(benches(same, old, file("Q4_K_M", sha256="old2")), benches(new, same))) == [("Q8_0", "Q8_0")]
    # One on each side are a pair, whatever they are called.
    assert names(compare(benches(file("Q2_K")), benches(same))) == [("Q2_K", "Q8_0")]


def test_configurations_are_matched_with_the_nearest() -> None:
    four = msgspec.structs.replace(SETTINGS, n_threads=4)
    both = [bench(file("Q4_K_M"), STEADY), bench(file("Q4_K_M"), STEADY, settings=four)]
    report = compare(side(*both), side(*reversed(both)))
    assert [pair.differences for pair in report.pairs] == [(), ()]
    report = compare(side(*both), side(both[1]))
    assert [pair.differences for pair in report.pairs] == [()] and report.unpaired == ("A: Q4_K_M in 1 configuration",)


def test_nothing_in_common_is_said() -> None:
    for a, b in (
        (benches(file("Q2_K"), file("Q8_0")), benches(file("Q4_K_M"))),
        (benches(file("Q4_K_M")), side(qualities(5))),
    ):
        with pytest.raises(InputError, match="nothing to compare"):
            compare(a, b)


def test_of_many_comparisons_some_differ_by_chance() -> None:
    models = [file(f"Q{i}") for i in range(20)]
    assert "many-comparisons" in {n.code for n in compare(benches(*models), benches(*models)).notes}
