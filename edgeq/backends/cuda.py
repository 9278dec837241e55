"""NVIDIA's GPUs: desktops, and the Jetson family, each with the toolkits that still make code for it."""

from __future__ import annotations

import os
import re
from pathlib import Path

from edgeq.access import Access
from edgeq.backends import Check
from edgeq.backends._isa import isa_args
from edgeq.backends._offload import offload
from edgeq.records import Note, Profile
from edgeq.toolchain import Toolchain

DEVICE = "gpu"
# A cautious guess: cicc took 0.7 GB on the first half of the kernels for one architecture, and the rest are larger.
BYTES_PER_JOB = 2_500_000_000
NO_DEVICE = "`nvidia-smi` must list the GPU, and this user must be allowed to use it."

Version = tuple[int, int]

# Architecture: (first toolkit that has it, first that has it no more), from NVIDIA's release notes; `nvcc
# --list-gpu-arch` tells the same. 53 Nano, 62 TX2, 72 Xavier, 87 Orin, 101 Thor until CUDA 13 renamed it to 110.
ARCHITECTURES: dict[int, tuple[Version, Version | None]] = {
    53: ((6, 5), (13, 0)),
    62: ((8, 0), (13, 0)),
    72: ((10, 0), (13, 0)),
    75: ((10, 0), None),
    80: ((11, 0), None),
    86: ((11, 1), None),
    87: ((11, 4), None),
    89: ((11, 8), None),
    90: ((11, 8), None),
    100: ((12, 8), None),
    101: ((12, 8), (13, 0)),
    110: ((13, 0), None),
    120: ((12, 8), None),
    121: ((12, 9), None),
}
# nvcc compiles C++17, in which llama.cpp is written, from here on. A Jetson Nano's last JetPack has 10.2.
_CPP17: Version = (11, 0)


def check(access: Access, profile: Profile, chain: Toolchain) -> Check:
    """The toolkit, cuBLAS in it, code for the board's GPU, and a compiler that the toolkit takes."""
    if chain.cross:
        text = f"CUDA code for {chain.target} is compiled on the device, whose JetPack brings the toolkit."
        return Check({}, (Note("cuda-cross", text, "Run `edgeq build --backend cuda` there."),))
    nvcc = compiler(access)
    if nvcc is None:
        hint = "A Jetson's JetPack brings it (/usr/local/cuda/bin); elsewhere: `apt install nvidia-cuda-toolkit`."
        return Check({}, (Note("no-nvcc", "The CUDA compiler, nvcc, was not found.", hint),))
    found = version(access.run([str(nvcc), "--version"]) or "")
    if found is None:
        return Check({}, (Note("odd-nvcc", f"{nvcc} does not tell its version.", "Install the CUDA toolkit again."),))
    problems = [
        *_architecture(profile, found),
        *_parts(access, nvcc, found),
        *_host_compiler(access, nvcc, found, chain),
    ]
    return Check({"CUDA": f"{found[0]}.{found[1]}"}, tuple(problems))


def compiler(access: Access) -> Path | None:
    """Path of nvcc: $CUDACXX, the PATH, or where NVIDIA's packages put it."""
    for name in (os.environ.get("CUDACXX"), "nvcc", "/usr/local/cuda/bin/nvcc"):
        if name and access.run([name, "--version"]) is not None:
            return Path(name)
    return None


def version(text: str) -> Version | None:
    """(major, minor) from what ``nvcc --version`` prints."""
    m = re.search(r"release (\d+)\.(\d+)", text)
    return (int(m[1]), int(m[2])) if m else None


def cmake_args(profile: Profile) -> tuple[str, ...]:
    """llama.cpp's own options; without an architecture in the profile, code for the GPUs that are in this machine."""
    arch = profile.gpu.cuda_arch if profile.gpu and profile.gpu.cuda_arch else "native"
    gpu = ("-DGGML_CUDA=ON", f"-DCMAKE_CUDA_ARCHITECTURES={arch}", "-DGGML_CUDA_NCCL=OFF")
    return (*isa_args(profile), "-DGGML_METAL=OFF", "-DGGML_BLAS=OFF", *gpu)


def runner_args(profile: Profile) -> dict[str, object]:
    """All layers on the GPU unless the profile says how many."""
    return offload(profile)


def _architecture(profile: Profile, found: Version) -> list[Note]:
    if found < _CPP17:
        text = f"CUDA {found[0]}.{found[1]} can't compile C++17, which llama.cpp needs."
        return [Note("old-cuda", text, "Use --backend cpu on this board: its JetPack has no newer CUDA.")]
    arch = profile.gpu.cuda_arch if profile.gpu else None
    if arch is None or arch not in ARCHITECTURES:
        return []
    first, gone = ARCHITECTURES[arch]
    if found < first:
        text = f"CUDA {found[0]}.{found[1]} makes no code for this GPU (compute capability {arch / 10:.1f})."
        return [Note("cuda-arch", text, f"It needs CUDA {first[0]}.{first[1]} or newer.")]
    if gone is not None and found >= gone:
        text = f"CUDA {found[0]}.{found[1]} makes code for compute capability {arch / 10:.1f} no more."
        renamed = " This GPU is 110 there: correct gpu.cuda_arch." if arch == 101 else ""
        hint = f"Use a toolkit from {_plain(max(first, _CPP17))} to before {_plain(gone)}.{renamed}"
        return [Note("cuda-arch", text, hint)]
    return []


def _parts(access: Access, nvcc: Path, found: Version) -> list[Note]:
    """Headers that pieced-together toolkits lack."""
    if _header(access, nvcc, found, "cublas_v2.h"):
        return []
    package = f"libcublas-dev-{found[0]}-{found[1]}"
    return [Note("no-cublas", "The CUDA toolkit is there without cuBLAS.", f"Install {package}, or the whole toolkit.")]


def _host_compiler(access: Access, nvcc: Path, found: Version, chain: Toolchain) -> list[Note]:
    """The toolkit itself says which GCC is too new for it, in crt/host_config.h."""
    path = _header(access, nvcc, found, "crt/host_config.h")
    limit = re.search(r"__GNUC__ > (\d+)", access.try_text(path) or "") if path else None
    has = re.search(r"\b(\d+)\.\d+\.\d+", chain.version or "")
    if limit is None or has is None or "clang" in (chain.version or "") or int(has[1]) <= int(limit[1]):
        return []
    text = f"This CUDA takes no GCC newer than {limit[1]}, and the compiler here is {has[1]}."
    return [Note("new-gcc", text, f"Install g++-{limit[1]} and set CC, CXX and CUDAHOSTCXX to it.")]


def _header(access: Access, nvcc: Path, found: Version, name: str) -> Path | None:
    """A header of the toolkit that ``nvcc`` belongs to."""
    local = access.root / "usr/local"
    tops = [nvcc.parent.parent] if nvcc.is_absolute() else []
    for top in (*tops, local / f"cuda-{_plain(found)}", local / "cuda", access.root / "usr"):
        for folder in ("include", "targets/x86_64-linux/include", "targets/aarch64-linux/include"):
            if access.try_text(top / folder / name) is not None:
                return top / folder / name
    return None


def _plain(v: Version) -> str:
    return f"{v[0]}.{v[1]}"
