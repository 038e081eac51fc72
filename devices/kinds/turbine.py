"""The wind turbine: its rotor, and the pins of a measured one."""

from collections.abc import Callable
from typing import Annotated, Any, Final

from pydantic import Field

from gridfleet.broker.protocol.messages import MAX_SCALE, Limits, Role
from gridfleet.broker.protocol.units import MS_PER_HOUR, TICK_MS
from gridfleet.devices.agents.base import Agent
from gridfleet.devices.config.shared_tables import MarketTable, MeasuringHeight, RotorOrLimits
from gridfleet.devices.kinds.agent_type import AgentContext, AgentSettings, AgentType


class TurbineSettings(AgentSettings):
    """The rotor, and the height at which the wind was measured."""

    rotor_diameter_m: RotorOrLimits = 2.0
    """Diameter of the rotor; of two limits each device draws its own."""
    hub_height_m: Annotated[float, Field(ge=0, le=300)] = 0.0
    """Used where the height of the wind measurement is given."""
    measured_at_m: MeasuringHeight | None = None
    """Height of the wind measurement; without it the wind is taken as measured at the hub."""


def limits(settings: TurbineSettings, _market: MarketTable) -> Limits:
    """Return the most that the rotor can sell: in cold, dense air, at the largest scale that a scenario may set."""
    from gridfleet.devices.physics.turbine import max_power_w

    diameter = settings.rotor_diameter_m
    largest_m = max(diameter) + 0.05 if isinstance(diameter, tuple) else diameter  # what is drawn is rounded
    return Limits(sells_wh=round(max_power_w(largest_m) * MAX_SCALE) * TICK_MS // MS_PER_HOUR + 1)


def build(context: AgentContext[TurbineSettings]) -> Agent:
    """Return a wind turbine, which sells the wind of its anemometer or else that of the weather."""
    from gridfleet.devices.agents.turbine import Turbine
    from gridfleet.devices.physics.air import speed_at_height_mps

    settings = context.settings
    turbine_class: Callable[..., Agent] = context.agent_class or Turbine
    drawn = context.draw(settings.rotor_diameter_m)
    rotor_diameter_m = round(drawn, 1) if isinstance(settings.rotor_diameter_m, tuple) else drawn
    measured_at_m = settings.measured_at_m if settings.measured_at_m is not None else context.measured_at_m
    wind_factor = 1.0
    if measured_at_m is not None and settings.hub_height_m:
        wind_factor = round(speed_at_height_mps(1.0, measured_at_m, settings.hub_height_m), 6)
    return turbine_class(
        *context.identity,
        **context.as_seller,
        rotor_diameter_m=rotor_diameter_m,
        wind=context.hardware if context.hardware is not None else context.weather,
        hub_height_m=settings.hub_height_m,
        wind_factor=wind_factor,
        label=context.label or f"rotor {rotor_diameter_m:g} m",
    )


def _control(device: Any, board: Any) -> Any:  # noqa: ANN401 - a device file and a board, whose modules need this one
    from gridfleet.devices.edge.hardware.turbine import TurbineControl

    return TurbineControl(device, board)


def _plant(pi: Any, device: Any) -> Any:  # noqa: ANN401 - as above
    from gridfleet.devices.edge.hil.plants import WindPlant

    plant = WindPlant(pi, device)
    plant.blow(device.mock.wind_m_per_s if device.mock is not None else 0.0)
    return plant


TURBINE: Final = AgentType(
    name="turbine",
    role=Role.PRODUCER,
    settings=TurbineSettings,
    build=build,
    limits=limits,
    parts=("anemometer", "vane", "brake"),
    needed_parts=("anemometer",),
    control=_control,
    plant=_plant,
)
