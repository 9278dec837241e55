"""Room: measured figures in the forms that other programs read."""

from __future__ import annotations

from edgeq.export.choosing import choose, n_ctx
from edgeq.export.llama_bench import llama_bench_sql
from edgeq.export.parquet import parquet
from edgeq.export.serving import llama_server, modelfile
from edgeq.export.sqlite import sqlite
from edgeq.export.tables import Table, tables

__all__ = ["Table", "choose", "llama_bench_sql", "llama_server", "modelfile", "n_ctx", "parquet", "sqlite", "tables"]
