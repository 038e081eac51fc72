"""The scenario file: its tables, their limits and defaults. Errors give file, line, key, value and what is allowed."""

import re
import tomllib
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    Field,
    field_validator,
    model_validator,
)

from gridfleet.broker.protocol.messages import MAX_OUTAGE_S, Algorithm, Id
from gridfleet.broker.protocol.units import MS_PER_S
from gridfleet.devices.charging.out_of_service import validated_chargers_out
from gridfleet.devices.config.shared_tables import (
    AnnualEnergy,
    ChargerTable,
    Latitude,
    Longitude,
    MarketTable,
    MeasuringHeight,
    Price,
    RectangleTable,
    RotorDiameter,
    Seed,
    Share,
    Table,
    Temperature,
)
from gridfleet.devices.config.toml_errors import FileError, Problem, TomlText
from gridfleet.devices.config.toml_files import read_shipped_or_own, shipped_names

MIN_YEAR: Final = 1970
MAX_YEAR: Final = 9000
TURBINE_SITES: Final = (
    (53.597, 10.021),
    (52.484, 12.229),
    (51.085, 7.219),
    (49.328, 11.184),
    (48.349, 9.885),
)
"""The original system's sites: Hamburg, Brandenburg, Köln, Nürnberg, Ulm."""
REACTOR_SITE: Final = (53.573, 9.881)

Scale = Annotated[float, Field(ge=0, le=2)]
WindScale = Annotated[float, Field(ge=0, le=5)]
ChargersOut = Annotated[str, Field(max_length=64), AfterValidator(validated_chargers_out)]
Count = Annotated[int, Field(ge=0, le=1_000_000)]
Place = tuple[Latitude, Longitude]


class ScenarioError(FileError):
    """A scenario that cannot be run; the text has one line for each problem."""


class SettingsTable(Table):
    """Settings that can also be changed while the scenario runs."""

    consumer_scale: Scale = 1.0
    vehicle_scale: Scale = 1.0
    turbine_scale: Scale = 1.0
    wind_scale: WindScale = 1.0
    algorithm: Algorithm = Algorithm.BEST
    chargers_out: ChargersOut = ""


class AreaTable(RectangleTable):
    """A rectangle divided into rows × columns cells; adjacent cells are neighbours."""

    rows: Annotated[int, Field(ge=1, le=1000)] = 1
    columns: Annotated[int, Field(ge=1, le=1000)] = 1


class WeatherTable(Table):
    """Wind and temperature: generated from the seed, or read from files."""

    source: Literal["synthetic", "csv", "dwd"] = "synthetic"
    files: tuple[str, ...] = ()
    """For csv and dwd; relative to the scenario's file."""
    station_list: str | None = None
    measured_at_m: MeasuringHeight | None = None
    """Height of the wind measurements above ground; without it they are taken as measured at the hub."""
    assumed_temperature_c: Temperature | None = None
    weibull_scale_mps: Annotated[float, Field(gt=0, le=30)] = 8.0
    weibull_shape: Annotated[float, Field(ge=0.5, le=10)] = 2.0
    correlation_time_h: Annotated[float, Field(gt=0, le=1000)] = 12.0
    correlation_length_km: Annotated[float, Field(gt=0, le=10_000)] = 350.0
    mean_temperature_c: Temperature = 9.3

    @model_validator(mode="after")
    def _has_files(self) -> "WeatherTable":
        if (self.source == "synthetic") != (not self.files):
            raise ValueError("files are given for the sources csv and dwd, and only for them")
        if self.source == "csv" and len(self.files) != 1:
            raise ValueError("files: a csv source is one file; it may hold several stations")
        return self


class TurbinesTable(Table):
    """Wind turbines; the first ones stand at the given sites that lie in their cell, the others at random places."""

    count: Count = 3
    rotor_diameter_m: tuple[RotorDiameter, RotorDiameter] = (50.0, 150.0)
    hub_height_m: Annotated[float, Field(gt=0, le=300)] = 135.0
    """Used only when `weather.measured_at_m` is given."""
    sites: tuple[Place, ...] = TURBINE_SITES


class ConsumersTable(Table):
    """Consumers of one BDEW load profile; annual demand in kWh, of a whole quarter of a town by default."""

    count: Count = 1
    annual_kwh: AnnualEnergy = 1_000_000.0


class _Counted(Table):
    count: Count = 1


class ChargersTable(ChargerTable, _Counted):
    """Charging stations with a buffer battery."""

    count: Count = 20
    stored_share: Share = 0.0
    ports: Annotated[int, Field(ge=1, le=1000)] = 5


class WeightsTable(Table):
    """Weights of the algorithm `weighted`; only their ratios matter."""

    distance: Annotated[float, Field(ge=0, le=1000)] = 1.0
    price: Annotated[float, Field(ge=0, le=1000)] = 1.0
    energy: Annotated[float, Field(ge=0, le=1000)] = 1.0


