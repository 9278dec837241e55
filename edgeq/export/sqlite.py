"""Tables as one SQLite database."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from edgeq import store
from edgeq.export.tables import Table

_TYPES = {str: "TEXT", int: "INTEGER", bool: "INTEGER", float: "REAL"}


def sqlite(tables: Sequence[Table], path: Path) -> None:
    """Write the database ``path``, complete or not at all; one that was there before is replaced.

    Raises MissingError where the place can't be written.
    """
    store.make_folder(path.parent)
    temporary = store.partial(path)
    with store.removing(temporary):
        with store.writing(path):
            temporary.write_bytes(b"")  # says why it can't be written, which SQLite would not
        with closing(sqlite3.connect(temporary)) as connection, connection:
            for table in tables:
                _fill(connection, table)
        store.publish(temporary, path)


def _fill(connection: sqlite3.Connection, table: Table) -> None:
    columns = ", ".join(f'"{name}" {_TYPES[kind]}' for name, kind in table.columns.items())
    connection.execute(f'CREATE TABLE "{table.name}" ({columns})')
    places = ", ".join("?" * len(table.columns))
    connection.executemany(f'INSERT INTO "{table.name}" VALUES ({places})', table.rows)
