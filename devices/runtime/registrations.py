"""The site's register as its scenario gives it: an entry for each group of devices."""

from gridfleet.broker.protocol.messages import Registration
from gridfleet.devices.config.scenario import Scenario


def registrations_of(scenario: Scenario) -> dict[str, Registration]:
    """Return the entries by the prefix of a group's ids: the devices of a group have the same settings, so limits."""
    return {
        group.prefix: Registration(
            group.settings.count,
            group.agent_type.limits_of(group.settings, scenario.market, scenario.trust),
        )
        for group in scenario.groups
        if group.settings.count
    }
