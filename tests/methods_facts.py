"""Raw records of arms with known answers: what is measured of each is what it was made with."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from edgeq.analyze.methods import ArmFacts, methods_table
from edgeq.records import (
    Activations,
    Arm,
    BenchRecord,
    BenchSettings,
    BenchTest,
    Build,
    Corpus,
    EvalRecord,
    EvalSettings,
    GenerationRecord,
    Gguf,
    Host,
    MethodRow,
    MethodsTable,
    Phase,
    Profile,
    Recipe,
    TaskRecord,
)

HOST = Host("A processor", "x86_64", 2, 2, (), (), "os", "kernel", 1 << 34, None, "3.11")
BUILD = Build("key", "cpu", "t", "0c1e570", (), "gcc", "/b", {}, {}, 1.0)
SETTINGS = EvalSettings(n_ctx=64, first=32)
N_SCORED, N_ITEMS, N_PROMPTS, N_IDS = 31, 60, 8, 128
F16_BYTES, F16_RSS = 2_000_000, 3_000_000
TEXTS = ("inside.txt", "outside.txt")
TITLES = {
    "static": (1, "PTQ static"),
    "dynamic": (2, "PTQ dynamic"),
    "symmetric": (4, "symmetric"),
    "asymmetric": (5, "asymmetric"),
    "per_tensor": (6, "per-tensor"),
    "per_channel": (7, "per-channel"),
    "group_wise": (8, "group-wise"),
    "activation_aware": (10, "activation-aware"),
    "extreme": (12, "extreme 2-bit"),
}
GROUPS = {"arithmetic": "numerics", "syllogisms": "reasoning", "retrieval": "long context"}
F16 = Gguf("f16.gguf", "f16", F16_BYTES, "llama", "A model", 1_000_000, 2, "F16", 16.0, {"F16": 990_000}, None)


def recipe(name: str, file_type: str, method: str, imatrix: bool = False, **options: int) -> Recipe:
    return Recipe(name, file_type, method, imatrix, True, (), "q8_0", "q8_0", dict(options))


def file_of(arm: Arm, n_bytes: int, tensor_type: str = "", **more: object) -> Gguf:
    """A file of the arm's recipe whose matrices have the type, and its embeddings Q8_0."""
    made = arm.recipe
    if made is None:
        return F16
    name = tensor_type or made.file_type.removesuffix("_M")
    types = {name: 800_000, "Q8_0": 190_000, "F32": 10_000}
    found = Gguf(
        f"{made.name}.gguf", f"sha-{made.name}", n_bytes, "llama", "A model", 1_000_000, 2, made.file_type,
        n_bytes * 8 / 1_000_000, types, None, recipe=made, imatrix_sha256="i" if made.imatrix else None, made_s=1.0,
    )  # fmt: skip
    return msgspec.structs.replace(found, **more)


def evaluation(
    model: Gguf,
    kld: float | None,
    loss: float = 0.0,
    text: str = TEXTS[0],
    n_chunks: int = 30,
    settings: EvalSettings = SETTINGS,
    activations: Activations | None = None,
    late: float = 1.0,
) -> EvalRecord:
    """Chunks that differ the same way for every model; KLD rises along each to ``late`` times where it began."""
    size = settings.n_ctx - 1 - settings.first
    rng = np.random.default_rng(7)
    level = np.repeat(rng.lognormal(0, 0.2, n_chunks), size)
    reference = 3 * level
    rise = np.tile(np.geomspace(1, late, size), n_chunks)
    found = np.zeros(0) if kld is None else kld * level * rise * rng.lognormal(0, 0.1, n_chunks * size)
    nll = reference + np.log1p(loss) + rng.normal(0, 0.01, len(level)) * (kld is not None)
    return EvalRecord(
        model=model,
        reference=F16,
        build=BUILD,
        host=HOST,
        corpus=(Corpus(text, f"sha-{text}", 1000),),
        tokens_sha256=f"tokens-{text}",
        settings=settings,
        n_tokens=len(level),
        nll_f32=nll.astype("<f4").tobytes(),
        reference_nll_f32=reference.astype("<f4").tobytes(),
        kld_f32=found.astype("<f4").tobytes(),
        same_top_u8=(found < np.median(found) * 2).astype(np.uint8).tobytes() if len(found) else b"",
        activations=activations,
    )


def task(model: Gguf, name: str, n_right: int, n: int = N_ITEMS, chance: float = 0.0) -> TaskRecord:
    """The first ``n_right`` questions right."""
    right = (np.arange(n) < n_right).astype(np.uint8)
    return TaskRecord(
        model=model,
        build=BUILD,
        host=HOST,
        activations=None,
        task=name,
        level=1,
        seed=1,
        chance=chance,
        items_sha256=f"items-{name}",
        n_items=n,
        correct_u8=right.tobytes(),
        nll_f32=np.where(right, 0.5, 4.0).astype("<f4").tobytes(),
        n_tokens_u16=np.full(n, 2, "<u2").tobytes(),
        n_top_u16=(2 * right).astype("<u2").tobytes(),
        places=tuple(f"{25 * (i % 2)} %" for i in range(n)) if name == "retrieval" else (),
    )


