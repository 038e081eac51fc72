"""Tables of experiments as Parquet, beside their CSV files, where pyarrow is installed."""

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gridfleet.broker.readers.csv_rows import rows_of
from gridfleet.broker.readers.files import read_text


def write_parquet(csv_file: Path, text_columns: frozenset[str]) -> Path | None:
    """Write a CSV file of ours as Parquet beside it; return its path, None where pyarrow is not installed.

    `text_columns` stay text; the others are numbers, and an empty cell is a missing value.
    """
    if find_spec("pyarrow") is None:
        return None
    rows = [cells for _, cells in rows_of(read_text(csv_file).splitlines())]
    header, body = rows[0], rows[1:]
    columns: dict[str, list[Any]] = {}
    for place, name in enumerate(header):
        cells = [row[place] for row in body]
        text = name in text_columns
        columns[name] = cells if text else [float(cell) if cell else None for cell in cells]
    arrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    path = csv_file.with_suffix(".parquet")
    parquet.write_table(arrow.table(columns), path)
    return path
