"""The battery on the grid: a storage that buys what is left over, and sells when its cell is short of energy."""

from typing import Annotated, Final

from pydantic import Field

from gridfleet.broker.protocol.messages import Limits, Role
from gridfleet.broker.protocol.units import ueur, wh
from gridfleet.devices.agents.base import Agent
from gridfleet.devices.config.shared_tables import MarketTable, Price, Share
from gridfleet.devices.kinds.agent_type import AgentContext, AgentSettings, AgentType


class BatterySettings(AgentSettings):
    """A battery: its size, its power, and the prices between which it works.

    It loses 10 % of what it charges and 6 % of what it discharges.
    """

    capacity_kwh: Annotated[float, Field(ge=0.1, le=1_000_000)] = 1000.0
    """Usable capacity."""
    stored_share: Share = 0.0
    """State of charge at the start."""
    max_kwh_per_tick: Annotated[float, Field(ge=0.001, le=100_000)] = 125.0
    """The most that it buys or sells in a tick."""
    buying_price_eur_per_kwh: Price = 0.3
    """Its bid, for energy that is left over."""
    selling_price_eur_per_kwh: Price = 0.9
    """It sells where bids at this price or above were not served in the tick before: a trigger, not a reserve price."""


def limits(settings: BatterySettings, _market: MarketTable) -> Limits:
    """Return what it buys and sells at most, and its capacity."""
    most_wh = wh(settings.max_kwh_per_tick)
    return Limits(
        sells_wh=most_wh,
        buys_wh=most_wh,
        price_ueur_per_kwh=ueur(settings.buying_price_eur_per_kwh),
        capacity_wh=wh(settings.capacity_kwh),
    )


def build(context: AgentContext[BatterySettings]) -> Agent:
    """Return a battery."""
    from gridfleet.devices.agents.battery import Battery

    settings = context.settings
    capacity_wh = wh(settings.capacity_kwh)
    return Battery(
        *context.identity,
        **context.as_storage,
        capacity_wh=capacity_wh,
        stored_wh=round(capacity_wh * settings.stored_share),
        max_wh_per_tick=wh(settings.max_kwh_per_tick),
        package_wh=context.package_wh,
        buying_price_ueur_per_kwh=ueur(settings.buying_price_eur_per_kwh),
        selling_price_ueur_per_kwh=ueur(settings.selling_price_eur_per_kwh),
        label=context.label or f"{settings.capacity_kwh:g} kWh",
    )


BATTERY: Final = AgentType(
    name="battery", role=Role.STORAGE, settings=BatterySettings, build=build, limits=limits
)
