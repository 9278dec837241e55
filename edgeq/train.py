"""Room: a model whose matrices were trained to lie on the grid of a quantized type (quantization-aware training)."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import msgspec
import numpy as np

from edgeq import converter, corpus, device, gguf_info, models, plugins, programs, store
from edgeq.corpus import Part, Tokens
from edgeq.errors import InputError, MissingError
from edgeq.records import Build, Gguf, Recipe, Record
from edgeq.tensors import output
from edgeq.tensors.source import Source

# Parameters of the model times tokens that training sees: some minutes on two cores.
_WORK = 3.5e12
_FEWEST_STEPS, _MOST_STEPS = 20, 150
_MOST_ROUNDS = 8  # over a text; seen more often, it is learned by heart

_MATRICES = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
_NORMS = ("attn_norm", "ffn_norm")
_BLOCK = 32
# In float32 for each weight that is trained, besides the model as it was: the weight, its rounded value, the gradient,
# and Adam's two means. Three of them are in a checkpoint, of which there may be two.
_STATE, _SAVED = 5, 3
_LOGITS = 6  # float32 copies of the logits of one step: both models', their logarithms, gradients
# What each layer keeps of a token for the gradient, in vectors of the model's width and of the feed-forward's.
_WIDE, _FEED_FORWARD = 10, 6
_FLOAT = 4


class _Options(Record, frozen=True):
    """The method's options. ``steps`` is 0 for as many as fit."""

    steps: int
    rate: float
    n_ctx: int
    n_batch: int


class _Graph(Record, frozen=True):
    """A Llama as the script takes it."""

    n_layers: int
    n_heads: int
    n_kv_heads: int
    head_size: int
    rope_base: float
    norm_epsilon: float


def train(
    source: Gguf,
    texts: tuple[Path, ...],
    build: Build,
    folder: Path,
    recipe: Recipe,
    *,
    part: Part = "all",
    n_threads: int,
    on_progress: Callable[[float], None] = lambda _: None,
    on_note: Callable[[str], None] = lambda _: None,
) -> Gguf:
    """Write ``folder/NAME.trained.gguf`` and its record: the model that ``recipe`` then quantizes without loss.

    It has the source's tensors, those that were trained as F16. An interrupted training goes on where it was, but for
    its last tenth. ``on_note`` gets a sentence on what is downloaded before. Raises InputError for a model other than
    a plain Llama and for a text that is too short, MissingError where there is no PyTorch, memory or disk for it.
    """
    method = plugins.module("quants", recipe.method)
    options = plugins.decode(recipe.name, {**method.OPTIONS, **recipe.options}, _Options)
    if reason := method.check(recipe):
        raise InputError(f"{recipe.name}: {reason}", "Change the recipe's method, its file_type or its options.")
    model = Source(Path(source.path))
    graph = _graph(model)
    tokens = corpus.tokenize(source, texts, build, n_ctx=options.n_ctx, n_chunks=0, part=part)
    options = msgspec.structs.replace(options, steps=_steps(source.n_params, tokens, options))
    inputs = (source.sha256, recipe.file_type, options, tokens.sha256)
    key = store.key_of("train", inputs, store.sha256_file(method.SCRIPT), converter.key())
    out = folder / f"{recipe.name}.trained.gguf"
    if (found := store.find(out.with_suffix(".json"), Gguf, key)) and _is_whole(out, found):
        return found
    trained = _trained(model, graph)
    n_trained = sum(model.tensors[name].info.n_elements for name in trained)
    _check_memory(model, graph.n_layers, n_trained, options)
    work, began = store.partial(out), time.monotonic()
    resumed = _prepare(work, key, model, n_trained, tokens)
    request = {
        "graph": graph,
        "tensors": {name: tensor.shape[::-1] for name, tensor in model.tensors.items()},
        "trained": trained,
        "n_threads": n_threads,
        **msgspec.structs.asdict(options),
    }
    store.write_bytes(work / "request.json", msgspec.json.encode(request))
    converter.train(method.SCRIPT, work, lambda event: on_progress(programs.share(event)), on_note)
    metadata: dict[str, str | int] = {
        method.TRAINED_FOR: recipe.file_type,
        "general.file_type": int(gguf.LlamaFileType.MOSTLY_F16),
        "edgeq.trained_steps": options.steps,
        "edgeq.trained_tokens": options.steps * options.n_batch * options.n_ctx,
    }
    if models.is_quantized(source):
        metadata[models.REQUANTIZED] = 1
    _write(work, out, model, trained, metadata)
    # Of a training that was interrupted, nobody knows how long it took.
    made_s = None if resumed else time.monotonic() - began
    record = msgspec.structs.replace(models.describe(out, recipe=recipe, parent=source), made_s=made_s)
    store.save(out.with_suffix(".json"), record, key)
    shutil.rmtree(work)
    return record


def _steps(n_params: int, tokens: Tokens, options: _Options) -> int:
    """How many steps there will be. Raises InputError where that is too many for the text."""
    fitting = int(_WORK / (n_params * options.n_ctx * options.n_batch))
    most = _MOST_ROUNDS * tokens.n_chunks // options.n_batch
    wanted = options.steps or _FEWEST_STEPS
    if wanted > most:
        raise InputError(
            f"The text gives {len(tokens.ids):,} tokens, too few for {wanted} steps of training, which would see each "
            f"more than {_MOST_ROUNDS} times.",
            "Give a longer text, or a recipe with fewer steps.",
        )
    return options.steps or min(most, max(_FEWEST_STEPS, min(fitting, _MOST_STEPS)))


