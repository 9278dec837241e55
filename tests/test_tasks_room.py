"""Tasks: answers scored teacher-forced, the level chosen by the reference, and what is not scored again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import gguf
import msgspec
import numpy as np
import pytest

from edgeq import corpus, evaluate, programs
from edgeq.errors import InputError, ToolError
from edgeq.evaluate import Candidate, Task
from edgeq.evaluate.levels import Search
from edgeq.evaluate.questions import Question, _judge, score, tokenize
from edgeq.records import Adapter, Build, Gguf, Item, TaskRecord
from edgeq.tensors import output

from .conftest import CALIBRATION, EVALUATION

# Sums in another order: activations and the cache are F16 numbers, of 11 bits.
ROUNDING = 2**-11


@pytest.fixture(scope="module")
def ids(built: Build, model: Gguf) -> list[int]:
    """Token ids of a text, without BOS."""
    return [int(i) for i in corpus.tokenize(model, (EVALUATION,), built, n_ctx=512, n_chunks=4).ids[1:]]


@pytest.fixture(scope="module")
def questions(ids: list[int]) -> list[Question]:
    """Prompts of different lengths after the same beginning, with three answers of different lengths each."""
    starts = range(100, 580, 60)
    return [
        (ids[:50] + ids[s : s + 3 + i], [ids[s + 3 + i : s + 9 + 2 * i], ids[s : s + 4], [ids[i]]])
        for i, s in enumerate(starts)
    ]


def only_first(questions: Sequence[Question]) -> list[Question]:
    """Without the wrong answers."""
    return [(prompt, answers[:1]) for prompt, answers in questions]


def by_evaluate(built: Build, model: Gguf, question: Question, folder: Path) -> float:
    """-ln p of the answer out of edgeq-evaluate: one whole chunk, whose first token it replaces with BOS."""
    prompt, (answer,) = question
    tokens = np.array([0, *prompt, *answer], np.int32)
    tokens.tofile(folder / "t.i32")
    argv = ["--reference", model.path, "--tokens", str(folder / "t.i32"), "--n-ctx", str(len(tokens))]
    argv += ["--first", str(len(prompt)), "--threads", "1", "--out", str(folder / "e")]
    programs.native(built, "evaluate", argv, what="evaluating")
    return float(np.fromfile(folder / "e.reference.nll.f32", np.float32).sum(dtype=float))


def test_an_answers_nll_is_that_of_the_whole_text(
    built: Build, model: Gguf, questions: list[Question], tmp_path: Path
) -> None:
    some = only_first(questions)[::3]
    (given,) = score(Candidate(model), [some], built, n_threads=1)
    expected = [by_evaluate(built, model, q, tmp_path) for q in some]
    assert given.nll == pytest.approx(expected, rel=ROUNDING)
    assert given.n_tokens.tolist() == [len(answers[0]) for _, answers in some]


def test_what_is_decoded_beside_an_answer_does_not_change_it(
    built: Build, model: Gguf, ids: list[int], questions: list[Question]
) -> None:
    # Beside others, as one of several answers, without a shared beginning, and in a file of its own.
    alone = [[q] for q in only_first(questions)]
    other = ids[1500:1503], [ids[1503:1507]]
    together, choice, unshared, *single = score(
        Candidate(model),
        [only_first(questions), questions, [other, *only_first(questions)], *alone],
        built,
        n_threads=1,
    )
    nll = np.concatenate([s.nll for s in single])
    top = np.concatenate([s.n_top for s in single])
    for found in (together, choice):
        assert found.nll == pytest.approx(nll, rel=ROUNDING)
        assert (found.n_top == top).all()
    assert unshared.nll[1:] == pytest.approx(nll, rel=ROUNDING)
    assert 0 < top.sum() < sum(len(answers[0]) for _, answers in questions)


def recurrent(path: Path) -> Path:
    """A small Mamba of noise: its memory is a state, of which no part can be copied."""
    width, inner, state, rank, vocabulary = 64, 128, 16, 8, 64
    random = np.random.default_rng(0)
    shapes = {
        "ssm_in.weight": (2 * inner, width),
        "ssm_conv1d.weight": (inner, 4),
        "ssm_conv1d.bias": (inner,),
        "ssm_x.weight": (rank + 2 * state, inner),
        "ssm_dt.weight": (inner, rank),
        "ssm_dt.bias": (inner,),
        "ssm_out.weight": (width, inner),
        "ssm_d": (inner,),
    }
    file = gguf.GGUFWriter(path, "mamba")
    file.add_context_length(512)
    file.add_embedding_length(width)
    file.add_feed_forward_length(0)
    file.add_block_count(1)
    file.add_head_count(0)
    file.add_layer_norm_rms_eps(1e-5)
    file.add_ssm_conv_kernel(4)
    file.add_ssm_inner_size(inner)
    file.add_ssm_state_size(state)
    file.add_ssm_time_step_rank(rank)
    file.add_vocab_size(vocabulary)
    file.add_tokenizer_model("none")
    for name in ("token_embd.weight", "output.weight"):
        file.add_tensor(name, random.standard_normal((vocabulary, width), np.float32))
    for name in ("output_norm.weight", "blk.0.attn_norm.weight"):
        file.add_tensor(name, np.ones(width, np.float32))
    for name, shape in shapes.items():
        file.add_tensor(f"blk.0.{name}", 0.3 * random.standard_normal(shape, np.float32))
    file.add_tensor("blk.0.ssm_a", -np.exp(0.3 * random.standard_normal((inner, state), np.float32)))
    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.write_tensors_to_file()
    file.close()
    return path


def test_models_with_a_state_share_prompts_as_well(built: Build, model: Gguf, tmp_path: Path) -> None:
    run = Candidate(msgspec.structs.replace(model, path=str(recurrent(tmp_path / "mamba.gguf"))))
    random = np.random.default_rng(1)

    def ids(n: int) -> list[int]:
        return [int(i) for i in random.integers(0, 64, n)]

    shared = ids(40)
    questions: list[Question] = [
        (shared + ids(5 + i), [ids(3 + i % 3) for _ in range(1 + 2 * (i % 2))]) for i in range(9)
    ]
    together, unshared, *alone = score(
        run, [questions, [([3, 4], [[5]]), *questions], *([q] for q in questions)], built, n_threads=1
    )
    expected = np.concatenate([a.nll for a in alone])
    assert together.nll == pytest.approx(expected, rel=1e-5)  # all of it F32
    assert unshared.nll[1:] == pytest.approx(expected, rel=1e-5)


def test_an_answer_is_right_if_and_only_if_greedy_decoding_gives_it(
    built: Build, model: Gguf, questions: list[Question]
) -> None:
    n = 6
    argv = ["--model", model.path, "--n", str(n)]
    for prompt, _ in questions:
        argv += ["--prompt", ",".join(map(str, prompt))]
    events = programs.native(built, "generate", argv, what="generating")
    greedy = [msgspec.convert(e["ids"], list[int]) for e in events if e["event"] == "tokens"]
    right = [(prompt, [answer]) for (prompt, _), answer in zip(questions, greedy, strict=True)]
    wrong = [(prompt, [[*answer[:-1], answer[-1] + 1]]) for prompt, (answer,) in right]
    both = score(Candidate(model), [right, wrong], built, n_threads=1)
    assert both[0].correct.all() and (both[0].n_top == n).all()
    assert not both[1].correct.any() and (both[1].n_top == n - 1).all()


def test_a_choice_goes_to_the_lowest_nll_per_token_and_a_tie_is_wrong() -> None:
    two, one = [1, 1], [1]
    found = _judge(
        [(one, [two, one]), (one, [one, two]), (one, [one, one]), (one, [two]), (one, [two])],
        np.array([3.0, 2.0, 2.0, 3.0, 1.0, 1.0, 5.0, 5.0], np.float32),
        np.array([0, 0, 1, 0, 1, 1, 2, 1], np.int32),
    )
    assert found.correct.tolist() == [True, False, False, True, False]
    assert found.nll.tolist() == [3.0, 2.0, 1.0, 5.0, 5.0]
    assert found.n_top.tolist() == [0, 1, 1, 2, 1]


@pytest.mark.parametrize(
    ("prompt", "answers"),
    [
        ("Question: 12 + 34 =\nAnswer:", (" 46", " 47.5 or so")),
        ("The capital of France is Par", ("is", " 7")),  # " Paris" is one token, so " Par" can't be one before it
    ],
)
def test_prompt_and_answer_are_the_tokens_of_their_text(
    built: Build, model: Gguf, smollm2: Path, tmp_path: Path, prompt: str, answers: tuple[str, ...]
) -> None:
    reference = msgspec.structs.replace(model, path=str(smollm2))  # its vocabulary adds no BOS
    (((first, rest),),) = tokenize(reference, [[Item(prompt, answers)]], built)
    for ids, answer in zip(rest, answers, strict=True):
        text = tmp_path / "text"
        text.write_text(prompt + answer)
        whole = corpus.tokenize(reference, (text,), built, n_ctx=1, n_chunks=0)
        assert [*first, *ids] == whole.ids.tolist()
        assert first and ids


def test_token_ids_and_lengths_are_checked(built: Build, model: Gguf) -> None:
    def refused(question: Question, words: str) -> None:
        with pytest.raises(InputError, match=words):
            score(Candidate(model), [[question]], built, n_threads=1)

    refused(([1], [[1 << 20]]), "token id 1048576")
    refused(([1], [[5] * 1024]), "trained on 1024")
    refused(([1], [[]]), "0 answer tokens")
    refused(([1], [[5]] * 256), "256 answers")


def test_adapters_and_activations_reach_the_model(
    built: Build, model: Gguf, questions: list[Question], tmp_path: Path
) -> None:
    tensor = "blk.0.ffn_down.weight"

    def adapted(name: str, b: np.ndarray) -> Candidate:
        path = tmp_path / name
        output.write_adapter(
            path, "llama", {f"{tensor}.lora_a": np.ones((8, 768)), f"{tensor}.lora_b": b}, 8, "F32", ""
        )
        return Candidate(msgspec.structs.replace(model, adapter=Adapter(str(path), name, 0, 8, "F32")))

    def nll(run: Candidate, calibration: corpus.Tokens | None = None) -> np.ndarray:
        (given,) = score(run, [questions], built, n_threads=1, calibration=calibration)
        return given.nll

    plain = nll(Candidate(model))
    assert (nll(adapted("zero", np.zeros((256, 8)))) == plain).all()
    assert np.abs(nll(adapted("ones", np.ones((256, 8)))) - plain).max() > 1
    ranges = corpus.tokenize(model, (CALIBRATION,), built, n_ctx=512, n_chunks=1)
    by_token, by_tensor = nll(Candidate(model, "dynamic-token")), nll(Candidate(model, "static-tensor"), ranges)
    # Overwritten, and one range for all is coarser than one for each token.
    assert 0 < np.abs(by_token - plain).mean() < np.abs(by_tensor - plain).mean() < 0.1 * plain.mean()


# --- levels --------------------------------------------------------------------------------------------------


def search(accuracies: Sequence[float | None], chance: float = 0.0) -> tuple[int | None, list[int]]:
    """(the level that is chosen, those that were tried)."""
    found = Search(len(accuracies), chance)
    tried = []
    while (level := found.level) is not None:
        tried.append(level)
        found.tell(accuracies[level])
    return found.best, tried


def test_the_level_closest_to_the_middle_is_found() -> None:
    falling = [1.0, 0.95, 0.9, 0.8, 0.65, 0.5, 0.4, 0.2, 0.1, 0.0]
    assert search(falling)[0] == 4  # middle of 30 and 95 %: 62.5 %
    assert search(falling, chance=0.5)[0] == 3  # of 60 and 95 %
    assert max(len(search(falling[i:])[1]) for i in range(10)) == 4
    assert search([0.7]) == (0, [])
    assert search([1.0] * 8)[0] == 7 and search([0.0] * 8)[0] == 0
    assert search([0.9, 0.7, None, None])[0] == 1
    assert search([None] * 4)[0] is None


def swapped(ids_text: list[str], name: str = "swapped") -> Task:
    """At level L, in L of ten items the answer that counts as right is the one that no text has."""

    def make(seed: int, level: int, n: int) -> tuple[Item, ...]:
        answers = " the", " }{"
        prompts = [ids_text[(seed + i) % len(ids_text)] for i in range(n)]
        return tuple(Item(p, answers[::-1] if i % 10 < level else answers) for i, p in enumerate(prompts))

    return Task(name, 0.5, 10, make)


@pytest.fixture(scope="module")
def prompts() -> list[str]:
    """Beginnings of sentences."""
    words = EVALUATION.read_text("utf-8").split()
    return [" ".join(words[i : i + 12]) for i in range(0, 960, 12)]


def correct(record: TaskRecord) -> np.ndarray:
    return np.frombuffer(record.correct_u8, np.uint8)


def test_the_reference_chooses_the_level_and_all_are_asked_the_same(
    built: Build, model: Gguf, ladder: tuple[Gguf, ...], prompts: list[str], tmp_path: Path
) -> None:
    shares: list[float] = []
    records, notes = evaluate.run_tasks(
        model,
        [Candidate(m) for m in ladder[:2]],
        [swapped(prompts), evaluate.task("copying")],
        built,
        tmp_path,
        n_items=30,
        on_progress=shares.append,
    )
    assert not notes
    assert [(r.task, r.model) for r in records] == [
        (t, m) for t in ("swapped", "copying") for m in (model, *ladder[:2])
    ]
    ours = records[:3]
    # Of the shares 1.0, 0.9, 0.8 ... the one closest to 77.5 %.
    assert {r.level for r in ours} == {2}
    assert correct(ours[0]).tolist() == [i % 10 >= 2 for i in range(30)]
    assert len({r.items_sha256 for r in ours}) == 1
    assert {r.n_items for r in records} == {30}
    assert all(len(r.nll_f32) == 4 * len(r.n_top_u16) // 2 == 120 for r in records)
    assert ours[1].nll_f32 != ours[0].nll_f32
    assert shares == sorted(shares) and shares[-1] == 1.0


def test_what_has_a_record_is_not_scored_again(built: Build, model: Gguf, prompts: list[str], tmp_path: Path) -> None:
    def run(with_tools: bool, *candidates: Candidate) -> tuple[TaskRecord, ...]:
        build = built if with_tools else msgspec.structs.replace(built, tools={}, folder="gone")
        tasks = [swapped(prompts)]
        return evaluate.run_tasks(model, candidates, tasks, build, tmp_path, n_items=10, calibration=(CALIBRATION,))[0]

    once = run(True, Candidate(model, "static-tensor"))
    assert run(False, Candidate(model, "static-tensor")) == once
    files = sorted(p.name for p in tmp_path.glob("*.gz"))
    assert len(files) == 2 and "task-swapped-edgeq-5m-f16-static-tensor-" in files[1]
    with pytest.raises(ToolError):  # another way of running is another result, and nothing can be started
        run(False, Candidate(model, "dynamic-token"))


def test_a_task_that_does_not_fit_is_left_out_and_an_easier_level_is_taken(
    built: Build, model: Gguf, prompts: list[str], tmp_path: Path
) -> None:
    def make(n_words: int) -> Task:
        def items(seed: int, level: int, n: int) -> tuple[Item, ...]:
            return (Item("a" + " word" * n_words * (1 + level), (" word", " }{")),) * n

        return Task(f"words-{n_words}", 0.5, 3, items)

    records, notes = evaluate.run_tasks(model, [], [make(2000), make(100), make(300)], built, tmp_path, n_items=2)
    assert [(r.task, r.level) for r in records] == [("words-100", 2), ("words-300", 0)]
    assert [n.code for n in notes] == ["task-too-long"]
    assert "words-2000" in notes[0].text


def test_static_ranges_need_a_text(built: Build, model: Gguf, prompts: list[str], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Static ranges"):
        evaluate.run_tasks(model, [Candidate(model, "static-tensor")], [swapped(prompts)], built, tmp_path, n_items=2)


# --- your own questions --------------------------------------------------------------------------------------


def written(folder: Path, *lines: object) -> Path:
    path = folder / "mine.jsonl"
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    return path


def test_questions_from_a_file_are_taken_evenly(tmp_path: Path) -> None:
    lines = [{"question": f"{i}:", "choices": ["a", "b"] + ["c"] * (i % 2), "answer": 1} for i in range(10)]
    mine = evaluate.choices(written(tmp_path, *lines, ""))
    assert (mine.name, mine.n_levels) == ("mine", 1)
    assert mine.chance == pytest.approx(5 / 12)
    taken = mine.make(1, 0, 5)
    assert [item.prompt for item in taken] == ["0:", "2:", "4:", "6:", "8:"]
    assert {item.answers[0] for item in taken} == {" b"}
    assert len(mine.make(1, 0, 50)) == 10


def test_two_tasks_of_one_name_are_refused(built: Build, model: Gguf, prompts: list[str], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Two tasks are named swapped"):
        evaluate.run_tasks(model, [], [swapped(prompts), swapped(prompts)], built, tmp_path)
