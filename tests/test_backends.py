"""Backends: their options exist in the pinned tree, and what is missing is found before anything is compiled."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest

from edgeq import build, profiles, sources
from edgeq.backends import Check, blas, cpu, cuda, metal, vulkan
from edgeq.build import compiling
from edgeq.build.options import declared, refuse_unknown_options
from edgeq.errors import InputError
from edgeq.plugins import module, modules
from edgeq.records import Core, Gpu, Profile
from edgeq.toolchain import Toolchain, emulator, isa_problem, same_machine, toolchain
from tests.sysroots.machine import Machine

ROOT = Path(__file__).parents[1]
HERE = Toolchain("x86_64-linux-gnu", "x86_64-linux-gnu", "cc", "c++", "c++ (Debian 12.2.0-14) 12.2.0")
THERE = Toolchain(
    "aarch64-linux-gnu", "x86_64-linux-gnu", "aarch64-linux-gnu-gcc", "aarch64-linux-gnu-g++", "g++ 12.2.0"
)
ISAS = {
    "x86_64-linux-gnu": ("native", "baseline", "variants", "x86-64-v2", "x86-64-v3", "x86-64-v4"),
    "aarch64-linux-gnu": ("native", "baseline", "variants", "armv8-a", "armv8.2-a+dotprod+fp16"),
}


def texts(found: Check) -> str:
    """The problems in one line."""
    return " ".join(f"{p.text} {p.hint}" for p in found.problems)


def option(arg: str) -> str:
    """``-DGGML_BLAS=ON`` -> GGML_BLAS."""
    return arg.removeprefix("-D").partition("=")[0]


@pytest.fixture(scope="module")
def known() -> set[str]:
    """Options of the pinned llama.cpp."""
    return declared(sources.pinned()[0])


@pytest.mark.parametrize("backend", modules("backends"))
def test_every_option_exists_in_the_pinned_tree(backend: str, known: set[str]) -> None:
    shelf = module("backends", backend)
    asked = {
        option(arg)
        for target, isas in ISAS.items()
        for isa in isas
        for arg in shelf.cmake_args(Profile("x", backend=backend, target=target, isa=isa))
    }
    assert {o for o in asked if o.startswith(("GGML", "LLAMA"))} <= known
    assert len(known) > 100


def test_the_options_of_every_profile_and_of_our_cmake_file_exist(known: set[str]) -> None:
    ours = set(re.findall(r"set\(((?:GGML|LLAMA)_[A-Z_]+) ", (ROOT / "CMakeLists.txt").read_text())) - {"LLAMA_CPP_DIR"}
    assert ours and ours <= known
    for name in profiles.names():
        refuse_unknown_options(sources.pinned()[0], profiles.load(name).cmake_args)


def test_an_option_that_llama_cpp_does_not_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no option GGML_CUDA_FLASH") as e:
        refuse_unknown_options(sources.pinned()[0], ("-DGGML_CUDA=ON", "-DGGML_CUDA_FLASH=ON"))
    assert "Did you mean GGML_CUDA_FA?" in e.value.hint


def test_instruction_sets_become_options() -> None:
    def args(target: str, isa: str) -> tuple[str, ...]:
        return cpu.cmake_args(Profile("x", target=target, isa=isa))

    assert "-DGGML_CPU_ARM_ARCH=armv8-a" in args("aarch64-linux-gnu", "baseline")
    assert "-DGGML_CPU_ARM_ARCH=armv8.2-a+dotprod" in args("aarch64-linux-gnu", "armv8.2-a+dotprod")
    assert {"-DGGML_AVX2=ON", "-DGGML_AVX512=OFF", "-DGGML_NATIVE=OFF"} <= set(args("x86_64-linux-gnu", "x86-64-v3"))
    assert args("x86_64-linux-gnu", "baseline") == args("x86_64-linux-gnu", "x86-64-v3")
    assert "-DGGML_AVX=OFF" in args("x86_64-linux-gnu", "x86-64-v2")
    assert {"-DGGML_BACKEND_DL=ON", "-DGGML_CPU_ALL_VARIANTS=ON"} <= set(args("x86_64-linux-gnu", "variants"))


@pytest.mark.parametrize(
    ("isa", "target", "wrong"),
    [
        ("armv8.2-a+dotprod", "x86_64-linux-gnu", True),
        ("x86-64-v3", "aarch64-linux-gnu", True),
        ("armv7-a", "", True),
        ("avx2", "", True),
        ("armv8.2-a+dotprod+fp16", "arm64-apple-darwin", False),
        ("variants", "aarch64-linux-gnu", False),
    ],
)
def test_instruction_sets_of_another_processor_are_refused(isa: str, target: str, wrong: bool) -> None:
    assert (isa_problem(isa, target) is not None) == wrong


def nvcc(machine: Machine, release: str, gcc_limit: int = 15, cublas: bool = True) -> None:
    """A CUDA toolkit where NVIDIA's packages put it."""
    said = f"nvcc: NVIDIA (R) Cuda compiler driver\nCuda compilation tools, release {release}, V{release}.88\n"
    machine.commands["nvcc"] = lambda argv: said
    top = f"usr/local/cuda-{release}"
    machine.file(f"{top}/include/crt/host_config.h", f"#if __GNUC__ > {gcc_limit}\n#error\n")
    if cublas:
        machine.file(f"{top}/include/cublas_v2.h", "\n")


