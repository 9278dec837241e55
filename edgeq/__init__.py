"""edgeq: quantize language models for the edge, measure what each file costs there, say which one to ship."""

__version__ = "0.1.0"
