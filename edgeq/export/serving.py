"""The measured settings in the words of the programs that serve a model."""

from __future__ import annotations

import shlex
from pathlib import Path

from edgeq.errors import InputError
from edgeq.export.choosing import n_ctx
from edgeq.gguf_info import safe
from edgeq.records import BenchSettings, Gguf, Row, Summary


def llama_server(summary: Summary, row: Row, settings: BenchSettings, model: Path) -> str:
    """A command for a POSIX shell: llama-server with the settings that ``row`` was measured with."""
    s = settings
    # One slot: what was measured is one sequence, and llama-server divides its context among the slots.
    argv = ["llama-server", "--model", str(model), "--ctx-size", str(n_ctx(s)), "--parallel", "1"]
    argv += ["--threads", str(s.n_threads), "--batch-size", str(s.n_batch), "--ubatch-size", str(s.n_ubatch)]
    argv += ["--n-gpu-layers", str(s.n_gpu_layers), "--flash-attn", s.flash_attn]
    argv += ["--cache-type-k", s.type_k, "--cache-type-v", s.type_v]
    return "\n".join((*_head(summary, row, settings), shlex.join(argv), ""))


def modelfile(summary: Summary, row: Row, settings: BenchSettings, gguf: Gguf, model: Path) -> str:
    """A Modelfile of Ollama. Its KV cache types and Flash Attention are settings of Ollama's server, not of a model.

    Raises InputError for a path that a Modelfile can't hold.
    """
    if '"' in str(model) or not str(model).isprintable():
        raise InputError(f"{safe(str(model), 1000)} can't be written in a Modelfile.", "Rename the file.")
    # Ollama counts the output as a layer, and takes -1 for its own guess.
    layers = settings.n_gpu_layers if settings.n_gpu_layers >= 0 else gguf.n_layers + 1
    lines = [f'FROM "{model}"' if " " in str(model) else f"FROM {model}"]
    lines += [f"PARAMETER num_ctx {n_ctx(settings)}", f"PARAMETER num_thread {settings.n_threads}"]
    lines += [f"PARAMETER num_gpu {layers}"]
    return "\n".join((*_head(summary, row, settings), *lines, ""))


def _head(summary: Summary, row: Row, settings: BenchSettings) -> list[str]:
    """Comments on where the settings are from."""
    largest = max(settings.tests, key=lambda t: t.n_prompt + t.n_gen + t.n_depth)
    commit = f" with llama.cpp {summary.llama_commit[:12]}" if summary.llama_commit else ""
    rates = ", ".join(f"{s.test} {s.tps.value:.4g} t/s" for s in row.speeds)
    return [
        f"# {safe(row.name)}: {rates or 'no rates'}, measured on {safe(row.device)}{commit}.",
        f"# The context of {n_ctx(settings)} tokens is that of the largest measured test, {largest.name}; with more,",
        "# decoding slows down and memory grows.",
    ]
