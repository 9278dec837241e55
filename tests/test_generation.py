"""Greedy continuations: the same every time, alone and beside others, and not made twice."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from edgeq import corpus, evaluate, programs
from edgeq.errors import InputError
from edgeq.records import Build, GenerationRecord, Gguf
from edgeq.tensors import output

from .conftest import EVALUATION


def ids_of(record: GenerationRecord) -> np.ndarray:
    return np.frombuffer(record.ids_i32, np.int32).reshape(record.n_prompts, record.n_tokens)


def generated(built: Build, model: Gguf, prompts: list[list[int]], *options: str) -> list[list[int]]:
    argv = ["--model", model.path, *options]
    for prompt in prompts:
        argv += ["--prompt", ",".join(map(str, prompt))]
    events = programs.native(built, "generate", argv, what="generating")
    return [msgspec.convert(e["ids"], list[int]) for e in events if e["event"] == "tokens"]


def test_it_is_the_most_likely_text_and_the_same_each_time(
    built: Build, model: Gguf, ladder: tuple[Gguf, ...], tmp_path: Path
) -> None:
    shares: list[float] = []
    records = evaluate.generate(
        (model, ladder[0]), (EVALUATION,), built, tmp_path, n_prompts=6, n_tokens=24, on_progress=shares.append
    )
    assert [r.model for r in records] == [model, ladder[0]]
    assert shares == sorted(shares) and shares[-1] == 1.0
    for record in records:
        assert (record.n_prompts, record.n_tokens, record.n_repeats, record.n_equal) == (6, 24, 2, 2)
    assert (ids_of(records[0]) != ids_of(records[1])).any()

    # One prompt alone, its tokens cut out of the text here.
    tokens = corpus.tokenize(model, (EVALUATION,), built, n_ctx=512, n_chunks=6)
    for i in (0, 5):
        prompt = tokens.ids[512 * i : 512 * i + 32].tolist()
        assert generated(built, model, [prompt], "--n", "24") == [ids_of(records[0])[i].tolist()]


def test_prompts_of_any_length_and_number_go_together(built: Build, model: Gguf) -> None:
    prompts = [[5, 6, 7], [8], [9, 10, 11, 12, 13, 14, 15]]
    alone = [generated(built, model, [p], "--n", "8")[0] for p in prompts]
    assert generated(built, model, prompts, "--n", "8", "--parallel", "2", "--repeats", "3") == alone * 3


def test_what_has_a_record_is_not_generated_again(built: Build, model: Gguf, tmp_path: Path) -> None:
    def run(build: Build, n_tokens: int = 4) -> tuple[GenerationRecord, ...]:
        return evaluate.generate((model,), (EVALUATION,), build, tmp_path, n_prompts=2, n_tokens=n_tokens)

    once = run(built)
    no_tool = msgspec.structs.replace(built, tools={})
    assert run(no_tool) == once
    with pytest.raises(KeyError):
        run(no_tool, n_tokens=5)


def test_a_continuation_beyond_the_training_context_is_refused(built: Build, model: Gguf, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="trained on 1024"):
        evaluate.generate((model,), (EVALUATION,), built, tmp_path, n_prompts=1, n_tokens=1000)


def test_an_adapter_reaches_the_model(built: Build, model: Gguf, tmp_path: Path) -> None:
    tensor = "blk.0.ffn_down.weight"
    for name, value in (("zeros", 0.0), ("ones", 1.0)):
        factors = {f"{tensor}.lora_a": np.ones((8, 768)), f"{tensor}.lora_b": np.full((256, 8), value)}
        output.write_adapter(tmp_path / name, "llama", factors, 8, "F32", name)
    prompt = [[5, 6, 7, 8, 9]]
    plain = generated(built, model, prompt, "--n", "8")
    assert generated(built, model, prompt, "--n", "8", "--adapter", str(tmp_path / "zeros")) == plain
    assert generated(built, model, prompt, "--n", "8", "--adapter", str(tmp_path / "ones")) != plain
