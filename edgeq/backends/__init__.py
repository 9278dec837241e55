"""Shelf: one file per llama.cpp backend.

Each has ``check() -> list[Note]`` (what is missing here and what brings it), ``cmake_args() -> tuple[str, ...]`` and
``runner_args(profile) -> dict[str, object]`` (fields of BenchSettings that the backend decides).
"""
