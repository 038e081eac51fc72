"""Measured loads and day-ahead prices from a CSV file: a value for each step, on the simulated clock.

Two layouts are read.
- A table with `time` (ISO 8601) and one column that names quantity and unit: `load_kw`, `load_mw`, `load_kwh` (energy
  of the step), `price_eur_per_kwh`, `price_eur_per_mwh`.
- An export of the ENTSO-E transparency platform: the first column is the time unit, such as `MTU (CET/CEST)`, with
  `01.03.2025 00:00 - 01.03.2025 01:00` in its cells; the first column with MW or EUR/MWh in its name has the values.
  CET/CEST is the legal clock of Brussels: of two equal hours in autumn the second is the later one.
A value holds until the next one, and the last one for the usual step. A hole in a run is an error.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Final, Literal, NamedTuple

from gridfleet.broker.protocol.units import MS_PER_HOUR, TICK_MS, UEUR_PER_EUR, WH_PER_KWH
from gridfleet.broker.readers.ranges import moment_of
from gridfleet.broker.readers.read_error import ReadError
from gridfleet.broker.simulated_time import minute_text
from gridfleet.devices.weather import WeatherFileError, WeatherSpanError
from gridfleet.devices.weather.delimited import Row, Table, number_of, read_text, table_of
from gridfleet.devices.weather.formats.sample import LocalTimes
from gridfleet.devices.weather.site_clock import SiteClock, time_zone

Quantity = Literal["load", "price"]
UNITS: Final[dict[Quantity, dict[str, float]]] = {
    "load": {"kw": 1.0, "mw": 1000.0, "w": 0.001, "kwh": 1.0, "mwh": 1000.0},
    "price": {"eur/kwh": 1.0, "eur/mwh": 0.001, "ct/kwh": 0.01},
}
"""kW (kWh where the unit is one of energy) or EUR/kWh in one unit."""
COLUMNS: Final[dict[Quantity, str]] = {
    "load": "load_kw, load_mw or load_kwh",
    "price": "price_eur_per_kwh or price_eur_per_mwh",
}
MOST_KW: Final = 1e6
MOST_EUR_PER_KWH: Final = 100.0
_ENTSOE_TIME: Final = re.compile(
    r"(\d\d)[./](\d\d)[./](\d{4}) (\d\d):(\d\d)(?::\d\d)?(?: \((?:CEST|CET|UTC)\))?(?: - .*)?"
)
_ENTSOE_HEADS: Final = ("mtu", "time (")
_MISSING: Final = frozenset({"n/e", "-", "N/A", "n/a"})


class TimeSeries:
    """Values at ascending times on the simulated clock, each of which holds until the next."""

    def __init__(self, file: Path, values: dict[int, float]) -> None:
        """Take values by time in ms; `file` is named in errors."""
        self.file = file
        self.times_ms = sorted(values)
        self._values = [values[time_ms] for time_ms in self.times_ms]
        steps = [later - earlier for earlier, later in pairwise(self.times_ms)]
        self.step_ms = round(median(steps)) if steps else MS_PER_HOUR

    def at(self, simulated_ms: int) -> float:
        """Return the value of a time; the nearest one outside the series."""
        return self._values[max(bisect_right(self.times_ms, simulated_ms) - 1, 0)]

    @property
    def largest(self) -> float:
        """The largest value."""
        return max(self._values)

    def check(self, start_ms: int, ticks: int) -> None:
        """Raise WeatherSpanError where a run of so many ticks has a tick without a value."""
        for tick in range(ticks):
            moment_ms = start_ms + tick * TICK_MS
            index = bisect_right(self.times_ms, moment_ms) - 1
            if index < 0 or moment_ms >= self.times_ms[index] + self.step_ms:
                reason = (
                    f"{self.file}: no value for {minute_text(moment_ms)}, tick {tick} of the run; the file has "
                    f"{minute_text(self.times_ms[0])} to {minute_text(self.times_ms[-1])} with a step of "
                    f"{self.step_ms // 60_000} min; start and end the run within it, or add the missing rows"
                )
                raise WeatherSpanError(moment_ms, reason)


class LoadSeries(NamedTuple):
    """The load of consumers by a series of kW."""

    series: TimeSeries
    factor: float

    def energy_wh(self, simulated_ms: int, _annual_kwh: float) -> int:
        """Return the whole Wh drawn in the quarter hour of this time; the energy per year does not matter."""
        return round(self.series.at(simulated_ms) * self.factor * WH_PER_KWH * TICK_MS / MS_PER_HOUR)

    @property
    def max_energy_wh(self) -> int:
        """The most Wh of any quarter hour."""
        return round(self.series.largest * self.factor * WH_PER_KWH * TICK_MS / MS_PER_HOUR) + 1


class PriceSeries(NamedTuple):
    """The reactor's price by a series of EUR/kWh, plus what is added to it; never below 0."""

    series: TimeSeries
    added_eur_per_kwh: float

    def at(self, simulated_ms: int) -> int:
        """Return the price of the quarter hour of this time, µEUR/kWh."""
        return max(0, round((self.series.at(simulated_ms) + self.added_eur_per_kwh) * UEUR_PER_EUR))


