"""Wind and temperature at any place of the map and any quarter hour: synthetic, recorded, or of the DWD.

Every source answers the same question, `Weather.at`. Time is the simulated clock: milliseconds since
1970-01-01 00:00 German standard time (UTC+1 all year), the clock of the load profiles.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from gridfleet.broker.errors import GridFleetError

STANDARD_TIME_AHEAD_OF_UTC_MS: Final = 3_600_000


@dataclass(frozen=True, slots=True)
class WindReading:
    """Wind speed in m/s (to 0.001) and air temperature in °C (to 0.01)."""

    speed_mps: float
    temperature_c: float


class Weather(Protocol):
    """What a wind turbine can ask its anemometer and thermometer."""

    def at(self, simulated_ms: int, latitude: float, longitude: float) -> WindReading:
        """Return the reading of the quarter hour holding this time; WeatherSpanError where there is none."""
        ...


class WeatherFileError(GridFleetError, ValueError):
    """A weather file that cannot be read: which file, line and column, what is wrong and how to mend it."""

    def __init__(self, file: Path, line: int | None, column: str | None, problem: str, remedy: str) -> None:
        where = str(file)
        if line is not None:
            where += f", line {line}"
        if column is not None:
            where += f", column {column}"
        super().__init__(f"{where}: {problem}; {remedy}")
        self.file = file
        self.line = line
        self.column = column
        self.problem = problem
        self.remedy = remedy


class WeatherSpanError(GridFleetError, LookupError):
    """A time for which there is no weather; the text names what is covered."""

    def __init__(self, simulated_ms: int, reason: str) -> None:
        super().__init__(reason)
        self.simulated_ms = simulated_ms
        self.reason = reason
