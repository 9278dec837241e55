"""Quantization-aware training of a Llama for Q4_0: a program for a Python that has PyTorch, which edgeq's has not.

    python _qat_training.py FOLDER --events EVENTS.jsonl

FOLDER holds request.json (`Request`), tokens.i32 and every tensor as NAME.f32. For each matrix to train it gets
NAME.f16: values that Q4_0 holds without loss. The student is the model with these matrices rounded to Q4_0, the teacher
the model as it was, and the loss KL(teacher || student) over the vocabulary. An interrupted training goes on from its
last checkpoint, with the same result.
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

BLOCK = 32
BETAS = (0.9, 0.99)  # Adam's; short memories, as trainings are short
EPSILON = 1e-12  # gradients of some use are larger, and their squares are far from underflow
WARM_UP = 0.1  # share of the steps
N_CHECKPOINTS = 10
SEED = 1

Weights = Mapping[str, torch.Tensor]
Send = Callable[..., None]


@dataclass(frozen=True)
class Graph:
    """Sizes of a Llama."""

    n_layers: int
    n_heads: int
    n_kv_heads: int
    head_size: int
    rope_base: float
    norm_epsilon: float


@dataclass(frozen=True)
class Request:
    """What to train. ``tensors``: shapes, the row length last.

    ``rate``: how far a weight moves at most in one step of training, in steps of its block's grid.
    """

    graph: Graph
    tensors: dict[str, tuple[int, ...]]
    trained: tuple[str, ...]
    n_ctx: int
    n_batch: int
    steps: int
    rate: float
    n_threads: int


def read_request(folder: Path) -> Request:
    """The request in a folder."""
    found = json.loads((folder / "request.json").read_text())
    return Request(**{**found, "graph": Graph(**found["graph"])})


def read_weights(request: Request, folder: Path) -> dict[str, torch.Tensor]:
    """All tensors of the model."""
    return {
        name: torch.from_numpy(np.fromfile(folder / f"{name}.f32", np.float32)).view(*shape)
        for name, shape in request.tensors.items()
    }


# --- Q4_0 ----------------------------------------------------------------------------------------------------


def grid_steps(weights: torch.Tensor) -> torch.Tensor:
    """(blocks, 1), before they are rounded to half precision; a block's first value of largest magnitude is code -8.

    As quantize_row_q4_0_ref in ggml-quants.c computes them.
    """
    blocks = weights.view(-1, BLOCK)
    return blocks.gather(1, blocks.abs().argmax(1, keepdim=True)).div_(-8)


def rounded(weights: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
    """What ggml decodes of the Q4_0 blocks that it makes of ``weights``, bit for bit."""
    stored = steps.half().float()
    codes = (weights.view(-1, BLOCK) * steps.reciprocal()).add_(8.5).trunc_().clamp_(max=15).sub_(8)
    # A block that is too small for a scale in half precision has zeros only.
    return torch.where(stored == 0, 0.0, codes.mul_(stored)).view_as(weights)


# --- the model -----------------------------------------------------------------------------------------------


def logits(graph: Graph, weights: Weights, tokens: torch.Tensor) -> torch.Tensor:
    """(sequences, positions, vocabulary): what llama.cpp computes for the architecture llama (src/models/llama.cpp)."""
    turns = _turns(graph, weights, tokens.shape[1])
    x = F.embedding(tokens, weights["token_embd.weight"])
    for i in range(graph.n_layers):
        prefix = f"blk.{i}."
        layer = {n.removeprefix(prefix).removesuffix(".weight"): w for n, w in weights.items() if n.startswith(prefix)}
        x = x + _attention(graph, layer, _norm(graph, x, layer["attn_norm"]), turns)
        h = _norm(graph, x, layer["ffn_norm"])
        gated = F.silu(F.linear(h, layer["ffn_gate"])) * F.linear(h, layer["ffn_up"])
        x = x + F.linear(gated, layer["ffn_down"])
    x = _norm(graph, x, weights["output_norm.weight"])
    return F.linear(x, weights.get("output.weight", weights["token_embd.weight"]))


def _norm(graph: Graph, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return F.rms_norm(x, x.shape[-1:], weight, graph.norm_epsilon)


def _attention(graph: Graph, layer: Weights, x: torch.Tensor, turns: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    def heads(name: str, n: int) -> torch.Tensor:
        return F.linear(x, layer[name]).unflatten(-1, (n, graph.head_size)).transpose(1, 2)

    query = _turned(heads("attn_q", graph.n_heads), *turns)
    key = _turned(heads("attn_k", graph.n_kv_heads), *turns)
    shared = graph.n_heads // graph.n_kv_heads
    mixed = F.scaled_dot_product_attention(
        query,
        key.repeat_interleave(shared, 1),
        heads("attn_v", graph.n_kv_heads).repeat_interleave(shared, 1),
        is_causal=True,
    )
    return F.linear(mixed.transpose(1, 2).flatten(2), layer["attn_output"])


def _turns(graph: Graph, weights: Weights, n_positions: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosines and sines of the rotary embedding, (positions, pairs)."""
    rates = graph.rope_base ** (-torch.arange(0, graph.head_size, 2) / graph.head_size)
    if "rope_freqs.weight" in weights:
        rates = rates / weights["rope_freqs.weight"].flatten()
    angles = torch.outer(torch.arange(n_positions), rates)
    return angles.cos(), angles.sin()


