"""The tables of a scenario file: their keys, limits and defaults."""

from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, model_validator

from gridfleet.broker.protocol.messages import MAX_OUTAGE_S
from gridfleet.devices.charging.out_of_service import validated_chargers_out
from gridfleet.devices.charging.ranking_registry import OFFER_RANKINGS
from gridfleet.devices.config.shared_tables import (
    AnnualEnergy,
    HubHeight,
    Latitude,
    Longitude,
    MeasuringHeight,
    RectangleTable,
    RotorOrLimits,
    Share,
    ShareOrLimits,
    Table,
    Temperature,
)
from gridfleet.devices.kinds.agent_type import AgentSettings
from gridfleet.devices.kinds.charger import ChargerSettings
from gridfleet.devices.kinds.consumer import ConsumerSettings, Profile
from gridfleet.devices.kinds.reactor import ReactorSettings
from gridfleet.devices.kinds.turbine import TurbineSettings
from gridfleet.devices.kinds.vehicle import VehicleSettings
from gridfleet.devices.market.rule_registry import CLEARING_RULES

TURBINE_SITES: Final = (
    (53.597, 10.021),
    (52.484, 12.229),
    (51.085, 7.219),
    (49.328, 11.184),
)
"""Of the original system's sites those in its area: Hamburg, Brandenburg, Köln, Nürnberg. Ulm lies south of it."""
REACTOR_SITE: Final = (53.573, 9.881)

Scale = Annotated[float, Field(ge=0, le=2)]
WindScale = Annotated[float, Field(ge=0, le=5)]
RankingName = Annotated[str, AfterValidator(OFFER_RANKINGS.checked)]
RuleName = Annotated[str, AfterValidator(CLEARING_RULES.checked)]
ChargersOut = Annotated[str, Field(max_length=64), AfterValidator(validated_chargers_out)]
GramsPerKwh = Annotated[float, Field(ge=0, le=10_000)]
Count = Annotated[int, Field(ge=0, le=1_000_000)]
Place = tuple[Latitude, Longitude]


class SettingsTable(Table):
    """Settings that can also be changed while the scenario runs."""

    consumer_scale: Scale = 1.0
    """Multiplies the demand of consumers."""
    vehicle_scale: Scale = 1.0
    """Multiplies the probability that a parked vehicle that wanders sets out, 1/11 per tick; 0 keeps commuters, too."""
    turbine_scale: Scale = 1.0
    """Multiplies the generation of turbines."""
    wind_scale: WindScale = 1.0
    """Multiplies the wind speed."""
    algorithm: RankingName = "best"
    """How vehicles rank the offers of chargers: a shipped offer ranking, or one of an installed package."""
    chargers_out: ChargersOut = ""
    """Chargers out of service: ids, names of cells, a share such as 25%, or all; separated by commas or blanks."""
    clearing_rule: RuleName = "pay-as-bid"
    """What buyers pay: a shipped clearing rule, or one of an installed package. A change counts from the next tick."""


class AreaTable(RectangleTable):
    """A rectangle divided into rows × columns cells; adjacent cells are neighbours."""

    rows: Annotated[int, Field(ge=1, le=1000)] = 1
    """Rows of cells."""
    columns: Annotated[int, Field(ge=1, le=1000)] = 1
    """Columns of cells."""


class WeatherTable(Table):
    """Wind and temperature: generated from the seed, or read from files."""

    source: Literal["synthetic", "csv", "dwd"] = "synthetic"
    """Generated from the seed, read from a CSV file, or from the archives of Deutscher Wetterdienst."""
    files: tuple[str, ...] = ()
    """For csv and dwd; relative to the scenario's file."""
    station_list: str | None = None
    """DWD's list of stations, needed where the archives do not give a station's place."""
    measured_at_m: MeasuringHeight | None = None
    """Height of the wind measurements above ground; without it they are taken as measured at the hub."""
    assumed_temperature_c: Temperature | None = None
    """Used where the files have no temperature."""
    gaps: Literal["refuse", "hold", "interpolate"] = "refuse"
    """What fills a gap of more than an hour in a station's record: nothing, so that other stations serve or the run is
    refused; the last value; or a straight line between the two values."""
    most_gap_h: Annotated[float, Field(ge=1, le=168)] = 3.0
    """The longest gap that `hold` and `interpolate` fill, from one value to the next."""
    weibull_scale_mps: Annotated[float, Field(ge=0.01, le=30)] = 8.0
    """Scale of the Weibull distribution of the synthetic wind speed."""
    weibull_shape: Annotated[float, Field(ge=0.5, le=10)] = 2.0
    """Shape of that distribution."""
    correlation_time_h: Annotated[float, Field(ge=0.01, le=1000)] = 12.0
    """Time at which the correlation of the synthetic wind falls to 1/e."""
    correlation_length_km: Annotated[float, Field(ge=0.01, le=10_000)] = 350.0
    """Distance at which the correlation of the synthetic wind falls to 1/e."""
    mean_temperature_c: Temperature = 9.3
    """Mean of the year, for synthetic weather."""

    @model_validator(mode="after")
    def _has_files(self) -> "WeatherTable":
        if self.source == "synthetic" and self.files:
            raise ValueError("files are given, but the source is synthetic; set source to csv or dwd")
        if self.source != "synthetic" and not self.files:
            raise ValueError(f"no files are given for the source {self.source}; add the key files")
        if self.source == "csv" and len(self.files) != 1:
            raise ValueError("files: a csv source is one file; it may hold several stations")
        return self


