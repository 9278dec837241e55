"""From raw records to the table of methods: what is shown, what is left out, and verdicts that can turn."""

from __future__ import annotations

import dataclasses
import itertools

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq import plugins
from edgeq.analyze.methods import ArmFacts, methods_table
from edgeq.errors import InputError
from edgeq.gguf_info import promised_type
from edgeq.records import Adapter, Arm, Claim, MethodsTable
from edgeq.stats.matched import holm
from tests.methods_facts import (
    F16,
    F16_BYTES,
    GROUPS,
    N_ITEMS,
    N_SCORED,
    TITLES,
    arm_of,
    everything,
    file_of,
    measured,
    recipe,
    row,
    source,
    table_of,
)

# --- the table -----------------------------------------------------------------------------------------------


def test_every_arm_has_one_row_in_the_order_of_the_methods() -> None:
    table = everything()
    assert sorted(r.arm.name for r in table.rows) == sorted({r.arm.name for r in table.rows})
    assert [r.number for r in table.rows] == sorted(r.number for r in table.rows)
    assert len(table.rows) == 11 and len(table.shipping) == 1
    assert msgspec.json.decode(msgspec.json.encode(table), type=MethodsTable) == table
    assert row(table, "Q4_K").skipped == "the rows do not fit" and not row(table, "Q4_K").quality


@given(st.booleans(), st.booleans(), st.sampled_from(["exact", "simulated"]))
def test_a_figure_that_is_not_the_methods_own_is_never_there(size: bool, speed: bool, numerics: str) -> None:
    arm = arm_of("static", "Q4_0", "Q4_0", size_valid=size, speed_valid=speed, numerics=numerics)
    (found,) = table_of([measured(arm)]).rows
    exact = numerics == "exact"
    sizes = (found.n_bytes, found.bpw, found.size_reduction)
    assert all((value is not None) == (size and exact) for value in sizes)
    assert bool(found.speeds) == bool(found.speedups) == (speed and exact)
    memory = (found.rss_peak_bytes, found.rss_reduction)
    assert all((value is not None) == (size and speed and exact) for value in memory)
    assert not found.energies and found.quality and found.tasks and found.weight_bpw


