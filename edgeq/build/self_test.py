"""Trying out what was just compiled: it sees its devices, quantizes a small model, and decodes what it must."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import msgspec

from edgeq import shell, store
from edgeq.build import counting
from edgeq.errors import EdgeqError, ToolError
from edgeq.records import SelfTest

_START = 3
_N = 16
# Many tokens at once and one at a time are computed by different kernels. The prompt ends with _START.
_PROMPT = ",".join(str((_START - i) % counting.N_TOKENS) for i in reversed(range(40)))
# ggml starts a debugger on an abort without it.
_ENV = {"GGML_NO_BACKTRACE": "1"}


class _Device(msgspec.Struct):
    name: str
    description: str
    type: str


class _Probe(msgspec.Struct):
    devices: list[_Device]


def self_test(made: Path, before: Sequence[str] | None, backend: ModuleType, log: Path) -> SelfTest:
    """Run the programs in ``made``. ``backend``: the shelf's file, which says what kind of device must be seen.

    ``before``: the emulator that runs programs of another machine, with its arguments; None where there is none, and
    the result then says that nothing was run. Raises ToolError where a program fails, finds no such device, or decodes
    something else.
    """
    if before is None:
        return SelfTest(skipped="no QEMU for it is installed (Debian, Ubuntu: apt install qemu-user-static)")
    started = time.monotonic()
    with store.scratch() as folder:
        devices = _devices(made, before, folder, log)
        if backend.DEVICE not in {d.type.replace("igpu", "gpu") for d in devices}:
            seen = ", ".join(f"{d.name} ({d.type})" for d in devices) or "none"
            text = f"The build was compiled and sees no {backend.DEVICE}, only: {seen}. It was not kept."
            raise ToolError(text, f"{backend.NO_DEVICE} The log is {log}.", log=log)
        plain, quantized = folder / "counting.gguf", folder / "counting-Q4_K_M.gguf"
        counting.write(plain)
        _run(before, [str(made / "llama-quantize"), str(plain), str(quantized), "Q4_K_M", "1"], "quantizing", log)
        n_gpu_layers = -1 if backend.DEVICE == "gpu" else 0
        tokens = _tokens(made, before, quantized, folder, n_gpu_layers, log)
        if tokens != counting.counted(_START, _N):
            raise ToolError(
                f"The build decodes wrongly: {tokens[:6]}... instead of {counting.counted(_START, _N)[:6]}...",
                f"The build was not kept. The log is {log}.",
                log=log,
            )
        return SelfTest(
            devices=tuple(f"{d.name}: {d.description}" for d in devices),
            tokens=tokens,
            quantized_sha256=store.sha256_file(quantized),
            seconds=round(time.monotonic() - started, 1),
            emulator=" ".join(before),
        )


def _devices(made: Path, before: Sequence[str], folder: Path, log: Path) -> list[_Device]:
    out = folder / "probe.json"
    _run(before, [str(made / "edgeq-probe"), "--out", str(out)], "looking for devices", log)
    return msgspec.json.decode(out.read_bytes(), type=_Probe).devices


def _tokens(
    made: Path, before: Sequence[str], model: Path, folder: Path, n_gpu_layers: int, log: Path
) -> tuple[int, ...]:
    events = folder / "events.jsonl"
    argv = [str(made / "edgeq-generate"), "--model", str(model), "--events", str(events)]
    argv += ["--prompt", _PROMPT, "--n", str(_N), "--gpu-layers", str(n_gpu_layers)]
    found: list[int] = []

    def take(event: shell.Event) -> None:
        if event.get("event") == "tokens":
            found.extend(msgspec.convert(event["ids"], list[int]))

    _run(before, argv, "decoding", log, events, take)
    return tuple(found)


def _run(
    before: Sequence[str],
    argv: list[str],
    what: str,
    log: Path,
    events: Path | None = None,
    on_event: shell.OnEvent | None = None,
) -> None:
    try:
        shell.run([*before, *argv], what=what, log=log, env=_ENV, events=events, on_event=on_event)
    except EdgeqError as e:
        raise ToolError(
            f"The build was compiled and does not work: {e.text}", f"It was not kept. The log is {log}.", log=log
        ) from None
