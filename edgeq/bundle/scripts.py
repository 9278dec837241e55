"""What a bundle's user runs: plain POSIX shell, as a board without Python has it."""

from __future__ import annotations

from pathlib import Path

from edgeq.records import BenchSettings, Bundle

_HEAD = """#!/bin/sh
# {what}
set -eu
here=$(cd "$(dirname "$0")" && pwd)
"""

_RUN = """model={first}
case "${{1:-}}" in *.gguf) model=$1; shift ;; esac
[ -f "$model" ] || model="$here/models/$model"
[ -f "$model" ] || {{ echo "There is no $model. Models here:" >&2; ls "$here/models" >&2; exit 3; }}
exec "$here/bin/llama-server" --model "$model" --ctx-size {n_ctx} --threads {threads} \\
    --n-gpu-layers {ngl} --flash-attn {fa} --cache-type-k {ctk} --cache-type-v {ctv} "$@"
"""

# Raw facts go to a file; the last lines are what most people want of them. $0: prefill and decode phases alone.
_BENCH = """out="$here/results"
mkdir -p "$out"
[ $# -gt 0 ] || set -- "$here"/models/*.gguf
for model; do
    [ -f "$model" ] || model="$here/models/$model"
    [ -f "$model" ] || {{ echo "There is no $model. Models here:" >&2; ls "$here/models" >&2; exit 3; }}
    name=$(basename "$model" .gguf)
    case "$name" in *-00001-of-?????) ;; *-?????-of-?????) continue ;; esac # the first part names all
    events="$out/$name.jsonl"
    rm -f "$events"
    "$here/bin/edgeq-bench" --model "$model" --events "$events.partial" --threads {threads} --reps {reps} \\
        --batch {batch} --ubatch {ubatch} --gpu-layers {ngl} --flash-attn {fa} --type-k {ctk} --type-v {ctv} \\
        {tests} 2> "$out/$name.log" || {{ tail -n 3 "$out/$name.log" >&2; exit 5; }}
    mv "$events.partial" "$events"
    awk -v name="$name" '
        function number(key) {{
            return match($0, "\\"" key "\\":[0-9]+") ? substr($0, RSTART + length(key) + 3) + 0 : 0
        }}
        /"kind":"(prefill|decode)"/ {{
            match($0, /"test":"[^"]*"/); test = substr($0, RSTART + 8, RLENGTH - 9)
            if (!(test in tokens)) order[++n] = test
            tokens[test] += number("n_tokens"); ns[test] += number("t1_ns") - number("t0_ns"); reps[test]++
        }}
        END {{
            for (i = 1; i <= n; i++)
                printf "%-28s %-14s %9.2f t/s  (%d repetitions)\\n", \\
                    name, order[i], tokens[order[i]] / ns[order[i]] * 1e9, reps[order[i]]
        }}' "$events"
done
"""


def run_script(first: str, n_ctx: int, s: BenchSettings) -> str:
    """``run.sh``: llama-server with the profile's settings."""
    what = "Serves a model on http://127.0.0.1:8080: ./run.sh [MODEL.gguf] [options of llama-server]"
    return _HEAD.format(what=what) + _RUN.format(first=first, n_ctx=n_ctx, **_common(s))


def bench_script(s: BenchSettings) -> str:
    """``bench.sh``: edgeq's native bench of every model, raw facts in ``results/``, tokens/s on the screen."""
    tests = " ".join(f"--test {t.n_prompt},{t.n_gen},{t.n_depth}" for t in s.tests)
    what = "Measures the models: ./bench.sh [MODEL.gguf ...]; every phase and token goes to results/MODEL.jsonl."
    more = {"reps": s.n_reps, "batch": s.n_batch, "ubatch": s.n_ubatch, "tests": tests}
    return _HEAD.format(what=what) + _BENCH.format(**_common(s), **more)


def readme(b: Bundle) -> str:
    """``README.txt``: what this is, what it needs, what it is licensed under."""
    models = "\n".join(f"  {Path(m.path).name}  {m.file_type}, {m.bpw:.2f} bits per parameter" for m in b.models)
    libraries = ", ".join(b.runtime)
    return f"""Language models for {b.profile.description or b.profile.name}

  ./run.sh      serves the first model on http://127.0.0.1:8080 (llama-server, OpenAI's API)
  ./bench.sh    measures all models: tokens/s on the screen, every phase and token in results/

{models}

The programs are for {b.build.target} ({b.build.isa}), llama.cpp {b.build.llama_commit[:12]}, compiled with
{b.build.compiler}. They need a C library (glibc) of version {b.glibc} or newer: `ldd --version` tells.
`edgeq verify` on this folder compares everything with manifest.json; so does, without edgeq,
  sed -n 's/^ *"\\(.*\\)": "\\([0-9a-f]\\{{64\\}}\\)",\\{{0,1\\}}$/\\2  \\1/p' manifest.json | sha256sum -c

Licenses: licenses/. {libraries} are GCC's run-time libraries, unchanged, under the
GPL version 3 with the GCC Runtime Library Exception; their source is that of the compiler named above.
"""


def _common(s: BenchSettings) -> dict[str, object]:
    return {
        "threads": s.n_threads,
        "ngl": s.n_gpu_layers,
        "fa": s.flash_attn,
        "ctk": s.type_k,
        "ctv": s.type_v,
    }