def jetson(arch: int) -> Profile:
    """A board with this GPU."""
    return Profile("jetson", backend="cuda", gpu=Gpu("GPU", cuda_arch=arch))


@pytest.mark.parametrize(
    ("release", "arch", "words"),
    [
        ("10.2", 53, "can't compile C++17"),
        ("11.4", 72, ""),
        ("12.6", 53, ""),
        ("13.0", 53, "compute capability 5.3 no more"),
        ("13.0", 72, "from 11.0 to before 13.0"),
        ("11.4", 87, ""),
        ("11.2", 87, "needs CUDA 11.4 or newer"),
        ("13.0", 87, ""),
        ("12.9", 110, "needs CUDA 13.0 or newer"),
        ("13.0", 101, "is 110 there"),
        ("13.0", 110, ""),
    ],
)
def test_which_toolkit_makes_code_for_which_board(release: str, arch: int, words: str, tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    nvcc(machine, release)
    found = cuda.check(machine.access(), jetson(arch), HERE)
    assert found.versions == {"CUDA": release}
    assert words in texts(found)
    assert bool(found.problems) == bool(words)


@pytest.mark.skipif(shutil.which("nvcc") is None, reason="no CUDA compiler")
def test_the_table_of_architectures_is_what_nvcc_says() -> None:
    here = cuda.version(subprocess.run(["nvcc", "--version"], capture_output=True, text=True, check=True).stdout)
    said = subprocess.run(["nvcc", "--list-gpu-arch"], capture_output=True, text=True, check=True).stdout
    assert here is not None
    makes = {a for a, (first, gone) in cuda.ARCHITECTURES.items() if first <= here and (gone is None or here < gone)}
    assert makes == set(map(int, re.findall(r"compute_(\d+)", said))) & set(cuda.ARCHITECTURES)


def test_cuda_names_what_is_missing(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    assert "nvcc, was not found" in texts(cuda.check(machine.access(), jetson(87), HERE))
    assert "compiled on the device" in texts(cuda.check(machine.access(), jetson(87), THERE))
    nvcc(machine, "12.2", gcc_limit=11, cublas=False)
    said = texts(cuda.check(machine.access(), jetson(87), HERE))
    assert "libcublas-dev-12-2" in said
    assert "no GCC newer than 11" in said and "is 12" in said


def test_cuda_compiles_for_the_boards_gpu_and_offloads_all_layers() -> None:
    assert "-DCMAKE_CUDA_ARCHITECTURES=87" in cuda.cmake_args(jetson(87))
    assert "-DCMAKE_CUDA_ARCHITECTURES=native" in cuda.cmake_args(Profile("x"))
    assert cuda.runner_args(jetson(87))["n_gpu_layers"] == -1
    assert cuda.runner_args(msgspec.structs.replace(jetson(87), n_gpu_layers=12))["n_gpu_layers"] == 12
    assert cpu.runner_args(Profile("x", flash_attn="on", type_k="q8_0")) == {
        "n_gpu_layers": 0, "flash_attn": "on", "type_k": "q8_0", "type_v": "f16",
    }  # fmt: skip


def vulkan_sdk(machine: Machine, version: tuple[int, int, int]) -> None:
    """Debian's packages of headers and tools."""
    core = (
        f"#define VK_HEADER_VERSION {version[2]}\n"
        f"#define VK_HEADER_VERSION_COMPLETE VK_MAKE_API_VERSION(0, {version[0]}, {version[1]}, VK_HEADER_VERSION)\n"
    )
    machine.file("usr/include/vulkan/vulkan_core.h", core)
    machine.file("usr/share/cmake/SPIRV-Headers/SPIRV-HeadersConfig.cmake", "")
    machine.commands["glslc"] = lambda argv: "shaderc 2023.2-1\n"


def test_vulkan_headers_that_are_too_old_are_found_before_compiling(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VULKAN_SDK", raising=False)
    machine, profile = Machine(tmp_path), Profile("x", backend="vulkan")
    said = texts(vulkan.check(machine.access(), profile, HERE))
    assert all(package in said for package in ("libvulkan-dev", "glslc", "spirv-headers"))
    vulkan_sdk(machine, (1, 3, 204))  # Ubuntu 22.04
    said = texts(vulkan.check(machine.access(), profile, HERE))
    assert "are version 1.3.204" in said and "needs 1.3.239" in said
    vulkan_sdk(machine, (1, 3, 239))  # Debian 12
    assert vulkan.check(machine.access(), profile, HERE) == Check(
        {"Vulkan headers": "1.3.239", "glslc": "shaderc 2023.2-1"}
    )
    assert "on the device" in texts(vulkan.check(machine.access(), profile, THERE))


def test_headers_of_the_users_own_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VULKAN_SDK", raising=False)
    machine, other = Machine(tmp_path / "system"), Machine(tmp_path / "own")
    vulkan_sdk(machine, (1, 3, 204))
    vulkan_sdk(other, (1, 4, 321))
    profile = Profile("x", cmake_args=(f"-DVulkan_INCLUDE_DIR={other.root}/usr/include",))
    assert vulkan.headers(machine.access(), profile) == (1, 4, 321)


def test_metal_is_for_macs(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.commands["sw_vers"] = lambda argv: "26.1\n"
    refused = metal.check(machine.access(), Profile("x"), HERE)
    assert "this machine runs linux" in texts(refused)
    assert metal.check(machine.access(platform="darwin"), Profile("x"), HERE) == Check({"macOS": "26.1"})
    assert {"-DGGML_METAL=ON", "-DGGML_METAL_EMBED_LIBRARY=ON"} <= set(metal.cmake_args(Profile("x")))


def test_openblas_is_looked_for_as_cmake_does(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    assert "pkg-config" in texts(blas.check(machine.access(), Profile("x"), HERE))
    machine.commands["pkg-config"] = lambda argv: "1.8.1\n" if argv[1] == "--version" else None
    assert "libopenblas-dev" in texts(blas.check(machine.access(), Profile("x"), HERE))
    machine.commands["pkg-config"] = lambda argv: "0.3.21\n" if argv[-1] in ("--version", "openblas") else None
    assert blas.check(machine.access(), Profile("x"), HERE) == Check({"OpenBLAS": "0.3.21"})
    assert "on the device" in texts(blas.check(machine.access(), Profile("x"), THERE))


def test_a_missing_compiler_is_named_with_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CXX", raising=False)
    machine = Machine(tmp_path)
    assert "apt install g++" in texts(build.check(machine.access(), Profile("x")))
    machine.commands["c++"] = lambda argv: "x86_64-linux-gnu\n" if argv[1] == "-dumpmachine" else "c++ 12\n"
    assert build.check(machine.access(), Profile("x")) == Check({"compiler": "c++ 12"})
    assert "apt install g++-aarch64-linux-gnu" in texts(
        build.check(machine.access(), Profile("x", target="aarch64-linux-gnu"))
    )
    assert "compiled on a Mac" in texts(build.check(machine.access(), Profile("x", target="arm64-apple-darwin")))
    assert same_machine("x86_64-redhat-linux", "x86_64-linux-gnu")
    assert not same_machine("x86_64-linux-gnu", "x86_64-apple-darwin")
    assert not toolchain(machine.access(), "x86_64-unknown-linux-gnu").cross


def test_a_compiler_that_is_too_old_for_the_board_is_found(tmp_path: Path) -> None:
    machine = Machine(tmp_path)

    def gcc12(argv: list[str]) -> str | None:
        return None if "sme" in argv[1] else "g++ (Debian 12.2.0-14) 12.2.0\n"

    machine.commands["aarch64-linux-gnu-g++"] = gcc12
    for isa, refused in (("variants", True), ("armv9.2-a+sme", True), ("armv8.2-a+dotprod", False), ("native", False)):
        found = build.check(machine.access(), Profile("x", target="aarch64-linux-gnu", isa=isa))
        assert ("does not know -march=armv9.2-a+sme" in texts(found)) == refused


@pytest.mark.parametrize(
    ("qemu", "profile", "cpu_name"),
    [
        ("7.2.22", Profile("x", cores=(Core("Cortex-A76", 4),)), "cortex-a76"),
        ("5.2.0", Profile("x", cores=(Core("Cortex-A76", 4),)), "max"),
        ("7.2.22", Profile("x", cores=(Core("Cortex-A72", 4),)), "cortex-a72"),
        ("7.2.22", Profile("x", isa="baseline"), "cortex-a53"),
    ],
)
def test_programs_are_tried_on_the_boards_own_cores(qemu: str, profile: Profile, cpu_name: str, tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    assert emulator(machine.access(), THERE, profile) is None
    machine.commands["qemu-aarch64-static"] = lambda argv: f"qemu-aarch64 version {qemu} (Debian)\n"
    machine.commands["aarch64-linux-gnu-g++"] = lambda argv: "/usr/aarch64-linux-gnu/lib/libc.so.6\n"
    assert emulator(machine.access(), THERE, profile) == (
        "qemu-aarch64-static", "-L", "/usr/aarch64-linux-gnu", "-cpu", cpu_name,
    )  # fmt: skip


def test_no_more_compilers_than_the_memory_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    for available, expected in ((1e9, 1), (6e9, 2), (64e9, 8)):
        monkeypatch.setattr(compiling, "available_bytes", lambda available=available: int(available))
        assert compiling.jobs(cuda.BYTES_PER_JOB) == expected
