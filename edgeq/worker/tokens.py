"""Texts and questions to token ids, with a model's own tokenizer."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import llama_cpp.llama_cpp as llama
import msgspec
import numpy as np

from edgeq.tensors.refused import Refused
from edgeq.worker.events import Events
from edgeq.worker.log import Log


def tokenize(request: dict[str, Any], events: Events) -> None:
    """Groups of texts, each group as one text, into one array of int32; the event says how many each group has."""
    groups = [b"".join(Path(p).read_bytes() for p in group) for group in request["texts"]]
    with _vocabulary(request["source"]) as vocab:
        tokens = [_ids(vocab, text, add_special=True) for text in groups]
    np.concatenate(tokens).tofile(request["out"])
    events.send("tokens", n_tokens=[len(ids) for ids in tokens])


def tokenize_items(request: dict[str, Any], events: Events) -> None:
    """Prompts, each with possible answers, as JSON in both directions: ``[[prompt, [answer, ...]], ...]``.

    Each prompt is tokenized together with each answer, and the two are parted where the tokens of the prompt alone end.
    Where an answer changes a prompt's last tokens (":" and a line break can be one token), these go to all answers of
    the item instead: the model then sees and gives only what it has met in training.
    """
    items = msgspec.json.decode(Path(request["items"]).read_bytes(), type=list[tuple[str, list[str]]])
    with _vocabulary(request["source"]) as vocab:
        found = [_part(vocab, prompt, answers) for prompt, answers in items]
    Path(request["out"]).write_bytes(msgspec.json.encode(found))
    events.send("tokens", n_tokens=sum(len(prompt) + sum(map(len, answers)) for prompt, answers in found))


def _part(vocab: Any, prompt: str, answers: list[str]) -> tuple[list[int], list[list[int]]]:
    alone = _ids(vocab, prompt.encode(), add_special=False).tolist()
    whole = [_ids(vocab, (prompt + answer).encode(), add_special=False).tolist() for answer in answers]
    n = len(alone)
    while any(w[:n] != alone[:n] or len(w) == n for w in whole):
        n -= 1
    if n <= 0:
        raise Refused(f"an item's prompt gives no tokens of its own: {prompt!r}")
    return alone[:n], [w[n:] for w in whole]


@contextlib.contextmanager
def _vocabulary(path: str) -> Iterator[Any]:
    params = llama.llama_model_default_params()
    params.vocab_only = True
    with Log() as log:
        model = llama.llama_model_load_from_file(path.encode(), params)
    if not model:
        raise Refused(f"the vocabulary can't be loaded: {log.error or 'llama.cpp gave no reason'}")
    try:
        yield llama.llama_model_get_vocab(model)
    finally:
        llama.llama_model_free(model)


def _ids(vocab: Any, text: bytes, *, add_special: bool) -> np.ndarray:
    """Token ids (int32). Text that looks like a special token is text."""
    room = len(text) + 16  # a token is at least one byte; some room for BOS and EOS
    tokens = (llama.llama_token * room)()
    n = llama.llama_tokenize(vocab, text, len(text), tokens, room, add_special, False)
    if n < 0:
        raise Refused("the text can't be tokenized: llama.cpp asks for more tokens than the text has bytes")
    return np.frombuffer(tokens, np.int32, n)
