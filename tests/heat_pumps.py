"""A kind of device as another package would add it: a consumer with figures of its own, which no module knows."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from gridfleet.broker.protocol.messages import Figure, Package, Role
from gridfleet.devices.agents.base import Agent
from gridfleet.devices.agents.roles.consumer import Consumer
from gridfleet.devices.config.scenario import Scenario
from gridfleet.devices.kinds.agent_type import AgentContext, AgentSettings, AgentType
from gridfleet.devices.kinds.registry import AGENT_TYPES
from tests.plugins import registered

KIND = "heat-pump"
FIGURES = (
    Figure("indoor_c", "°C", "temperature of the house"),
    Figure("cop", "", "heat delivered for each Wh of electricity"),
)


class HeatPump(Consumer):
    """Heats a house that cools down; its figures follow from tick and id alone."""

    kind = KIND
    figures: ClassVar[tuple[Figure, ...]] = FIGURES
    __slots__ = ("_indoor_c",)

    def packages_to_bid(self) -> tuple[Package, ...]:
        return (Package(0, 2_000, 1_000_000),)

    def read_figures(self) -> dict[str, float]:
        number = int(self.id.rpartition("-")[2])
        return {"indoor_c": 19.5 + number + (self.tick % 8) / 4, "cop": 3.25}


class HeatPumpSettings(AgentSettings):
    """No settings of its own."""


def build(context: AgentContext[HeatPumpSettings]) -> Agent:
    return HeatPump(*context.identity, **context.as_buyer, label=context.label)


HEAT_PUMP = AgentType(name=KIND, role=Role.CONSUMER, settings=HeatPumpSettings, build=build)


@contextmanager
def scenario_with_all_roles(name: str = "scarce", **changes: object) -> Iterator[Scenario]:
    """Give a shipped scenario that also has two heat pumps and two batteries, until the end of the block."""
    with registered(AGENT_TYPES, HEAT_PUMP):
        keys = {f"{KIND}.count": 2, "battery.count": 2, "battery.stored_share": 0.5}
        yield Scenario.load(name, {**keys, **changes})
