"""Read delimited text: columns between commas, semicolons or tabs, with a decimal point or a decimal comma.

The separator is the one that the header line has: a semicolon, else a tab, else a comma. Where it is not the comma,
`53,6` is the number 53.6. A byte order mark and blanks around cells are ignored.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from gridfleet.broker.errors import shown
from gridfleet.broker.readers.csv_rows import rows_of
from gridfleet.broker.readers.files import read_bytes
from gridfleet.broker.readers.ranges import number
from gridfleet.broker.readers.read_error import ReadError
from gridfleet.devices.weather import WeatherFileError

SEPARATORS: Final = (";", "\t", ",")


class Cells(dict[str, str]):
    """The cells of a row by column; a column that the file does not have is an error that names file and line."""

    def __init__(self, file: Path, line: int, cells: Iterable[tuple[str, str]]) -> None:
        super().__init__(cells)
        self._file = file
        self._line = line

    def __missing__(self, column: str) -> str:
        """Raise WeatherFileError: the header does not name the column."""
        remedy = "name it in the header, or download the file again"
        raise WeatherFileError(self._file, self._line, None, f"no column {column}", remedy)


class Row(NamedTuple):
    """A row: the line of the file on which it ends, and its cells by column."""

    line: int
    cells: Cells


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
        try:
            for row_line, cells in rows_of(self.lines, self.separator):
                line = self.header_line + row_line
                if len(cells) > len(self.columns):
                    problem = f"{len(cells)} cells, but the header names {len(self.columns)} columns"
                    remedy = "name every column in the header; a decimal comma needs ; between the cells"
                    raise WeatherFileError(self.file, line, None, problem, remedy)
                filled = [*cells, *[""] * (len(self.columns) - len(cells))]
                yield Row(line, Cells(self.file, line, zip(self.columns, filled, strict=True)))
        except ReadError as error:
            line = self.header_line + (error.line or 0)
            raise WeatherFileError(self.file, line, None, error.problem, "write one row per line") from error


def read_text(file: Path, encodings: Sequence[str] = ("utf-8-sig",)) -> str:
    """Return a file's text in the first encoding that it is in; raise WeatherFileError where it cannot be read."""
    try:
        data = read_bytes(file)
    except ReadError as error:
        raise WeatherFileError(file, None, None, error.problem, "check the path") from error
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
    try:
        _, names = next(rows_of([head], separator), (1, []))
    except ReadError as error:
        remedy = "write the names of the columns in one line"
        raise WeatherFileError(file, header_line, None, error.problem, remedy) from error
    for name, count in Counter(names).items():
        if count > 1 and name:
            places = " and ".join(str(place) for place, each in enumerate(names, start=1) if each == name)
            problem = f"the column {shown(name)} is there {count} times (columns {places})"
            remedy = "remove or rename all but one, so that it is clear which one counts"
            raise WeatherFileError(file, header_line, shown(name), problem, remedy)
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
        return number(written)
    except ReadError as error:
        remedy = "write a number with a decimal point, or leave it empty"
        raise WeatherFileError(table.file, row.line, column, error.problem, remedy) from error
