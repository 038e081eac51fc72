"""Wind and temperature at any place and quarter hour: synthetic, recorded, or from DWD files.

Every source is a `Weather`. Time is the simulated clock: milliseconds since 1970-01-01 00:00 of the site's standard
time, which is that of Germany (UTC+1) where the scenario names no time zone.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from gridfleet.broker.errors import GridFleetError, printable, shown


@dataclass(frozen=True, slots=True)
class WindReading:
    """Wind speed in m/s (to 0.001) and air temperature in °C (to 0.01)."""

    speed_mps: float
    temperature_c: float


class Weather(Protocol):
    """A source of wind and temperature."""

    def at(self, simulated_ms: int, latitude: float, longitude: float) -> WindReading:
        """Return the reading for the quarter hour of this time; raise WeatherSpanError if there is none."""
        ...


MOST_LETTERS: Final = 600
"""Most characters of a problem or a remedy that are shown; both may quote the file."""


def _short(text: str) -> str:
    return printable(text if len(text) <= MOST_LETTERS else f"{text[:MOST_LETTERS]}…")


class WeatherFileError(GridFleetError, ValueError):
    """A weather file cannot be read; the text names file, line, column, problem and remedy."""

    def __init__(self, file: Path, line: int | None, column: str | None, problem: str, remedy: str) -> None:
        where = shown(str(file))
        if line is not None:
            where += f", line {line}"
        if column is not None:
            where += f", column {shown(column)}"
        super().__init__(f"{where}: {_short(problem)}; {_short(remedy)}")
        self.file = file
        self.line = line
        self.column = column
        self.problem = problem
        self.remedy = remedy


class WeatherSpanError(GridFleetError, LookupError):
    """There is no weather for a time; the text names what is covered."""

    def __init__(self, simulated_ms: int, reason: str) -> None:
        super().__init__(reason)
        self.simulated_ms = simulated_ms
        self.reason = reason
