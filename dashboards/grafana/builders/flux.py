"""Build Flux queries step by step, one step per line.

Grafana replaces `${name}` by the page's variables, and `v.defaultBucket`, `v.timeRangeStart`, `v.timeRangeStop` and
`v.windowPeriod` by the data source's bucket, the time range that is shown, and a window width for it. It replaces
these names anywhere in the query, so no column may have one of them.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple, Self

from gridfleet.broker.protocol.messages import Role

SHOWN: Final = "start: v.timeRangeStart, stop: v.timeRangeStop"
"""The time range that is shown."""
ALWAYS: Final = "start: 2000-01-01T00:00:00Z, stop: 2100-01-01T00:00:00Z"
"""All time, simulated time included."""

SITE: Final = 'r.site == "${site}"'
RUN: Final = SITE + ' and r.run == "${run}"'
CELLS: Final = RUN + " and r.cell =~ /^${cell:regex}$/"
"""The run and the cells chosen at the top of the page."""
DEVICE: Final = RUN + ' and r.device == "${device}"'


def of_roles(*roles: Role, where: str = CELLS) -> str:
    """Return the condition that a row is of a device of one of these roles.

    >>> of_roles(Role.CHARGER, Role.STORAGE, where="true")
    'true and (r.role == "charger" or r.role == "storage")'
    """
    wanted = " or ".join(f'r.role == "{role}"' for role in roles)
    return f"{where} and ({wanted})"


class Flux(NamedTuple):
    """A query as its steps; every method returns a query with more steps."""

    steps: tuple[str, ...]

    @property
    def text(self) -> str:
        """The query as text, with Grafana's variables."""
        return "\n  |> ".join(self.steps)

    def then(self, *steps: str) -> Self:
        """Return the query with further steps in plain Flux."""
        return self._replace(steps=(*self.steps, *steps))

    def filter(self, condition: str) -> Self:
        """Keep the rows for which a condition is true."""
        return self.then(f"filter(fn: (r) => {condition})")

    def group(self, *by: str) -> Self:
        """Merge the series into one for each value of the columns, in order of time."""
        return self.then(_group(by), 'sort(columns: ["_time"])')

    def per_tick(self, *by: str, fn: str = "sum") -> Self:
        """Aggregate the rows of a tick: one point for each tick, field and value of the columns."""
        return self.then(_group(("_time", "_field", *by)), f"{fn}()").group("_field", *by)

    def aggregate_window(self, fn: str = "mean") -> Self:
        """Aggregate by time: one point for each window that the panel can show."""
        return self.then(
            f'aggregateWindow(every: v.windowPeriod, fn: {fn}, timeSrc: "_start", createEmpty: false)'
        )

    def label(self, name: str) -> Self:
        """Name each series by a Flux expression, such as `r.device`, so that the legend shows this alone."""
        return self.then(
            f"map(fn: (r) => ({{_time: r._time, _value: r._value, _field: {name}}}))", _group(("_field",))
        )

    def keep(self, *labels: str) -> Self:
        """Drop all columns but time, field, value and labels: the legend shows the field and the labels."""
        return self.then(f"keep(columns: {_list(('_time', '_field', '_value', *labels))})")

    def aggregate(self, fn: str = "sum", *by: str) -> Self:
        """Return one value for all rows of each field and value of the columns."""
        return self.then(_group(("_field", *by)), f"{fn}()")

    def pivot(self, *rows: str) -> Self:
        """Turn fields into columns: one row for each value of `rows`, or a single row."""
        if rows:
            pivot = f'pivot(rowKey: {_list(rows)}, columnKey: ["_field"], valueColumn: "_value")'
            pivoted = self.then(pivot, "group()")
            return pivoted.sort("_time") if "_time" in rows else pivoted
        # A pivot needs a row key.
        return self.then(
            'set(key: "row", value: "all")',
            _group(("row", "_field")),
            'pivot(rowKey: ["row"], columnKey: ["_field"], valueColumn: "_value")',
        )

    def last(self, *by: str) -> Self:
        """Return the last value of each field for each value of the columns, fields as columns."""
        return self.then(_group((*by, "_field")), 'sort(columns: ["_time"])', "last()").pivot(*by)

    def value(self, expression: str, name: str) -> Self:
        """Compute one value from the columns of each row."""
        return self.then(f'map(fn: (r) => ({{_value: {expression}, _field: "{name}"}}))')

    def series(self, expression: str, name: str) -> Self:
        """Compute one series from the columns of each row."""
        return self.then(
            f'map(fn: (r) => ({{_time: r._time, _value: {expression}, _field: "{name}"}}))',
            _group(("_field",)),
        )

    def keep_columns(self, *names: str) -> Self:
        """Return these columns alone, as a table."""
        return self.then(f"keep(columns: {_list(names)})")

    def sort(self, *names: str, descending: bool = False) -> Self:
        """Sort the rows."""
        return self.then(f"sort(columns: {_list(names)}{', desc: true' if descending else ''})")


def read(measurement: str, *fields: str, where: str = CELLS, time: str = SHOWN) -> Flux:
    """Read fields of a measurement of the telemetry table.

    >>> print(read("grid", "sold_wh", where='r.site == "a"').aggregate().text)
    from(bucket: v.defaultBucket)
      |> range(start: v.timeRangeStart, stop: v.timeRangeStop)
      |> filter(fn: (r) => r._measurement == "grid" and r.site == "a")
      |> filter(fn: (r) => r._field == "sold_wh")
      |> group(columns: ["_field"])
      |> sum()
    """
    wanted = " or ".join(f'r._field == "{field}"' for field in fields)
    return Flux(
        (
            "from(bucket: v.defaultBucket)",
            f"range({time})",
            f'filter(fn: (r) => r._measurement == "{measurement}" and {where})',
            f"filter(fn: (r) => {wanted})",
        )
    )


def share(part: str, whole: str) -> str:
    """Return the expression of one column's share in another, 0 where the whole is 0."""
    return f"if float(v: r.{whole}) == 0.0 then 0.0 else float(v: r.{part}) / float(v: r.{whole})"


def values_of(tag: str, measurement: str, where: str = "true") -> str:
    """Return the query of a tag's values, for a variable."""
    return "\n".join(
        (
            'import "influxdata/influxdb/schema"',
            "",
            "schema.tagValues(",
            "  bucket: v.defaultBucket,",
            f'  tag: "{tag}",',
            f'  predicate: (r) => r._measurement == "{measurement}" and {where},',
            f"  {ALWAYS}",
            ")",
        )
    )


def _group(columns: Sequence[str]) -> str:
    return f"group(columns: {_list(columns)})" if columns else "group()"


def _list(names: Sequence[str]) -> str:
    return "[" + ", ".join(f'"{name}"' for name in names) + "]"
