"""Shelf: one file per quantization method.

Each has ``job(recipe) -> dict[str, object]``: the request that the worker process understands. Recipes that are
only settings are YAML files in ``recipes/``.
"""
