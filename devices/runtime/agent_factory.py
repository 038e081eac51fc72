"""Builds the shipped agents: one function for each kind, used by fleets, simulations and single devices.

The agents' modules are imported inside the functions, so that a device loads its own kind only.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from gridfleet.broker.protocol.units import ueur, wh
from gridfleet.devices.agents.instruments import SIMULATED, Connector, Instruments
from gridfleet.devices.agents.roster import Roster
from gridfleet.devices.config.shared_tables import ChargerTable, MarketTable
from gridfleet.devices.physics.air import speed_at_height_mps
from gridfleet.devices.weather import Weather

if TYPE_CHECKING:
    from gridfleet.devices.agents.charger import Charger
    from gridfleet.devices.agents.household import Household
    from gridfleet.devices.agents.reactor import Reactor
    from gridfleet.devices.agents.turbine import Turbine
    from gridfleet.devices.agents.vehicle import Vehicle
    from gridfleet.devices.charging.offer_ranking import Weights
    from gridfleet.devices.physics.demand import ProfileName
    from gridfleet.devices.physics.vehicle_models import VehicleModel
    from gridfleet.devices.random_streams import RandomStream


class DeviceIdentity(NamedTuple):
    """What every device has: id, cell, place in degrees, and a label for people."""

    id: str
    cell: str
    latitude: float
    longitude: float
    label: str = ""


def build_turbine(  # noqa: PLR0913 - each named where it is called
    identity: DeviceIdentity,
    weather: Weather,
    roster: Roster,
    *,
    rotor_diameter_m: float,
    hub_height_m: float,
    measured_at_m: float | None,
    neighbours: Sequence[str] = (),
    instruments: Instruments = SIMULATED,
    agent_class: "type[Turbine] | None" = None,
) -> "Turbine":
    """Return a wind turbine.

    `weather` gives the wind at `measured_at_m` above ground, or at the hub where that is None. `neighbours` are the
    cells to which it exports. `agent_class` is used instead of `Turbine` where given.
    """
    from gridfleet.devices.agents.turbine import Turbine

    wind_factor = 1.0
    if measured_at_m is not None and hub_height_m:
        wind_factor = round(speed_at_height_mps(1.0, measured_at_m, hub_height_m), 6)
    return (agent_class or Turbine)(
        *identity[:4],
        rotor_diameter_m=rotor_diameter_m,
        wind=weather,
        roster=roster,
        hub_height_m=hub_height_m,
        wind_factor=wind_factor,
        neighbours=neighbours,
        label=identity.label or f"rotor {rotor_diameter_m:g} m",
        instruments=instruments,
    )


def build_charger(
    identity: DeviceIdentity,
    settings: ChargerTable,
    market: MarketTable,
    *,
    reactor: str | None,
    connector: Connector | None = None,
    agent_class: "type[Charger] | None" = None,
) -> "Charger":
    """Return a charging station that asks `reactor` for what its cell lacks.

    With a connector (real or mocked pins) it has one port, and sells what its meter counts. `agent_class` is used
    instead of `Charger` where given.
    """
    from gridfleet.devices.agents.charger import Charger

    capacity_wh = wh(settings.capacity_kwh)
    return (agent_class or Charger)(
        *identity[:4],
        capacity_wh=capacity_wh,
        stored_wh=round(capacity_wh * settings.stored_share),
        ports=settings.ports if connector is None else 1,
        max_wh_per_tick=wh(settings.max_kwh_per_tick),
        package_wh=wh(market.package_kwh),
        floor_ueur_per_kwh=ueur(market.charger_floor_eur_per_kwh),
        reactor=reactor,
        reactor_price_ueur_per_kwh=ueur(market.reactor_price_eur_per_kwh),
        label=identity.label,
        connector=connector,
    )


def build_consumer(
    identity: DeviceIdentity,
    market: MarketTable,
    *,
    profile: "ProfileName",
    annual_kwh: float,
    reactor: str | None,
) -> "Household":
    """Return a consumer with a standard load profile and its energy per year in kWh."""
    from gridfleet.devices.agents.household import Household
    from gridfleet.devices.physics.demand import load_profile

    return Household(
        *identity[:4],
        load=load_profile(profile),
        annual_kwh=annual_kwh,
        package_wh=wh(market.package_kwh),
        price_ueur_per_kwh=ueur(market.consumer_price_eur_per_kwh),
        reactor=reactor,
        reactor_price_ueur_per_kwh=ueur(market.reactor_price_eur_per_kwh),
        label=identity.label,
    )


def build_vehicle(  # noqa: PLR0913 - each named where it is called
    identity: DeviceIdentity,
    model: "VehicleModel",
    *,
    stored_share: float,
    area: tuple[float, float, float, float],
    cells: Sequence[str],
    rosters: Sequence[Roster],
    random: "RandomStream",
    weights: "Weights",
    limit_eur_per_kwh: float,
    charge_by_ms: int,
) -> "Vehicle":
    """Return an electric vehicle.

    It drives in `area` (south, north, west, east in degrees), calls for proposals in `cells`, whose chargers
    `rosters` hold, pays at most `limit_eur_per_kwh`, and wants to be charged by `charge_by_ms` (simulated time).
    """
    from gridfleet.devices.agents.vehicle import Vehicle

    return Vehicle(
        *identity[:4],
        model=model,
        stored_wh=round(model.capacity_wh * stored_share),
        area=area,
        cells=cells,
        rosters=rosters,
        rng=random,
        weights=weights,
        limit_ueur_per_kwh=ueur(limit_eur_per_kwh),
        charge_by_ms=charge_by_ms,
        label=identity.label or model.model,
    )


def build_reactor(identity: DeviceIdentity, market: MarketTable) -> "Reactor":
    """Return an external reactor, which sells at the market's reactor price."""
    from gridfleet.devices.agents.reactor import Reactor

    return Reactor(
        *identity[:4],
        price_ueur_per_kwh=ueur(market.reactor_price_eur_per_kwh),
        label=identity.label,
    )
