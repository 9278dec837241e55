"""SQL as ``llama-bench -o sql`` prints it, which llama.cpp's scripts/compare-llama-bench.py reads.

Fields, types and spellings follow tools/llama-bench/llama-bench.cpp (test::get_fields, sql_printer) of llama.cpp
0c1e570. What edgeq does not vary has llama-bench's default.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from edgeq.gguf_info import TYPE_NAMED
from edgeq.records import BenchRecord, BenchTest, Gguf

_INTEGERS = {
    *("build_number", "model_size", "model_n_params", "n_batch", "n_ubatch", "n_threads", "cpu_strict", "poll"),
    *("n_gpu_layers", "n_cpu_moe", "main_gpu", "no_kv_offload", "flash_attn", "embeddings", "no_op_offload"),
    *("no_host", "repack", "fit_target", "fit_min_ctx", "n_prompt", "n_gen", "n_depth", "avg_ns", "stddev_ns"),
}
_REALS = {"avg_ts", "stddev_ts"}
# cmd_params_defaults, in part, and the number of a build whose source tree has no history.
_DEFAULTS = {
    **{"build_number": "1", "cpu_mask": "0x0", "cpu_strict": "0", "poll": "50", "n_cpu_moe": "0"},
    **{"split_mode": "layer", "main_gpu": "0", "no_kv_offload": "0", "devices": "auto", "tensor_split": "0.00"},
    **{"tensor_buft_overrides": "none", "load_mode": "auto", "lazy_mode": "auto", "embeddings": "0"},
    **{"no_op_offload": "0", "no_host": "0", "repack": "1", "fit_target": "0", "fit_min_ctx": "0"},
}
# ggml_backend_reg_name of each backend, and LLAMA_FLASH_ATTN_TYPE_*.
_BACKENDS = {"cpu": "CPU", "blas": "BLAS", "cuda": "CUDA", "metal": "MTL", "vulkan": "Vulkan"}
_FLASH_ATTN = {"auto": "-1", "off": "0", "on": "1"}
# llama_ftype_name in src/llama-model-loader.cpp, where it is more than the file type's own name.
_SIZES = {"_S": " - Small", "_M": " - Medium", "_L": " - Large"}
_FTYPES = {
    **{"F32": "all F32", "MXFP4_MOE": "MXFP4 MoE", "Q2_K": "Q2_K - Medium"},
    **{"TQ1_0": "TQ1_0 - 1.69 bpw ternary", "TQ2_0": "TQ2_0 - 2.06 bpw ternary"},
    **{"IQ1_S": "IQ1_S - 1.5625 bpw", "IQ1_M": "IQ1_M - 1.75 bpw", "IQ2_XXS": "IQ2_XXS - 2.0625 bpw"},
    **{"IQ2_XS": "IQ2_XS - 2.3125 bpw", "IQ2_S": "IQ2_S - 2.5 bpw", "IQ2_M": "IQ2_M - 2.7 bpw"},
    **{"IQ3_XXS": "IQ3_XXS - 3.0625 bpw", "IQ3_XS": "IQ3_XS - 3.3 bpw", "IQ3_S": "IQ3_S - 3.4375 bpw"},
    **{"IQ3_M": "IQ3_S mix - 3.66 bpw", "IQ4_NL": "IQ4_NL - 4.5 bpw", "IQ4_XS": "IQ4_XS - 4.25 bpw"},
}
FIELDS = (
    *("build_commit", "build_number", "cpu_info", "gpu_info", "backends", "model_filename", "model_type"),
    *("model_size", "model_n_params", "n_batch", "n_ubatch", "n_threads", "cpu_mask", "cpu_strict", "poll"),
    *("type_k", "type_v", "n_gpu_layers", "n_cpu_moe", "split_mode", "main_gpu", "no_kv_offload", "flash_attn"),
    *("devices", "tensor_split", "tensor_buft_overrides", "load_mode", "lazy_mode", "embeddings", "no_op_offload"),
    *("no_host", "repack", "fit_target", "fit_min_ctx", "n_prompt", "n_gen", "n_depth", "test_time", "avg_ns"),
    *("stddev_ns", "avg_ts", "stddev_ts"),
)


def llama_bench_sql(benches: Sequence[BenchRecord]) -> str:
    """The table and one line for each test of each bench, repeated ones included, as llama-bench would have run them.

    Times in ns, rates in tokens/s, model_size in bytes of tensors. ``model_type`` has no size class (``llama ?B``),
    which llama.cpp works out of the model; ``test_time`` is empty: a record keeps a monotonic clock only.
    """
    columns = ",\n".join(f"  {name} {_type(name)}" for name in FIELDS)
    lines = [f"CREATE TABLE IF NOT EXISTS llama_bench (\n{columns}\n);\n"]
    for bench in benches:
        for test in bench.settings.tests:
            times = [p.t1_ns - p.t0_ns for p in bench.phases if p.timed and p.test == test.name]
            if times:
                lines.append(_insert(_values(bench, test, times)))
    return "\n".join((*lines, ""))


def _type(name: str) -> str:
    return "INTEGER" if name in _INTEGERS else "REAL" if name in _REALS else "TEXT"


def _insert(values: dict[str, str]) -> str:
    quoted = ", ".join("'" + values[name].replace("'", "''").replace("\0", "") + "'" for name in FIELDS)
    return f"INSERT INTO llama_bench ({', '.join(FIELDS)}) VALUES ({quoted});"


def _values(b: BenchRecord, test: BenchTest, times_ns: Sequence[int]) -> dict[str, str]:
    s = b.settings
    on_gpu = b.build.backend not in ("cpu", "blas")
    rates = [(test.n_prompt + test.n_gen) / t * 1e9 for t in times_ns]
    return _DEFAULTS | {
        "build_commit": b.build.llama_commit[:7],
        "cpu_info": b.host.cpu,
        "gpu_info": ", ".join(b.host.gpu) if on_gpu else "",
        "backends": _BACKENDS.get(b.build.backend, b.build.backend),
        "model_filename": b.model.path,
        "model_type": f"{b.model.arch} ?B {file_type(b.model.file_type)}",
        "model_size": str(_tensor_bytes(b.model)),
        "model_n_params": str(b.model.n_params),
        "n_batch": str(s.n_batch),
        "n_ubatch": str(s.n_ubatch),
        "n_threads": str(s.n_threads),
        "type_k": s.type_k,
        "type_v": s.type_v,
        "n_gpu_layers": str(s.n_gpu_layers),
        "flash_attn": _FLASH_ATTN[s.flash_attn],
        "n_prompt": str(test.n_prompt),
        "n_gen": str(test.n_gen),
        "n_depth": str(test.n_depth),
        "test_time": "",
        "avg_ns": str(sum(times_ns) // len(times_ns)),
        "stddev_ns": str(int(_deviation(times_ns))),
        "avg_ts": f"{sum(rates) / len(rates):.6f}",
        "stddev_ts": f"{_deviation(rates):.6f}",
    }


def _deviation(values: Sequence[float]) -> float:
    """Sample standard deviation, 0 for one value as in llama-bench."""
    if len(values) < 2:
        return 0.0
    mean = sum(values) / len(values)
    return math.sqrt(sum((v - mean) ** 2 for v in values) / (len(values) - 1))


def file_type(name: str) -> str:
    """A file type as llama.cpp writes it out: Q4_K - Medium."""
    if name in _FTYPES or name[-2:] not in _SIZES or "_K_" not in name:
        return _FTYPES.get(name, name)
    return name[:-2] + _SIZES[name[-2:]]


def _tensor_bytes(model: Gguf) -> int:
    """Bytes of the tensors alone, which llama.cpp calls the model's size."""
    return sum(TYPE_NAMED[name].n_bytes(n) for name, n in model.tensor_types.items() if name in TYPE_NAMED)