class CountTable(AgentSettings):
    """How many devices of a kind a scenario has."""

    count: Count = 1
    """Number of devices."""


class TurbinesTable(TurbineSettings, CountTable):
    """Wind turbines; the first ones stand at the given sites that lie in their cell, the others at random places."""

    count: Count = 3
    rotor_diameter_m: RotorOrLimits = (50.0, 150.0)
    hub_height_m: HubHeight = 135.0
    """Used only when `weather.measured_at_m` is given."""
    sites: tuple[Place, ...] = TURBINE_SITES
    """Places of the first ones, latitude and longitude, within the area; the others stand at random places in their
    cell. The default sites count where they lie in the area."""


class ConsumersTable(ConsumerSettings, CountTable):
    """Consumers of one BDEW load profile; annual demand in kWh, of a whole quarter of a town by default."""

    annual_kwh: AnnualEnergy = 1_000_000.0
    load_file: str = ""
    """A CSV file with the measured load of each device, in place of the profile; relative to the scenario's file."""
    load_factor: Annotated[float, Field(ge=0, le=1e6)] = 1.0
    """Multiplies the load of that file."""


class CommerceTable(ConsumersTable):
    """Businesses."""

    profile: Profile = "G25"


class FarmsTable(ConsumersTable):
    """Farms."""

    profile: Profile = "L25"


class ChargersTable(ChargerSettings, CountTable):
    """Charging stations with a buffer battery."""

    count: Count = 20
    stored_share: Share = 0.0
    ports: Annotated[int, Field(ge=1, le=1000)] = 5


class VehiclesTable(VehicleSettings, CountTable):
    """Electric vehicles, each of a model drawn from the table of real cars unless one is given."""

    count: Count = 30
    stored_share: ShareOrLimits = (0.4, 1.0)


class ReactorsTable(ReactorSettings, CountTable):
    """External reactors; each cell is connected to one."""

    count: Annotated[int, Field(ge=0, le=1000)] = 1
    price_file: str = ""
    """A CSV file with day-ahead prices, in place of `market.reactor_price_eur_per_kwh`; relative to the scenario's
    file. Prices below 0 count as 0."""
    price_added_eur_per_kwh: Annotated[float, Field(ge=-100, le=100)] = 0.0
    """Added to the prices of that file: grid fees, taxes, the supplier's margin."""


class EmissionsTable(Table):
    """CO₂ of the energy of each kind of seller, for the indicator `co2_kg`; docs/indicators.md has the sources."""

    turbine: GramsPerKwh = 11.0
    """Wind turbines, over their life."""
    reactor: GramsPerKwh = 380.0
    """Energy from outside: the German grid of 2023."""
    other: GramsPerKwh = 0.0
    """All other kinds, storages among them."""


class EventTable(Table):
    """Settings that apply from `hour` after the start."""

    hour: Annotated[float, Field(ge=0, le=100_000)]
    """When the settings apply, after the start."""
    title: Annotated[str, Field(min_length=1, max_length=64)]
    """For people: what happens."""
    consumer_scale: Scale | None = None
    """As in [settings]."""
    vehicle_scale: Scale | None = None
    """As in [settings]."""
    turbine_scale: Scale | None = None
    """As in [settings]."""
    wind_scale: WindScale | None = None
    """As in [settings]."""
    algorithm: RankingName | None = None
    """As in [settings]."""
    clearing_rule: RuleName | None = None
    """As in [settings]."""
    chargers_out: ChargersOut | None = None
    """As in [settings]."""
    outage_s: Annotated[float, Field(ge=0, le=MAX_OUTAGE_S)] | None = None
    """A drill: every device drops its connection for that many real seconds. No effect in the simulation."""
