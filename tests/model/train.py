"""Train edgeq-5m, the small Llama that edgeq's tests quantize, and write it as a Hugging Face model folder.

    python train.py tokenize --work build
    python train.py train --work build --evaluation ../text/evaluation
    python train.py export --work build --out hf
    python train.py evaluate --work build --evaluation ../text/evaluation --out hf

Losses are in nats per token.
"""

import argparse
import csv
import io
import json
import math
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import sentencepiece
import torch
from llama import Llama, Shape
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

SEED = 5
BOS, EOS = 1, 2
CONTEXT = 512  # tokens
BATCH = 8  # sequences
PEAK_RATE = 2e-3
WARM_UP = 100  # steps
DECAY = 0.2  # share of the steps, at whose end the rate reaches zero
REPORT_EVERY = 150  # steps
SAVE_EVERY = 50  # steps
TOKENIZER_LINES = 150_000
DOCUMENTS = "documents.npy"
CARD = """---
name: edgeq 5M
license: mit
language: en
library_name: transformers
---

edgeq 5M, a small Llama for edgeq's tests. The folder above has its model card.
"""


def read_documents(work: Path) -> list[str]:
    """All documents that text.py collected, repeated as its table says."""
    documents: list[str] = []
    with (work / "sources.csv").open() as file:
        for row in csv.DictReader(file):
            documents += (work / f"{row['name']}.txt").read_text().split("\f") * int(row["repeat"])
    return documents


def tokenize(work: Path) -> None:
    """Train the tokenizer on the documents, and write them, shuffled, as one array of 16-bit tokens."""
    documents = read_documents(work)
    rng = np.random.default_rng(SEED)
    rng.shuffle(documents)
    lines = [line for document in documents for line in document.split("\n") if line]
    # Drawn here because SentencePiece's own sample differs from run to run.
    sample = (lines[i] for i in rng.choice(len(lines), TOKENIZER_LINES, replace=False))
    # A writer, not a file name: the model would keep that name inside.
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=sample,
        model_writer=model,
        model_type="bpe",
        vocab_size=Shape.vocab_size,
        byte_fallback=True,
        split_digits=True,
        allow_whitespace_only_pieces=True,
        remove_extra_whitespaces=False,
        normalization_rule_name="identity",
        character_coverage=0.9995,
        max_sentence_length=4096,
        num_threads=2,
        minloglevel=1,
    )
    (work / "tokenizer.model").write_bytes(model.getvalue())
    tokenizer = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    encoded = [[BOS, *tokenizer.encode(document), EOS] for document in documents]
    np.save(work / DOCUMENTS, np.concatenate([np.array(tokens, dtype=np.uint16) for tokens in encoded]))


def read_windows(path: Path, work: Path) -> tuple[Tensor, int, int]:
    """A file's (windows, CONTEXT) tokens, without the rest; how many tokens it has; its bytes."""
    tokenizer = sentencepiece.SentencePieceProcessor(model_file=str(work / "tokenizer.model"))
    tokens = tokenizer.encode(path.read_text())
    whole = len(tokens) // CONTEXT * CONTEXT
    return torch.tensor(tokens[:whole]).view(-1, CONTEXT), len(tokens), path.stat().st_size


@torch.no_grad()
def held_out_loss(model: Callable[[Tensor, Tensor], Tensor], windows: Tensor) -> float:
    """Mean loss over (windows, CONTEXT) tokens; <s> stands in place of what came before each window."""
    total = 0.0
    for targets in windows.split(BATCH):
        tokens = torch.cat((torch.full_like(targets[:, :1], BOS), targets[:, :-1]), dim=1)
        total += model(tokens, targets).item() * len(targets)
    return total / len(windows)


def learning_rate(step: int, progress: float) -> float:
    """Warm up by steps, stay constant, then fall to zero in a line over the last part of all steps."""
    return PEAK_RATE * min((step + 1) / WARM_UP, 1.0, max(0.0, (1 - progress) / DECAY))


def optimizer_for(model: nn.Module) -> torch.optim.AdamW:
    """AdamW, with weight decay for matrices only."""
    matrices = [weight for weight in model.parameters() if weight.dim() == 2]
    vectors = [weight for weight in model.parameters() if weight.dim() != 2]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=PEAK_RATE, betas=(0.9, 0.98), fused=True)


