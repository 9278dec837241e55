"""Everything that has to be measured of a model, once for all budgets."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
import numpy as np

from edgeq import corpus, gguf_info, programs, store
from edgeq.allocate import trials
from edgeq.allocate.candidates import Candidates, candidates
from edgeq.allocate.names import block
from edgeq.allocate.probing import Probing
from edgeq.corpus import Part, Tokens
from edgeq.errors import InputError
from edgeq.records import Build, Corpus, Gguf, Imatrix, ProbeBy, Sensitivities

Update = Callable[..., None]

# Short chunks of several texts: what a tensor is worth is a matter of which text it is, and hardly of how long it is.
N_CTX = 256
_FIRST = 32
# 450 scored tokens are too few, more than 800 buy little: 4 chunks score 892.
_LEAST_CHUNKS = 4


def measure(
    model: Gguf,
    imatrix: Imatrix | None,
    texts: tuple[Path, ...],
    quantizable: Iterable[str],
    build: Build,
    folder: Path,
    *,
    types: tuple[str, ...],
    probe_by: ProbeBy | None = None,
    fold: bool = False,
    part: Part = "all",
    n_threads: int,
    on_progress: Update = lambda *_: None,
) -> Sensitivities:
    """Error table and probes of ``model`` on about a thousand tokens of ``texts``, each of which counts the same.

    What an earlier run has measured is not measured again. Raises InputError for weights that were quantized before,
    for texts that are too short, and for types that need an importance matrix where there is none.
    """
    by = probe_by or trials.default_probe(model.n_params)
    tokens = _tokens(model, texts, build, part)
    inputs = (model.sha256, imatrix.sha256 if imatrix else None, tokens.sha256, types, by, fold, build.key)
    key = store.key_of("sensitivities", *inputs)
    path = store.make_folder(folder) / f"sensitivities-{key[:8]}.json.gz"
    if found := store.find(path, Sensitivities, key):
        return found
    began = time.monotonic()
    header = gguf_info.read_header(Path(model.path))
    of_tensor = candidates(header, quantizable, weighed(imatrix), types)
    n_blocks = 1 + max(block(name) for name in of_tensor)
    plain = _errors(model, imatrix, of_tensor, build, n_threads, False, lambda s: on_progress(s, "error table"))
    folded = (
        _errors(model, imatrix, of_tensor, build, n_threads, True, lambda s: on_progress(s, "error table, folded"))
        if fold
        else None
    )
    probes = trials.probes(of_tensor, by, n_blocks)
    whole = trials.whole(of_tensor, n_blocks)
    probing = Probing(model, imatrix, build, tokens, _FIRST, n_threads)
    done = probing.run([*probes, *whole], folder, lambda share, left_s: on_progress(share, _left(len(probes), left_s)))
    record = Sensitivities(
        model=model,
        imatrix_sha256=imatrix.sha256 if imatrix else None,
        build=build,
        corpus=tokens.corpus,
        tokens_sha256=tokens.sha256,
        n_ctx=N_CTX,
        n_tokens=tokens.n_chunks * (N_CTX - 1 - _FIRST),
        probe_by=by,
        types=types,
        errors=plain,
        folded=folded,
        probes=done.trials[: len(probes)],
        whole=done.trials[len(probes) :],
        floor=sum(done.base) / len(done.base),
        seconds=time.monotonic() - began,
    )
    store.save(path, record, key)
    return record


def weighed(imatrix: Imatrix | None) -> frozenset[str]:
    """Names of the tensors that an importance matrix has entries for."""
    if imatrix is None:
        return frozenset()
    header = gguf_info.read_header(Path(imatrix.path))
    return frozenset(t.name.removesuffix(".in_sum2") for t in header.tensors if t.name.endswith(".in_sum2"))


def _tokens(model: Gguf, texts: tuple[Path, ...], build: Build, part: Part) -> Tokens:
    """As many chunks of each text, spread over it."""
    n_each = -(-_LEAST_CHUNKS // len(texts))
    ids: list[np.ndarray] = []
    found: list[Corpus] = []
    for text in texts:
        of_text = corpus.tokenize(model, (text,), build, n_ctx=N_CTX, n_chunks=0, part=part)
        if of_text.n_chunks < n_each:
            raise InputError(
                f"{text.name} gives {of_text.n_chunks * N_CTX:,} tokens to probe with, and {n_each * N_CTX:,} are "
                "needed.",
                "Give a longer text, or more of them.",
            )
        picked = np.linspace(0, of_text.n_chunks - 1, n_each + 2).round().astype(int)[1:-1]
        picked = picked if len(set(picked)) == n_each else np.arange(n_each)
        ids += [of_text.ids[i * N_CTX : (i + 1) * N_CTX] for i in picked]
        found += of_text.corpus
    joined = np.concatenate(ids)
    return Tokens(tuple(found), joined, N_CTX, store.sha256_bytes(joined.tobytes()))


def _errors(
    model: Gguf,
    imatrix: Imatrix | None,
    of_tensor: dict[str, Candidates],
    build: Build,
    n_threads: int,
    folded: bool,
    on_share: Callable[[float], None],
) -> dict[str, dict[str, float]]:
    table: dict[str, dict[str, float]] = {}

    def event(e: dict[str, object]) -> None:
        if e["event"] == "errors":
            table[str(e["tensor"])] = msgspec.convert(e["errors"], dict[str, float])
            on_share(programs.share(e))

    request: dict[str, object] = {
        "op": "error_table",
        "source": model.path,
        "imatrix": imatrix.path if imatrix else None,
        "types": {name: c.types for name, c in of_tensor.items()},
        "folded": folded,
        "n_threads": n_threads,
    }
    programs.work(build, request, what="measuring rounding errors", on_event=event)
    return table


def _left(n_probes: int, left_s: float | None) -> str:
    return f"{n_probes} probes" if left_s is None else f"{n_probes} probes, {left_s / 60:.0f} min left"
