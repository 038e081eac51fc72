"""The site's register: an entry for each group of a scenario's devices, and for a device with a file of its own."""

from collections.abc import Mapping
from dataclasses import replace

from gridfleet.broker.protocol.messages import MAX_SCALE, Limits, Registration
from gridfleet.devices.config.device_file import DeviceFile
from gridfleet.devices.config.scenario import Scenario
from gridfleet.devices.config.scenario_series import loads_of
from gridfleet.devices.config.shared_tables import TrustTable


def registrations_of(scenario: Scenario) -> dict[str, Registration]:
    """Return the entries by the prefix of a group's ids: the devices of a group have the same settings, so limits."""
    loads = loads_of(scenario)
    registrations = {}
    for group in scenario.groups:
        if group.settings.count:
            limits: Limits = group.agent_type.limits_of(group.settings, scenario.market, scenario.trust)
            if group.prefix in loads:
                most_wh = round(loads[group.prefix].max_energy_wh * MAX_SCALE) + 1
                limits = replace(limits, buys_wh=most_wh)
            registrations[group.prefix] = Registration(group.settings.count, limits)
    return registrations


def signed_registrations(scenario: Scenario, signed: Mapping[str, Registration]) -> dict[str, Registration]:
    """Return a scenario's entries, with the site's signature where it has signed the same devices and limits."""
    entries = registrations_of(scenario)
    same = {name for name, entry in entries.items() if name in signed and signed[name].states(entry)}
    return {name: signed[name] if name in same else entry for name, entry in entries.items()}


def limits_of_device(device: DeviceFile) -> Limits:
    """Return what the device of a device file may be believed in, by its kind; without its own limits, in anything."""
    if device.agent_type.limits is None:
        return Limits()
    limits: Limits = device.agent_type.limits_of(device.settings, device.market, TrustTable())
    return limits
