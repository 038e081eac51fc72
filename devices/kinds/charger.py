"""The charging station: its buffer battery, its ports, and the pins of a real one."""

from collections.abc import Callable
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field

from gridfleet.broker.protocol.messages import Limits, Role
from gridfleet.broker.protocol.units import NEUR_PER_EUR, UEUR_PER_EUR, ueur, wh
from gridfleet.devices.agents.base import Agent
from gridfleet.devices.charging.pricing import CHARGER_PRICINGS, DEFAULT_PRICING
from gridfleet.devices.config.shared_tables import Fee, MarketTable, Share
from gridfleet.devices.kinds.agent_type import AgentContext, AgentSettings, AgentType


class ChargerSettings(AgentSettings):
    """A charging station: its buffer battery, what it buys at most, and how many vehicles it serves at once."""

    capacity_kwh: Annotated[float, Field(ge=0.1, le=100_000)] = 300.0
    """Capacity of its buffer battery."""
    stored_share: Share = 0.5
    """State of charge of the buffer battery at the start."""
    max_kwh_per_tick: Annotated[float, Field(ge=0.001, le=2000)] = 50.0
    """The most that it buys in a tick."""
    ports: Annotated[int, Field(ge=1, le=1000)] = 1
    """Vehicles that it serves at once; on pins one, that of the contactor."""
    pricing: Annotated[str, AfterValidator(CHARGER_PRICINGS.checked)] = DEFAULT_PRICING
    """What it asks of vehicles: `state-of-charge`, the original's 1.01 EUR/kWh less its state of charge; `cost-plus`,
    what its energy has cost on average, losses included, and the margin; or a strategy of an installed package."""
    margin: Annotated[float, Field(ge=0, le=10)] = 0.1
    """What it earns with `cost-plus`, as a share of its costs."""
    no_show_fee_eur: Fee = 5.0
    """What a vehicle owes that keeps a reservation and neither comes nor cancels; 0 for none."""


def limits(settings: ChargerSettings, _market: MarketTable) -> Limits:
    """Return what it buys at most and for how much, its buffer battery, and its ports."""
    return Limits(
        buys_wh=wh(settings.max_kwh_per_tick),
        price_ueur_per_kwh=UEUR_PER_EUR,  # 1 EUR/kWh less its state of charge
        capacity_wh=wh(settings.capacity_kwh),
        ports=settings.ports,
    )


def build(context: AgentContext[ChargerSettings]) -> Agent:
    """Return a charging station; on real or mocked pins it has one port, and sells what its meter counts."""
    from gridfleet.devices.agents.charger import Charger

    settings, market, connector = context.settings, context.market, context.hardware
    capacity_wh = wh(settings.capacity_kwh)
    charger_class: Callable[..., Agent] = context.agent_class or Charger
    return charger_class(
        *context.identity,
        **context.as_buyer,
        capacity_wh=capacity_wh,
        stored_wh=round(capacity_wh * settings.stored_share),
        ports=settings.ports if connector is None else 1,
        max_wh_per_tick=wh(settings.max_kwh_per_tick),
        package_wh=context.package_wh,
        floor_ueur_per_kwh=ueur(market.charger_floor_eur_per_kwh),
        neighbours=context.neighbours,
        label=context.label,
        connector=connector,
        pricing=CHARGER_PRICINGS.get(settings.pricing),
        margin=settings.margin,
        no_show_fee_neur=round(settings.no_show_fee_eur * NEUR_PER_EUR),
    )


def _control(device: Any, board: Any) -> Any:  # noqa: ANN401 - a device file and a board, whose modules need this one
    from gridfleet.devices.edge.hardware.charger import ChargerControl

    return ChargerControl(device, board)


def _plant(pi: Any, device: Any) -> Any:  # noqa: ANN401 - as above
    from gridfleet.devices.edge.hil.plants import ChargingPlant

    plant = ChargingPlant(pi, device)
    if device.mock is not None:
        plant.draws_a = device.mock.current_a
        if device.mock.plugged:
            plant.plug_in()
    return plant


CHARGER: Final = AgentType(
    name="charger",
    role=Role.CHARGER,
    settings=ChargerSettings,
    build=build,
    limits=limits,
    parts=("plug", "contactor", "stop", "current", "voltage", "safety"),
    needed_parts=("plug", "contactor", "stop", "current", "adc"),
    control=_control,
    plant=_plant,
)
