"""The kinds of device by name: the shipped ones, and those that installed packages add."""

from typing import Any, Final

from gridfleet.devices.kinds.agent_type import AgentType
from gridfleet.devices.plugins import Registry

_SHIPPED: Final = {
    "reactor": "gridfleet.devices.kinds.reactor:REACTOR",
    "turbine": "gridfleet.devices.kinds.turbine:TURBINE",
    "consumer": "gridfleet.devices.kinds.consumer:CONSUMER",
    "charger": "gridfleet.devices.kinds.charger:CHARGER",
    "vehicle": "gridfleet.devices.kinds.vehicle:VEHICLE",
    "battery": "gridfleet.devices.kinds.battery:BATTERY",
}
AGENT_TYPES: Final[Registry[AgentType[Any]]] = Registry(
    "gridfleet.agents", "kind of device", AgentType, _SHIPPED
)
