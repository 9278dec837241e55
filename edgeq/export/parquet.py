"""Tables as Parquet files, one for each, through pyarrow where it is installed."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgeq import store
from edgeq.errors import InputError, MissingError
from edgeq.export.tables import Table


def parquet(tables: Sequence[Table], folder: Path) -> tuple[Path, ...]:
    """Write ``folder/NAME.parquet`` for each table, each complete or not at all, and give their paths.

    Raises MissingError without pyarrow or where the folder can't be written, InputError where it is a file.
    """
    try:
        arrow: Any = importlib.import_module("pyarrow")
        files: Any = importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise MissingError("Parquet files need pyarrow.", "Install it: pip install 'edgeq[parquet]'.") from None
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; Parquet files go into a folder, one for each table.")
    kinds = {str: arrow.string(), int: arrow.int64(), bool: arrow.bool_(), float: arrow.float64()}
    store.make_folder(folder)
    paths = []
    for table in tables:
        schema = arrow.schema([(name, kinds[kind]) for name, kind in table.columns.items()])
        columns = [[row[i] for row in table.rows] for i in range(len(table.columns))]
        arrays = [arrow.array(values, field.type) for values, field in zip(columns, schema, strict=True)]
        path = folder / f"{table.name}.parquet"
        temporary = store.partial(path)
        with store.removing(temporary):
            with store.writing(path):
                files.write_table(arrow.Table.from_arrays(arrays, schema=schema), temporary)
            store.publish(temporary, path)
        paths.append(path)
    return tuple(paths)
