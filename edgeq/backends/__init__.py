"""Shelf: one file per llama.cpp backend.

Each has ``check(access, profile, chain) -> Check`` (the versions of what it needs, and what is missing with what brings
it), ``cmake_args(profile) -> tuple[str, ...]``, ``runner_args(profile) -> dict[str, object]`` (fields of BenchSettings
that the backend decides), ``DEVICE`` (the type of device that a finished build must see), ``NO_DEVICE`` (what to do
where it sees none) and ``BYTES_PER_JOB`` (memory that one compiler process needs).
"""

from __future__ import annotations

import msgspec

from edgeq.records import Note


class Check(msgspec.Struct, frozen=True):
    """``versions``: of what was found, by name. ``problems``: what is missing; with any, nothing can be built."""

    versions: dict[str, str] = {}
    problems: tuple[Note, ...] = ()
