"""The table of the shipped lies, for the guide to them."""

from gridfleet.broker.protocol.messages import Role
from gridfleet.devices.trust.liars.lie import ALL_ROLES
from gridfleet.devices.trust.liars.registry import LIES


def lies() -> str:
    """Return the table of the shipped lies."""
    rows = [
        f"| `{lie.name}` | {'every device' if lie.roles == ALL_ROLES else _roles(lie.roles)} | {lie.description} |"
        for lie in map(LIES.get, filter(LIES.is_shipped, LIES.names()))
    ]
    return "\n".join(["| lie | roles | what the device does |", "| --- | --- | --- |", *rows])


def _roles(roles: frozenset[Role]) -> str:
    return ", ".join(role.value for role in Role if role in roles)
