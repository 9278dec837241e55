"""Weights as numbers: read a few rows at a time, encoded as ggml does or with scales of our own, written as GGUF.

Runs in the worker process, as ggml's own encoders may abort. Memory: the encoded bytes of one tensor and the float32
values of `source.STEP_VALUES` weights.
"""
