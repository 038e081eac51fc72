"""Builds the agent of a device file, and its control loop on pins, by the definition of its kind."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from gridfleet.broker.protocol.units import MS_PER_DAY
from gridfleet.devices.agents.base import Agent
from gridfleet.devices.agents.roster import Roster
from gridfleet.devices.config.device_file import DeviceFile
from gridfleet.devices.config.shared_tables import RectangleTable
from gridfleet.devices.kinds.agent_type import AgentContext
from gridfleet.devices.random_streams import RandomStream
from gridfleet.devices.trust.announcements import Announcements
from gridfleet.devices.trust.register import Register
from gridfleet.devices.weather import Weather, WindReading

if TYPE_CHECKING:
    from gridfleet.devices.edge.hardware.board import Board
    from gridfleet.devices.edge.hardware.control import ControlLoop

_MONTH_MS: Final = 30 * MS_PER_DAY


def control_loop(device: DeviceFile, board: "Board") -> "ControlLoop":
    """Return the control loop of a device on pins; raise HardwareError for pins that cannot be opened.

    Raises ControlError where a control loop of one's own cannot be built.
    """
    loop: ControlLoop = device.agent_type.make_control(device, board)
    return loop


def build_agent(
    device: DeviceFile, control: "ControlLoop | None" = None, agent_class: Callable[..., Agent] | None = None
) -> Agent:
    """Return the agent of a device: on the readings of its control loop, or without one simulated.

    `agent_class` is a class of your own, used instead of the kind's.
    """
    latitude, longitude = device.place
    area = RectangleTable()
    context = AgentContext(
        id=device.id,
        cell=device.cell,
        latitude=latitude,
        longitude=longitude,
        label=device.label,
        settings=device.settings,
        market=device.market,
        reactor=device.reactor,
        neighbours=device.neighbours,
        area=(area.south, area.north, area.west, area.east),
        weather=_LocalWeather(device.seed),
        measured_at_m=None,
        roster=Roster(),
        charger_rosters=tuple(Roster() for _ in (device.cell, *device.neighbours)),
        random=RandomStream(device.seed, device.id),
        start_ms=0,
        hardware=control,
        agent_class=agent_class,
        register=Register(),
        announcements=Announcements(),
    )
    return device.agent_type.make(context)


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