def _graph(model: Source) -> _Graph:
    """Raises InputError for everything but a plain Llama."""

    def refuse(reason: str) -> InputError:
        return InputError(
            f"{model.path.name} can't be trained: {reason}.", "Training covers the architecture llama, without experts."
        )

    def number(key: str, default: float | None = None) -> float:
        if (value := model.number(key)) is not None:
            return value
        if default is None:
            raise refuse(f"it has no single number {model.arch}.{key}")
        return default

    if model.arch != "llama":
        raise refuse(f"its architecture is {gguf_info.safe(model.arch)}")
    n_heads = int(number("attention.head_count"))
    head_size = int(number("attention.key_length", number("embedding_length") // n_heads))
    graph = _Graph(
        n_layers=int(number("block_count")),
        n_heads=n_heads,
        n_kv_heads=int(number("attention.head_count_kv", n_heads)),
        head_size=head_size,
        rope_base=number("rope.freq_base", 10000.0),
        norm_epsilon=number("attention.layer_norm_rms_epsilon"),
    )
    known = {f"blk.{i}.{name}.weight" for i in range(graph.n_layers) for name in (*_MATRICES, *_NORMS)}
    known |= {"token_embd.weight", "output_norm.weight"}
    if missing := known - model.tensors.keys():
        raise refuse(f"it has no {min(missing)}")
    if other := model.tensors.keys() - known - {"output.weight", "rope_freqs.weight"}:
        raise refuse(f"it has {gguf_info.safe(min(other))}, and nothing of the kind belongs there")
    if number("rope.dimension_count", head_size) != head_size:
        raise refuse("its heads are rotated in part")
    if model.header.metadata.get("llama.rope.scaling.type", "none") != "none" or model.number("rope.scale_linear"):
        raise refuse("its positions are scaled")
    return graph


def _trained(model: Source, graph: _Graph) -> list[str]:
    """The matrices that become Q4_0: those whose rows are whole blocks, as in llama.cpp."""
    names = [f"blk.{i}.{name}.weight" for i in range(graph.n_layers) for name in _MATRICES]
    return [name for name in names if model.tensors[name].row_length % _BLOCK == 0]


def _check_memory(model: Source, n_layers: int, n_trained: int, options: _Options) -> None:
    """Raises MissingError where there is too little."""
    n_embd, n_ff = model.tensors["blk.0.ffn_up.weight"].shape
    per_token = _LOGITS * model.tensors["token_embd.weight"].n_rows + n_layers * (_WIDE * n_embd + _FEED_FORWARD * n_ff)
    need = _FLOAT * (model.header.n_params + _STATE * n_trained + options.n_batch * options.n_ctx * per_token)
    if need > (there := device.available_bytes()):
        raise MissingError(
            f"Training {model.path.name} needs {need / 1e9:.1f} GB of memory, and {there / 1e9:.1f} GB are free.",
            "Close other programs, or leave out quantization-aware training.",
        )


def _prepare(work: Path, key: str, model: Source, n_trained: int, tokens: Tokens) -> bool:
    """What the script reads, where it is not there from before. Returns whether it is, and training may go on."""
    marker = work / "key"
    if marker.exists() and marker.read_text() == key:
        return True
    shutil.rmtree(work, ignore_errors=True)
    store.make_folder(work)
    # The model, two checkpoints, the results as F16 and the file made of them.
    n_values = model.header.n_params + 2 * _SAVED * n_trained + n_trained // 2
    store.need_space(work, _FLOAT * n_values + model.header.n_file_bytes, "Training")
    with store.writing(work):
        for name, tensor in model.tensors.items():
            with (work / f"{name}.f32").open("wb") as file:
                for start, stop in tensor.steps():
                    file.write(_decoded(model, name, start, stop))
        (work / "tokens.i32").write_bytes(_with_bos(model, tokens).tobytes())
    store.write_text(marker, key)
    return False


def _decoded(model: Source, name: str, start: int, stop: int) -> bytes:
    tensor = model.tensors[name]
    try:
        return tensor.rows(start, stop).tobytes()
    except (KeyError, NotImplementedError):
        raise InputError(
            f"{model.path.name} has weights in {tensor.type}, which can't be decoded here.", "Train an unquantized one."
        ) from None


def _with_bos(model: Source, tokens: Tokens) -> np.ndarray[Any, Any]:
    """The chunks as they are evaluated: BOS takes the place of the first token where the vocabulary adds it."""
    metadata = model.header.metadata
    ids: np.ndarray[Any, Any] = tokens.ids.reshape(-1, tokens.n_ctx).copy()
    bos = metadata.get("tokenizer.ggml.bos_token_id")
    adds = metadata.get("tokenizer.ggml.add_bos_token", metadata.get("tokenizer.ggml.model") == "llama")
    if adds and isinstance(bos, int):
        ids[:, 0] = bos
    return ids


def _write(work: Path, out: Path, model: Source, trained: list[str], metadata: dict[str, str | int]) -> None:
    chosen = frozenset(trained)

    def data(name: str) -> output.Bytes:
        return np.fromfile(work / f"{name}.f16", np.float16) if name in chosen else np.array(model.tensors[name].raw)

    planned = [(n, t.shape, "F16" if n in chosen else t.type) for n, t in model.tensors.items()]
    temporary = work / out.name
    with store.writing(out):
        output.write(temporary, model, planned, data, metadata)
    models.describe(temporary)  # refuses a damaged header before the file gets its name
    store.publish(temporary, out)


def _is_whole(path: Path, record: Gguf) -> bool:
    return path.exists() and path.stat().st_size == record.n_bytes
