"""From a device file to its agent, the same classes that a fleet is made of."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

from gridfleet.broker.protocol.units import ueur, wh
from gridfleet.devices.agents.base import Agent
from gridfleet.devices.agents.instruments import Connector, Instruments
from gridfleet.devices.agents.roster import Roster
from gridfleet.devices.config.device_file import DeviceFile, DeviceFileError
from gridfleet.devices.physics.air import speed_at_height_mps
from gridfleet.devices.weather import Weather, WindReading

if TYPE_CHECKING:
    from gridfleet.devices.agents.charger import Charger
    from gridfleet.devices.agents.turbine import Turbine

_DAY_MS: Final = 86_400_000
_MONTH_MS: Final = 30 * _DAY_MS


class MeasuredWind(Instruments, Weather, Protocol):
    """A turbine's own anemometer: the wind as it is, and the panel that it belongs to."""


def turbine(
    device: DeviceFile, wind: MeasuredWind | None = None, make: "type[Turbine] | None" = None
) -> "Turbine":
    """Return a turbine that sells the wind of its anemometer, or without one that of its place, simulated.

    `make` is a class of one's own instead of ours.
    """
    from gridfleet.devices.agents.instruments import SIMULATED
    from gridfleet.devices.agents.turbine import Turbine

    table = device.turbine
    higher = (
        round(speed_at_height_mps(1.0, table.measured_at_m, table.hub_height_m), 6)
        if table.measured_at_m is not None and table.hub_height_m
        else 1.0
    )
    source: Weather = wind if wind is not None else _OwnWeather(device.seed)
    latitude, longitude = device.place
    return (make or Turbine)(
        device.id,
        device.cell,
        latitude,
        longitude,
        rotor_diameter_m=table.rotor_diameter_m,
        wind=source,
        roster=Roster(),
        hub_height_m=table.hub_height_m,
        wind_factor=higher,
        neighbours=device.neighbours,
        label=device.label or f"rotor {table.rotor_diameter_m:g} m",
        instruments=wind if wind is not None else SIMULATED,
    )


def charger(
    device: DeviceFile, connector: Connector | None = None, make: "type[Charger] | None" = None
) -> "Charger":
    """Return a charger; with a connector it has one port and sells what its meter counts.

    `make` is a class of one's own instead of ours.
    """
    from gridfleet.devices.agents.charger import Charger

    table = device.charger
    capacity_wh = wh(table.capacity_kwh)
    latitude, longitude = device.place
    return (make or Charger)(
        device.id,
        device.cell,
        latitude,
        longitude,
        capacity_wh=capacity_wh,
        stored_wh=round(capacity_wh * table.stored_share),
        ports=table.ports if connector is None else 1,
        most_wh=wh(table.most_kwh_per_tick),
        package_wh=wh(device.market.package_kwh),
        floor_ueur_per_kwh=ueur(device.market.charger_floor_eur_per_kwh),
        reactor=device.reactor,
        reactor_price_ueur_per_kwh=ueur(device.market.reactor_price_eur_per_kwh),
        label=device.label,
        connector=connector,
    )


def simulated(device: DeviceFile) -> Agent:
    """Return the agent of a device without pins."""
    return _SIMULATED[device.kind](device)


def _household(device: DeviceFile) -> Agent:
    from gridfleet.devices.agents.household import Household
    from gridfleet.devices.physics.demand import load_profile

    latitude, longitude = device.place
    return Household(
        device.id,
        device.cell,
        latitude,
        longitude,
        load=load_profile(device.household.profile),
        annual_kwh=device.household.annual_kwh,
        package_wh=wh(device.market.package_kwh),
        price_ueur_per_kwh=ueur(device.market.consumer_price_eur_per_kwh),
        reactor=device.reactor,
        reactor_price_ueur_per_kwh=ueur(device.market.reactor_price_eur_per_kwh),
        label=device.label or "household",
    )


def _reactor(device: DeviceFile) -> Agent:
    from gridfleet.devices.agents.reactor import Reactor

    price = ueur(device.market.reactor_price_eur_per_kwh)
    return Reactor(device.id, device.cell, *device.place, price_ueur_per_kwh=price)


def _vehicle(device: DeviceFile) -> Agent:
    from gridfleet.devices.agents.vehicle import Vehicle
    from gridfleet.devices.charging.offer_ranking import Weights
    from gridfleet.devices.physics.vehicle_models import vehicle_models
    from gridfleet.devices.random_streams import RandomStream

    table = device.vehicle
    chance = RandomStream(device.seed, device.id)
    models = {model.model: model for model in vehicle_models()}
    if table.model and table.model not in models:
        known = ", ".join(sorted(models))
        raise DeviceFileError(device.id, [f": vehicle.model = {table.model!r}: unknown; known are {known}"])
    model = models[table.model] if table.model else list(models.values())[chance.below(len(models))]
    latitude, longitude = device.place
    cells = (device.cell, *device.neighbours)
    return Vehicle(
        device.id,
        device.cell,
        latitude,
        longitude,
        model=model,
        stored_wh=round(model.capacity_wh * table.stored_share),
        area=(table.south, table.north, table.west, table.east),
        cells=cells,
        rosters=[Roster() for _ in cells],
        chance=chance,
        weights=Weights(1.0, 1.0, 1.0),
        limit_ueur_per_kwh=ueur(device.market.vehicle_limit_eur_per_kwh),
        due_ms=_DAY_MS,
        label=device.label or model.model,
    )


class _OwnWeather:
    """Synthetic weather of one place, by seed and month: a device does not know when its site began."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._month = -1
        self._weather: Weather | None = None

    def at(self, simulated_ms: int, latitude: float, longitude: float) -> WindReading:
        """Return the reading of the quarter hour holding this time."""
        from gridfleet.devices.weather.synthetic import SyntheticWeather

        month = simulated_ms // _MONTH_MS
        if self._weather is None or month != self._month:
            self._month = month
            self._weather = SyntheticWeather(f"{self._seed}|{month}", month * _MONTH_MS)
        return self._weather.at(simulated_ms, latitude, longitude)


_SIMULATED: Final[dict[str, Callable[[DeviceFile], Agent]]] = {
    "turbine": turbine,
    "charger": charger,
    "household": _household,
    "vehicle": _vehicle,
    "reactor": _reactor,
}
