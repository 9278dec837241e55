"""Shelf: one file per quantization method.

Each has ``NUMBER`` and ``TITLE`` (as in the table of methods), ``DEFINITION`` (a sentence), ``OPTIONS`` (its options
with their defaults), ``ARMS`` (what `edgeq methods` makes to show it), and three functions: ``check(recipe)`` says why
a recipe is none of this method ("" if it is), ``types(recipe, stock)`` gives the tensor types of the result from those
that llama.cpp chooses, and ``apply(work)`` makes the file, in the worker process. What a method leaves as it is, it has
from `stock`. Every method begins with what
llama.cpp itself makes of the source, so each can be combined with any file type, mix or override.

Recipes that are only settings are YAML files in ``recipes/``.
"""
