"""The scenario file: reading, changes of keys, and its tables as one model.

Errors give file, line, key, value and what is allowed.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from difflib import get_close_matches
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

from pydantic import AfterValidator, Field, create_model, field_validator, model_validator

from gridfleet.broker.protocol.messages import Id
from gridfleet.broker.protocol.units import MS_PER_S
from gridfleet.broker.readers.read_error import ReadError
from gridfleet.broker.readers.toml_text import toml_value
from gridfleet.devices.config.scenario_tables import (
    TURBINE_SITES,
    AreaTable,
    ChargersTable,
    CommerceTable,
    ConsumersTable,
    CountTable,
    EmissionsTable,
    EventTable,
    FarmsTable,
    ReactorsTable,
    SettingsTable,
    TurbinesTable,
    VehiclesTable,
    WeatherTable,
)
from gridfleet.devices.config.shared_tables import MarketTable, Seed, Table, TrustTable
from gridfleet.devices.config.toml_errors import FileError, Problem, TomlText
from gridfleet.devices.config.toml_files import read_shipped_or_own, shipped_names
from gridfleet.devices.kinds.agent_type import AgentType
from gridfleet.devices.kinds.registry import AGENT_TYPES
from gridfleet.devices.plugins import PluginError
from gridfleet.devices.weather.site_clock import SiteClock, site_clock, validated_zone

TimeZone = Annotated[str, Field(max_length=64), AfterValidator(validated_zone)]
MIN_YEAR: Final = 1970
MAX_YEAR: Final = 9000
_GROUPS: Final = (
    ("reactors", "reactor", "reactor"),
    ("turbines", "turbine", "turbine"),
    ("households", "consumer", "household"),
    ("commerce", "consumer", "commerce"),
    ("farms", "consumer", "farm"),
    ("chargers", "charger", "charger"),
    ("vehicles", "vehicle", "vehicle"),
)
"""Tables that every scenario has, with the kind of their devices and the prefix of their ids."""


class ScenarioError(FileError):
    """A scenario that cannot be run; the text has one line for each problem."""


class Scenario(Table):
    """A scenario, validated: the keys of docs/reference/scenario.md are its attributes. Read one with `Scenario.load`.

    >>> storm = Scenario.load("storm", {"vehicles.count": 60})
    >>> storm.vehicles.count, storm.with_changes({"vehicles.count": 90}).vehicles.count
    (60, 90)
    """

    name: Id = "scenario"
    """For people and in file names; by default the file's name."""
    title: Annotated[str, Field(max_length=120)] = ""
    """For people: the title of the report."""
    about: Annotated[str, Field(max_length=2000)] = ""
    """For people: what the scenario shows."""
    site: Id = "germany"
    """The second level of every topic, and the name of the cell where there is only one."""
    seed: Seed = 1
    """Of everything that is drawn at random."""
    start: datetime = datetime(2025, 6, 2)  # noqa: DTZ001 - local standard time, by definition without zone
    """Beginning of the run in local standard time, a full quarter of an hour."""
    time_zone: TimeZone = ""
    """The site's zone in the tz database, such as Europe/Berlin: load profiles follow its legal clock, and the run's
    clock is its standard time. Without it, both are German standard time, UTC+1 all year."""
    ticks: Annotated[int, Field(ge=1, le=1_000_000)] = 120
    """Length of the run in ticks of 15 simulated minutes."""
    settings: SettingsTable = SettingsTable()
    area: AreaTable = AreaTable()
    weather: WeatherTable = WeatherTable()
    market: MarketTable = MarketTable()
    trust: TrustTable = TrustTable()
    turbines: TurbinesTable = TurbinesTable()
    households: ConsumersTable = ConsumersTable()
    commerce: CommerceTable = CommerceTable()
    farms: FarmsTable = FarmsTable()
    chargers: ChargersTable = ChargersTable()
    vehicles: VehiclesTable = VehiclesTable()
    reactors: ReactorsTable = ReactorsTable()
    emissions: EmissionsTable = EmissionsTable()
    events: tuple[EventTable, ...] = ()
    folder: str = ""
    """The folder of the file; weather files are relative to it. Not a key of the file."""

    @field_validator("site")
    @classmethod
    def _is_not_a_device(cls, site: str) -> str:
        prefixes = "|".join(prefix for *_, prefix in _GROUPS)
        if re.fullmatch(rf"site|clock|recorder|({prefixes})-\d+", site):
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

    @model_validator(mode="after")
    def _has_turbines_in_its_area(self) -> "Scenario":
        area, sites = self.area, self.turbines.sites
        for latitude, longitude in sites if sites != TURBINE_SITES else ():
            if not (area.south <= latitude <= area.north and area.west <= longitude <= area.east):
                raise ValueError(
                    f"turbines.sites: {latitude:g}, {longitude:g} lies outside the area, which is {area.south:g} to "
                    f"{area.north:g} °N and {area.west:g} to {area.east:g} °E; move the site or enlarge [area]"
                )
        return self

    @property
    def clock(self) -> SiteClock:
        """The site's clock: its standard time, and the legal time of its zone."""
        return site_clock(self.time_zone, self.start.year)

    @property
    def groups(self) -> list["Group"]:
        """The groups of devices, in the order in which they are numbered and started."""
        shipped = [
            Group(AGENT_TYPES.get(kind), prefix, getattr(self, table)) for table, kind, prefix in _GROUPS
        ]
        others = [name for name in type(self).model_fields if name not in Scenario.model_fields]
        return [*shipped, *(Group(AGENT_TYPES.get(name), name, getattr(self, name)) for name in others)]

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle a scenario with tables of other kinds, whose class another process has to make again."""
        return _unpickled, (self.model_dump(exclude={"folder"}), self.folder)

    @staticmethod
    def shipped() -> list[str]:
        """Return the names of the scenarios that come with the product."""
        return shipped()

    @classmethod
    def load(
        cls, name_or_path: str | os.PathLike[str], changes: Mapping[str, object] | None = None
    ) -> "Scenario":
        """Return a shipped scenario by its name, or a TOML file by its path, with some keys changed.

        `changes` maps keys to values: `{"vehicles.count": 60}` or `{"vehicles": {"count": 60}}`. Raises ScenarioError
        with every wrong key, its value and what is allowed, and for a name that no scenario or file has.
        """
        text, source, folder = _read(os.fspath(name_or_path))
        return _parsed(text, source, folder, _changes(changes or {}))

    def with_changes(self, changes: Mapping[str, object]) -> "Scenario":
        """Return a copy with some keys changed: see `load`."""
        return _validated(_document(self.model_dump(exclude={"folder"})), self.folder, _changes(changes))

    @property
    def start_ms(self) -> int:
        """Simulated time of the first tick, milliseconds since the Unix epoch."""
        return int(self.start.replace(tzinfo=UTC).timestamp()) * MS_PER_S


class Group(NamedTuple):
    """Devices of one kind with the same settings; they are numbered after a prefix."""

    agent_type: AgentType[Any]
    prefix: str
    settings: CountTable


def shipped() -> list[str]:
    """Return the names of the scenarios that come with the product."""
    return shipped_names(_folder())


def load(name_or_path: str, changes: Iterable["str | Change"] = ()) -> Scenario:
    """Return a shipped scenario or a user's file, with changes, which are `key=value` where they are texts.

    Raises ScenarioError for problems.
    """
    return parse(*_read(name_or_path), changes)


def parse(text: str, source: str, folder: str = "", changes: Iterable["str | Change"] = ()) -> Scenario:
    """Return the scenario that a TOML text describes; `source` names the text in errors."""
    return _parsed(
        text, source, folder, [change_of(each) if isinstance(each, str) else each for each in changes]
    )


class Change(NamedTuple):
    """Another value for a key, and what the user wrote."""

    key: str
    value: object
    written: str
    origin: str
    """Where it was written."""


def change_of(text: str, origin: str = "--set") -> Change:
    """Return the change that `table.key=value` asks for, in an option: the value is TOML, or text without quotes."""
    key, equals, value = text.partition("=")
    written = f"{origin} {text}"
    if not equals or not key:
        raise ScenarioError(written, ["expected key=value, e.g. settings.turbine_scale=0.5"])
    try:
        return Change(key, toml_value(value), written, origin)
    except ReadError:
        return Change(key, value, written, origin)


def _read(name_or_path: str) -> tuple[str, str, str]:
    """Return the text of a scenario, its source for errors, and its folder; raise ScenarioError."""
    return read_shipped_or_own(name_or_path, _folder(), "scenario", ScenarioError)


def _parsed(text: str, source: str, folder: str, changes: Iterable[Change]) -> Scenario:
    """Return the scenario that a TOML text describes, with changes."""
    toml = TomlText(text, source, ScenarioError)
    stem = re.sub(r"[^A-Za-z0-9_.-]+", "-", Path(source).stem).strip("-_.")
    toml.document.setdefault("name", stem[:48] or "scenario")
    return _validated(toml, folder, changes)


def _validated(toml: TomlText, folder: str, changes: Iterable[Change]) -> Scenario:
    """Return the scenario in a document, after changes to it."""
    origins: dict[str, str] = {}
    for change in changes:
        _apply(toml.document, change)
        origins[change.key] = change.origin
    if "folder" in toml.document:
        raise toml.fail(toml.problem(("folder",), ": unknown key; remove it"))

    model = _model_of(toml)

    def explain(error: dict[str, Any]) -> Problem:
        problem = toml.explain(model, error)
        if error["type"] == "extra_forbidden" and len(error["loc"]) == 1 and isinstance(error["input"], dict):
            problem = Problem(_unknown_table(str(error["loc"][0]), problem.text), problem.line)
        origin = origins.get(".".join(map(str, error["loc"])))
        return problem if origin is None else Problem(f"{problem.text} (from {origin})")

    return toml.validate(model, {"folder": folder}, explain)


def _model_of(toml: TomlText) -> type[Scenario]:
    """Return the model of a document: `Scenario`, with a table for each other kind of device that it names."""
    known = {*Scenario.model_fields, *(kind for _, kind, _ in _GROUPS)}  # a kind with a table of another name
    others = [name for name in toml.document if name not in known and name in AGENT_TYPES]
    if not others:
        return Scenario
    try:
        tables = {name: _counted(AGENT_TYPES.get(name).settings) for name in others}
    except PluginError as error:
        raise toml.fail(Problem(str(error))) from None
    fields: dict[str, Any] = {name: (table, table()) for name, table in tables.items()}
    return create_model("Scenario", __base__=Scenario, **fields)


def _unknown_table(name: str, text: str) -> str:
    """Return what is wrong with a table that is none of the scenario's, and of no kind that is installed."""
    known = {kind for _, kind, _ in _GROUPS}
    close = get_close_matches(name, [kind for kind in AGENT_TYPES.names() if kind not in known], 1)
    if close:
        return f"{name}: unknown key; did you mean {close[0]!r}?"
    return f"{text}; or install the package that adds this kind of device"


