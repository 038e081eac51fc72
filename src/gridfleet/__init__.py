"""A power grid of bargaining devices: energy trading and charging reservations by contract net over MQTT.

    import gridfleet

    result = gridfleet.simulate("storm", ticks=40)
    result.ticks.to_pandas().plot(x="simulated_time", y=["demand_kwh", "generated_kwh"])

What is public is listed here and in docs/api.md; it loads when it is first used. The code is in the four folders at the
top of the repository: `gridfleet.broker`, `gridfleet.devices`, `gridfleet.dashboards` and `gridfleet.provisioning` are
links to them. See "One import name" in docs/design.md.
"""

TYPE_CHECKING = (
    False  # the name that type checkers know; `typing` itself takes longer to load than all of this
)

if TYPE_CHECKING:
    from gridfleet.broker.errors import GridFleetError
    from gridfleet.broker.protocol.messages import Figure, Package, Role
    from gridfleet.dashboards.audit.findings import Finding
    from gridfleet.devices.agents.base import Agent
    from gridfleet.devices.agents.roles.consumer import Consumer
    from gridfleet.devices.agents.roles.producer import Producer
    from gridfleet.devices.agents.roles.storage import Storage
    from gridfleet.devices.charging.offer_ranking import OfferRanking
    from gridfleet.devices.charging.ranking_registry import OFFER_RANKINGS
    from gridfleet.devices.config.scenario import Scenario
    from gridfleet.devices.config.sensor_tables import Pin
    from gridfleet.devices.edge.hardware.control import DeviceControl
    from gridfleet.devices.kinds.agent_type import AgentContext, AgentSettings, AgentType
    from gridfleet.devices.kinds.registry import AGENT_TYPES
    from gridfleet.devices.market.clearing_rule import ClearingRule
    from gridfleet.devices.market.packages import split_into_packages
    from gridfleet.devices.market.rule_registry import CLEARING_RULES
    from gridfleet.provisioning.api.result import Result
    from gridfleet.provisioning.api.runs import run, simulate
    from gridfleet.provisioning.api.table import Table

__all__ = [
    "AGENT_TYPES",
    "CLEARING_RULES",
    "OFFER_RANKINGS",
    "Agent",
    "AgentContext",
    "AgentSettings",
    "AgentType",
    "ClearingRule",
    "Consumer",
    "DeviceControl",
    "Figure",
    "Finding",
    "GridFleetError",
    "OfferRanking",
    "Package",
    "Pin",
    "Producer",
    "Result",
    "Role",
    "Scenario",
    "Storage",
    "Table",
    "run",
    "simulate",
    "split_into_packages",
]

_MODULES = {
    "AGENT_TYPES": "devices.kinds.registry",
    "Agent": "devices.agents.base",
    "AgentContext": "devices.kinds.agent_type",
    "AgentSettings": "devices.kinds.agent_type",
    "AgentType": "devices.kinds.agent_type",
    "CLEARING_RULES": "devices.market.rule_registry",
    "ClearingRule": "devices.market.clearing_rule",
    "Consumer": "devices.agents.roles.consumer",
    "DeviceControl": "devices.edge.hardware.control",
    "Figure": "broker.protocol.messages",
    "Finding": "dashboards.audit.findings",
    "GridFleetError": "broker.errors",
    "OFFER_RANKINGS": "devices.charging.ranking_registry",
    "OfferRanking": "devices.charging.offer_ranking",
    "Package": "broker.protocol.messages",
    "Pin": "devices.config.sensor_tables",
    "Producer": "devices.agents.roles.producer",
    "Result": "provisioning.api.result",
    "Role": "broker.protocol.messages",
    "Scenario": "devices.config.scenario",
    "Storage": "devices.agents.roles.storage",
    "Table": "provisioning.api.table",
    "run": "provisioning.api.runs",
    "simulate": "provisioning.api.runs",
    "split_into_packages": "devices.market.packages",
}
"""Public name -> the module that defines it."""


if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Load a public name when it is first used."""
        if name not in _MODULES:
            raise AttributeError(f"module 'gridfleet' has no attribute {name!r}; it has {', '.join(__all__)}")
        from importlib import import_module

        found = globals()[name] = getattr(import_module(f"gridfleet.{_MODULES[name]}"), name)
        return found

    def __dir__() -> list[str]:
        """Return the public names, so that notebooks complete them."""
        return [*globals(), *__all__]
