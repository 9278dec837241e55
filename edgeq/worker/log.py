"""llama.cpp's log of one call: its text and the last error.

The types that a dry run chose are in its log and nowhere else: the C API has no function that gives them.
"""

from __future__ import annotations

import ctypes
import re
import sys

import llama_cpp.llama_cpp as llama

# [   3/  57] blk.0.attn_k.weight - [256, 128, 1, 1], type = f16, size = 0.06 MiB -> 0.02 MiB (q4_K)
_TENSOR = re.compile(r"^\[ *\d+/ *\d+\] (.+?) +- \[[^\]]*\], type = +(\S+), (?:.*\((\S+)\)$)?", re.M)
_ERROR_LEVEL = 4


class Log:
    """Collects llama.cpp's log while the block runs and passes it on to standard error."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._errors: list[str] = []
        # Kept for as long as llama.cpp may call it.
        self._callback = llama.llama_log_callback(self._take)

    def __enter__(self) -> Log:
        llama.llama_log_set(self._callback, ctypes.c_void_p(0))
        return self

    def __exit__(self, *_: object) -> None:
        llama.llama_log_set(_FORWARD, ctypes.c_void_p(0))

    @property
    def text(self) -> str:
        """Everything that was logged."""
        return "".join(self._parts)

    @property
    def error(self) -> str:
        """The last error line, without the function's name in front."""
        lines = [line for line in "".join(self._errors).splitlines() if line.strip(" =")]
        return re.sub(r"^\w+: (failed to quantize: )?", "", lines[-1].strip()) if lines else ""

    def _take(self, level: int, text: bytes, _: object) -> None:
        part = text.decode("utf-8", "replace")
        sys.stderr.write(part)
        self._parts.append(part)
        if level == _ERROR_LEVEL:
            self._errors.append(part)


def tensor_types(text: str) -> dict[str, str]:
    """{tensor name: type} from the log of a dry run, the type in upper case, in the order of the file."""
    return {m[1]: (m[3] or m[2].rstrip(",")).upper() for m in _TENSOR.finditer(text)}


def _write(level: int, text: bytes, _: object) -> None:
    sys.stderr.write(text.decode("utf-8", "replace"))


_FORWARD = llama.llama_log_callback(_write)
