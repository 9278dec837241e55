"""What is measured of every arm, on the same tokens, items and prompts; arms that share a file and way share it all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edgeq import bench, evaluate, gguf_info, instruments, plugins
from edgeq.access import Access
from edgeq.analyze.methods import ArmFacts
from edgeq.corpus import Part
from edgeq.errors import InputError, ToolError
from edgeq.evaluate import Candidate
from edgeq.pipeline.making import texts
from edgeq.pipeline.steps import Steps, Update
from edgeq.records import (
    Activations,
    Arm,
    BenchRecord,
    Build,
    EvalRecord,
    EvalSettings,
    GenerationRecord,
    Gguf,
    MethodsPlan,
    Note,
    Profile,
    Record,
    TaskRecord,
)

# The floor is the reference against itself, its sums in another order.
_OTHER_UBATCH = 128
_LONG_CHUNKS = 5

# A file and how it is run.
Way = tuple[str, Activations | None]


@dataclass
class Facts:
    """All raw records, and which of them belong to an arm."""

    evals: list[EvalRecord] = field(default_factory=list)
    long: list[EvalRecord] = field(default_factory=list)
    floor: list[EvalRecord] = field(default_factory=list)
    tasks: list[TaskRecord] = field(default_factory=list)
    generations: list[GenerationRecord] = field(default_factory=list)
    benches: list[BenchRecord] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    refused: dict[Way, str] = field(default_factory=dict)  # why a file can't be scored in this way

    @property
    def records(self) -> tuple[Record, ...]:
        """Everything that was measured."""
        return (*self.evals, *self.long, *self.floor, *self.tasks, *self.generations, *self.benches)

    def of(self, arm: Arm, model: Gguf | None, skipped: str = "") -> ArmFacts:
        """What belongs to an arm. A figure that its way of running makes invalid is left out here already."""
        if model is None:
            return ArmFacts(arm, None, skipped)
        way = _way(model, arm.activations)
        if way in self.refused:
            return ArmFacts(arm, None, self.refused[way])
        evals = tuple(e for e in self.evals if _way(e.model, e.activations) == way)
        own_speed = arm.speed_valid and arm.activations is None
        last = {b.model.sha256: b for b in self.benches if b.turn == 0} if own_speed else {}
        spent = [e.forward_s for e in evals if e.forward_s is not None]
        return ArmFacts(
            arm=arm,
            model=model,
            evals=evals,
            long_eval=next((e for e in self.long if _way(e.model, e.activations) == way), None),
            tasks=tuple(t for t in self.tasks if _way(t.model, t.activations) == way),
            generation=next((g for g in self.generations if _way(g.model, None) == way), None),
            bench=last.get(model.sha256),
            seconds=(model.made_s or 0.0) + sum(spent) if spent else model.made_s,
        )


@dataclass(frozen=True)
class Measuring:
    """The measuring rooms, one after the other."""

    plan: MethodsPlan
    folder: Path
    steps: Steps
    built: Build
    profile: Profile
    source: Gguf
    n_threads: int
    questions: tuple[evaluate.Task, ...]  # the user's own

    def measure(self, runs: Sequence[tuple[Arm, Gguf]]) -> Facts:
        """Measure what the plan names, once for each file and way of running it."""
        facts = Facts()
        candidates = tuple({_way(m, a.activations): Candidate(m, a.activations) for a, m in runs}.values())
        if "fidelity" in self.plan.measure:
            self._fidelity(facts, candidates)
        if "long" in self.plan.measure:
            self._long(facts, candidates)
        candidates = tuple(c for c in candidates if _way(c.model, c.activations) not in facts.refused)
        plain = tuple(c.model for c in candidates if c.activations is None)
        if "tasks" in self.plan.measure:
            self._tasks(facts, candidates)
        if "generation" in self.plan.measure:
            with self.steps("generate") as update:
                facts.generations += evaluate.generate(
                    (self.source, *plain),
                    self._others,
                    self.built,
                    self.folder,
                    n_threads=self.n_threads,
                    on_progress=update,
                )
        if "bench" in self.plan.measure:
            able = {m.sha256 for m in plain}
            timed = {m.sha256: m for a, m in runs if a.speed_valid and a.recipe and m.sha256 in able}
            self._bench(facts, (self.source, *timed.values()))
        return facts

    @property
    def _others(self) -> tuple[Path, ...]:
        return tuple(Path(t) for t in self.plan.text)

    def _fidelity(self, facts: Facts, candidates: Sequence[Candidate]) -> None:
        inside: tuple[tuple[tuple[Path, ...], Part], ...] = ((texts(self.plan), "second half"),)
        scored = (*inside, *(((text,), "all") for text in self._others))
        for i, (paths, part) in enumerate(scored, 1):
            with self.steps(f"text {i}/{len(scored)}") as update:
                floor = Candidate(self.source, n_ubatch=_OTHER_UBATCH)
                settings = EvalSettings(
                    n_ctx=self.plan.n_ctx,
                    n_chunks=self.plan.n_chunks,
                    first=self.plan.n_ctx // 2,
                    n_threads=self.n_threads,
                )
                reference, itself = self._evaluate((floor,), paths, part, settings, update)
                facts.floor.append(itself)
                facts.evals += (reference, *self._evaluate_some(facts, candidates, paths, part, settings, update))

    def _long(self, facts: Facts, candidates: Sequence[Candidate]) -> None:
        n_train = gguf_info.read_header(Path(self.source.path)).n_ctx_train
        n_ctx = min(self.plan.long_ctx, n_train or self.plan.long_ctx)
        settings = EvalSettings(n_ctx=n_ctx, n_chunks=_LONG_CHUNKS, first=1, n_threads=self.n_threads)
        try:
            with self.steps("long text") as update:
                facts.long += self._evaluate_some(facts, candidates, self._others[:1], "all", settings, update)
        except InputError as e:
            facts.notes.append(Note("long-text", f"Long context was not measured: {e.text}", "Give a longer --text."))

    def _evaluate_some(
        self,
        facts: Facts,
        candidates: Sequence[Candidate],
        paths: tuple[Path, ...],
        part: Part,
        settings: EvalSettings,
        update: Update,
    ) -> list[EvalRecord]:
        """All candidates in one pass; where one is refused, each on its own, so that the others have their figures."""
        able = [c for c in candidates if _way(c.model, c.activations) not in facts.refused]
        try:
            return list(self._evaluate(able, paths, part, settings, update)[1:])
        except (InputError, ToolError):
            records: list[EvalRecord] = []
            refused = {}
            for c in able:
                try:
                    records += self._evaluate((c,), paths, part, settings, update)[1:]
                except (InputError, ToolError) as e:
                    refused[_way(c.model, c.activations)] = e.text
            if not records:  # it is not the candidates
                raise
            facts.refused |= refused
            return records

    def _evaluate(
        self,
        candidates: Sequence[Candidate],
        paths: tuple[Path, ...],
        part: Part,
        settings: EvalSettings,
        update: Update,
    ) -> tuple[EvalRecord, ...]:
        return evaluate.evaluate(
            self.source,
            candidates,
            paths,
            self.built,
            settings,
            self.folder,
            part=part,
            memory_share=self.plan.memory_share,
            calibration=texts(self.plan),
            calibration_part="first half",
            on_turns=lambda turns: update(0.0, evaluate.in_words(turns)),
            on_progress=update,
        )

    def _tasks(self, facts: Facts, candidates: Sequence[Candidate]) -> None:
        chosen = (*(evaluate.task(name) for name in plugins.modules("tasks")), *self.questions)
        with self.steps("tasks") as update:
            records, notes = evaluate.run_tasks(
                self.source,
                candidates,
                chosen,
                self.built,
                self.folder,
                n_items=self.plan.n_items,
                seed=self.plan.seed,
                n_threads=self.n_threads,
                calibration=texts(self.plan),
                calibration_part="first half",
                on_progress=update,
            )
        facts.tasks += records
        facts.notes += notes

    def _bench(self, facts: Facts, files: Sequence[Gguf]) -> None:
        access = Access(profile=self.profile)
        with self.steps("bench") as update, instruments.opened(access) as found:
            settings = bench.settings(
                self.profile, self.plan.tests, n_reps=self.plan.n_reps, n_threads=self.n_threads, found=found
            )
            room = bench.Bench(self.built, access, found, settings, self.folder)
            facts.benches += bench.series(room, files, bench.updates(update, bench.n_measurements(len(files))))


def _way(model: Gguf, activations: Activations | None) -> Way:
    return model.sha256, activations
