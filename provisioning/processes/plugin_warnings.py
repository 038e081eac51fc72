"""Warnings about packages whose kinds of device, clearing rules, offer rankings or lies cannot be used."""

import sys
from importlib import import_module
from typing import Final

from gridfleet.provisioning.cli.terminal import print_message

_REGISTRIES: Final = (
    ("gridfleet.devices.kinds.registry", "AGENT_TYPES"),
    ("gridfleet.devices.market.rule_registry", "CLEARING_RULES"),
    ("gridfleet.devices.charging.ranking_registry", "OFFER_RANKINGS"),
    ("gridfleet.devices.charging.pricing", "CHARGER_PRICINGS"),
    ("gridfleet.devices.trust.liars.registry", "LIES"),
)
"""Module and name of each registry; a device loads only those that its agent needs."""


def plugin_problems(*, only_looked_up: bool = False) -> list[str]:
    """Return one line for each entry point that cannot be used; nothing else stops working.

    Looking at the installed packages takes tens of milliseconds and a megabyte. With `only_looked_up`, as on a device,
    only those registries count that had to do it anyway.
    """
    registries = [
        getattr(import_module(module), name)
        for module, name in _REGISTRIES
        if module in sys.modules or not only_looked_up
    ]
    return [
        line
        for registry in registries
        if registry.looked_up or not only_looked_up
        for line in registry.problems()
    ]


def warn_of_plugins(*, only_looked_up: bool = False) -> None:
    """Print a warning for each entry point that cannot be used."""
    for line in plugin_problems(only_looked_up=only_looked_up):
        print_message(f"gridfleet: warning: {line}")
