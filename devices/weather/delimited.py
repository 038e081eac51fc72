"""Read delimited text: columns between commas, semicolons or tabs, with a decimal point or a decimal comma.

The separator is the one that the header line has: a semicolon, else a tab, else a comma. Where it is not the comma,
`53,6` is the number 53.6. A byte order mark and blanks around cells are ignored.
"""

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from io import StringIO
from math import isfinite
from pathlib import Path
from typing import Final, NamedTuple

from gridfleet.broker.errors import error_reason
from gridfleet.devices.weather import WeatherFileError

SEPARATORS: Final = (";", "\t", ",")


class Row(NamedTuple):
    """A row: the line of the file on which it ends, and its cells by column."""

    line: int
    cells: dict[str, str]


class Table(NamedTuple):
    """A delimited text: the file that it was read from, its separator, its columns and its rows."""

    file: Path
    separator: str
    header_line: int
    columns: tuple[str, ...]
    lines: tuple[str, ...]
    """The lines below the header."""

    def rows(self) -> Iterator[Row]:
        """Yield every row that is not blank; raise WeatherFileError for one with more cells than columns."""
        reader = csv.reader(self.lines, delimiter=self.separator, skipinitialspace=True)
        try:
            for cells in reader:
                if not any(cell.strip() for cell in cells):
                    continue
                line = self.header_line + reader.line_num
                if len(cells) > len(self.columns):
                    problem = f"{len(cells)} cells, but the header names {len(self.columns)} columns"
                    remedy = "name every column in the header; a decimal comma needs ; between the cells"
                    raise WeatherFileError(self.file, line, None, problem, remedy)
                filled = [*cells, *[""] * (len(self.columns) - len(cells))]
                yield Row(line, {name: cell.strip() for name, cell in zip(self.columns, filled, strict=True)})
        except csv.Error as error:
            remedy = "write one row per line"
            raise WeatherFileError(
                self.file, self.header_line + reader.line_num, None, f"is no row ({error})", remedy
            ) from error


def read_text(file: Path, encodings: Sequence[str] = ("utf-8-sig",)) -> str:
    """Return a file's text in the first encoding that it is in; raise WeatherFileError where it cannot be read."""
    try:
        data = file.read_bytes()
    except OSError as error:
        problem = f"cannot be read ({error_reason(error)})"
        raise WeatherFileError(file, None, None, problem, "check the path") from error
    for encoding in encodings:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise WeatherFileError(file, None, None, "cannot be read (no text)", "give a readable CSV file in UTF-8")


def table_of(file: Path, text: str, header_line: int = 1, columns: Sequence[str] = ()) -> Table:
    """Return the table in a text, whose header is on `header_line`, counted from 1.

    With `columns`, the text has no header, and its first row is on `header_line`. Raises WeatherFileError for a
    column that is named twice.
    """
    lines = text.splitlines()
    head = lines[header_line - 1] if len(lines) >= header_line else ""
    separator = next((each for each in SEPARATORS if each in head), ",")
    if columns:
        return Table(file, separator, header_line - 1, tuple(columns), tuple(lines[header_line - 1 :]))
    names = [name.strip() for name in next(csv.reader(StringIO(head), delimiter=separator), [])]
    for name, count in Counter(names).items():
        if count > 1 and name:
            places = " and ".join(str(place) for place, each in enumerate(names, start=1) if each == name)
            problem = f"the column {name} is there {count} times (columns {places})"
            remedy = "remove or rename all but one, so that it is clear which one counts"
            raise WeatherFileError(file, header_line, name, problem, remedy)
    return Table(file, separator, header_line, tuple(names), tuple(lines[header_line:]))


def number_of(table: Table, row: Row, column: str) -> float | None:
    """Return the number in a cell, None where it is empty; raise WeatherFileError where it is no finite number."""
    text = row.cells[column]
    if not text:
        return None
    written = text
    if table.separator != "," and text.count(",") == 1 and "." not in text:
        written = text.replace(",", ".")
    try:
        value = float(written) if "_" not in written else None
    except ValueError:
        value = None
    if value is None:
        remedy = "write a number with a decimal point, or leave it empty"
        raise WeatherFileError(table.file, row.line, column, f"{text!r} is not a number", remedy)
    if not isfinite(value):
        raise WeatherFileError(
            table.file, row.line, column, f"{text} is out of range", "write a finite number"
        )
    return value