def test_size_counts_the_adapter_and_speed_is_against_the_reference() -> None:
    found = row(everything(), "Q4_0")
    assert found.size_reduction == pytest.approx(0.72) and found.rss_reduction == pytest.approx(0.71)
    assert found.speedups.keys() == {"pp64", "tg16"}
    for figure in found.speedups.values():
        assert figure.estimate.value == pytest.approx(2.0, rel=1e-3)
        assert figure.ci95 and figure.ci95[0] < 2.0 < figure.ci95[1]
    arm = arm_of("static", "Q4_0", "Q4_0")
    adapter = Adapter("a", "s", F16_BYTES // 10, 16, "F16")
    (found,) = table_of([measured(arm, adapter=adapter)]).rows
    assert found.size_reduction == pytest.approx(0.62)


def test_speeds_that_were_measured_otherwise_are_not_compared() -> None:
    arm = measured(arm_of("static", "Q4_0", "Q4_0"))
    assert arm.bench
    settings = msgspec.structs.replace(arm.bench.settings, n_threads=7)
    other = ArmFacts(arm.arm, arm.model, bench=msgspec.structs.replace(arm.bench, settings=settings))
    assert table_of([other]).rows[0].speedups == {}
    # One repetition took ten times as long: a ratio, but no interval and no verdict.
    slow = [*arm.bench.phases[:-1], msgspec.structs.replace(arm.bench.phases[-1], t1_ns=10**12)]
    unsteady = ArmFacts(
        arm.arm, arm.model, evals=arm.evals, bench=msgspec.structs.replace(arm.bench, phases=tuple(slow))
    )
    table = table_of([unsteady])
    assert table.rows[0].speedups["tg16"].ci95 is None and table.rows[0].speedups["pp64"].ci95
    assert "unsteady" in [note.code for note in table.warnings]
    assert {c.verdict for c in table.claims if "tg16" in c.aspect} == {"not measurable here"}


def test_errors_of_quality_are_over_chunks_of_text() -> None:
    found = row(everything(), "Q4_0").quality["inside.txt"]
    (record, _) = measured(arm_of("static", "Q4_0", "Q4_0"), kld=0.3, loss=0.07).evals
    chunks = np.frombuffer(record.kld_f32, "<f4").astype(float).reshape(30, N_SCORED).mean(1)
    assert found.kld and found.kld.value == pytest.approx(chunks.mean())
    assert found.kld.se == pytest.approx(chunks.std(ddof=1) / np.sqrt(30))
    assert found.ppl_ratio and found.ppl_ratio.value == pytest.approx(1.07, rel=2e-3)


def test_generation_is_held_against_the_reference() -> None:
    table = everything()
    found = row(table, "Q4_0").stability
    assert found and found.deterministic and found.first_divergence == 40
    assert found.same_prefix == {"32": 1.0, "64": 0.0, "128": 0.0}
    never = row(table, "Q4_K-imatrix").stability
    assert never and never.first_divergence is None and never.same_prefix["128"] == 1.0
    own = table.reference.stability
    assert own and own.same_prefix == {} and own.first_divergence is None and own.loops == 0.0


def test_late_divergence_is_a_ratio_of_the_same_chunks() -> None:
    rising = measured(arm_of("static", "Q4_0", "Q4_0"), late=16.0)
    found = table_of([rising]).rows[0].late_kld_ratio
    # Means of the first and last of four geometric steps that make 16 together.
    assert found and found.estimate.value == pytest.approx(8, rel=0.05)
    assert found.ci95 and found.ci95[0] > 7


# --- tasks ---------------------------------------------------------------------------------------------------


def test_tasks_are_paired_by_question_and_corrected_for_the_number_of_arms() -> None:
    names = ["a", "b", "c"]
    arms = [measured(arm_of("static", name, "Q4_0"), right=48 - 4 * i) for i, name in enumerate(names)]
    table = table_of(arms)
    for i, found in enumerate(table.rows):
        for result in found.tasks:
            assert result.difference.estimate.value == pytest.approx(-4 * i / N_ITEMS)
            assert result.flips == pytest.approx(4 * i / N_ITEMS)
            assert result.nll_difference.value == pytest.approx(4 * i / N_ITEMS * 3.5 / 2)
            assert result.token_accuracy == pytest.approx((48 - 4 * i) / N_ITEMS)
    p = [found.tasks[0].p for found in table.rows]
    assert [found.tasks[0].p_holm for found in table.rows] == pytest.approx(holm(p))
    assert table.rows[2].tasks[2].by_place.keys() == {"0 %", "25 %"}
    assert table.rows[2].tasks[0].group == "numerics"


def test_what_the_reference_cannot_do_is_no_loss() -> None:
    guessing = source(right=31, chance=0.5)
    table = table_of([measured(arm_of("static", "Q4_0", "Q4_0"), right=1)], guessing)
    assert table.rows[0].groups == {} and table.rows[0].tasks
    assert "beyond-reference" in [note.code for note in table.warnings]
    assert "guessing" in of(table, "tasks, Q4_0").reason


def test_other_questions_are_not_compared() -> None:
    facts = measured(arm_of("static", "Q4_0", "Q4_0"))
    moved = tuple(msgspec.structs.replace(t, items_sha256="x") for t in facts.tasks)
    found = table_of([ArmFacts(facts.arm, facts.model, tasks=moved, evals=facts.evals)])
    assert found.rows[0].tasks == () and found.rows[0].groups == {}


# --- claims --------------------------------------------------------------------------------------------------


def of(table: MethodsTable, aspect: str, text: str = "") -> Claim:
    """The one claim whose aspect begins so."""
    (found,) = (c for c in table.claims if c.aspect.startswith(aspect) and text in c.text)
    return found


VERDICTS = ("supported", "not supported", "not measurable here")


@pytest.mark.parametrize(
    ("aspect", "good", "bad"),
    [
        ("perplexity", {"loss": 0.02}, {"loss": 0.05}),
        ("tasks", {"right": 58}, {"right": 20}),
        ("file", {"size": 0.3}, {"size": 0.4}),
        ("resident peak", {"size": 0.3}, {"size": 0.4}),
        ("prefill", {"ms": 5.0}, {"ms": 9.0}),
        ("decode", {"ms": 5.0}, {"ms": 12.0}),
    ],
)
def test_a_verdict_on_4_bits_turns_with_its_figure(aspect: str, good: dict[str, float], bad: dict[str, float]) -> None:
    arm = arm_of("static", "Q4_0", "Q4_0")
    for values, verdict in ((good, "supported"), (bad, "not supported")):
        found = of(table_of([measured(arm, **values)]), aspect, "4 bits")  # type: ignore[arg-type]
        assert found.verdict == verdict, found
        assert found.figure and "Q4_0" in found.basis


def test_an_interval_that_straddles_is_no_verdict() -> None:
    few = measured(arm_of("static", "Q4_0", "Q4_0"), loss=0.0301, n_chunks=2)
    found = of(table_of([few]), "perplexity", "4 bits")
    assert found.verdict == "not measurable here" and "straddles 3 %" in found.reason
    assert found.figure and found.figure.ci95 and found.figure.ci95[0] < 0.03 < found.figure.ci95[1]


def test_2_bits_are_held_to_their_own_claims() -> None:
    arm = arm_of("extreme", "IQ2_S", "IQ2_S", True)
    bad = table_of([measured(arm, loss=0.5, size=0.2, ms=6.0, right=4, late=4.0)])
    good = table_of([measured(arm, loss=0.05, size=0.14, ms=4.0, right=48, late=0.5)])
    for aspect, text in (("perplexity", "2 bits are"), ("file", "2 bits take"), ("decode", "2 bits are")):
        assert of(bad, aspect, text).verdict == "not supported"
        assert of(good, aspect, text).verdict == "supported"
    for group in (*GROUPS.values(), "KLD late"):
        assert of(bad, group, "2 bits fail").verdict == "supported"
        assert of(good, group, "2 bits fail").verdict == "not supported"
    assert "no file with 4-bit weights" in of(good, "accuracy", "4 bits").reason


@pytest.mark.parametrize(("on_label", "said"), [(0.2, True), (0.8, False), (None, False)])
def test_a_file_that_is_not_what_it_is_named_is_said_to_be_none(on_label: float | None, said: bool) -> None:
    facts = measured(arm_of("extreme", "IQ2_S", "IQ2_S", True))
    assert facts.model
    facts = dataclasses.replace(facts, model=msgspec.structs.replace(facts.model, on_label=on_label))
    assert [n.text.split(":")[0] for n in table_of([facts]).warnings if n.code == "off-label"] == ["IQ2_S"] * said


def test_the_plain_and_the_best_arm_are_found_by_what_they_are() -> None:
    table = everything()
    for text, names in (("4 bits", ["Q4_0", "Q4_K_M (mix)"]), ("2 bits are 4", ["IQ2_S"])):  # the other is a control
        assert [c.aspect for c in table.claims if text in c.text and c.aspect.startswith("perplexity")] == [
            f"perplexity, {name}" for name in names
        ]
    # A file that is called 2-bit but whose rows made llama.cpp choose another type is none.
    off = measured(arm_of("extreme", "Q2_K", "Q2_K"), tensor_type="Q4_0")
    claim = of(table_of([off]), "accuracy", "2 bits")
    assert claim.verdict == "not measurable here" and "Q2_K has 4.50 bits" in claim.reason


@pytest.mark.parametrize(("calibrated", "verdict"), [(0.05, VERDICTS[0]), (0.12, VERDICTS[1])])
def test_calibration_is_held_against_one_more_bit(calibrated: float, verdict: str) -> None:
    arms = [
        measured(arm_of("dynamic", "Q4_K", "Q4_K_M"), kld=0.2),
        measured(arm_of("dynamic", "Q5_K", "Q5_K_M"), kld=0.07),
        measured(arm_of("activation_aware", "Q4_K-imatrix", "Q4_K_M", True), kld=calibrated),
    ]
    found = of(table_of(arms), "KLD of Q4_K-imatrix over that of Q5_K")
    assert found.verdict == verdict and found.figure
    assert found.figure.estimate.value == pytest.approx(calibrated / 0.07, rel=1e-3)
    assert "without calibration Q4_K has 0.186" in found.reason
    assert of(table_of(arms[:2]), "a type, and the next one").verdict == "not measurable here"


def test_i_quants_are_held_against_themselves_without_calibration() -> None:
    for without, verdict in ((6.0, "supported"), (0.6, "not supported")):
        arms = [
            measured(arm_of("extreme", "IQ3_S", "IQ3_S", True), kld=0.5),
            measured(arm_of("extreme", "IQ3_S-plain", "IQ3_S", control=True), kld=without),
        ]
        assert of(table_of(arms), "KLD of IQ3_S over that of IQ3_S-plain", "i-quants").verdict == verdict


ORDERED = {
    "finer": [("per_tensor", "T", "Q4_0", None), ("per_channel", "C", "Q4_0", None)],
    "dynamic": [("static", "S", "Q8_0", "static-tensor"), ("dynamic", "D", "Q8_0", "dynamic-tensor")],
    "asymmetric": [("symmetric", "Q4_0", "Q4_0", None), ("asymmetric", "Q4_1", "Q4_1", None)],
}


@pytest.mark.parametrize("name", ORDERED)
def test_orderings_turn_with_the_divergences(name: str) -> None:
    text = {"finer": "finer", "dynamic": "Dynamic", "asymmetric": "Asymmetric"}[name]
    for worse, better, verdict in ((0.4, 0.1, "supported"), (0.1, 0.4, "not supported")):
        arms = []
        for (method, label, file_type, activations), kld in zip(ORDERED[name], (worse, better), strict=True):
            made = recipe("same" if activations else label, file_type, method)
            arms.append(measured(Arm(method, label, made, activations), kld=kld))  # type: ignore[arg-type]
        labels = [label for _, label, _, _ in ORDERED[name]]
        found = of(table_of(arms), f"KLD of {labels[1]} over that of {labels[0]}", text)
        assert found.verdict == verdict
    missing = [c for c in table_of(arms[:1]).claims if text in c.text]
    assert {c.verdict for c in missing} == {"not measurable here"} and all(c.reason for c in missing)


def test_every_claim_is_answered_whatever_is_missing() -> None:
    texts = {c.text for c in everything().claims}
    nothing = table_of([ArmFacts(arm_of("static", "Q4_0", "Q4_0"), None, "no")])
    bare = ArmFacts(arm_of("static", "Q4_0", "Q4_0"), file_of(arm_of("static", "Q4_0", "Q4_0"), 1000))
    for table in (nothing, table_of([bare])):
        assert {c.text for c in table.claims} == texts
        assert all(c.reason for c in table.claims if c.verdict == "not measurable here")
    assert {c.verdict for c in nothing.claims} == {"not measurable here"}
    assert all(c.figure for c in everything().claims if c.verdict != "not measurable here")


def test_the_arms_of_the_shelf_answer_the_claims() -> None:
    """Each claim finds arms that show it among those that are really made."""
    methods = [plugins.module("quants", name) for name in plugins.modules("quants")]
    made = [
        measured(arm, tensor_type=promised_type(arm.recipe.file_type) or "" if arm.recipe else "", loss=0.5, right=5)
        for method in methods
        for arm in method.ARMS
        if method.NUMBER
    ]
    unanswered = {c.text for c in everything().claims} - {c.text for c in table_of(made).claims if c.figure}
    assert all("i-quants" in text for text in unanswered)


def test_nothing_measured_is_refused() -> None:
    empty = ArmFacts(Arm("", "F16", None), F16)
    with pytest.raises(InputError):
        methods_table(empty, [], [], floor=[], titles=TITLES, groups={}, calibration=())


def test_names_decide_nothing() -> None:
    """The same arms under other names give the same verdicts and figures."""
    arms = [
        measured(arm_of("static", "Q4_0", "Q4_0"), kld=0.3),
        measured(arm_of("activation_aware", "Q4_0-imatrix", "Q4_0", True), kld=0.2),
        measured(arm_of("dynamic", "Q5_0", "Q5_0"), kld=0.1),
        measured(arm_of("extreme", "IQ2_S", "IQ2_S", True), kld=1.0),
    ]
    renamed = [
        ArmFacts(**{**vars(f), "arm": msgspec.structs.replace(f.arm, name=f"arm {i}")}) for i, f in enumerate(arms)
    ]
    one, other = table_of(arms).claims, table_of(renamed).claims
    for a, b in itertools.zip_longest(one, other):
        assert (a.text, a.verdict, a.figure) == (b.text, b.verdict, b.figure)
