"""Trials with values put in place of weights: the same divergence as that of a file with these values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeq import corpus, models, programs
from edgeq.allocate.probing import Probing
from edgeq.corpus import Tokens
from edgeq.errors import InputError, ToolError
from edgeq.evaluate import Candidate, evaluate
from edgeq.gguf_info import ggml_name
from edgeq.records import Build, EvalSettings, Gguf
from edgeq.tensors import output
from edgeq.tensors.ggml import Ggml
from edgeq.tensors.source import Source

from .conftest import EVALUATION

N_CTX, FIRST = 128, 64
TYPES = {"blk.3.ffn_down.weight": "Q2_K", "blk.1.attn_q.weight": "Q4_K"}


@pytest.fixture(scope="module")
def tokens(model: Gguf, built: Build) -> Tokens:
    return corpus.tokenize(model, (EVALUATION,), built, n_ctx=N_CTX, n_chunks=3)


@pytest.fixture(scope="module")
def probing(model: Gguf, built: Build, tokens: Tokens) -> Probing:
    return Probing(model, None, built, tokens, FIRST, 2)


def nothing(*_: object) -> None:
    pass


def test_a_trial_is_what_a_file_with_these_values_gives(
    probing: Probing, model: Gguf, built: Build, tmp_path: Path
) -> None:
    source, ggml = Source(Path(model.path)), Ggml(Path(built.folder) / "bin" / "libggml-base.so", 2)
    decoded = {}
    for name, kind in TYPES.items():
        tensor = source.tensors[name]
        blocks = ggml.encode(kind, tensor.rows())
        decoded[name] = ggml.decode(kind, blocks, tensor.row_length).astype(np.float16)
    path = tmp_path / "changed.gguf"
    planned = [(n, t.shape, t.type) for n, t in source.tensors.items()]
    output.write(
        path, source, planned, lambda n: iter([decoded[n].view(np.uint8) if n in decoded else source.tensors[n].raw])
    )
    settings = EvalSettings(n_ctx=N_CTX, n_chunks=3, first=FIRST, n_threads=2)
    candidate = Candidate(models.describe(path))
    record = evaluate(model, [candidate], (EVALUATION,), built, settings, tmp_path)[1]
    expected = np.frombuffer(record.kld_f32, "<f4").reshape(3, -1).mean(1)
    (trial,) = probing.run([TYPES], tmp_path, nothing).trials
    assert np.allclose(trial.kld, expected, rtol=1e-3, atol=1e-7)
    assert min(trial.kld) > 1e-4


def test_trials_do_not_depend_on_those_before_them(probing: Probing, tmp_path: Path) -> None:
    alone = [{name: kind} for name, kind in TYPES.items()]
    together = probing.run([*alone, TYPES, {"token_embd.weight": "Q4_K"}], tmp_path / "together", nothing)
    again = probing.run(alone, tmp_path / "again", nothing)
    assert [t.kld for t in together.trials[:2]] == [t.kld for t in again.trials]
    assert together.base == (0.0, 0.0, 0.0)
    assert {len(t.kld) for t in together.trials} == {3}


def test_what_is_done_is_not_done_again(probing: Probing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = probing.run([TYPES], tmp_path, nothing)
    monkeypatch.setattr(programs, "native", None)
    monkeypatch.setattr(programs, "work", None)
    assert probing.run([TYPES], tmp_path, nothing) == first


def test_interrupted_trials_are_carried_on_with(probing: Probing, tmp_path: Path) -> None:
    wanted = [{name: kind} for name in TYPES for kind in ("Q2_K", "Q3_K", "Q4_K", "Q5_K")]
    done: list[float] = []

    def interrupt(share: float, _: float | None) -> None:
        done.append(share)
        if share > 0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        probing.run(wanted, tmp_path, interrupt)
    assert done[-1] == 1 / len(wanted)
    done.clear()
    rest = probing.run(wanted, tmp_path, lambda share, _: done.append(share))
    assert len([share for share in done if share > 0]) == len(wanted) - 1
    assert rest.trials == probing.run(wanted, tmp_path / "whole", nothing).trials


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("swap blk.9.none.weight f16 0 {model}", "no weight blk.9.none.weight"),
        ("swap output_norm.weight q2_K 999999999 {model}", "has no"),
        ("swap blk.0.attn_q.weight q2_K 0 /nowhere", "can't read /nowhere"),
        ("swap blk.0.attn_q.weight q2_K", "names no weight"),
        ("nonsense", "can't be there"),
    ],
)
def test_a_list_that_makes_no_sense_is_refused(
    line: str, said: str, model: Gguf, built: Build, tokens: Tokens, tmp_path: Path
) -> None:
    (tmp_path / "list").write_text(f"trial\n{line.format(model=model.path)}\n")
    tokens.ids.tofile(tmp_path / "tokens")
    argv = ["--model", model.path, "--tokens", str(tmp_path / "tokens"), "--n-ctx", str(N_CTX), "--first", "64"]
    argv += ["--trials", str(tmp_path / "list"), "--threads", "1"]
    with pytest.raises((InputError, ToolError), match=said):
        programs.native(built, "sensitivity", argv, what="probing")


def test_names_of_types_are_ggmls() -> None:
    assert [ggml_name(t) for t in ("Q4_K", "IQ3_S", "Q8_0", "F16")] == ["q4_K", "iq3_s", "q8_0", "f16"]
