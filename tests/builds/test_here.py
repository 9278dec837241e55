"""Other backends that any Debian machine can build: OpenBLAS, Vulkan on a software device, all CPU variants."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from edgeq import bench, build, instruments, programs
from edgeq.access import Access
from edgeq.records import Build, Gguf, Profile
from tests.builds.test_cross import generate

pytestmark = pytest.mark.builds
N_PROMPT = 64


@pytest.fixture(scope="module", params=["blas", "vulkan", "variants"])
def other(request: pytest.FixtureRequest) -> Build:
    """A build of another kind, made as a user makes it."""
    kinds = {
        "blas": Profile("blas", backend="blas"),
        "vulkan": Profile("vulkan", backend="vulkan"),
        "variants": Profile("variants", isa="variants"),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GGML_VK_VISIBLE_DEVICES", "0")  # llama.cpp leaves software devices alone otherwise
        yield build.build(kinds[request.param])


def test_it_sees_its_device_and_counts(other: Build) -> None:
    assert other.self_test and other.self_test.tokens
    devices = " ".join(other.self_test.devices)
    assert {"blas": "BLAS", "vulkan": "llvmpipe", "cpu": "CPU"}[other.backend] in devices


def test_greedy_tokens_are_the_cpus(built: Build, other: Build, smollm2: Path, tmp_path: Path) -> None:
    gpu = ["--gpu-layers", "-1" if other.backend == "vulkan" else "0"]
    expected = generate([built.tool("generate")], smollm2, tmp_path)
    assert generate([other.tool("generate"), *gpu], smollm2, tmp_path) == expected


def test_it_is_benched(other: Build, ladder: tuple[Gguf, ...], tmp_path: Path) -> None:
    profile = Profile("x", backend=other.backend, sensors=("process_memory",))
    access = Access(profile=profile)
    with instruments.opened(access) as found:
        settings = bench.settings(profile, (f"pp{N_PROMPT}", "tg8"), n_reps=2, n_threads=2, found=found)
        record = bench.Bench(other, access, found, settings, tmp_path).measure(ladder[1])
    assert settings.n_gpu_layers == (-1 if other.backend == "vulkan" else 0)
    assert {p.test for p in record.phases if p.timed} == {f"pp{N_PROMPT}", "tg8"}
    buffers = {b.device for b in record.buffers}
    assert ("Vulkan0" in buffers) == (other.backend == "vulkan")


def test_the_binding_works_with_it(other: Build) -> None:
    known = programs.one(programs.work(other, {"op": "file_types"}, what="asking"), "file_types")["file_types"]
    assert msgspec.convert(known, dict[str, int])["Q4_K_M"] == 15