def train(work: Path, evaluation: Path, steps: int, threads: int) -> None:
    """Train for so many steps, going on from `checkpoint.pt` if there is one; write loss.csv beside it."""
    torch.manual_seed(SEED)
    torch.set_num_threads(threads)
    model = Llama(Shape())
    optimizer = optimizer_for(model)
    checkpoint = work / "checkpoint.pt"
    step, seconds, recent = 0, 0.0, []
    if checkpoint.exists():
        state = torch.load(checkpoint)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        step, seconds, recent = state["step"], state["seconds"], state["recent"]
    else:
        (work / "loss.csv").write_text("step,tokens,train_loss,held_out_loss,seconds\n")
    text = np.load(work / DOCUMENTS, mmap_mode="r")
    windows = torch.cat([read_windows(path, work)[0] for path in sorted(evaluation.glob("*.txt"))])
    windows = windows[torch.randperm(len(windows), generator=torch.Generator().manual_seed(SEED))[:64]]
    step_model = torch.compile(model)
    precision = torch.autocast("cpu", torch.bfloat16)
    while True:
        if recent and (step % REPORT_EVERY == 0 or step == steps):
            with precision:
                held_out = held_out_loss(step_model, windows)
            with (work / "loss.csv").open("a") as file:
                mean = sum(recent) / len(recent)
                file.write(f"{step},{step * BATCH * CONTEXT},{mean:.4f},{held_out:.4f},{seconds:.0f}\n")
            recent = []
        if step % SAVE_EVERY == 0 or step == steps:
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "recent": recent}
            torch.save(state | {"step": step, "seconds": seconds}, checkpoint.with_suffix(".new"))
            checkpoint.with_suffix(".new").replace(checkpoint)
        if step >= steps:
            break
        start = time.monotonic()
        # The crops depend on the step alone, so a resumed run sees what an unbroken one would.
        places = np.random.default_rng((SEED, step)).integers(0, len(text) - CONTEXT - 1, BATCH)
        crops = torch.from_numpy(np.stack([text[p : p + CONTEXT + 1] for p in places]).astype(np.int64))
        crops[:, 0] = BOS
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, step / steps)
        with precision:
            loss = step_model(crops[:, :-1], crops[:, 1:])
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        recent.append(loss.item())
        step += 1
        # A step takes about a second: a longer one is a process that was suspended.
        seconds += min(time.monotonic() - start, 10.0)


def export(work: Path, out: Path) -> None:
    """Write the last checkpoint, in F16, as a model folder for transformers and convert_hf_to_gguf.py."""
    weights = torch.load(work / "checkpoint.pt")["model"]
    out.mkdir(parents=True, exist_ok=True)
    half = {f"model.{name}": weight.to(torch.float16).contiguous() for name, weight in weights.items()}
    save_file(half, out / "model.safetensors", metadata={"format": "pt"})
    shutil.copy(work / "tokenizer.model", out)
    special = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    numbers = {"bos_token_id": BOS, "eos_token_id": EOS}
    kind = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu"}
    more = {"attention_bias": False, "mlp_bias": False, "tie_word_embeddings": True, "torch_dtype": "float16"}
    tokenizer = {
        "tokenizer_class": "LlamaTokenizer",
        "legacy": False,
        "add_bos_token": True,
        "add_eos_token": False,
        "clean_up_tokenization_spaces": False,
        "model_max_length": Shape.max_position_embeddings,
    }
    files = {
        "config": {**kind, **asdict(Shape()), **more, **numbers},
        "generation_config": numbers,
        "special_tokens_map": special,
        "tokenizer_config": {**tokenizer, **special},
    }
    for name, content in files.items():
        (out / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n")
    (out / "README.md").write_text(CARD)


def evaluate(work: Path, evaluation: Path, out: Path) -> None:
    """Print loss, perplexity and bits per byte of the exported weights on each held-out file, and on all."""
    model = Llama(Shape())
    weights = load_file(out / "model.safetensors")
    model.load_state_dict({name.removeprefix("model."): weight for name, weight in weights.items()})
    nats = bits = tokens = size = 0.0
    for path in sorted(evaluation.glob("*.txt")):
        windows, count, length = read_windows(path, work)
        loss = held_out_loss(model, windows)
        print(f"{path.stem:12} {loss:.4f} {math.exp(loss):8.3f} {loss * count / length / math.log(2):.4f}")
        nats, tokens, size = nats + loss * windows.numel(), tokens + windows.numel(), size + length
        bits += loss * count / math.log(2)
    print(f"{'all':12} {nats / tokens:.4f} {math.exp(nats / tokens):8.3f} {bits / size:.4f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("command", choices=("tokenize", "train", "export", "evaluate"))
    parser.add_argument("--work", type=Path, required=True, help="folder that text.py wrote")
    parser.add_argument("--evaluation", type=Path, help="folder of held-out text files")
    parser.add_argument("--steps", type=int, default=2600)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, help="model folder that export writes and evaluate reads")
    a = parser.parse_args()
    if a.command == "tokenize":
        tokenize(a.work)
    elif a.command == "train":
        train(a.work, a.evaluation, a.steps, a.threads)
    elif a.command == "export":
        export(a.work, a.out)
    else:
        evaluate(a.work, a.evaluation, a.out)


if __name__ == "__main__":
    main()
