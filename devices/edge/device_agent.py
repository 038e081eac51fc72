"""Builds the agent of a device file: on its own sensors, or simulated."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

from gridfleet.broker.protocol.units import MS_PER_DAY
from gridfleet.devices.agents.base import Agent
from gridfleet.devices.agents.instruments import SIMULATED, Connector, Instruments
from gridfleet.devices.agents.roster import Roster
from gridfleet.devices.config.device_file import DeviceFile
from gridfleet.devices.runtime import agent_factory
from gridfleet.devices.runtime.agent_factory import DeviceIdentity
from gridfleet.devices.weather import Weather, WindReading

if TYPE_CHECKING:
    from gridfleet.devices.agents.charger import Charger
    from gridfleet.devices.agents.turbine import Turbine

_MONTH_MS: Final = 30 * MS_PER_DAY


class MeasuredWind(Instruments, Weather, Protocol):
    """A turbine's instruments, whose anemometer gives the wind."""


def simulated_agent(device: DeviceFile) -> Agent:
    """Return the agent of a device without pins."""
    return _BUILDERS[device.kind](device)


def turbine_agent(
    device: DeviceFile, wind: MeasuredWind | None = None, agent_class: "type[Turbine] | None" = None
) -> "Turbine":
    """Return a turbine that sells the wind of its anemometer, or without one simulated wind of its place.

    `agent_class` is a class of your own, used instead of `Turbine`.
    """
    table = device.turbine
    return agent_factory.build_turbine(
        _identity(device),
        wind if wind is not None else _LocalWeather(device.seed),
        Roster(),
        rotor_diameter_m=table.rotor_diameter_m,
        hub_height_m=table.hub_height_m,
        measured_at_m=table.measured_at_m,
        neighbours=device.neighbours,
        instruments=wind if wind is not None else SIMULATED,
        agent_class=agent_class,
    )


def charger_agent(
    device: DeviceFile, connector: Connector | None = None, agent_class: "type[Charger] | None" = None
) -> "Charger":
    """Return a charger; with a connector it has one port and sells what its meter counts.

    `agent_class` is a class of your own, used instead of `Charger`.
    """
    return agent_factory.build_charger(
        _identity(device),
        device.charger,
        device.market,
        reactor=device.reactor,
        connector=connector,
        agent_class=agent_class,
    )


def _household(device: DeviceFile) -> Agent:
    return agent_factory.build_consumer(
        _identity(device, "household"),
        device.market,
        profile=device.household.profile,
        annual_kwh=device.household.annual_kwh,
        reactor=device.reactor,
    )


def _reactor(device: DeviceFile) -> Agent:
    return agent_factory.build_reactor(_identity(device), device.market)


def _vehicle(device: DeviceFile) -> Agent:
    from gridfleet.devices.charging.offer_ranking import Weights
    from gridfleet.devices.physics.vehicle_models import vehicle_models
    from gridfleet.devices.random_streams import RandomStream

    table = device.vehicle
    random = RandomStream(device.seed, device.id)
    models = {model.model: model for model in vehicle_models()}
    cells = (device.cell, *device.neighbours)
    return agent_factory.build_vehicle(
        _identity(device),
        models[table.model] if table.model else list(models.values())[random.below(len(models))],
        stored_share=table.stored_share,
        area=(table.south, table.north, table.west, table.east),
        cells=cells,
        rosters=[Roster() for _ in cells],
        random=random,
        weights=Weights(),
        limit_eur_per_kwh=device.market.vehicle_limit_eur_per_kwh,
        charge_by_ms=MS_PER_DAY,
    )


def _identity(device: DeviceFile, label: str = "") -> DeviceIdentity:
    return DeviceIdentity(device.id, device.cell, *device.place, device.label or label)


class _LocalWeather:
    """Synthetic weather of one place, by seed and month: a device does not know when its site's run began."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._month = -1
        self._weather: Weather | None = None

    def at(self, simulated_ms: int, latitude: float, longitude: float) -> WindReading:
        """Return the reading of the quarter hour that contains this time."""
        from gridfleet.devices.weather.synthetic import SyntheticWeather

        month = simulated_ms // _MONTH_MS
        if self._weather is None or month != self._month:
            self._month = month
            self._weather = SyntheticWeather(f"{self._seed}|{month}", month * _MONTH_MS)
        return self._weather.at(simulated_ms, latitude, longitude)


_BUILDERS: Final[dict[str, Callable[[DeviceFile], Agent]]] = {
    "turbine": turbine_agent,
    "charger": charger_agent,
    "household": _household,
    "vehicle": _vehicle,
    "reactor": _reactor,
}