def _turned(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    # The members of a pair lie side by side: LLAMA_ROPE_TYPE_NORM.
    a, b = x[..., 0::2], x[..., 1::2]
    return torch.stack((a * cos - b * sin, a * sin + b * cos), -1).flatten(-2)


# --- training ------------------------------------------------------------------------------------------------


@dataclass
class State:
    """Where a training stands: after ``step`` steps, the weights, and Adam's means of their gradients and squares."""

    step: int
    weights: dict[str, torch.Tensor]
    means: dict[str, torch.Tensor]
    squares: dict[str, torch.Tensor]


def train(request: Request, folder: Path, send: Send) -> dict[str, torch.Tensor]:
    """The matrices that are trained, rounded to Q4_0."""
    teacher = read_weights(request, folder)
    chunks = torch.from_numpy(np.fromfile(folder / "tokens.i32", np.int32).astype(np.int64)).view(-1, request.n_ctx)
    checkpoint = folder / "checkpoint.pt"
    state = _load(checkpoint) if checkpoint.exists() else _start(request, teacher)
    save_every = -(-request.steps // N_CHECKPOINTS)
    for step in range(state.step, request.steps):
        loss = _step(request, state, teacher, chunks[_batch(len(chunks), request.n_batch, step)])
        send("progress", done=state.step, total=request.steps)
        if not math.isfinite(loss):
            raise ArithmeticError(f"the loss of step {state.step} is {loss}: is the model sound?")
        if state.step % save_every == 0 and state.step < request.steps:
            _save(checkpoint, state)
    return {name: rounded(w, grid_steps(w)) for name, w in state.weights.items()}


def _start(request: Request, teacher: Weights) -> State:
    weights = {name: teacher[name].clone() for name in request.trained}
    means, squares = ({name: torch.zeros_like(w) for name, w in weights.items()} for _ in range(2))
    return State(0, weights, means, squares)


def _batch(n_chunks: int, n_batch: int, step: int) -> list[int]:
    """The chunks of a step: each once in every round, in an order that is another one in every round."""
    places = range(step * n_batch, (step + 1) * n_batch)
    orders = {
        turn: np.random.default_rng((SEED, turn)).permutation(n_chunks) for turn in {p // n_chunks for p in places}
    }
    return [int(orders[p // n_chunks][p % n_chunks]) for p in places]


def _step(request: Request, state: State, teacher: Weights, tokens: torch.Tensor) -> float:
    """One step of Adam. Returns the loss before it, in nats per token."""
    steps = {name: grid_steps(w) for name, w in state.weights.items()}
    # The gradient of a rounded weight is taken for that of the weight itself (straight-through).
    student = {name: rounded(w, steps[name]).requires_grad_() for name, w in state.weights.items()}
    with torch.no_grad():
        expected = F.log_softmax(logits(request.graph, teacher, tokens), -1)
    found = F.log_softmax(logits(request.graph, {**teacher, **student}, tokens), -1)
    loss = F.kl_div(found, expected, log_target=True, reduction="sum") / tokens.numel()
    loss.backward()
    state.step += 1
    correct = [1 - beta**state.step for beta in BETAS]
    rate = _rate(request, state.step) / correct[0]
    for name, weights in state.weights.items():
        gradient, mean, square = student[name].grad, state.means[name], state.squares[name]
        mean.lerp_(gradient, 1 - BETAS[0])
        square.mul_(BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1])
        direction = mean / (square / correct[1]).sqrt_().add_(EPSILON)
        # In steps of each block's own grid, so that one rate fits every model, and rows of every scale.
        weights.view(-1, BLOCK).addcmul_(direction.view(-1, BLOCK), steps[name].abs(), value=-rate)
    return float(loss.item())


def _rate(request: Request, step: int) -> float:
    """Linear to the full rate, then half a cosine to zero."""
    warm_up = max(1.0, WARM_UP * request.steps)
    if step <= warm_up:
        return request.rate * step / warm_up
    return request.rate * (1 + math.cos(math.pi * (step - warm_up) / (request.steps - warm_up))) / 2


# --- files ---------------------------------------------------------------------------------------------------


def _load(path: Path) -> State:
    return State(**torch.load(path, weights_only=True))


def _save(path: Path, state: State) -> None:
    """At any moment either the old checkpoint is there or the new one."""
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as file:
        torch.save(vars(state), file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def main(folder: Path, events: Path) -> int:
    """Train; what goes wrong is the last event, as in edgeq's other programs."""
    with events.open("a") as out:

        def send(event: str, **fields: object) -> None:
            out.write(json.dumps({"event": event, **fields}) + "\n")
            out.flush()

        request = read_request(folder)
        torch.set_num_threads(request.n_threads)
        try:
            for name, weights in train(request, folder, send).items():
                weights.half().numpy().tofile(folder / f"{name}.f16")
        except ArithmeticError as e:
            send("error", code="input", text=str(e))
            return 5
        except OSError as e:
            send("error", code="output", text=e.strerror or str(e))
            return 5
        except RuntimeError as e:
            if "allocate memory" not in str(e):
                raise
            send("error", code="memory", text="there is too little memory")
            return 5
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[3])))
