"""The external reactor: the grid supply that sells at the market's reactor price."""

from typing import Final

from gridfleet.broker.protocol.messages import Role
from gridfleet.broker.protocol.units import ueur
from gridfleet.devices.agents.base import Agent
from gridfleet.devices.kinds.agent_type import AgentContext, AgentSettings, AgentType


class ReactorSettings(AgentSettings):
    """A reactor has no settings: its price is the market's."""


def build(context: AgentContext[ReactorSettings]) -> Agent:
    """Return an external reactor."""
    from gridfleet.devices.agents.reactor import Reactor

    price_ueur = ueur(context.market.reactor_price_eur_per_kwh)
    return Reactor(*context.identity, price_ueur_per_kwh=price_ueur, label=context.label)


REACTOR: Final = AgentType(name="reactor", role=Role.GRID_SUPPLY, settings=ReactorSettings, build=build)
