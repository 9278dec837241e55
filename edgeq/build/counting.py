"""A model that counts: made from nothing, and every right computation of it gives the same tokens.

A two-layer Llama over ``N_TOKENS`` tokens. Embeddings are random rows of ±1, nearly at right angles. Each layer's
feed-forward network recognizes the embedding of a token (gate and up are its detectors) and turns it into the next
one's (down holds the differences), so that two layers count on by two; the output matrix is the embeddings again.
Attention is random and small. The right token wins by so much that no quantization to four bits and no order of
summing can change it, and a kernel that is wrong does.
"""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np

N_TOKENS = 64
_WIDTH = 256  # K-types need rows of this length
_HIDDEN = 256
_LAYERS = 2


def counted(start: int, n: int) -> tuple[int, ...]:
    """The ``n`` tokens that follow ``start``."""
    return tuple((start + _LAYERS * i) % N_TOKENS for i in range(1, n + 1))


def write(path: Path) -> None:
    """The model as an F32 GGUF file of about 4 MB."""
    random = np.random.default_rng(0)
    embeddings = random.choice(np.array([-1.0, 1.0], np.float32), (N_TOKENS, _WIDTH))
    following = np.roll(embeddings, -1, axis=0)
    file = gguf.GGUFWriter(path, "llama")
    file.add_context_length(64)
    file.add_embedding_length(_WIDTH)
    file.add_feed_forward_length(_HIDDEN)
    file.add_block_count(_LAYERS)
    file.add_head_count(4)
    file.add_head_count_kv(2)
    file.add_layer_norm_rms_eps(1e-5)
    file.add_vocab_size(N_TOKENS)
    file.add_tokenizer_model("none")
    file.add_file_type(0)
    ones = np.ones(_WIDTH, np.float32)
    file.add_tensor("token_embd.weight", embeddings)
    file.add_tensor("output.weight", embeddings)
    file.add_tensor("output_norm.weight", ones)
    for i in range(_LAYERS):
        for name, rows in {"q": _WIDTH, "k": _WIDTH // 2, "v": _WIDTH // 2, "output": _WIDTH}.items():
            file.add_tensor(f"blk.{i}.attn_{name}.weight", 0.02 * random.standard_normal((rows, _WIDTH), np.float32))
        file.add_tensor(f"blk.{i}.attn_norm.weight", ones)
        file.add_tensor(f"blk.{i}.ffn_norm.weight", ones)
        # On its own token the detector gives 8, and silu(8) * 1 is 8; on others both factors are small.
        detectors = np.zeros((_HIDDEN, _WIDTH), np.float32)
        detectors[:N_TOKENS] = embeddings / _WIDTH
        file.add_tensor(f"blk.{i}.ffn_gate.weight", 8 * detectors)
        file.add_tensor(f"blk.{i}.ffn_up.weight", detectors)
        down = np.zeros((_WIDTH, _HIDDEN), np.float32)
        down[:, :N_TOKENS] = ((following - embeddings) / 8).T
        file.add_tensor(f"blk.{i}.ffn_down.weight", down)
    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.write_tensors_to_file()
    file.close()
