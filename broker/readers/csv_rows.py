"""Reads CSV row by row; the only module that imports `csv`."""

import csv
from collections.abc import Iterable, Iterator
from typing import Final

from gridfleet.broker.readers.read_error import ReadError

csv_writer: Final = csv.writer
"""Writes rows; see `csv.writer`."""


def rows_of(lines: Iterable[str], separator: str = ",") -> Iterator[tuple[int, list[str]]]:
    """Yield the number of the line on which a row ends, from 1, and the stripped cells of every row that is not blank.

    Raises ReadError with the line for what is no CSV.

    >>> list(rows_of(["a,b", "1, 2"]))
    [(1, ['a', 'b']), (2, ['1', '2'])]
    """
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=True)
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise ReadError(f"is no row of CSV ({error})", reader.line_num) from None
        if row is None:
            return
        cells = [cell.strip() for cell in row]
        if any(cells):
            yield reader.line_num, cells