def read_series(file: Path, quantity: Quantity, clock: SiteClock) -> TimeSeries:
    """Return the series in a CSV file; raise WeatherFileError with file, line, column, problem and remedy."""
    table = table_of(file, read_text(file, ("utf-8-sig", "latin-1")))
    entsoe = bool(table.columns) and table.columns[0].lower().startswith(_ENTSOE_HEADS)
    column, factor, energy = _value_column(table, quantity)
    most = MOST_KW if quantity == "load" else MOST_EUR_PER_KWH
    values: dict[int, float] = {}
    for row, moment in _moments(table, entsoe=entsoe):
        if row.cells[column] in _MISSING:
            continue
        value = number_of(table, row, column)
        if value is None:
            continue
        time_ms = clock.simulated_ms(moment)
        if time_ms in values:
            problem = f"{row.cells[table.columns[0]]} occurs twice"
            remedy = "remove one row, or write the UTC offset of each time"
            raise WeatherFileError(file, row.line, table.columns[0], problem, remedy)
        if abs(value * factor) > most or (quantity == "load" and value < 0):
            remedy = "check the unit in the column's name"
            raise WeatherFileError(file, row.line, column, f"{row.cells[column]} is out of range", remedy)
        values[time_ms] = value * factor
    if not values:
        raise WeatherFileError(file, None, column, "no row with a value", "download the file again")
    series = TimeSeries(file, values)
    if energy:
        hours = series.step_ms / MS_PER_HOUR
        return TimeSeries(file, {time_ms: value / hours for time_ms, value in values.items()})
    return series


def _value_column(table: Table, quantity: Quantity) -> tuple[str, float, bool]:
    """Return the column of the values, its factor, and whether it is energy per step."""
    for name in table.columns[1:]:
        written = name.lower().replace("_per_", "/").replace("€", "eur")
        for unit, factor in sorted(UNITS[quantity].items(), key=lambda item: -len(item[0])):
            if re.search(rf"(?:^|[\[(_ ]){re.escape(unit)}(?:[\]) ]|$)", written):
                return name, factor, unit.endswith("wh") and quantity == "load"
    remedy = f"name one {COLUMNS[quantity]}, or give an export of ENTSO-E with its unit in the header"
    raise WeatherFileError(table.file, table.header_line, None, f"no column with a {quantity}", remedy)


def _moments(table: Table, *, entsoe: bool) -> Iterator[tuple[Row, datetime]]:
    """Yield every row with the moment at which its step begins."""
    if not entsoe:
        if "time" not in table.columns:
            remedy = "name it time, or give an export of ENTSO-E, whose first column is MTU (CET/CEST)"
            raise WeatherFileError(table.file, table.header_line, None, "no column for the time", remedy)
        for row in table.rows():
            yield row, _iso(table, row)
        return
    head = table.columns[0]
    zone = time_zone("Europe/Brussels" if "CE" in head else "UTC")
    times = LocalTimes(table, zone)
    for row in table.rows():
        match = _ENTSOE_TIME.fullmatch(row.cells[head])
        if match is None:
            problem = f"{row.cells[head]!r} is no time unit of ENTSO-E"
            remedy = "write it like 01.03.2025 00:00 - 01.03.2025 01:00"
            raise WeatherFileError(table.file, row.line, head, problem, remedy)
        day, month, year, hour, minute = map(int, match.groups())
        try:
            naive = datetime(year, month, day, hour, minute)  # noqa: DTZ001 - the zone is that of the header
        except ValueError as error:
            problem, remedy = f"{row.cells[head]!r} is no date", "write it like 01.03.2025 00:00"
            raise WeatherFileError(table.file, row.line, head, problem, remedy) from error
        yield row, times.moment(row.line, "", naive)


def _iso(table: Table, row: Row) -> datetime:
    try:
        return moment_of(row.cells["time"])
    except ReadError as error:
        problem = error.problem
        remedy = "write it like 2025-01-31T13:45 or 2025-01-31T12:45Z"
        raise WeatherFileError(table.file, row.line, "time", problem, remedy) from error
