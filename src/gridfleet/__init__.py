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
    from gridfleet.broker.protocol.messages import Figure, Limits, Package, Role
    from gridfleet.dashboards.audit.findings import Finding
    from gridfleet.devices.agents.base import Agent
    from gridfleet.devices.agents.roles.consumer import Consumer
    from gridfleet.devices.agents.roles.producer import Producer
    from gridfleet.devices.agents.roles.storage import Storage
    from gridfleet.devices.charging.offer_ranking import OfferRanking
    from gridfleet.devices.charging.ranking_registry import OFFER_RANKINGS
    from gridfleet.devices.config.device_file import DeviceFile
    from gridfleet.devices.config.scenario import Scenario
    from gridfleet.devices.config.sensor_tables import Channel, Pin
    from gridfleet.devices.edge.hardware.board import Adc, Board, Input, Output
    from gridfleet.devices.edge.hardware.control import DeviceControl
    from gridfleet.devices.edge.hardware.faults import SensorFault
    from gridfleet.devices.edge.hardware.lamp import Light
    from gridfleet.devices.edge.hil.pi import Pi
    from gridfleet.devices.edge.hil.plants import Plant
    from gridfleet.devices.kinds.agent_type import AgentContext, AgentSettings, AgentType
    from gridfleet.devices.kinds.registry import AGENT_TYPES
    from gridfleet.devices.market.clearing_rule import ClearingRule
    from gridfleet.devices.market.packages import split_into_packages
    from gridfleet.devices.market.rule_registry import CLEARING_RULES
    from gridfleet.devices.trust.liars.lie import Liar, Lie
    from gridfleet.devices.trust.liars.registry import LIES
    from gridfleet.provisioning.api.result import Result
    from gridfleet.provisioning.api.runs import run, simulate
    from gridfleet.provisioning.api.table import Table

__all__ = [
    "AGENT_TYPES",
    "CLEARING_RULES",
    "LIES",
    "OFFER_RANKINGS",
    "Adc",
    "Agent",
    "AgentContext",
    "AgentSettings",
    "AgentType",
    "Board",
    "Channel",
    "ClearingRule",
    "Consumer",
    "DeviceControl",
    "DeviceFile",
    "Figure",
    "Finding",
    "GridFleetError",
    "Input",
    "Liar",
    "Lie",
    "Light",
    "Limits",
    "OfferRanking",
    "Output",
    "Package",
    "Pi",
    "Pin",
    "Plant",
    "Producer",
    "Result",
    "Role",
    "Scenario",
    "SensorFault",
    "Storage",
    "Table",
    "run",
    "simulate",
    "split_into_packages",
]

_MODULES = {
    "AGENT_TYPES": "devices.kinds.registry",
    "Adc": "devices.edge.hardware.board",
    "Agent": "devices.agents.base",
    "AgentContext": "devices.kinds.agent_type",
    "AgentSettings": "devices.kinds.agent_type",
    "AgentType": "devices.kinds.agent_type",
    "Board": "devices.edge.hardware.board",
    "CLEARING_RULES": "devices.market.rule_registry",
    "Channel": "devices.config.sensor_tables",
    "ClearingRule": "devices.market.clearing_rule",
    "Consumer": "devices.agents.roles.consumer",
    "DeviceControl": "devices.edge.hardware.control",
    "DeviceFile": "devices.config.device_file",
    "Figure": "broker.protocol.messages",
    "Finding": "dashboards.audit.findings",
    "GridFleetError": "broker.errors",
    "Input": "devices.edge.hardware.board",
    "LIES": "devices.trust.liars.registry",
    "Liar": "devices.trust.liars.lie",
    "Lie": "devices.trust.liars.lie",
    "Light": "devices.edge.hardware.lamp",
    "Limits": "broker.protocol.messages",
    "OFFER_RANKINGS": "devices.charging.ranking_registry",
    "OfferRanking": "devices.charging.offer_ranking",
    "Output": "devices.edge.hardware.board",
    "Package": "broker.protocol.messages",
    "Pi": "devices.edge.hil.pi",
    "Pin": "devices.config.sensor_tables",
    "Plant": "devices.edge.hil.plants",
    "Producer": "devices.agents.roles.producer",
    "Result": "provisioning.api.result",
    "Role": "broker.protocol.messages",
    "Scenario": "devices.config.scenario",
    "SensorFault": "devices.edge.hardware.faults",
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
