"""A table of results: columns by name, and the way to pandas and pyarrow where they are installed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from gridfleet.broker.errors import GridFleetError
from gridfleet.broker.install_command import install_command
from gridfleet.dashboards.reports.columns import Value, ValueType

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_PANDAS_TYPES: Final[dict[ValueType, str]] = {
    "int": "int64", "float": "float64", "str": "str", "datetime": "datetime64[s]",
}  # fmt: skip
_ARROW_TYPES: Final[dict[ValueType, str]] = {
    "int": "int64", "float": "float64", "str": "string", "datetime": "timestamp[s]",
}  # fmt: skip


class MissingPackageError(GridFleetError, ImportError):
    """A Python package that a function needs and that is not installed."""

    def __init__(self, function: str, package: str, alternative: str = "") -> None:
        """Name what needs the package, and how to do without it, where that is possible."""
        remedy = f"{install_command(package)}{alternative}"
        super().__init__(f"{function} needs the Python package {package}, which is not installed: {remedy}")
        self.package = package


@dataclass(frozen=True, repr=False)
class Table:
    """A table with named columns, all of the same length: the names, units and order of the CSV file.

    `table["sold_kwh"]` is a column, `len(table)` the number of rows; iterating yields each row as a dict. An empty
    field of the CSV file is None. Times are `datetime` objects without a zone: simulated local standard time.

    >>> table = Table("example", {"tick": [0, 1], "sold_kwh": [1.5, None]}, {"tick": "int", "sold_kwh": "float"})
    >>> table["sold_kwh"], len(table), list(table)
    ([1.5, None], 2, [{'tick': 0, 'sold_kwh': 1.5}, {'tick': 1, 'sold_kwh': None}])
    """

    name: str
    columns: Mapping[str, list[Value]]
    types: Mapping[str, ValueType]
    """The type of each column's values: int, float, str or datetime."""

    def __getitem__(self, column: str) -> list[Any]:
        """Return the values of a column, one for each row; raise KeyError with the names that exist."""
        try:
            return self.columns[column]
        except KeyError:
            known = ", ".join(self.columns)
            raise KeyError(f"the table {self.name} has no column {column!r}; it has {known}") from None

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(next(iter(self.columns.values())))

    def __iter__(self) -> Iterator[dict[str, Value]]:
        """Yield each row as a dict from column name to value."""
        for values in zip(*self.columns.values(), strict=True):
            yield dict(zip(self.columns, values, strict=True))

    def __repr__(self) -> str:
        return f"<Table {self.name}: {len(self)} rows, columns {', '.join(self.columns)}>"

    def to_pandas(self) -> "pd.DataFrame":
        """Return the table as a pandas DataFrame: int64, float64, str and datetime64[s]; NaN or NaT for None.

        Raises MissingPackageError (an ImportError) where pandas 2 or later is not installed.
        """
        pandas = self._package("pandas", "to_pandas()")
        return pandas.DataFrame(
            {
                name: pandas.Series(values, dtype=_PANDAS_TYPES[self.types[name]])
                for name, values in self.columns.items()
            }
        )

    def to_arrow(self) -> "pa.Table":
        """Return the table as a pyarrow Table: int64, double, string and timestamp[s]; null for None.

        Raises MissingPackageError (an ImportError) where pyarrow is not installed.
        """
        arrow = self._package("pyarrow", "to_arrow()")
        return arrow.table(
            {
                name: arrow.array(values, arrow.type_for_alias(_ARROW_TYPES[self.types[name]]))
                for name, values in self.columns.items()
            }
        )

    @staticmethod
    def _package(package: str, function: str) -> Any:  # noqa: ANN401 - a module of which we have no types
        try:
            return import_module(package)
        except ModuleNotFoundError as error:
            if error.name != package:
                raise
            raise MissingPackageError(function, package) from None