def generation(model: Gguf, same: int) -> GenerationRecord:
    """Continuations that leave the reference's after ``same`` tokens."""
    ids = np.random.default_rng(5).integers(0, 500, (N_PROMPTS, N_IDS), dtype="<i4")
    ids[:, same:] += 1000
    return GenerationRecord(model, BUILD, HOST, "prompts", N_PROMPTS, N_IDS, 3, 3, ids.tobytes())


def bench(model: Gguf, ms: float, rss: int) -> BenchRecord:
    """Five repetitions of pp64 and of tg16, of ``ms`` for each token, almost the same every time."""
    phases, at = [], 10**9
    for test, n in (("pp64", 64), ("tg16", 16)):
        for rep in range(5):
            took = int(n * ms * 1e6 * (1 + 0.001 * (rep % 3)))
            phases.append(Phase("prefill" if test[0] == "p" else "decode", test, rep, n, at, at + took))
            at += took
    tests = (BenchTest(64, 0), BenchTest(0, 16))
    return BenchRecord(model, BUILD, Profile("p"), HOST, BenchSettings(tests), tuple(phases), (), (), rss, 1)


def measured(
    arm: Arm,
    *,
    kld: float = 0.1,
    loss: float = 0.02,
    size: float = 0.28,
    ms: float = 5.0,
    right: int = 45,
    late: float = 1.0,
    same: int = 40,
    n_chunks: int = 30,
    **more: object,
) -> ArmFacts:
    """An arm with every kind of record. ``size``: share of the reference's bytes, and about that of its memory."""
    model = file_of(arm, int(F16_BYTES * size), **more)  # type: ignore[arg-type]
    long = EvalSettings(n_ctx=130, first=1)
    return ArmFacts(
        arm=arm,
        model=model,
        evals=tuple(evaluation(model, kld, loss, text, n_chunks, activations=arm.activations) for text in TEXTS),
        long_eval=evaluation(model, kld, settings=long, late=late),
        tasks=tuple(task(model, name, right) for name in GROUPS),
        generation=generation(model, same),
        bench=bench(model, ms, int(F16_RSS * (size + 0.01))),
        seconds=2.0,
    )


def source(right: int = 48, ms: float = 10.0, chance: float = 0.0) -> ArmFacts:
    return ArmFacts(
        Arm("", "F16", None),
        F16,
        evals=tuple(evaluation(F16, None, text=text) for text in TEXTS),
        tasks=tuple(task(F16, name, right, chance=chance) for name in GROUPS),
        generation=generation(F16, N_IDS),
        bench=bench(F16, ms, F16_RSS),
    )


def arm_of(method: str, name: str, file_type: str, imatrix: bool = False, **more: object) -> Arm:
    return Arm(method, name, recipe(name, file_type, method, imatrix), **more)  # type: ignore[arg-type]


def table_of(
    arms: Sequence[ArmFacts], reference: ArmFacts | None = None, shipping: Sequence[ArmFacts] = ()
) -> MethodsTable:
    floor = [evaluation(F16, 1e-7, text=text) for text in TEXTS]
    return methods_table(
        reference or source(), arms, shipping, floor=floor, titles=TITLES, groups=GROUPS, calibration=TEXTS[:1]
    )  # fmt: skip


def everything() -> MethodsTable:
    """An arm of every sort: native, container, simulated, calibrated, skipped, control, and a shipping type."""
    arms = [
        measured(arm_of("extreme", "Q2_K", "Q2_K", control=True), kld=2.0, loss=0.8, size=0.18, right=10),
        measured(arm_of("extreme", "IQ2_S", "IQ2_S", True), kld=1.2, loss=0.5, size=0.17, right=12, late=2.0),
        measured(arm_of("static", "Q4_0", "Q4_0"), kld=0.3, loss=0.07),
        measured(
            Arm("static", "Q8_0-A8", recipe("Q8_0-A8", "Q8_0", "static"), "static-tensor", "simulated", False, False),
            kld=1.0,
        ),
        measured(arm_of("symmetric", "Q4_0-sym", "Q4_0"), kld=0.3),
        measured(arm_of("asymmetric", "Q4_1", "Q4_1"), kld=0.25, size=0.31),
        measured(arm_of("per_tensor", "Q4_0-tensor", "Q4_0", size_valid=False), kld=8.0, ideal_bpw=4.0),
        measured(arm_of("per_channel", "Q4_0-row", "Q4_0", size_valid=False), kld=0.9, ideal_bpw=4.06),
        measured(arm_of("group_wise", "Q4_0-g64", "Q4_0", size_valid=False), kld=0.5, ideal_bpw=4.25),
        measured(arm_of("activation_aware", "Q4_K-imatrix", "Q4_K_M", True), kld=0.09, loss=0.015, same=N_IDS),
        ArmFacts(arm_of("dynamic", "Q4_K", "Q4_K_M"), None, "the rows do not fit"),
    ]
    mix = Arm("stock", "Q4_K_M", Recipe("shipping-Q4_K_M", "Q4_K_M"))
    return table_of(arms, shipping=[measured(mix, kld=0.08)])


def row(table: MethodsTable, name: str) -> MethodRow:
    return next(r for r in table.rows if r.arm.name == name)