class VehiclesTable(Table):
    """Electric vehicles, each of a model drawn from the table of real cars."""

    count: Count = 30
    stored_share: tuple[Share, Share] = (0.4, 1.0)
    price_limit_eur_per_kwh: Price = 1.01
    weights: WeightsTable = WeightsTable()


class ReactorsTable(Table):
    """External reactors; each cell is connected to one."""

    count: Annotated[int, Field(ge=0, le=1000)] = 1


class EventTable(Table):
    """Settings that apply from `hour` after the start."""

    hour: Annotated[float, Field(ge=0, le=100_000)]
    title: Annotated[str, Field(min_length=1, max_length=64)]
    consumer_scale: Scale | None = None
    vehicle_scale: Scale | None = None
    turbine_scale: Scale | None = None
    wind_scale: WindScale | None = None
    algorithm: Algorithm | None = None
    chargers_out: ChargersOut | None = None
    outage_s: Annotated[float, Field(ge=0, le=MAX_OUTAGE_S)] | None = None


class Scenario(Table):
    """A scenario, validated."""

    name: Id = "scenario"
    title: Annotated[str, Field(max_length=120)] = ""
    about: Annotated[str, Field(max_length=2000)] = ""
    site: Id = "germany"
    seed: Seed = 1
    start: datetime = datetime(2025, 6, 2)  # noqa: DTZ001 - local standard time, by definition without zone
    ticks: Annotated[int, Field(ge=1, le=1_000_000)] = 120
    settings: SettingsTable = SettingsTable()
    area: AreaTable = AreaTable()
    weather: WeatherTable = WeatherTable()
    market: MarketTable = MarketTable()
    turbines: TurbinesTable = TurbinesTable()
    households: ConsumersTable = ConsumersTable()
    commerce: ConsumersTable = ConsumersTable()
    farms: ConsumersTable = ConsumersTable()
    chargers: ChargersTable = ChargersTable()
    vehicles: VehiclesTable = VehiclesTable()
    reactors: ReactorsTable = ReactorsTable()
    events: tuple[EventTable, ...] = ()
    folder: str = ""
    """The folder of the file; weather files are relative to it. Not a key of the file."""

    @field_validator("site")
    @classmethod
    def _is_not_a_device(cls, site: str) -> str:
        if re.fullmatch(
            r"site|clock|recorder|(reactor|turbine|household|commerce|farm|charger|vehicle)-\d+", site
        ):
            raise ValueError("is the name of a device; choose another name for the site")
        return site

    @field_validator("start")
    @classmethod
    def _is_a_quarter_hour(cls, start: datetime) -> datetime:
        if start.tzinfo is not None or not MIN_YEAR <= start.year <= MAX_YEAR:
            raise ValueError(f"must be a local date and time from {MIN_YEAR} to {MAX_YEAR}, without a zone")
        if start.second or start.microsecond or start.minute % 15:
            raise ValueError("must be a full quarter of an hour")
        return start

    @property
    def start_ms(self) -> int:
        """Simulated time of the first tick, milliseconds since the Unix epoch."""
        return int(self.start.replace(tzinfo=UTC).timestamp()) * MS_PER_S


def shipped() -> list[str]:
    """Return the names of the scenarios that come with the product."""
    return shipped_names(_folder())


def load(name_or_path: str, changes: Iterable[str] = ()) -> Scenario:
    """Return a shipped scenario or a user's file, with `key=value` changes; raise ScenarioError for problems."""
    return parse(*read_shipped_or_own(name_or_path, _folder(), "scenario", ScenarioError), changes)


def parse(text: str, source: str, folder: str = "", changes: Iterable[str] = ()) -> Scenario:
    """Return the scenario that a TOML text describes; `source` names the text in errors."""
    toml = TomlText(text, source, ScenarioError)
    changes = list(changes)
    for change in changes:
        _change(toml.document, change)
    if "folder" in toml.document:
        raise toml.fail(toml.problem(("folder",), ": unknown key; remove it"))
    stem = re.sub(r"[^A-Za-z0-9_.-]+", "-", Path(source).stem).strip("-_.")
    toml.document.setdefault("name", stem[:48] or "scenario")
    changed = {change.partition("=")[0] for change in changes}

    def explain(error: dict[str, Any]) -> Problem:
        problem = toml.explain(Scenario, error)
        if ".".join(map(str, error["loc"])) in changed:
            return Problem(f"{problem.text} (from --set)")
        return problem

    return toml.validate(Scenario, {"folder": folder}, explain)


def _change(document: dict[str, Any], change: str) -> None:
    """Apply `table.key=value`; the value is TOML, or text without quotes."""
    key, equals, value = change.partition("=")
    if not equals or not key:
        raise ScenarioError(f"--set {change}", ["expected key=value, e.g. settings.turbine_scale=0.5"])
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value
    *tables, last = key.split(".")
    table = document
    for name in tables:
        inner = table.setdefault(name, {})
        if not isinstance(inner, dict):
            raise ScenarioError(f"--set {change}", [f"{name} is not a table"])
        table = inner
    table[last] = parsed


def _folder() -> Traversable:
    return files("gridfleet.devices.config") / "scenarios"