def _counted(settings: type[Table]) -> type[CountTable]:
    """Return the table of a kind of device in a scenario: its settings, and the number of its devices."""
    bases = (CountTable,) if issubclass(CountTable, settings) else (settings, CountTable)
    return type(settings.__name__, bases, {"__module__": __name__, "__doc__": settings.__doc__})


def _document(values: dict[str, Any]) -> TomlText:
    """Return the document of a scenario that was read before."""
    toml = TomlText("", str(values["name"]), ScenarioError)
    toml.document.update(values)
    return toml


def scenario_of(values: Mapping[str, object], folder: str, source: str) -> Scenario:
    """Return the scenario with the values of all its keys, as a manifest has them; `source` names them in errors.

    `folder` is that of the file, which its weather files are relative to. Raises ScenarioError for wrong values.
    """
    toml = TomlText("", source, ScenarioError)
    toml.document.update(values)
    return _validated(toml, folder, ())


def _unpickled(values: dict[str, Any], folder: str) -> Scenario:
    return _validated(_document(values), folder, ())


def _changes(values: object, table: str = "") -> Iterator[Change]:
    """Yield the changes in a mapping from keys to values; a mapping within it is a table."""
    if not isinstance(values, Mapping):
        raise ScenarioError(f"changes: {values!r}", ["expected a dict, such as {'vehicles.count': 60}"])
    for name, value in values.items():
        key = f"{table}{name}"
        if isinstance(value, Mapping):
            yield from _changes(value, f"{key}.")
        else:
            yield Change(key, value, f"changes: {key} = {value!r}", "the arguments")


def _apply(document: dict[str, Any], change: Change) -> None:
    """Set a key of a document; raise ScenarioError where what should be a table is none."""
    *tables, last = change.key.split(".")
    table = document
    for name in tables:
        inner = table.setdefault(name, {})
        if not isinstance(inner, dict):
            raise ScenarioError(change.written, [f"{name} is not a table"])
        table = inner
    table[last] = change.value


def _folder() -> Traversable:
    return files("gridfleet.devices.config") / "scenarios"
